-- Stripe's events: each is recorded and takes its whole effect in one transaction, once. What it tells is first kept as a
-- fact, in states that only move one way, and the ledger is then derived from the facts: so the order of arrival, which
-- Stripe does not promise, changes nothing. All that concerns one payment waits at its advisory lock, taken before any row.

-- Stripe's minor units as ISO 4217's, in which invoices count.
-- https://docs.stripe.com/currencies#special-cases: two more decimals than ISO in ISK and UGX, two fewer in MGA.
create function iso_cents(p_amount bigint, p_currency text) returns bigint
language sql immutable set search_path = public, pg_temp
as $$ select case upper(p_currency) when 'ISK' then p_amount / 100 when 'UGX' then p_amount / 100 when 'MGA' then p_amount * 100 else p_amount end $$;

-- Whether a payment of the invoice is in dispute, its outcome open.
create function is_disputed(p_invoice_id bigint) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select exists (select from payments p join reversals r on r.payment_intent = p.processor_id
                  where p.invoice_id = p_invoice_id and r.kind = 'DISPUTE' and r.dispute_outcome is null)
$$;

-- What of a payment has gone back.
create function gone_cents(p_payment_id bigint) returns bigint
language sql stable set search_path = public, pg_temp
as $$ select -coalesce(sum(amount_cents), 0)::bigint from payments where parent_payment_id = p_payment_id $$;

-- Brings the refunds of one payment in the ledger to what is known of it.
create function settle_reversals(p payments, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  r record;
  i invoices;
  gone bigint := gone_cents(p.id);
  named bigint := (select coalesce(sum(amount_cents), 0) from reversals where payment_intent = p.processor_id and kind = 'REFUND');
begin
  select * into i from invoices where id = p.invoice_id;
  for r in
    select f.processor_id, f.happened_at, -b.amount_cents as booked, case
        when f.currency <> i.currency then 0
        when f.kind = 'REFUND' then case when f.stage < 3 then f.amount_cents else 0 end
        when f.kind = 'DISPUTE' then case when f.stage = 2 then f.amount_cents else 0 end
        else greatest(0, f.amount_cents - named) end as due,
      case f.kind when 'DISPUTE' then 'Disputed' else 'Refunded' end as reference
      from reversals f left join payments b on b.processor_id = f.processor_id
     where f.payment_intent = p.processor_id order by f.processor_id loop
    continue when r.due = coalesce(r.booked, 0);
    if r.due = 0 then
      delete from payments where processor_id = r.processor_id;
    else
      insert into payments (invoice_id, kind, method, amount_cents, processor_id, reference, parent_payment_id, paid_at)
      values (p.invoice_id, 'REFUND', 'STRIPE', -r.due, r.processor_id, r.reference, p.id, r.happened_at)
      on conflict (processor_id) do update set amount_cents = excluded.amount_cents;
    end if;
  end loop;
  gone := gone_cents(p.id) - gone;
  if gone <> 0 then
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, case when gone > 0 then 'MONEY_WENT_BACK' else 'MONEY_CAME_BACK' end,
                         format(case when gone > 0 then 'Money of invoice %s went back' else 'Money of invoice %s came back' end, i.number),
                         p_actor || jsonb_build_object('paymentId', p.id, 'amountCents', abs(gone)));
  end if;
end
$$;

-- Holds an invoice's job while its money is disputed or is there no longer, and lets it go when it came back. Told when the
-- cause changes, so that a shop which has cleared the hold is not overruled by the next event of the same.
create function hold_for_payment(p_invoice_id bigint, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
  cause text := case
    when exists (select from payments p join reversals r on r.payment_intent = p.processor_id
                  where p.invoice_id = p_invoice_id and r.kind = 'DISPUTE' and r.dispute_outcome is distinct from 'WON')
      then 'its payment is disputed'
    when exists (select from payments p join invoices i on i.id = p.invoice_id
                  where i.id = p_invoice_id and p.kind = 'REFUND' and i.paid_cents < i.total_cents) then 'money was refunded' end;
begin
  select * into j from jobs where invoice_id = p_invoice_id for no key update;
  if j.id is null or j.payment_hold is not distinct from cause then
    return;
  end if;
  update jobs set payment_hold = cause, held_reason = case
      when j.status in ('COMPLETED', 'CANCELLED') or j.archived_at is not null then held_reason
      when held_reason is null or held_reason = j.payment_hold then cause else held_reason end
   where id = j.id;
  perform log_activity(j.client_id, null, j.invoice_id, j.id, j.printer_id,
                       case when cause is null then 'JOB_RELEASED' else 'JOB_HELD' end,
                       format(case when cause is null then 'Job %s is no longer held: %s' else 'Job %s is held: %s' end,
                              j.title, coalesce(cause, 'the money is back')), p_actor);
end
$$;

-- After a payment or its reversals: the refunds, the status, the job. The caller holds the invoice's row lock.
create function settle_payment(p_payment_intent text, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p payments;
begin
  select * into p from payments where processor_id = p_payment_intent and kind = 'PAYMENT';
  perform settle_reversals(p, p_actor);
  -- Twice: what is paid and has gone back already is PAID first.
  perform settle_invoice(p.invoice_id, p_actor);
  perform settle_invoice(p.invoice_id, p_actor);
  -- A job that was made stays. So payments that reach the total make one, if a held one, whatever went back before.
  perform ensure_job(id, p_actor) from invoices
   where id = p.invoice_id and status in ('PENDING', 'OVERDUE', 'PAID', 'REFUNDED')
     and total_cents <= (select sum(amount_cents) from payments where invoice_id = p.invoice_id and kind = 'PAYMENT');
  perform hold_for_payment(p.invoice_id, p_actor);
end
$$;

-- A Checkout session's event. A paid session is always booked: what it exceeds the balance by becomes credit. Whatever is
-- not as it was asked for is flagged; another currency, whose units are not the invoice's, is for a person to add up.
create function apply_session(p_event jsonb, p_actor jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  session jsonb := p_event #> '{data,object}';
  named text := session #>> '{metadata,invoiceId}';
  amount bigint := iso_cents((session ->> 'amount_total')::bigint, session ->> 'currency');
  intent text := coalesce(session ->> 'payment_intent', session ->> 'id');
  facts jsonb := jsonb_build_object('amount', amount, 'currency', upper(session ->> 'currency'),
                                    'paymentIntent', session -> 'payment_intent');
  state text := case
    when p_event ->> 'type' = 'checkout.session.expired' then 'EXPIRED'
    when p_event ->> 'type' = 'checkout.session.async_payment_failed' then 'FAILED'
    when session ->> 'payment_status' = 'paid' then 'PAID' else 'COMPLETE' end;
  page checkout_sessions;
  i invoices;
  flags text[] := '{}';
begin
  perform pg_advisory_xact_lock(hashtextextended(intent, 0));
  select * into page from checkout_sessions where session_id = session ->> 'id';
  -- Others may use the same account, and name their own invoices: a page that is not known here must look like ours.
  if named ~ '^[0-9]{1,18}$' and (page.session_id is not null or (session -> 'isOurs')::boolean) then
    select * into i from invoices
     where id = named::bigint and (page.session_id is not null or number = session #>> '{metadata,invoiceNumber}') for no key update;
  end if;
  if i.id is null then
    perform note_session(session ->> 'id', state);
    return facts || jsonb_build_object('outcome', case when state = 'PAID' then 'UNMATCHED' else 'RECORDED' end);
  end if;
  if i.stripe_session_id = session ->> 'id' then
    perform retire_session(i.id);
  end if;
  -- One that was never noted is now, or Stripe's first answer, replayed, would have it stored as open.
  insert into checkout_sessions (session_id, invoice_id, state, amount_cents, expires_at)
  values (session ->> 'id', i.id, state, greatest(amount, 1), now()) on conflict (session_id) do nothing;
  perform note_session(session ->> 'id', state);
  facts := facts || jsonb_build_object('invoiceId', i.id);
  if state = 'FAILED' then
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_FAILED',
                         'A payment of invoice ' || i.number || ' did not go through', p_actor);
  end if;
  if state <> 'PAID' then
    return facts || jsonb_build_object('outcome', 'RECORDED');
  elsif upper(session ->> 'currency') is distinct from i.currency then
    return facts || jsonb_build_object('outcome', 'FLAGGED', 'flags', jsonb_build_array('CURRENCY'));
  elsif amount is null or amount <= 0 then
    return facts || jsonb_build_object('outcome', 'FLAGGED', 'flags', jsonb_build_array('AMOUNT'));
  end if;
  if page.invoice_id is distinct from i.id then flags := flags || 'SESSION'::text; end if;
  if page.amount_cents <> amount then flags := flags || 'AMOUNT'::text; end if;
  if amount > i.balance_cents then flags := flags || 'EXCESS'::text; end if;
  if amount < i.balance_cents then flags := flags || 'SHORT'::text; end if;
  if i.status not in ('PENDING', 'OVERDUE') then flags := flags || ('STATUS_' || i.status)::text; end if;
  insert into payments (invoice_id, kind, method, amount_cents, processor_id, reference, is_flagged, paid_at)
  values (i.id, 'PAYMENT', 'STRIPE', amount, intent, session ->> 'id', flags <> '{}', coalesce(to_timestamp((p_event ->> 'created')::bigint), now()))
  on conflict (processor_id) do nothing;
  if not found then
    return facts || jsonb_build_object('outcome', 'RECORDED');
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_RECEIVED',
                       'A card payment arrived for invoice ' || i.number,
                       p_actor || jsonb_build_object('amountCents', amount, 'flags', to_jsonb(flags)));
  -- Another page that is open asks for the former balance.
  perform retire_session(i.id);
  perform settle_payment(intent, p_actor);
  -- What went back before its payment was known is compared with it now, as it would have been had it come later.
  if exists (select from reversals where payment_intent = intent and currency <> i.currency) then flags := flags || 'CURRENCY'::text; end if;
  if 'AMOUNT' <> all (flags) and exists (select from reversals where payment_intent = intent and amount_cents > amount) then
    flags := flags || 'AMOUNT'::text;
  end if;
  return facts || jsonb_build_object('outcome', 'APPLIED', 'flags', to_jsonb(flags), 'retire', sessions_to_close(i.id));
end
$$;

-- An event of a refund, of a charge that was refunded, or of a dispute: a fact, and the ledger if its payment is known.
create function apply_reversal(p_event jsonb, p_actor jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  object jsonb := p_event #> '{data,object}';
  kind text := case object ->> 'object' when 'refund' then 'REFUND' when 'dispute' then 'DISPUTE' else 'CHARGE' end;
  intent text := object ->> 'payment_intent';
  amount bigint := iso_cents((object ->> case kind when 'CHARGE' then 'amount_refunded' else 'amount' end)::bigint, object ->> 'currency');
  happened timestamptz := coalesce(to_timestamp(coalesce(case when kind <> 'CHARGE' then object ->> 'created' end, p_event ->> 'created')::bigint), now());
  stage integer := case
    when kind = 'REFUND' then case object ->> 'status' when 'succeeded' then 2 when 'failed' then 3 when 'canceled' then 3 else 1 end
    when p_event ->> 'type' = 'charge.dispute.funds_withdrawn' then 2
    when p_event ->> 'type' = 'charge.dispute.funds_reinstated' then 3 else 1 end;
  closed text := case when p_event ->> 'type' = 'charge.dispute.closed' then case when object ->> 'status' = 'lost' then 'LOST' else 'WON' end end;
  facts jsonb := jsonb_build_object('amount', amount, 'currency', upper(object ->> 'currency'), 'paymentIntent', intent);
  paid payments;
  before invoices;
  after invoices;
  flags text[] := '{}';
begin
  if intent is null or amount is null or object ->> 'currency' is null then
    return facts || jsonb_build_object('outcome', 'RECORDED');
  end if;
  perform pg_advisory_xact_lock(hashtextextended(intent, 0));
  insert into reversals as r (processor_id, kind, payment_intent, amount_cents, currency, stage, happened_at, dispute_outcome)
  values (object ->> 'id', kind, intent, amount, upper(object ->> 'currency'), stage, happened, closed)
  on conflict (processor_id) do update set amount_cents = greatest(r.amount_cents, excluded.amount_cents),
    stage = greatest(r.stage, excluded.stage), happened_at = least(r.happened_at, excluded.happened_at),
    dispute_outcome = coalesce(r.dispute_outcome, excluded.dispute_outcome);
  select * into paid from payments where processor_id = intent and payments.kind = 'PAYMENT';
  if paid.id is null then
    return facts || jsonb_build_object('outcome', 'RECORDED');
  end if;
  select * into before from invoices where id = paid.invoice_id for no key update;
  update refund_requests q set state = 'SETTLED', refund_id = object ->> 'id'
   where q.payment_id = paid.id and q.state in ('REQUESTED', 'SENT') and kind = 'REFUND'
     and (q.refund_id = object ->> 'id' or q.id::text = object #>> '{metadata,refundRequestId}');
  perform settle_payment(intent, p_actor);
  select * into after from invoices where id = paid.invoice_id;
  if after.balance_cents <> before.balance_cents then
    perform retire_session(after.id);
  end if;
  if upper(object ->> 'currency') <> after.currency then flags := flags || 'CURRENCY'::text; end if;
  if amount > paid.amount_cents then flags := flags || 'AMOUNT'::text; end if;
  return facts || jsonb_build_object('outcome', 'APPLIED', 'invoiceId', after.id, 'flags', to_jsonb(flags),
                                     'retire', sessions_to_close(after.id));
end
$$;

-- An event that was of the other mode (test or live) than the account's key, and so has moved nothing yet.
create function waits_for_its_mode(e webhook_events) returns boolean
language sql immutable set search_path = public, pg_temp
as $$ select e.outcome = 'FLAGGED' and e.metadata -> 'flags' ? 'LIVEMODE' $$;

-- The whole effect of one Stripe event, once. A concurrent twin waits at the insert and answers DUPLICATE. An event of the
-- other mode (test or live) than the account's key moves nothing, until it comes again and the mode fits: then it takes over
-- its row, at which its twins wait. One of another API version is applied and flagged.
create function apply_stripe_event(p_event jsonb, p_livemode boolean, p_api_version text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  kind text := p_event ->> 'type';
  recorded bigint;
  is_other_mode boolean := (p_event ->> 'livemode')::boolean is distinct from p_livemode;
  answer jsonb := '{"outcome": "RECORDED"}';
  actor jsonb := jsonb_build_object('stripeEventId', p_event ->> 'id');
  handled boolean := kind like 'checkout.session.%' or kind = 'charge.refunded' or kind like 'refund.%'
                     or kind = 'charge.refund.updated' or kind like 'charge.dispute.%';
begin
  insert into webhook_events (stripe_event_id, event_type) values (p_event ->> 'id', kind)
  on conflict (stripe_event_id) do nothing returning id into recorded;
  if recorded is null and not is_other_mode then
    update webhook_events e set processed_at = now() where stripe_event_id = p_event ->> 'id' and waits_for_its_mode(e) returning id into recorded;
  end if;
  if recorded is null then
    return jsonb_build_object('outcome', 'DUPLICATE');
  elsif is_other_mode then
    answer := answer || case when handled then '{"outcome": "FLAGGED", "flags": ["LIVEMODE"]}'::jsonb else '{}' end;
  elsif kind like 'checkout.session.%' then
    answer := apply_session(p_event, actor);
  elsif handled then
    answer := apply_reversal(p_event, actor);
  end if;
  if handled and p_event ->> 'api_version' is distinct from p_api_version then
    answer := answer || jsonb_build_object('flags', coalesce(answer -> 'flags', '[]') || '["API_VERSION"]'::jsonb);
  end if;
  if answer ->> 'outcome' <> 'UNMATCHED' and coalesce(answer -> 'flags', '[]') <> '[]' then
    answer := answer || '{"outcome": "FLAGGED"}';
  end if;
  update webhook_events set outcome = answer ->> 'outcome', invoice_id = (answer ->> 'invoiceId')::bigint,
    metadata = jsonb_strip_nulls(answer - '{outcome,retire}'::text[]
      || jsonb_build_object('sessionId', case when kind like 'checkout.session.%' then p_event #>> '{data,object,id}' end))
   where id = recorded;
  return jsonb_strip_nulls(jsonb_build_object('outcome', answer -> 'outcome', 'invoiceId', answer -> 'invoiceId', 'retire', answer -> 'retire'));
end
$$;

-- What a person has to look at, the newest first: payments of no invoice of ours, and whatever was not as asked for.
create function list_stripe_unmatched(p_limit integer, p_before bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', e.id, 'stripeEventId', e.stripe_event_id, 'type', e.event_type,
      'outcome', e.outcome, 'flags', coalesce(e.metadata -> 'flags', '[]'), 'amountCents', e.metadata -> 'amount',
      'currency', e.metadata -> 'currency', 'sessionId', e.metadata -> 'sessionId',
      'paymentIntent', e.metadata -> 'paymentIntent', 'invoiceId', e.invoice_id,
      'invoiceNumber', i.number, 'receivedAt', e.processed_at) order by e.id desc), '[]')
    from (select * from webhook_events
           where outcome in ('FLAGGED', 'UNMATCHED') and (p_before is null or id < p_before)
           order by id desc limit p_limit) e
    left join invoices i on i.id = e.invoice_id
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'iso_cents(bigint, text)', 'is_disputed(bigint)', 'gone_cents(bigint)', 'settle_reversals(payments, jsonb)', 'hold_for_payment(bigint, jsonb)',
    'settle_payment(text, jsonb)', 'apply_session(jsonb, jsonb)', 'apply_reversal(jsonb, jsonb)',
    'waits_for_its_mode(webhook_events)', 'apply_stripe_event(jsonb, boolean, text)', 'list_stripe_unmatched(integer, bigint)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

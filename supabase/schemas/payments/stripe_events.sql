-- Stripe's events: each is recorded and applied in one transaction, once. An event is first stored as a fact whose
-- state only moves forward, and the ledger is derived from the facts: so the order of arrival, which Stripe does not
-- promise, changes nothing.

-- Converts Stripe's amount to ISO 4217 minor units, which the tables hold. https://docs.stripe.com/currencies#special-
-- cases: ISK and UGX have two more decimals at Stripe, MGA two fewer.
create function stripe_amount_to_cents(p_amount bigint, p_currency text) returns bigint
language sql immutable set search_path = public, pg_temp
as $$ select case upper(p_currency) when 'ISK' then p_amount / 100 when 'UGX' then p_amount / 100 when 'MGA' then p_amount * 100 else p_amount end $$;

-- Books the payment of a paid Checkout session; what exceeds the balance becomes credit. Anything that differs from what
-- was asked for is flagged; a payment in another currency is flagged and not booked, because its amounts do not add up with
-- the invoice's.
create function book_checkout_payment(p_event jsonb, i invoices, known checkout_sessions, p_amount bigint,
                                      p_actor jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  session jsonb := p_event #> '{data,object}';
  intent text := coalesce(session ->> 'payment_intent', session ->> 'id');
  flags text[] := '{}';
begin
  if upper(session ->> 'currency') is distinct from i.currency then
    return '{"outcome": "FLAGGED", "flags": ["CURRENCY"]}';
  elsif p_amount is null or p_amount <= 0 then
    return '{"outcome": "FLAGGED", "flags": ["AMOUNT"]}';
  end if;
  if known.invoice_id is distinct from i.id then flags := flags || 'SESSION'::text; end if;
  if known.amount_cents <> p_amount then flags := flags || 'AMOUNT'::text; end if;
  if p_amount > i.balance_cents then flags := flags || 'EXCESS'::text; end if;
  if p_amount < i.balance_cents then flags := flags || 'SHORT'::text; end if;
  if i.status not in ('PENDING', 'OVERDUE') then flags := flags || ('STATUS_' || i.status)::text; end if;
  insert into payments (invoice_id, kind, method, amount_cents, processor_id, reference, is_flagged, paid_at)
  values (i.id, 'PAYMENT', 'STRIPE', p_amount, intent, session ->> 'id', flags <> '{}',
          coalesce(to_timestamp((p_event ->> 'created')::bigint), now()))
  on conflict (processor_id) do nothing;
  if not found then
    return '{"outcome": "RECORDED"}';
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_RECEIVED',
                       'A card payment arrived for invoice ' || i.number,
                       p_actor || jsonb_build_object('amountCents', p_amount, 'flags', to_jsonb(flags)));
  -- Another open session asks for the former balance.
  perform retire_checkout_session(i.id);
  perform reconcile_payment(intent, p_actor);
  -- Refunds and disputes that arrived before their payment are compared with it now, as if they had come later.
  if exists (select from reversals where payment_intent = intent and currency <> i.currency) then
    flags := flags || 'CURRENCY'::text;
  end if;
  if 'AMOUNT' <> all (flags) and exists (select from reversals where payment_intent = intent and amount_cents > p_amount) then
    flags := flags || 'AMOUNT'::text;
  end if;
  return jsonb_build_object('outcome', 'APPLIED', 'flags', to_jsonb(flags), 'retire', checkout_sessions_to_close(i.id));
end
$$;

-- Applies a Checkout session event: moves the session on, and books the payment when it is paid. A session of no known
-- invoice is UNMATCHED if it was paid.
create function apply_checkout_event(p_event jsonb, p_actor jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  session jsonb := p_event #> '{data,object}';
  named text := session #>> '{metadata,invoiceId}';
  amount bigint := stripe_amount_to_cents((session ->> 'amount_total')::bigint, session ->> 'currency');
  facts jsonb := jsonb_build_object('amount', amount, 'currency', upper(session ->> 'currency'),
                                    'paymentIntent', session -> 'payment_intent');
  new_state text := case
    when p_event ->> 'type' = 'checkout.session.expired' then 'EXPIRED'
    when p_event ->> 'type' = 'checkout.session.async_payment_failed' then 'FAILED'
    when session ->> 'payment_status' = 'paid' then 'PAID' else 'COMPLETE' end;
  known checkout_sessions;
  i invoices;
begin
  perform pg_advisory_xact_lock(hashtextextended(coalesce(session ->> 'payment_intent', session ->> 'id'), 0));
  select * into known from checkout_sessions where session_id = session ->> 'id';
  -- Other systems may use the same account and name invoices of their own: an unknown session must look like ours.
  if named ~ '^[0-9]{1,18}$' and (known.session_id is not null or (session -> 'isOurs')::boolean) then
    select * into i from invoices
     where id = named::bigint and (known.session_id is not null or number = session #>> '{metadata,invoiceNumber}') for no key update;
  end if;
  if i.id is null then
    perform advance_checkout_session(session ->> 'id', new_state);
    return facts || jsonb_build_object('outcome', case when new_state = 'PAID' then 'UNMATCHED' else 'RECORDED' end);
  end if;
  if i.stripe_session_id = session ->> 'id' then
    perform retire_checkout_session(i.id);
  end if;
  -- An unknown session is stored now, or Stripe's first answer, replayed to a retry, would be stored as open.
  insert into checkout_sessions (session_id, invoice_id, state, amount_cents, expires_at)
  values (session ->> 'id', i.id, new_state, greatest(amount, 1), now()) on conflict (session_id) do nothing;
  perform advance_checkout_session(session ->> 'id', new_state);
  facts := facts || jsonb_build_object('invoiceId', i.id);
  if new_state = 'PAID' then
    return facts || book_checkout_payment(p_event, i, known, amount, p_actor);
  elsif new_state = 'FAILED' then
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_FAILED',
                         'A payment of invoice ' || i.number || ' did not go through', p_actor);
  end if;
  return facts || '{"outcome": "RECORDED"}';
end
$$;

-- Applies an event of a refund, a refunded charge or a dispute: stores the fact, and updates the ledger if its payment
-- is known.
create function apply_reversal_event(p_event jsonb, p_actor jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  object jsonb := p_event #> '{data,object}';
  kind text := case object ->> 'object' when 'refund' then 'REFUND' when 'dispute' then 'DISPUTE' else 'CHARGE' end;
  intent text := object ->> 'payment_intent';
  amount bigint := stripe_amount_to_cents((object ->> case kind when 'CHARGE' then 'amount_refunded' else 'amount' end)::bigint, object ->> 'currency');
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
  perform reconcile_payment(intent, p_actor);
  select * into after from invoices where id = paid.invoice_id;
  if after.balance_cents <> before.balance_cents then
    perform retire_checkout_session(after.id);
  end if;
  if upper(object ->> 'currency') <> after.currency then flags := flags || 'CURRENCY'::text; end if;
  if amount > paid.amount_cents then flags := flags || 'AMOUNT'::text; end if;
  return facts || jsonb_build_object('outcome', 'APPLIED', 'invoiceId', after.id, 'flags', to_jsonb(flags),
                                     'retire', checkout_sessions_to_close(after.id));
end
$$;

-- Whether a recorded event was not applied because it is of the other mode (test or live) than the account's key.
create function is_livemode_mismatch(e webhook_events) returns boolean
language sql immutable set search_path = public, pg_temp
as $$ select e.outcome = 'FLAGGED' and e.metadata -> 'flags' ? 'LIVEMODE' $$;

-- Applies one Stripe event, once; a repeated or concurrent delivery gets DUPLICATE. An event of the other mode (test
-- or live) than the account's key is flagged and not applied, until it is delivered again with the right mode. An
-- event of another API version is applied and flagged.
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
    update webhook_events e set processed_at = now() where stripe_event_id = p_event ->> 'id' and is_livemode_mismatch(e) returning id into recorded;
  end if;
  if recorded is null then
    return jsonb_build_object('outcome', 'DUPLICATE');
  elsif is_other_mode then
    answer := answer || case when handled then '{"outcome": "FLAGGED", "flags": ["LIVEMODE"]}'::jsonb else '{}' end;
  elsif kind like 'checkout.session.%' then
    answer := apply_checkout_event(p_event, actor);
  elsif handled then
    answer := apply_reversal_event(p_event, actor);
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

-- A page of the events that a person has to check, newest first: payments of no known invoice, and flagged ones.
create function list_unmatched_stripe_events(p_limit integer, p_before bigint) returns jsonb
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

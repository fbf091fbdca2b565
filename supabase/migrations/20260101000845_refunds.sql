-- Refunds that the shop asks for. The request is committed first and counts against what is left to refund, so that two at
-- once cannot give back more than came in; Stripe is asked under the request's id, as often as it takes. The ledger waits
-- for Stripe's event.

-- What of a card payment can still be refunded: neither gone back, nor disputed, nor asked for already.
create function refundable_cents(p payments) returns bigint
language sql stable set search_path = public, pg_temp
as $$
  select greatest(0, p.amount_cents
    + coalesce((select sum(b.amount_cents) from payments b where b.parent_payment_id = p.id), 0)
    - coalesce((select sum(r.amount_cents) from refund_requests r
                 where r.payment_id = p.id and r.state in ('REQUESTED', 'SENT')), 0))::bigint
$$;

-- The smallest amount that a card can carry, in ISO minor units (https://docs.stripe.com/currencies#special-cases).
create function card_step(p_currency text) returns integer
language sql immutable set search_path = public, pg_temp
as $$ select case when p_currency in ('BHD', 'JOD', 'KWD', 'OMR', 'TND') then 10 when p_currency = 'MGA' then 100 else 1 end $$;

create function refund_request_json(r refund_requests) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', r.id, 'invoiceId', r.invoice_id, 'paymentId', r.payment_id,
    'paymentIntent', p.processor_id, 'amountCents', r.amount_cents, 'currency', i.currency, 'reason', r.reason, 'note', r.note,
    'attempt', r.attempt,
    'key', format('refund-%s-%s-%s', r.id, r.attempt, (extract(epoch from r.created_at) * 1000000)::bigint),
    'refundId', r.refund_id, 'refusal', r.refusal, 'createdAt', r.created_at,
    'status', case when r.state = 'REFUSED' then 'REFUSED' when f.stage = 3 then 'FAILED' when f.stage = 2 then 'SUCCEEDED'
                   else 'PENDING' end)
    from payments p, invoices i left join reversals f on f.processor_id = r.refund_id
   where p.id = r.payment_id and i.id = r.invoice_id
$$;

-- Asks for a refund of one card payment: the one named, else the newest of which so much is left; all of its rest without
-- an amount. The same key again finds the same request, as far as it has come.
create function request_refund(p_user_id bigint, p_invoice_id bigint, p_payment_id bigint, p_amount_cents bigint, p_reason text,
                               p_note text, p_route text, p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  answered jsonb := replayed(p_user_id, p_route, p_key, p_body_hash);
  i invoices;
  chosen payments;
  r refund_requests;
  left_cents bigint;
begin
  if answered is not null then
    select * into r from refund_requests where id = (answered ->> 'id')::bigint;
    return case when r.id is null then answered else refund_request_json(r) end;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  select * into chosen from payments p
   where invoice_id = i.id and kind = 'PAYMENT' and method = 'STRIPE' and (p_payment_id is null or id = p_payment_id)
   order by refundable_cents(p) >= coalesce(p_amount_cents, 1) desc, id desc limit 1;
  if chosen.id is null then
    return case when exists (select from payments where id = p_payment_id and invoice_id = i.id)
                  or (p_payment_id is null and exists (select from payments where invoice_id = i.id and kind = 'PAYMENT')) then
        refusal(409, 'NOT_PAID_BY_CARD', format('Invoice %s was not paid by card; give the money back by hand and delete the payment.', i.number))
      when p_payment_id is null then
        refusal(409, 'NOT_PAID', format('Invoice %s has no payment to refund.', i.number))
      else refusal(404, 'PAYMENT_NOT_FOUND', 'The invoice has no such payment.') end;
  end if;
  left_cents := refundable_cents(chosen);
  if left_cents = 0 then
    return refusal(409, 'ALREADY_REFUNDED', format('Nothing of this payment of invoice %s is left to refund.', i.number));
  elsif p_amount_cents > left_cents then
    return refusal(409, 'EXCEEDS_REFUNDABLE', format('Less than that is left to refund of this payment of invoice %s; refund at most the rest.', i.number),
                   jsonb_build_object('refundableCents', left_cents, 'currency', i.currency, 'paymentId', chosen.id));
  end if;
  if coalesce(p_amount_cents, left_cents) % card_step(i.currency) <> 0 then
    return refusal(422, 'NO_CARD_AMOUNT', 'Cards carry no such amount in this currency; round it.',
                   jsonb_build_array(jsonb_build_object('field', 'amountCents', 'problem', format('a multiple of %s', card_step(i.currency)))));
  end if;
  insert into refund_requests (invoice_id, payment_id, amount_cents, reason, note, created_by)
  values (i.id, chosen.id, coalesce(p_amount_cents, left_cents), p_reason, p_note, p_user_id) returning * into r;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'REFUND_REQUESTED',
                       'A refund was asked for on invoice ' || i.number,
                       jsonb_build_object('userId', p_user_id, 'refundRequestId', r.id, 'paymentId', chosen.id, 'amountCents', r.amount_cents));
  perform keep_answer(p_user_id, p_route, p_key, p_body_hash, jsonb_build_object('id', r.id));
  return refund_request_json(r);
end
$$;

-- What Stripe said to a request: its refund, or why there is none.
create function note_refund(p_request_id bigint, p_refund_id text, p_refusal text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  r refund_requests;
  i invoices;
begin
  update refund_requests set state = case when p_refund_id is null then 'REFUSED' else 'SENT' end, refund_id = p_refund_id,
    refusal = p_refusal
   where id = p_request_id and (state = 'REQUESTED' or state = 'SENT' and p_refund_id is null) returning * into r;
  if found then
    select * into i from invoices where id = r.invoice_id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, case when p_refund_id is null then 'REFUND_REFUSED' else 'REFUND_SENT' end,
                         format(case when p_refund_id is null then 'Stripe refused a refund on invoice %s' else 'Stripe took a refund on invoice %s' end, i.number),
                         jsonb_build_object('userId', r.created_by, 'refundRequestId', r.id, 'amountCents', r.amount_cents,
                                            'refundId', p_refund_id, 'refusal', p_refusal));
  else
    select * into r from refund_requests where id = p_request_id;
  end if;
  return refund_request_json(r);
end
$$;

-- Stripe answered a failure of its own, which it replays to this attempt's key: the next try gets another.
create function raise_refund_attempt(p_request_id bigint, p_attempt integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update refund_requests set attempt = attempt + 1 where id = p_request_id and attempt = p_attempt and state = 'REQUESTED';
  return jsonb_build_object('raised', found);
end
$$;

-- Requests that ended half way: never sent, or sent and never heard of again; and those whose refund is pending at the bank,
-- the more seldom the older they are.
create function refunds_to_check(p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  chosen bigint[];
begin
  select array_agg(id) into chosen from (
    select id from refund_requests
     where id in (
       select id from refund_requests where state in ('REQUESTED', 'SENT') and updated_at < now() - interval '2 minutes'
       union all
       select r.id from reversals f join refund_requests r on r.refund_id = f.processor_id
        where f.kind = 'REFUND' and f.stage = 1 and r.state = 'SETTLED'
          and r.updated_at < now() - greatest(interval '2 minutes', (now() - r.created_at) / 4))
     order by updated_at for update skip locked limit p_limit) waiting;
  update refund_requests set updated_at = now() where id = any (chosen);
  return (select coalesce(jsonb_agg(refund_request_json(r)), '[]') from refund_requests r where id = any (chosen));
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'refundable_cents(payments)', 'card_step(text)', 'refund_request_json(refund_requests)',
    'request_refund(bigint, bigint, bigint, bigint, text, text, text, text, text)', 'note_refund(bigint, text, text)', 'raise_refund_attempt(bigint, integer)',
    'refunds_to_check(integer)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

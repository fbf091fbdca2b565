-- Refunds that the shop requests. A request is committed first and counts against what is left to refund; then Stripe
-- is called under the request's key, as often as it takes. The ledger waits for Stripe's event.

-- How much of a card payment can still be refunded: not yet refunded, disputed or requested.
create function refundable_cents(p payments) returns bigint
language sql stable set search_path = public, pg_temp
as $$
  select greatest(0, p.amount_cents
    + coalesce((select sum(b.amount_cents) from payments b where b.parent_payment_id = p.id), 0)
    - coalesce((select sum(r.amount_cents) from refund_requests r
                 where r.payment_id = p.id and r.state in ('REQUESTED', 'SENT')), 0))::bigint
$$;

-- The smallest amount that a card payment can be a multiple of, in ISO 4217 minor units
-- (https://docs.stripe.com/currencies#special-cases).
create function card_amount_step(p_currency text) returns integer
language sql immutable set search_path = public, pg_temp
as $$ select case when p_currency in ('BHD', 'JOD', 'KWD', 'OMR', 'TND') then 10 when p_currency = 'MGA' then 100 else 1 end $$;

-- A refund request with its status and the key that Stripe is called with.
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

-- Stores a refund request for one card payment: the named one, else the newest with enough left; without an amount,
-- all that is left. Committed before Stripe is called, so that two requests cannot refund more than was paid. The same
-- Idempotency-Key returns the same request with its present status.
create function request_refund(p_user_id bigint, p_invoice_id bigint, p_payment_id bigint, p_amount_cents bigint, p_reason text,
                               p_note text, p_route text, p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, p_route, p_key, p_body_hash);
  i invoices;
  chosen payments;
  r refund_requests;
  left_cents bigint;
begin
  if earlier_answer is not null then
    select * into r from refund_requests where id = (earlier_answer ->> 'id')::bigint;
    return case when r.id is null then earlier_answer else refund_request_json(r) end;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  select * into chosen from payments p
   where invoice_id = i.id and kind = 'PAYMENT' and method = 'STRIPE' and (p_payment_id is null or id = p_payment_id)
   order by refundable_cents(p) >= coalesce(p_amount_cents, 1) desc, id desc limit 1;
  if chosen.id is null then
    return case when exists (select from payments where id = p_payment_id and invoice_id = i.id)
                  or (p_payment_id is null and exists (select from payments where invoice_id = i.id and kind = 'PAYMENT')) then
        api_error(409, 'NOT_PAID_BY_CARD', format('Invoice %s was not paid by card; give the money back by hand and delete the payment.', i.number))
      when p_payment_id is null then
        api_error(409, 'NOT_PAID', format('Invoice %s has no payment to refund.', i.number))
      else api_error(404, 'PAYMENT_NOT_FOUND', 'The invoice has no such payment.') end;
  end if;
  left_cents := refundable_cents(chosen);
  if left_cents = 0 then
    return api_error(409, 'ALREADY_REFUNDED', format('Nothing of this payment of invoice %s is left to refund.', i.number));
  elsif p_amount_cents > left_cents then
    return api_error(409, 'EXCEEDS_REFUNDABLE', format('Less than that is left to refund of this payment of invoice %s; refund at most the rest.', i.number),
                     jsonb_build_object('refundableCents', left_cents, 'currency', i.currency, 'paymentId', chosen.id));
  end if;
  if coalesce(p_amount_cents, left_cents) % card_amount_step(i.currency) <> 0 then
    return api_error(422, 'NO_CARD_AMOUNT', 'Cards carry no such amount in this currency; round it.',
                     jsonb_build_array(jsonb_build_object('field', 'amountCents', 'problem', format('a multiple of %s', card_amount_step(i.currency)))));
  end if;
  insert into refund_requests (invoice_id, payment_id, amount_cents, reason, note, created_by)
  values (i.id, chosen.id, coalesce(p_amount_cents, left_cents), p_reason, p_note, p_user_id) returning * into r;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'REFUND_REQUESTED',
                       'A refund was asked for on invoice ' || i.number,
                       jsonb_build_object('userId', p_user_id, 'refundRequestId', r.id, 'paymentId', chosen.id, 'amountCents', r.amount_cents));
  perform idempotency_put(p_user_id, p_route, p_key, p_body_hash, jsonb_build_object('id', r.id));
  return refund_request_json(r);
end
$$;

-- Records Stripe's answer to a refund request: the refund, or why it was refused.
create function record_refund_answer(p_request_id bigint, p_refund_id text, p_refusal text) returns jsonb
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

-- After a failure at Stripe that it replays for this attempt's key: the next attempt gets a new key.
create function start_next_refund_attempt(p_request_id bigint, p_attempt integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update refund_requests set attempt = attempt + 1 where id = p_request_id and attempt = p_attempt and state = 'REQUESTED';
  return jsonb_build_object('raised', found);
end
$$;

-- Refund requests that the reconciler should continue: never sent, sent without any event since, or pending at the
-- bank (less often the older they are). Marks them as checked.
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

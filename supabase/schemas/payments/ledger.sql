-- The ledger of card payments, derived from the facts known of Stripe. All that concerns one payment waits at its
-- advisory lock, taken before any row lock.

-- Whether a payment of the invoice is disputed with the outcome still open.
create function has_open_dispute(p_invoice_id bigint) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select exists (select from payments p join reversals r on r.payment_intent = p.processor_id
                  where p.invoice_id = p_invoice_id and r.kind = 'DISPUTE' and r.dispute_outcome is null)
$$;

-- How much of a payment was refunded or withdrawn by disputes.
create function refunded_cents(p_payment_id bigint) returns bigint
language sql stable set search_path = public, pg_temp
as $$ select -coalesce(sum(amount_cents), 0)::bigint from payments where parent_payment_id = p_payment_id $$;

-- Brings a payment's refunds in the ledger in line with the refunds and disputes known from Stripe.
create function sync_reversals(p payments, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  r record;
  i invoices;
  refunded bigint := refunded_cents(p.id);
  refunds_total bigint := (select coalesce(sum(amount_cents), 0) from reversals where payment_intent = p.processor_id and kind = 'REFUND');
begin
  select * into i from invoices where id = p.invoice_id;
  for r in
    select f.processor_id, f.happened_at, -b.amount_cents as booked, case
        when f.currency <> i.currency then 0
        when f.kind = 'REFUND' then case when f.stage < 3 then f.amount_cents else 0 end
        when f.kind = 'DISPUTE' then case when f.stage = 2 then f.amount_cents else 0 end
        else greatest(0, f.amount_cents - refunds_total) end as due,
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
  refunded := refunded_cents(p.id) - refunded;
  if refunded <> 0 then
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, case when refunded > 0 then 'MONEY_WENT_BACK' else 'MONEY_CAME_BACK' end,
                         format(case when refunded > 0 then 'Money of invoice %s went back' else 'Money of invoice %s came back' end, i.number),
                         p_actor || jsonb_build_object('paymentId', p.id, 'amountCents', abs(refunded)));
  end if;
end
$$;

-- Holds an invoice's job while its payment is disputed or was refunded, and releases it when the money is back. Acts
-- only when the cause changes, so that a hold which the shop has cleared is not set again by the next event of the
-- same cause.
create function sync_payment_hold(p_invoice_id bigint, p_actor jsonb) returns void
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

-- After a card payment or its refunds changed: updates the ledger, the invoice's status and its job. The caller holds
-- the invoice's row lock.
create function reconcile_payment(p_payment_intent text, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p payments;
begin
  select * into p from payments where processor_id = p_payment_intent and kind = 'PAYMENT';
  perform sync_reversals(p, p_actor);
  -- Twice: an invoice that was paid and already refunded becomes PAID first, then REFUNDED.
  perform update_invoice_status(p.invoice_id, p_actor);
  perform update_invoice_status(p.invoice_id, p_actor);
  -- A job is never removed. So payments that reach the total create one, held if money was refunded meanwhile: the order
  -- of arrival must not matter.
  perform ensure_job(id, p_actor) from invoices
   where id = p.invoice_id and status in ('PENDING', 'OVERDUE', 'PAID', 'REFUNDED')
     and total_cents <= (select sum(amount_cents) from payments where invoice_id = p.invoice_id and kind = 'PAYMENT');
  perform sync_payment_hold(p.invoice_id, p_actor);
end
$$;

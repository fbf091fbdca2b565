-- Changes of an invoice's status. Functions that take an open Checkout session out of use return its id as `retired`,
-- for the caller to expire at Stripe after the commit.

-- The most that was ever paid on an invoice, in the order in which the money moved rather than in which we heard of
-- it. Stripe's payments count by Stripe's clock; a manual payment with a later date counts from when it was recorded.
create function peak_paid_cents(p_invoice_id bigint) returns bigint
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(max(so_far), 0)::bigint from (
    select sum(amount_cents) over (order by case method when 'STRIPE' then paid_at else least(paid_at, created_at) end, kind, id) as so_far
      from payments where invoice_id = p_invoice_id) moves
$$;

-- Sets an invoice's status after its payments or total changed; the caller holds the row lock. A full refund makes it
-- REFUNDED, and never payable again unless the refund fails; a partial refund leaves it PAID, and so does an open
-- dispute. An invoice that was once paid in full stays so, whichever event arrives last.
create function update_invoice_status(p_invoice_id bigint, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  was_paid boolean;
  is_refunded boolean;
begin
  select * into i from invoices where id = p_invoice_id;
  was_paid := peak_paid_cents(i.id) >= i.total_cents;
  is_refunded := i.paid_cents <= 0 and not has_open_dispute(i.id)
             and exists (select from payments where invoice_id = i.id and kind = 'REFUND');
  if i.status in ('PENDING', 'OVERDUE') and was_paid then
    perform retire_checkout_session(i.id);
    update invoices set status = 'PAID', paid_at = now() where id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_PAID', 'Invoice ' || i.number || ' is paid', p_actor);
    perform ensure_job(i.id, p_actor);
    perform sync_payment_hold(i.id, p_actor);
  elsif i.status = 'PAID' and was_paid and is_refunded then
    update invoices set status = 'REFUNDED' where id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_REFUNDED', 'Invoice ' || i.number || ' was refunded in full', p_actor);
  elsif i.status = 'REFUNDED' and was_paid and not is_refunded then
    update invoices set status = 'PAID' where id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_PAID', 'Invoice ' || i.number || ' is no longer refunded in full', p_actor);
  elsif i.status in ('PAID', 'REFUNDED') and not was_paid then
    update invoices set status = case when i.due_date + s.overdue_grace_days < business_today() then 'OVERDUE' else 'PENDING' end::invoice_status,
      paid_at = null
      from settings s where invoices.id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_UNPAID', 'Invoice ' || i.number || ' is owed again', p_actor);
  end if;
end
$$;

-- Voids an invoice without payments and cancels or holds its job. Returns the Checkout session to expire.
create function void_unpaid_invoice(i invoices, p_reason text, p_actor jsonb) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  retired text := retire_checkout_session(i.id);
begin
  update invoices set status = 'VOID' where id = i.id;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_VOIDED',
                       format('Invoice %s is void: %s', i.number, p_reason), p_actor);
  perform cancel_or_hold_job(i.id, 'its invoice is void', p_actor);
  return retired;
end
$$;

-- Voids an invoice that has no payments.
create function void_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  problem jsonb;
  retired text;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  problem := coalesce(invoice_closed_error(i), has_payments_error(i, 'refund or delete them before it is void.'));
  if problem is not null then
    return problem;
  end if;
  retired := void_unpaid_invoice(i, 'it was taken back', jsonb_build_object('userId', p_user_id));
  return changed_invoice_json(i.id, retired);
end
$$;

-- Writes off the balance of an invoice; written_off_cents records it.
create function write_off_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  problem jsonb;
  retired text;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  problem := coalesce(invoice_closed_error(i), invoice_not_payable_error(i));
  if problem is not null then
    return problem;
  end if;
  retired := retire_checkout_session(i.id);
  update invoices set status = 'WRITTEN_OFF', written_off_cents = i.balance_cents, written_off_at = now() where id = i.id;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_WRITTEN_OFF',
                       'Invoice ' || i.number || ' was written off',
                       jsonb_build_object('userId', p_user_id, 'writtenOffCents', i.balance_cents));
  return changed_invoice_json(i.id, retired);
end
$$;

-- Undoes the conversion of a quote: voids the invoice and makes the quote ACCEPTED, so that it can be converted again.
create function revert_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  q quotes;
  problem jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  elsif i.quote_id is null then
    return api_error(409, 'NOT_FROM_A_QUOTE', format('Invoice %s came from no quote; void it instead.', i.number));
  end if;
  problem := coalesce(invoice_closed_error(i), has_payments_error(i, 'its quote cannot be converted again.'));
  if problem is not null then
    return problem;
  end if;
  retired := void_unpaid_invoice(i, 'its quote was opened again', actor);
  update quotes set status = 'ACCEPTED', converted_invoice_id = null
   where id = i.quote_id and converted_invoice_id = i.id returning * into q;
  if found then
    perform log_activity(i.client_id, q.id, i.id, null, null, 'INVOICE_REVERTED',
                         format('Invoice %s was taken back; quote %s may be converted again', i.number, q.number), actor);
  end if;
  return changed_invoice_json(i.id, retired);
end
$$;

-- Marks an invoice as sent, the first time or again. `p_email` queues the e-mail in the same transaction.
create function send_invoice(p_user_id bigint, p_invoice_id bigint, p_key text, p_body_hash text, p_email boolean,
                             p_to text, p_message text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, 'invoices/send', p_key, p_body_hash);
  i invoices;
  problem jsonb;
  recipient text;
  mail bigint;
  response jsonb;
begin
  if earlier_answer is not null then
    return earlier_answer;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  select coalesce(nullif(p_to, ''), email) into recipient from clients where id = i.client_id;
  problem := coalesce(invoice_closed_error(i), case when p_email and length(recipient) < 3 then
    api_error(422, 'NO_EMAIL', 'This client has no e-mail address; name one in to.',
              jsonb_build_array(jsonb_build_object('field', 'to'))) end);
  if problem is not null then
    return problem;
  end if;
  update invoices set sent_at = coalesce(sent_at, now()) where id = i.id returning * into i;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_SENT', 'Invoice ' || i.number || ' was sent',
                       jsonb_build_object('userId', p_user_id));
  mail := queue_mail('INVOICE', i.id, case when p_email then recipient end, p_message, p_user_id);
  response := invoice_json(i) || jsonb_build_object(
    'mailId', mail, 'mail', case when p_email then jsonb_build_object('id', mail, 'status', 'QUEUED') end);
  perform idempotency_put(p_user_id, 'invoices/send', p_key, p_body_hash, response);
  return response;
end
$$;

-- Replaces the pay link's token; the old link stops working. An open Checkout session stays open.
create function rotate_pay_token(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
begin
  update invoices set pay_token = unguessable_token() where id = p_invoice_id returning * into i;
  if not found then
    return invoice_not_found_error();
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAY_LINK_CHANGED',
                       'Invoice ' || i.number || ' got a new pay link', jsonb_build_object('userId', p_user_id));
  return invoice_json(i);
end
$$;

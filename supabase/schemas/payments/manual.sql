-- Payments that the shop records manually. A card payment is recorded by Stripe's event only, and taken back by a
-- refund only.

-- A payment or refund of an invoice.
create function payment_json(p payments) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', p.id, 'invoiceId', p.invoice_id, 'kind', p.kind, 'method', p.method,
    'amountCents', p.amount_cents, 'reference', p.reference, 'note', p.note, 'isFlagged', p.is_flagged,
    'parentPaymentId', p.parent_payment_id, 'paidAt', p.paid_at,
    'date', (p.paid_at at time zone (select time_zone from settings))::date, 'createdAt', p.created_at)
$$;

-- The payments of an invoice, oldest first. Its client sees neither the shop's note nor the flag.
create function list_payments(p_client_id bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(payment_json(p) || case when p_client_id is null then '{}'::jsonb
          else '{"note": null, "isFlagged": null}' end order by p.paid_at, p.id)
        from payments p where p.invoice_id = i.id), '[]')
       from invoices i where i.id = p_invoice_id and (p_client_id is null or i.client_id = p_client_id)),
    invoice_not_found_error())
$$;

-- Records a manual payment, of the whole balance when `p_amount_cents` is null, once per Idempotency-Key.
create function record_payment(p_user_id bigint, p_invoice_id bigint, p_amount_cents bigint, p_method payment_method,
                               p_reference text, p_note text, p_paid_at timestamptz, p_route text, p_key text,
                               p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, p_route, p_key, p_body_hash);
  i invoices;
  paid payments;
  problem jsonb;
  retired text;
  response jsonb;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  if earlier_answer is not null then
    return earlier_answer;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  problem := coalesce(invoice_not_payable_error(i), case
    when p_amount_cents > i.balance_cents then
      api_error(409, 'EXCEEDS_BALANCE', format('Invoice %s owes less than this payment; record at most its balance.', i.number),
                jsonb_build_object('balanceCents', i.balance_cents, 'currency', i.currency))
    when p_paid_at > now() + interval '1 day' then
      api_error(422, 'PAID_IN_FUTURE', 'Give the day on which the money came; it is still to come.',
                jsonb_build_array(jsonb_build_object('field', 'paidAt'))) end);
  if problem is not null then
    return problem;
  end if;
  insert into payments (invoice_id, method, amount_cents, reference, note, paid_at, created_by)
  values (i.id, p_method, coalesce(p_amount_cents, i.balance_cents), p_reference, p_note, coalesce(p_paid_at, now()), p_user_id)
  returning * into paid;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_RECORDED',
                       'A payment was recorded for invoice ' || i.number,
                       actor || jsonb_build_object('paymentId', paid.id, 'amountCents', paid.amount_cents, 'method', paid.method));
  -- An open Checkout session asks for the former balance.
  retired := retire_checkout_session(i.id);
  perform update_invoice_status(i.id, actor);
  response := changed_invoice_json(i.id, retired);
  perform idempotency_put(p_user_id, p_route, p_key, p_body_hash, response);
  return response;
end
$$;

-- An error when these payments cannot be deleted: a card payment, a refund on the invoice, or a closed invoice; null
-- otherwise.
create function payments_not_deletable_error(i invoices, p_payment_ids bigint[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    case when exists (select from payments where id = any (p_payment_ids) and (method = 'STRIPE' or kind = 'REFUND')) then
      api_error(409, 'USE_REFUND', format('Invoice %s was paid by card; refund that payment instead.', i.number)) end,
    case when exists (select from payments where invoice_id = i.id and kind = 'REFUND') then
      api_error(409, 'HAS_REFUNDS', format('Invoice %s has a refund; its payments stay as they are.', i.number)) end,
    invoice_closed_error(i))
$$;

-- Deletes payments of an invoice and logs each.
create function delete_payments(i invoices, p_payment_ids bigint[], p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_DELETED',
                       'A payment of invoice ' || i.number || ' was deleted',
                       p_actor || jsonb_build_object('paymentId', p.id, 'amountCents', p.amount_cents, 'method', p.method))
    from payments p where p.id = any (p_payment_ids);
  delete from payments where id = any (p_payment_ids);
end
$$;

-- Deletes one manual payment.
create function delete_payment(p_user_id bigint, p_invoice_id bigint, p_payment_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  problem jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  perform from payments where id = p_payment_id and invoice_id = i.id;
  if not found then
    return case when exists (select from activity_logs where invoice_id = i.id and action = 'PAYMENT_DELETED'
                                and metadata ->> 'paymentId' = p_payment_id::text)
      then api_error(409, 'PAYMENT_DELETED', 'This payment was deleted already; read the invoice again.')
      else api_error(404, 'PAYMENT_NOT_FOUND', 'The invoice has no such payment.') end;
  end if;
  problem := payments_not_deletable_error(i, array[p_payment_id]);
  if problem is not null then
    return problem;
  end if;
  perform delete_payments(i, array[p_payment_id], actor);
  retired := retire_checkout_session(i.id);
  perform update_invoice_status(i.id, actor);
  return changed_invoice_json(i.id, retired);
end
$$;

-- Deletes all manual payments of an invoice and holds its job.
create function mark_invoice_unpaid(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  found_payments bigint[];
  problem jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  select array_agg(id) into found_payments from payments where invoice_id = i.id;
  problem := coalesce(payments_not_deletable_error(i, found_payments), case when found_payments is null then
    api_error(409, 'NOT_PAID', format('Invoice %s has no payment to take back.', i.number)) end);
  if problem is not null then
    return problem;
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_MARKED_UNPAID',
                       'Invoice ' || i.number || ' was marked unpaid', actor);
  perform delete_payments(i, found_payments, actor);
  retired := retire_checkout_session(i.id);
  perform update_invoice_status(i.id, actor);
  perform hold_job(i.id, 'marked unpaid', actor);
  return changed_invoice_json(i.id, retired);
end
$$;

-- Payments that the shop records by hand. A card payment comes from Stripe alone, and goes by a refund alone.

create function payment_json(p payments) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', p.id, 'invoiceId', p.invoice_id, 'kind', p.kind, 'method', p.method,
    'amountCents', p.amount_cents, 'reference', p.reference, 'note', p.note, 'isFlagged', p.is_flagged,
    'parentPaymentId', p.parent_payment_id, 'paidAt', p.paid_at,
    'date', (p.paid_at at time zone (select time_zone from settings))::date, 'createdAt', p.created_at)
$$;

-- In the order in which they were paid. The shop's own note and flag are not its client's.
create function list_payments(p_client_id bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(payment_json(p) || case when p_client_id is null then '{}'::jsonb
          else '{"note": null, "isFlagged": null}' end order by p.paid_at, p.id)
        from payments p where p.invoice_id = i.id), '[]')
       from invoices i where i.id = p_invoice_id and (p_client_id is null or i.client_id = p_client_id)),
    no_such_invoice())
$$;

-- Records one payment, of the balance when `p_amount_cents` is null, once per key of the route.
create function record_payment(p_user_id bigint, p_invoice_id bigint, p_amount_cents bigint, p_method payment_method,
                               p_reference text, p_note text, p_paid_at timestamptz, p_route text, p_key text,
                               p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  answered jsonb := replayed(p_user_id, p_route, p_key, p_body_hash);
  i invoices;
  paid payments;
  refused jsonb;
  retired text;
  response jsonb;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  if answered is not null then
    return answered;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  refused := coalesce(not_payable(i), case
    when p_amount_cents > i.balance_cents then
      refusal(409, 'EXCEEDS_BALANCE', format('Invoice %s owes less than this payment; record at most its balance.', i.number),
              jsonb_build_object('balanceCents', i.balance_cents, 'currency', i.currency))
    when p_paid_at > now() + interval '1 day' then
      refusal(422, 'PAID_IN_FUTURE', 'Give the day on which the money came; it is still to come.',
              jsonb_build_array(jsonb_build_object('field', 'paidAt'))) end);
  if refused is not null then
    return refused;
  end if;
  insert into payments (invoice_id, method, amount_cents, reference, note, paid_at, created_by)
  values (i.id, p_method, coalesce(p_amount_cents, i.balance_cents), p_reference, p_note, coalesce(p_paid_at, now()), p_user_id)
  returning * into paid;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_RECORDED',
                       'A payment was recorded for invoice ' || i.number,
                       actor || jsonb_build_object('paymentId', paid.id, 'amountCents', paid.amount_cents, 'method', paid.method));
  -- An open page asks for the former balance.
  retired := retire_session(i.id);
  perform settle_invoice(i.id, actor);
  response := changed_invoice(i.id, retired);
  perform keep_answer(p_user_id, p_route, p_key, p_body_hash, response);
  return response;
end
$$;

-- What keeps a payment in the books: Stripe has it, or a refund was reckoned from it.
create function not_deletable(i invoices, p_payment_ids bigint[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    case when exists (select from payments where id = any (p_payment_ids) and (method = 'STRIPE' or kind = 'REFUND')) then
      refusal(409, 'USE_REFUND', format('Invoice %s was paid by card; refund that payment instead.', i.number)) end,
    case when exists (select from payments where invoice_id = i.id and kind = 'REFUND') then
      refusal(409, 'HAS_REFUNDS', format('Invoice %s has a refund; its payments stay as they are.', i.number)) end,
    invoice_closed(i))
$$;

create function remove_payments(i invoices, p_payment_ids bigint[], p_actor jsonb) returns void
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

create function delete_payment(p_user_id bigint, p_invoice_id bigint, p_payment_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  refused jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  perform from payments where id = p_payment_id and invoice_id = i.id;
  if not found then
    return case when exists (select from activity_logs where invoice_id = i.id and action = 'PAYMENT_DELETED'
                                and metadata ->> 'paymentId' = p_payment_id::text)
      then refusal(409, 'PAYMENT_DELETED', 'This payment was deleted already; read the invoice again.')
      else refusal(404, 'PAYMENT_NOT_FOUND', 'The invoice has no such payment.') end;
  end if;
  refused := not_deletable(i, array[p_payment_id]);
  if refused is not null then
    return refused;
  end if;
  perform remove_payments(i, array[p_payment_id], actor);
  retired := retire_session(i.id);
  perform settle_invoice(i.id, actor);
  return changed_invoice(i.id, retired);
end
$$;

-- Takes back every payment that was recorded by hand; the job waits until the shop has looked.
create function mark_invoice_unpaid(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  found_payments bigint[];
  refused jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  select array_agg(id) into found_payments from payments where invoice_id = i.id;
  refused := coalesce(not_deletable(i, found_payments), case when found_payments is null then
    refusal(409, 'NOT_PAID', format('Invoice %s has no payment to take back.', i.number)) end);
  if refused is not null then
    return refused;
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_MARKED_UNPAID',
                       'Invoice ' || i.number || ' was marked unpaid', actor);
  perform remove_payments(i, found_payments, actor);
  retired := retire_session(i.id);
  perform settle_invoice(i.id, actor);
  perform hold_job(i.id, 'marked unpaid', actor);
  return changed_invoice(i.id, retired);
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'payment_json(payments)', 'list_payments(bigint, bigint)',
    'record_payment(bigint, bigint, bigint, payment_method, text, text, timestamptz, text, text, text)',
    'not_deletable(invoices, bigint[])', 'remove_payments(invoices, bigint[], jsonb)',
    'delete_payment(bigint, bigint, bigint)', 'mark_invoice_unpaid(bigint, bigint)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

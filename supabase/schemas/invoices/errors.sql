-- Errors of acts on invoices.

-- The error for an invoice that does not exist or belongs to another client.
create function invoice_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.') $$;

-- An error when the invoice is VOID, WRITTEN_OFF or REFUNDED; null otherwise.
create function invoice_closed_error(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
    api_error(409, 'INVOICE_CLOSED', format('Invoice %s is %s, which is the end of it; write a new one.', i.number, i.status),
              jsonb_build_object('status', i.status)) end
$$;

-- An error when the invoice has payments; null otherwise. `p_instead` says what to do instead.
create function has_payments_error(i invoices, p_instead text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when exists (select from payments where invoice_id = i.id) then
    api_error(409, 'HAS_PAYMENTS', format('Invoice %s has payments; %s', i.number, p_instead),
              jsonb_build_object('paidCents', i.paid_cents)) end
$$;

-- An error when there is no due date (an unknown payment term) or it lies before the issue date; null otherwise.
create function due_date_error(p_issued date, p_due date) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_due is null then
      api_error(422, 'UNKNOWN_PAYMENT_TERM', 'Name one of the payment terms in the shop''s settings, or a dueDate.',
                jsonb_build_array(jsonb_build_object('field', 'paymentTerm')))
    when p_due < p_issued then
      api_error(422, 'DUE_BEFORE_ISSUE', format('Let the invoice be due on its issue date, %s, or later.', p_issued),
                jsonb_build_array(jsonb_build_object('field', 'dueDate'))) end
$$;

-- An error when this edit is not allowed: a closed invoice, another client, another currency after a payment, or a
-- higher total after a refund; null otherwise.
create function invoice_not_editable_error(i invoices, p_client_id bigint, p_document jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
      api_error(409, 'NOT_EDITABLE', format('Invoice %s is %s and stays as it is; write a new one.', i.number, i.status),
                jsonb_build_object('status', i.status))
    when p_client_id <> i.client_id then
      api_error(409, 'CLIENT_FIXED', format('Invoice %s stays its client''s; void it and write one for the other.', i.number),
                jsonb_build_array(jsonb_build_object('field', 'clientId')))
    when p_document ->> 'currency' <> i.currency and exists (select from payments where invoice_id = i.id) then
      api_error(409, 'CURRENCY_FIXED', format('Invoice %s was paid in %s and stays in it; write a new one in %s.',
                i.number, i.currency, p_document ->> 'currency'), jsonb_build_object('currency', i.currency))
    when (p_document ->> 'totalCents')::bigint > i.total_cents
         and exists (select from payments where invoice_id = i.id and kind = 'REFUND') then
      api_error(409, 'HAS_REFUNDS', format('Invoice %s has a refund, so nothing more is owed on it; write a new one for what comes on top.',
                i.number), jsonb_build_object('totalCents', i.total_cents)) end
$$;

-- An error when nothing can be paid on the invoice: it is paid, or closed; null otherwise.
create function invoice_not_payable_error(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when i.status = 'PAID' or (i.status in ('PENDING', 'OVERDUE') and i.balance_cents = 0) then
      api_error(409, 'ALREADY_PAID', format('Invoice %s is paid; nothing is left to pay.', i.number))
    when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
      api_error(409, 'NOT_PAYABLE', format('Invoice %s can no longer be paid; ask the shop if you think it should be.', i.number))
    end
$$;

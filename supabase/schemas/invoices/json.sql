-- Invoices in JSON: one shape for the API, PDFs and Stripe; camelCase, amounts in minor units.

-- An invoice as a row of a list.
create function invoice_summary_json(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', i.id, 'number', i.number, 'status', i.status, 'clientId', i.client_id, 'issueDate', i.issue_date,
    'dueDate', i.due_date, 'currency', i.currency, 'totalCents', i.total_cents, 'paidCents', i.paid_cents,
    'balanceCents', i.balance_cents, 'creditCents', i.credit_cents, 'sentAt', i.sent_at, 'paidAt', i.paid_at,
    'createdAt', i.created_at, 'updatedAt', i.updated_at)
$$;

-- An invoice in full: lines, payments, job.
create function invoice_json(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select invoice_summary_json(i) || jsonb_build_object(
    'kind', 'invoice', 'quoteId', i.quote_id,
    'client', (select client_json(c) from clients c where c.id = i.client_id),
    'items', (select coalesce(jsonb_agg(item_json(l.position, l.description, l.quantity_milli, l.unit_price_cents,
        l.discount_type, l.discount_bps, l.discount_fixed_cents, l.total_cents, l.details) order by l.position), '[]')
      from invoice_items l where l.invoice_id = i.id),
    'payments', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'kind', p.kind, 'method', p.method,
        'amountCents', p.amount_cents, 'reference', p.reference, 'processorId', p.processor_id, 'paidAt', p.paid_at,
        'date', (p.paid_at at time zone s.time_zone)::date) order by p.paid_at, p.id), '[]')
      from payments p, settings s where p.invoice_id = i.id),
    'job', (select jsonb_build_object('id', j.id, 'status', j.status, 'priority', j.priority)
      from jobs j where j.invoice_id = i.id),
    'attachments', (select count(*) from attachments a where a.invoice_id = i.id and a.uploaded_at is not null),
    'discountType', i.discount_type, 'discountBps', i.discount_bps, 'discountFixedCents', i.discount_fixed_cents,
    'subtotalCents', i.subtotal_cents, 'discountCents', i.discount_cents, 'shippingCents', i.shipping_cents,
    'shippingLabel', i.shipping_label, 'taxRateBps', i.tax_rate_bps, 'taxCents', i.tax_cents,
    'writtenOffCents', i.written_off_cents, 'notes', i.notes, 'terms', i.terms, 'payToken', i.pay_token)
$$;

-- Removes the credit from an invoice that a client reads (`p_client_id` not null): it is the shop's internal figure.
create function hide_credit_from_client(p_invoice jsonb, p_client_id bigint) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select case when p_client_id is null then p_invoice else p_invoice || '{"creditCents": null}' end $$;

-- The answer of every change of an invoice: the invoice, and the Checkout session that the caller must expire at
-- Stripe.
create function changed_invoice_json(p_invoice_id bigint, p_retired text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$ select jsonb_build_object('invoice', invoice_json(i), 'retired', p_retired) from invoices i where i.id = p_invoice_id $$;

-- Quotes in JSON.

-- A quote as a row of a list.
create function quote_summary_json(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', q.id, 'number', q.number, 'status', q.status, 'clientId', q.client_id, 'issueDate', q.issue_date,
    'validUntil', q.valid_until, 'currency', q.currency, 'totalCents', q.total_cents, 'needsReview', q.needs_review,
    'sentAt', q.sent_at, 'decidedAt', q.decided_at, 'convertedInvoiceId', q.converted_invoice_id,
    'createdAt', q.created_at, 'updatedAt', q.updated_at)
$$;

-- A quote in full, with its lines.
create function quote_json(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select quote_summary_json(q) || jsonb_build_object(
    'kind', 'quote',
    'client', (select client_json(c) from clients c where c.id = q.client_id),
    'items', (select coalesce(jsonb_agg(item_json(l.position, l.description, l.quantity_milli, l.unit_price_cents,
        l.discount_type, l.discount_bps, l.discount_fixed_cents, l.total_cents, l.details) order by l.position), '[]')
      from quote_items l where l.quote_id = q.id),
    'discountType', q.discount_type, 'discountBps', q.discount_bps, 'discountFixedCents', q.discount_fixed_cents,
    'subtotalCents', q.subtotal_cents, 'discountCents', q.discount_cents, 'shippingCents', q.shipping_cents,
    'shippingLabel', q.shipping_label, 'taxRateBps', q.tax_rate_bps, 'taxCents', q.tax_cents,
    'notes', q.notes, 'terms', q.terms, 'decisionNote', q.decision_note, 'publicToken', q.public_token)
$$;

-- Documents as PDFs show them.

-- A line of a quote or invoice.
create function item_json(p_position integer, p_description text, p_quantity_milli bigint, p_unit_price_cents bigint,
  p_discount_type discount_type, p_discount_bps integer, p_discount_fixed_cents bigint, p_total_cents bigint,
  p_details jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'position', p_position, 'description', p_description, 'quantity', trim_scale(p_quantity_milli::numeric / 1000),
    'unitPriceCents', p_unit_price_cents, 'discountType', p_discount_type, 'discountBps', p_discount_bps,
    'discountFixedCents', p_discount_fixed_cents, 'totalCents', p_total_cents, 'details', nullif(p_details, '{}'))
$$;

-- What lies between an invoice's total and its balance: total - received + refunded - written off - credited + in
-- credit = balance (of a VOID invoice, total counts as 0). `creditedCents` is what was refunded after full payment and
-- is not owed again.
create function payment_summary_json(p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('receivedCents', m.received, 'refundedCents', m.refunded,
      'writtenOffCents', least(i.written_off_cents, g.given_up),
      'creditedCents', g.given_up - least(i.written_off_cents, g.given_up),
      'inCreditCents', greatest(0, i.paid_cents - case when i.status = 'VOID' then 0 else i.total_cents end))
    from invoices i,
         lateral (select coalesce(sum(amount_cents) filter (where kind = 'PAYMENT'), 0)::bigint as received,
                         coalesce(-sum(amount_cents) filter (where kind = 'REFUND'), 0)::bigint as refunded
                    from payments where invoice_id = i.id) m,
         lateral (select case when i.status in ('PAID', 'REFUNDED', 'WRITTEN_OFF')
                              then greatest(0, i.total_cents - i.paid_cents) else 0 end as given_up) g
   where i.id = p_invoice_id
$$;

-- A document as its PDF shows it, with the shop, read at one moment. `p_client_id` null reads as the shop.
create function get_document(p_kind text, p_id bigint, p_client_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  document jsonb;
begin
  if p_kind = 'invoice' then
    document := get_invoice(p_id, p_client_id);
  else
    select quote_json(q) into document from quotes q
     where q.id = p_id and (p_client_id is null or (q.client_id = p_client_id and q.status <> 'DRAFT'));
    document := coalesce(document, api_error(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.'));
  end if;
  if document ? 'error' then
    return document;
  end if;
  if p_kind = 'invoice' then
    document := document || payment_summary_json(p_id);
  end if;
  -- Pictures of the models, by the file id that each line names.
  document := document || jsonb_build_object('pictures', (
    select coalesce(jsonb_object_agg(f.metadata ->> 'fileId', f.storage_key order by f.id), '{}') from order_files f
     where ((p_kind = 'invoice' and f.invoice_id = p_id) or (p_kind = 'quote' and f.quote_id = p_id))
       and f.mime_type = 'image/png' and f.metadata ? 'fileId'));
  return jsonb_build_object('document', document, 'business', business_json());
end
$$;

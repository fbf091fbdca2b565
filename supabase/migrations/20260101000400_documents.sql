-- Documents as the API, the PDF and Stripe see them: one JSON shape, camelCase, amounts in minor units.

create function client_json(c clients) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', c.id, 'name', c.name, 'company', c.company, 'email', c.email, 'phone', c.phone, 'abn', c.abn,
    'address', case when c.address_line1 || c.address_line2 || c.suburb || c.state || c.postcode <> '' then jsonb_build_object(
      'line1', c.address_line1, 'line2', c.address_line2, 'suburb', c.suburb, 'state', c.state,
      'postcode', c.postcode, 'country', c.country) end)
$$;

create function business_json() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('name', business_name, 'address', business_address, 'phone', business_phone,
    'email', business_email, 'abn', abn, 'bankDetails', bank_details, 'logoDataUrl', logo_data_url,
    'timeZone', time_zone, 'locale', 'en-AU')
  from settings
$$;

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

-- One row of a list.
create function invoice_summary_json(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', i.id, 'number', i.number, 'status', i.status, 'clientId', i.client_id, 'issueDate', i.issue_date,
    'dueDate', i.due_date, 'currency', i.currency, 'totalCents', i.total_cents, 'paidCents', i.paid_cents,
    'balanceCents', i.balance_cents, 'creditCents', i.credit_cents, 'sentAt', i.sent_at, 'paidAt', i.paid_at,
    'createdAt', i.created_at, 'updatedAt', i.updated_at)
$$;

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

create function quote_summary_json(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', q.id, 'number', q.number, 'status', q.status, 'clientId', q.client_id, 'issueDate', q.issue_date,
    'validUntil', q.valid_until, 'currency', q.currency, 'totalCents', q.total_cents, 'needsReview', q.needs_review,
    'sentAt', q.sent_at, 'decidedAt', q.decided_at, 'convertedInvoiceId', q.converted_invoice_id,
    'createdAt', q.created_at, 'updatedAt', q.updated_at)
$$;

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

create function no_such_invoice() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select refusal(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.') $$;

-- What an invoice shows its client: his credit is between the shop and its books.
create function without_credit(p_invoice jsonb, p_client_id bigint) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select case when p_client_id is null then p_invoice else p_invoice || '{"creditCents": null}' end $$;

-- `p_client_id` null reads as the shop; else only what is this client's, and 404 for the rest.
create function get_invoice(p_invoice_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select without_credit(invoice_json(i), p_client_id) from invoices i
      where i.id = p_invoice_id and (p_client_id is null or i.client_id = p_client_id)),
    no_such_invoice())
$$;

-- Keyset by (created_at or due_date, id), after the row that `p_after` and `p_after_id` name. Only what is asked for
-- stands in the query, so that each list runs on its index. `p_query` finds text in number and client, literally.
create function list_invoices(p_client_id bigint, p_status invoice_status, p_query text, p_sort text, p_limit integer,
                              p_after text, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  key text := case p_sort when 'dueDate' then 'due_date' else 'created_at' end;
  direction text := case p_sort when '-createdAt' then 'desc' else 'asc' end;
  place text := case p_sort when 'dueDate' then '($5::date, $6)' else '($5::timestamptz, $6)' end;
  conditions text := concat_ws(' and ', 'true',
    case when p_client_id is not null then 'i.client_id = $1' end,
    case when p_status is not null then 'i.status = $2' end,
    case when p_query is not null then found_by('i', '$3', p_query) end,
    case when p_after_id is not null then
      format('(i.%s, i.id) %s %s', key, case direction when 'desc' then '<' else '>' end, place) end);
  listed jsonb;
begin
  execute format($q$
    select coalesce(jsonb_agg(without_credit(invoice_summary_json(page.i), $1) || jsonb_build_object('clientName', c.name)
                              order by (page.i).%1$s %2$s, (page.i).id %2$s), '[]')
      from (select i from invoices i where %3$s order by i.%1$s %2$s, i.id %2$s limit $4) page
      join clients c on c.id = (page.i).client_id $q$, key, direction, conditions)
    into listed using p_client_id, p_status, p_query, p_limit, p_after, p_after_id;
  return listed;
end
$$;

-- What stands between an invoice's total and what is left to pay: total - received + refunded - written off - credited
-- + in credit is the balance, of a VOID invoice's total 0. What was paid once and went back is owed no more: credited.
create function settlement_json(p_invoice_id bigint) returns jsonb
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

-- What a PDF shows: the document and the business, one snapshot.
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
    document := coalesce(document, refusal(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.'));
  end if;
  if document ? 'error' then
    return document;
  end if;
  if p_kind = 'invoice' then
    document := document || settlement_json(p_id);
  end if;
  -- The pictures of its prints, by the file that each line names.
  document := document || jsonb_build_object('pictures', (
    select coalesce(jsonb_object_agg(f.metadata ->> 'fileId', f.storage_key order by f.id), '{}') from order_files f
     where ((p_kind = 'invoice' and f.invoice_id = p_id) or (p_kind = 'quote' and f.quote_id = p_id))
       and f.mime_type = 'image/png' and f.metadata ? 'fileId'));
  return jsonb_build_object('document', document, 'business', business_json());
end
$$;

-- What the printed lines of an invoice sum to, pieces and quantities counted: seconds and milligrams of the figures that
-- priced them; the materials; whether all of them are the slicer's, none figured by hand; and the printers' profiles and
-- nozzles that the slices were made for, as `generic 400`.
create function invoice_prints(p_invoice_id bigint, out seconds bigint, out mass_mg bigint, out is_fast_track boolean,
                               out materials bigint[], out is_sliced boolean, out machines text[])
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(sum((l.details ->> 'timeSec')::bigint * l.pieces / 1000), 0)::bigint,
         coalesce(sum((l.details ->> 'massMg')::bigint * l.pieces / 1000), 0)::bigint,
         coalesce(bool_or((l.details ->> 'fastTrack')::boolean), false),
         coalesce(array_agg(distinct (l.details ->> 'materialId')::bigint)
                  filter (where l.details ? 'timeSec' and l.details ? 'materialId'), '{}'),
         coalesce(bool_and(l.details ? 'slicer') filter (where l.details ? 'timeSec'), false),
         coalesce(array_agg(distinct split_part(l.details ->> 'profile', '/', 1) || ' ' || (l.details ->> 'nozzleUm'))
                  filter (where l.details ->> 'profile' is not null and l.details ->> 'nozzleUm' is not null), '{}')
    from (select details, coalesce((details ->> 'pieces')::bigint, 1) * quantity_milli as pieces
            from invoice_items where invoice_id = p_invoice_id) l
$$;

-- A job for an invoice that has none: its lines' prints summed, its place at the end of the queue.
create function ensure_job(p_invoice_id bigint, p_actor jsonb) returns bigint
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  made bigint;
begin
  select * into i from invoices where id = p_invoice_id;
  insert into jobs (invoice_id, client_id, title, priority, estimated_seconds, estimated_mass_mg, queue_position)
  select i.id, i.client_id, 'Invoice ' || i.number,
    (case when p.is_fast_track then 'FAST_TRACK' else 'NORMAL' end)::job_priority, p.seconds, p.mass_mg,
    coalesce((select max(queue_position) from jobs where archived_at is null), 0) + 1
  from invoice_prints(i.id) p
  on conflict (invoice_id) do nothing
  returning id into made;
  if made is not null then
    perform log_activity(i.client_id, i.quote_id, i.id, made, null, 'JOB_CREATED',
                         'A job was queued for invoice ' || i.number, p_actor);
  end if;
  return made;
end
$$;

-- What an invoice's ledger came to at most, in the order in which the money moved, not in which it was heard of. Stripe's
-- rows go by Stripe's clock; one that the shop has dated ahead had come when it was written down.
create function most_paid_cents(p_invoice_id bigint) returns bigint
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(max(so_far), 0)::bigint from (
    select sum(amount_cents) over (order by case method when 'STRIPE' then paid_at else least(paid_at, created_at) end, kind, id) as so_far
      from payments where invoice_id = p_invoice_id) moves
$$;

-- Settles the status after the ledger or the total moved; the caller holds the invoice's row lock. A full refund is
-- REFUNDED and never payable again, unless it comes back; a partial one leaves PAID, and so does a dispute until it is lost.
-- What was paid in full once stays so, but not what never was, whichever event is heard of last.
create function settle_invoice(p_invoice_id bigint, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  was_paid boolean;
  is_gone boolean;
begin
  select * into i from invoices where id = p_invoice_id;
  was_paid := most_paid_cents(i.id) >= i.total_cents;
  is_gone := i.paid_cents <= 0 and not is_disputed(i.id)
             and exists (select from payments where invoice_id = i.id and kind = 'REFUND');
  if i.status in ('PENDING', 'OVERDUE') and was_paid then
    perform retire_session(i.id);
    update invoices set status = 'PAID', paid_at = now() where id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_PAID', 'Invoice ' || i.number || ' is paid', p_actor);
    perform ensure_job(i.id, p_actor);
    perform hold_for_payment(i.id, p_actor);
  elsif i.status = 'PAID' and was_paid and is_gone then
    update invoices set status = 'REFUNDED' where id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_REFUNDED', 'Invoice ' || i.number || ' was refunded in full', p_actor);
  elsif i.status = 'REFUNDED' and was_paid and not is_gone then
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

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'client_json(clients)', 'business_json()',
    'item_json(integer, text, bigint, bigint, discount_type, integer, bigint, bigint, jsonb)',
    'invoice_summary_json(invoices)', 'invoice_json(invoices)', 'quote_summary_json(quotes)', 'quote_json(quotes)',
    'get_invoice(bigint, bigint)', 'no_such_invoice()', 'without_credit(jsonb, bigint)',
    'list_invoices(bigint, invoice_status, text, text, integer, text, bigint)',
    'settlement_json(bigint)', 'get_document(text, bigint, bigint)', 'invoice_prints(bigint)', 'ensure_job(bigint, jsonb)',
    'most_paid_cents(bigint)', 'settle_invoice(bigint, jsonb)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

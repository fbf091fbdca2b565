-- Writing of invoices. Each change locks the invoice's row first and its job's next, so that of two at once the second
-- sees what the first did.

-- How many days a client has to pay: by their own payment term, else by the shop's default.
create function payment_term_days(p_client_id bigint) returns integer
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select (t.value ->> 'days')::integer from jsonb_array_elements(s.payment_terms) t
      where t.value ->> 'code' = c.payment_term),
    (select (t.value ->> 'days')::integer from jsonb_array_elements(s.payment_terms) t
      where t.value ->> 'code' = s.default_payment_term), 0)
  from settings s, clients c where c.id = p_client_id
$$;

-- The due date: the given one, else by the named payment term, else by the client's. Null for an unknown term.
create function compute_due_date(p_client_id bigint, p_issued date, p_due_date date, p_payment_term text) returns date
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_due_date is not null then p_due_date
    when p_payment_term is not null then
      (select p_issued + (t.value ->> 'days')::integer from settings s, jsonb_array_elements(s.payment_terms) t
        where t.value ->> 'code' = p_payment_term)
    else p_issued + payment_term_days(p_client_id) end
$$;

-- The new lines of an invoice, with the details (print figures) of the old line wherever an unchanged line came
-- without.
create function restore_line_details(p_invoice_id bigint, p_items jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_agg(n.value || case when coalesce(n.value -> 'details', '{}') = '{}' then jsonb_build_object('details', coalesce(
      (select l.details from invoice_items l
        where l.invoice_id = p_invoice_id and l.description = n.value ->> 'description'
          and l.quantity_milli = (n.value ->> 'quantityMilli')::bigint
          and l.unit_price_cents = (n.value ->> 'unitPriceCents')::bigint
        order by l.position limit 1), '{}')) else '{}' end order by n.ordinality)
    from jsonb_array_elements(p_items) with ordinality n
$$;

-- Replaces an invoice's lines. `p_items` has the columns in camelCase.
create function replace_invoice_items(p_invoice_id bigint, p_items jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  delete from invoice_items where invoice_id = p_invoice_id;
  insert into invoice_items (invoice_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                             discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select p_invoice_id, ordinality, (value ->> 'productTemplateId')::bigint, value ->> 'description',
         (value ->> 'quantityMilli')::bigint, (value ->> 'unitPriceCents')::bigint,
         coalesce(value ->> 'discountType', 'NONE')::discount_type, coalesce((value ->> 'discountBps')::integer, 0),
         coalesce((value ->> 'discountFixedCents')::bigint, 0), (value ->> 'totalCents')::bigint,
         coalesce(value -> 'details', '{}')
    from jsonb_array_elements(p_items) with ordinality;
$$;

-- Creates an invoice. `p_document` has the columns in camelCase; the amounts come from Python's pricing, and
-- constraints check their sums.
create function create_invoice(p_user_id bigint, p_client_id bigint, p_due_date date, p_payment_term text,
                               p_document jsonb, p_items jsonb, p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  today date := business_today();
  due date := compute_due_date(p_client_id, today, p_due_date, p_payment_term);
  problem jsonb;
  i invoices;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  perform from clients where id = p_client_id for key share;
  if not found then
    return api_error(422, 'UNKNOWN_CLIENT', 'Name one of the shop''s clients in clientId.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  problem := due_date_error(today, due);
  if problem is not null then
    return problem;
  end if;
  insert into invoices (number, client_id, issue_date, due_date, currency, discount_type, discount_bps,
                        discount_fixed_cents, subtotal_cents, discount_cents, shipping_cents, shipping_label,
                        tax_rate_bps, tax_cents, total_cents, notes, terms, created_by)
  values (next_document_number('invoice', 'INV-'), p_client_id, today, due, p_document ->> 'currency',
          (p_document ->> 'discountType')::discount_type, (p_document ->> 'discountBps')::integer,
          (p_document ->> 'discountFixedCents')::bigint, (p_document ->> 'subtotalCents')::bigint,
          (p_document ->> 'discountCents')::bigint, (p_document ->> 'shippingCents')::bigint,
          p_document ->> 'shippingLabel', (p_document ->> 'taxRateBps')::integer, (p_document ->> 'taxCents')::bigint,
          (p_document ->> 'totalCents')::bigint, p_document ->> 'notes', p_document ->> 'terms', p_user_id)
  returning * into i;
  perform replace_invoice_items(i.id, p_items);
  perform insert_order_files(p_files, i.id, null, i.client_id, p_user_id);
  perform log_activity(i.client_id, null, i.id, null, null, 'INVOICE_CREATED', 'Invoice ' || i.number || ' was written',
                       actor || jsonb_build_object('totalCents', i.total_cents));
  if (select job_policy from settings) = 'ON_INVOICE' then
    perform ensure_job(i.id, actor);
  end if;
  perform update_invoice_status(i.id, actor);
  return (select invoice_json(created) from invoices created where created.id = i.id);
end
$$;

-- Replaces all that the shop wrote in an invoice; payments stay, and the status follows. Files that the new lines
-- bring again (same model, same slice) replace the old copies, whose storage keys are returned.
create function update_invoice(p_user_id bigint, p_invoice_id bigint, p_client_id bigint, p_due_date date,
                               p_payment_term text, p_document jsonb, p_items jsonb, p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  due date;
  problem jsonb;
  items jsonb;
  before record;
  replaced jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  due := compute_due_date(i.client_id, i.issue_date, p_due_date, p_payment_term);
  problem := coalesce(invoice_not_editable_error(i, p_client_id, p_document), due_date_error(i.issue_date, due));
  if problem is not null then
    return problem;
  end if;
  items := restore_line_details(i.id, p_items);
  select * into before from invoice_print_totals(i.id);
  update invoices set due_date = due, currency = p_document ->> 'currency',
    discount_type = (p_document ->> 'discountType')::discount_type, discount_bps = (p_document ->> 'discountBps')::integer,
    discount_fixed_cents = (p_document ->> 'discountFixedCents')::bigint,
    subtotal_cents = (p_document ->> 'subtotalCents')::bigint, discount_cents = (p_document ->> 'discountCents')::bigint,
    shipping_cents = (p_document ->> 'shippingCents')::bigint, shipping_label = p_document ->> 'shippingLabel',
    tax_rate_bps = (p_document ->> 'taxRateBps')::integer, tax_cents = (p_document ->> 'taxCents')::bigint,
    total_cents = (p_document ->> 'totalCents')::bigint, notes = p_document ->> 'notes', terms = p_document ->> 'terms',
    status = case when invoices.status = 'OVERDUE' and due + s.overdue_grace_days >= business_today()
                  then 'PENDING' else invoices.status end
    from settings s where invoices.id = i.id;
  perform replace_invoice_items(i.id, items);
  perform update_job_estimate(i.id, before.seconds, before.mass_mg, actor);
  with deleted as (
    delete from order_files f using jsonb_array_elements(p_files) n
     where f.invoice_id = i.id and f.filename = n.value ->> 'filename'
       and f.file_type = (n.value ->> 'fileType')::order_file_type
       and f.metadata -> 'settingsHash' = n.value #> '{metadata,settingsHash}'
    returning f.storage_key)
  select coalesce(jsonb_agg(distinct storage_key), '[]') into replaced from deleted;
  perform insert_order_files(p_files, i.id, null, i.client_id, p_user_id);
  retired := retire_checkout_session(i.id);
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_EDITED', 'Invoice ' || i.number || ' was edited',
                       actor || jsonb_build_object('totalCents', p_document -> 'totalCents', 'formerTotalCents', i.total_cents));
  perform update_invoice_status(i.id, actor);
  return changed_invoice_json(i.id, retired) || jsonb_build_object('storageKeys', replaced);
end
$$;

-- Deletes an invoice that was never sent nor paid, with its unstarted job and its files, and returns the storage keys
-- to delete. The number is not used again.
create function delete_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  j jobs;
  problem jsonb;
  attached jsonb;
  ordered jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  elsif i.quote_id is not null then
    return api_error(409, 'USE_REVERT', format('Invoice %s came from a quote; revert it instead.', i.number));
  elsif i.sent_at is not null then
    return api_error(409, 'ALREADY_SENT', format('Invoice %s was sent; void it instead.', i.number));
  end if;
  problem := coalesce(has_payments_error(i, 'it stays in the books.'), case when exists (
      select from activity_logs where invoice_id = i.id and action in ('PAYMENT_RECORDED', 'PAYMENT_RECEIVED')) then
    api_error(409, 'HAS_PAYMENTS', format('Invoice %s was paid once and stays in the books; void it instead.', i.number)) end);
  select * into j from jobs where invoice_id = i.id for update;
  if problem is null and j.id is not null and j.status <> 'CANCELLED' and (j.status >= 'PRINTING' or j.printed_seconds > 0) then
    problem := api_error(409, 'JOB_STARTED', format('The job of invoice %s is %s; void the invoice instead.', i.number, j.status),
                         jsonb_build_object('jobId', j.id, 'status', j.status));
  end if;
  if problem is not null then
    return problem;
  end if;
  perform log_activity(i.client_id, null, i.id, j.id, null, 'INVOICE_DELETED', 'Invoice ' || i.number || ' was deleted',
                       actor || jsonb_build_object('invoiceId', i.id, 'number', i.number, 'totalCents', i.total_cents));
  delete from jobs where id = j.id;
  with deleted as (delete from attachments where invoice_id = i.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into attached from deleted;
  with deleted as (delete from order_files where invoice_id = i.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into ordered from deleted;
  retired := retire_checkout_session(i.id);
  delete from invoices where id = i.id;
  return jsonb_build_object('number', i.number, 'attachmentKeys', attached, 'orderFileKeys', ordered, 'retired', retired);
end
$$;

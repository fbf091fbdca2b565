-- Writing of quotes. Each change locks the quote's row, so that of two at once the second sees what the first did.

-- Replaces a quote's lines. `p_items` has the columns in camelCase.
create function replace_quote_items(p_quote_id bigint, p_items jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  delete from quote_items where quote_id = p_quote_id;
  insert into quote_items (quote_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                           discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select p_quote_id, ordinality, (value ->> 'productTemplateId')::bigint, value ->> 'description',
         (value ->> 'quantityMilli')::bigint, coalesce((value ->> 'unitPriceCents')::bigint, 0),
         coalesce(value ->> 'discountType', 'NONE')::discount_type, coalesce((value ->> 'discountBps')::integer, 0),
         coalesce((value ->> 'discountFixedCents')::bigint, 0), coalesce((value ->> 'totalCents')::bigint, 0),
         coalesce(value -> 'details', '{}')
    from jsonb_array_elements(p_items) with ordinality;
$$;

-- Replaces a quote's amounts, lines, texts and price snapshot. `p_document` has the columns in camelCase; the amounts
-- come from Python's pricing, and constraints check their sums.
create function replace_quote_content(p_quote_id bigint, p_document jsonb, p_items jsonb, p_snapshot jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update quotes set
    currency = p_document ->> 'currency', discount_type = (p_document ->> 'discountType')::discount_type,
    discount_bps = (p_document ->> 'discountBps')::integer,
    discount_fixed_cents = (p_document ->> 'discountFixedCents')::bigint,
    subtotal_cents = (p_document ->> 'subtotalCents')::bigint, discount_cents = (p_document ->> 'discountCents')::bigint,
    shipping_cents = (p_document ->> 'shippingCents')::bigint, shipping_label = p_document ->> 'shippingLabel',
    tax_rate_bps = (p_document ->> 'taxRateBps')::integer, tax_cents = (p_document ->> 'taxCents')::bigint,
    total_cents = (p_document ->> 'totalCents')::bigint, notes = p_document ->> 'notes', terms = p_document ->> 'terms',
    -- The shipping address of a requested review is kept.
    snapshot = p_snapshot || case when snapshot ? 'shipping' then jsonb_build_object('shipping', snapshot -> 'shipping')
                                  else '{}' end
  where id = p_quote_id;
  -- A line that was priced manually keeps the details that its client asked for.
  perform replace_quote_items(p_quote_id, (
    select jsonb_agg(n.value || case when coalesce(n.value -> 'details', '{}') = '{}' then jsonb_build_object('details', coalesce(
        (select l.details from quote_items l where l.quote_id = p_quote_id and l.description = n.value ->> 'description'
          order by l.position limit 1), '{}')) else '{}' end order by n.ordinality)
      from jsonb_array_elements(p_items) with ordinality n));
end
$$;

-- Creates a DRAFT quote with its lines and files.
create function create_quote(p_user_id bigint, p_client_id bigint, p_valid_until date, p_document jsonb, p_items jsonb,
                             p_files jsonb, p_snapshot jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  problem jsonb := quote_input_error(p_client_id, p_valid_until);
  q quotes;
begin
  if problem is not null then
    return problem;
  end if;
  insert into quotes (number, client_id, issue_date, valid_until, currency, subtotal_cents, tax_rate_bps, tax_cents,
                      total_cents, created_by)
  values (next_document_number('quote', 'QT-'), p_client_id, business_today(),
          coalesce(p_valid_until, business_today() + (select quote_validity_days from settings)),
          p_document ->> 'currency', 0, 0, 0, 0, p_user_id)
  returning * into q;
  perform replace_quote_content(q.id, p_document, p_items, p_snapshot);
  perform insert_order_files(p_files, null, q.id, q.client_id, p_user_id);
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_CREATED', 'Quote ' || q.number || ' was drafted',
                       jsonb_build_object('userId', p_user_id));
  select * into q from quotes where id = q.id;
  return quote_json(q);
end
$$;

-- Replaces all that the shop wrote in a DRAFT. Files that the new lines bring again (same model, same slice) replace
-- the old copies, whose storage keys are returned.
create function update_quote(p_user_id bigint, p_quote_id bigint, p_client_id bigint, p_valid_until date,
                             p_document jsonb, p_items jsonb, p_files jsonb, p_snapshot jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  problem jsonb;
  replaced jsonb;
begin
  select * into q from quotes where id = p_quote_id for no key update;
  problem := coalesce(quote_not_draft_error(q), quote_input_error(p_client_id, p_valid_until));
  if problem is not null then
    return problem;
  end if;
  if p_client_id <> q.client_id and exists (select from order_files where quote_id = q.id) then
    return api_error(409, 'FILES_OF_CLIENT', 'This quote keeps files of its client; write a new quote for another client.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  update quotes set client_id = p_client_id,
    valid_until = coalesce(p_valid_until, business_today() + (select quote_validity_days from settings))
  where id = q.id;
  perform replace_quote_content(q.id, p_document, p_items, p_snapshot);
  with deleted as (
    delete from order_files f using jsonb_array_elements(p_files) n
     where f.quote_id = q.id and f.filename = n.value ->> 'filename'
       and f.file_type = (n.value ->> 'fileType')::order_file_type
       and f.metadata -> 'settingsHash' = n.value #> '{metadata,settingsHash}'
    returning f.storage_key)
  select coalesce(jsonb_agg(distinct storage_key), '[]') into replaced from deleted;
  perform insert_order_files(p_files, null, q.id, p_client_id, p_user_id);
  perform log_activity(p_client_id, q.id, null, null, null, 'QUOTE_EDITED', 'Quote ' || q.number || ' was edited',
                       jsonb_build_object('userId', p_user_id));
  select * into q from quotes where id = q.id;
  return jsonb_build_object('quote', quote_json(q), 'storageKeys', replaced);
end
$$;

-- Deletes a DRAFT with its files, and returns the storage keys to delete. The number is not used again.
create function delete_quote(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  problem jsonb;
  keys jsonb;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into q from quotes where id = p_quote_id for update;
  problem := quote_not_draft_error(q);
  if problem is not null then
    return problem;
  end if;
  perform log_activity(q.client_id, q.id, null, null, null, 'ORDER_FILE_DELETED',
                       'File ' || f.filename || ' was deleted', actor) from order_files f where f.quote_id = q.id;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_DELETED', 'Quote ' || q.number || ' was deleted',
                       actor || jsonb_build_object('number', q.number, 'totalCents', q.total_cents));
  with deleted as (delete from order_files where quote_id = q.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into keys from deleted;
  delete from quotes where id = q.id;
  return jsonb_build_object('number', q.number, 'storageKeys', keys);
end
$$;

-- Creates a DRAFT with the same lines, amounts and snapshot, dated today, with a number and link of its own. Each file
-- needs a copied object: files that `p_copies` ([{"id", "storageKey"}], the key null if the object no longer exists)
-- does not name are returned as `copy`, and nothing is written.
create function duplicate_quote(p_user_id bigint, p_quote_id bigint, p_copies jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  created quotes;
  missing jsonb;
begin
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return quote_not_found_error();
  end if;
  select jsonb_agg(order_file_json(f) order by f.id) into missing from order_files f
   where f.quote_id = q.id
     and f.id not in (select (c.value ->> 'id')::bigint from jsonb_array_elements(p_copies) c);
  if missing is not null then
    return jsonb_build_object('copy', missing);
  end if;
  insert into quotes (number, client_id, issue_date, valid_until, currency, discount_type, discount_bps,
                      discount_fixed_cents, subtotal_cents, discount_cents, shipping_cents, shipping_label, tax_rate_bps,
                      tax_cents, total_cents, notes, terms, needs_review, snapshot, created_by)
  values (next_document_number('quote', 'QT-'), q.client_id, business_today(),
          business_today() + (select quote_validity_days from settings), q.currency, q.discount_type, q.discount_bps,
          q.discount_fixed_cents, q.subtotal_cents, q.discount_cents, q.shipping_cents, q.shipping_label, q.tax_rate_bps,
          q.tax_cents, q.total_cents, q.notes, q.terms, q.needs_review, q.snapshot, p_user_id)
  returning * into created;
  insert into quote_items (quote_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                           discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select created.id, position, product_template_id, description, quantity_milli, unit_price_cents,
         discount_type, discount_bps, discount_fixed_cents, total_cents, details
    from quote_items where quote_id = q.id;
  insert into order_files (quote_id, client_id, filename, storage_key, file_type, mime_type, size_bytes, metadata, uploaded_by)
  select created.id, f.client_id, f.filename, c.value ->> 'storageKey', f.file_type, f.mime_type, f.size_bytes, f.metadata, p_user_id
    from jsonb_array_elements(p_copies) c join order_files f on f.id = (c.value ->> 'id')::bigint
   where f.quote_id = q.id and c.value ->> 'storageKey' is not null
   order by f.id;
  perform log_activity(created.client_id, created.id, null, null, null, 'QUOTE_CREATED',
                       'Quote ' || created.number || ' was drafted as a duplicate of ' || q.number,
                       jsonb_build_object('userId', p_user_id, 'duplicateOf', q.id));
  return jsonb_build_object('quote', quote_json(created));
end
$$;

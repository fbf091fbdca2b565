-- Quick order: what a price is made of, and the checkout that turns it into an invoice or a request for review.

-- Everything that prices an order, in one read. `p_items` is [{"file", "settingsHash"}]; `p_reserve` keeps the
-- files from the janitor while a checkout copies them; a finished checkout of the same key answers as `replay`.
create function quick_order_inputs(p_user_id bigint, p_client_id bigint, p_items jsonb, p_reserve boolean,
                                   p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  answered idempotency_keys;
  found_client clients;
  models jsonb;
begin
  if p_key is not null then
    select * into answered from idempotency_keys
     where user_id = p_user_id and route = 'quick-order/checkout' and key = p_key;
    if found and answered.body_hash <> p_body_hash then
      return refusal(422, 'IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body; send a new key.');
    elsif found then
      return jsonb_build_object('replay', answered.response);
    end if;
  end if;
  select * into found_client from clients where id = p_client_id;
  if not found then
    return refusal(422, 'UNKNOWN_CLIENT', 'Name the client of this order in clientId.',
                   jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  if p_reserve then
    update tmp_files set reserved_until = now() + interval '15 minutes'
     where user_id = p_user_id and id in (
       select (own_tmp_file(p_user_id, g.value ->> 'file')).id from jsonb_array_elements(p_items) g);
  end if;
  select jsonb_agg(case when f.id is null then null else jsonb_build_object(
      'fileId', f.id, 'storageKey', f.storage_key, 'filename', f.filename, 'sizeBytes', f.size_bytes,
      'mimeType', f.mime_type, 'contentHash', f.content_hash, 'settingsHash', g.value ->> 'settingsHash',
      'status', f.status, 'busy', f.queued_at is not null or f.status = 'running',
      'uploaded', f.uploaded_at is not null, 'isOutput', f.parent_id is not null,
      'isCurrent', f.settings_hash is not distinct from g.value ->> 'settingsHash',
      'fallback', coalesce((f.metadata ->> 'fallback')::boolean, false)
        and f.settings_hash is not distinct from g.value ->> 'settingsHash',
      'error', f.metadata -> 'error',
      'settings', coalesce(r.settings, f.metadata -> 'settings'),
      'slice', case when r.id is not null then jsonb_build_object('massMg', r.mass_mg, 'volumeMm3', r.volume_mm3,
        'filamentMm', r.filament_mm, 'timeSec', r.time_sec, 'slicer', r.slicer, 'slicerVersion', r.slicer_version,
        'profile', r.profile) end,
      'material', case when m.id is not null then jsonb_build_object('id', m.id, 'name', m.name,
        'costPerKgCents', m.cost_per_kg_cents, 'densityMgCm3', m.density_mg_cm3) end,
      'output', (select jsonb_build_object('storageKey', o.storage_key, 'filename', o.filename,
          'sizeBytes', o.size_bytes, 'mimeType', o.mime_type)
        from tmp_files o where o.parent_id = f.id and o.settings_hash = g.value ->> 'settingsHash'
        order by o.id desc limit 1)) end order by g.ordinality)
    into models
    from jsonb_array_elements(p_items) with ordinality g
    left join lateral own_tmp_file(p_user_id, g.value ->> 'file') f on true
    left join slice_results r on r.content_hash = f.content_hash and r.settings_hash = g.value ->> 'settingsHash'
    left join materials m on m.id = coalesce(r.material_id, f.material_id);
  return jsonb_build_object(
    'models', models,
    'client', client_json(found_client),
    'settings', (select jsonb_build_object('currency', currency, 'taxRateBps', tax_rate_bps,
        'hourlyRateCents', hourly_rate_cents, 'setupCents', setup_cents, 'minimumCents', minimum_cents,
        'fastTrackSurchargeBps', fast_track_surcharge_bps, 'shippingRegions', shipping_regions) from settings));
end
$$;

create function keep_answer(p_user_id bigint, p_route text, p_key text, p_body_hash text, p_response jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  insert into idempotency_keys (user_id, route, key, body_hash, response)
  values (p_user_id, p_route, p_key, p_body_hash, p_response)
$$;

-- The days that a client has to pay: his own term, else the shop's default.
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

create function save_order_files(p_files jsonb, p_invoice_id bigint, p_quote_id bigint, p_client_id bigint,
                                 p_user_id bigint) returns void
language sql volatile set search_path = public, pg_temp
as $$
  insert into order_files (invoice_id, quote_id, client_id, filename, storage_key, file_type, mime_type, size_bytes,
                           metadata, uploaded_by)
  select p_invoice_id, p_quote_id, p_client_id, v ->> 'filename', v ->> 'storageKey',
         (v ->> 'fileType')::order_file_type, v ->> 'mimeType', (v ->> 'sizeBytes')::bigint,
         coalesce(v -> 'metadata', '{}'), p_user_id
    from jsonb_array_elements(p_files) v
$$;

-- Makes the invoice (or, for a review, the shop's DRAFT quote) with its lines and files, once per key. The amounts
-- are the pricing module's; the constraints hold them together. `p_document` has the columns in camelCase.
create function checkout_quick_order(p_user_id bigint, p_client_id bigint, p_key text, p_body_hash text,
                                     p_document jsonb, p_items jsonb, p_files jsonb, p_review boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  answered idempotency_keys;
  made_invoice invoices;
  made_quote quotes;
  actor jsonb := jsonb_build_object('userId', p_user_id);
  response jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended('checkout:' || p_user_id || ':' || p_key, 0));
  select * into answered from idempotency_keys
   where user_id = p_user_id and route = 'quick-order/checkout' and key = p_key;
  if found then
    if answered.body_hash <> p_body_hash then
      return refusal(422, 'IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body; send a new key.');
    end if;
    return answered.response;
  end if;
  if p_review then
    insert into quotes (number, client_id, issue_date, valid_until, currency, subtotal_cents, shipping_cents,
                        shipping_label, tax_rate_bps, tax_cents, total_cents, notes, needs_review, snapshot, created_by)
    values (next_document_number('quote', 'QT-'), p_client_id, business_today(),
            business_today() + (select quote_validity_days from settings), p_document ->> 'currency', 0, 0, '',
            (p_document ->> 'taxRateBps')::integer, 0, 0, coalesce(p_document ->> 'notes', ''), true,
            coalesce(p_document -> 'snapshot', '{}'), p_user_id)
    returning * into made_quote;
    insert into quote_items (quote_id, position, description, quantity_milli, unit_price_cents, total_cents, details)
    select made_quote.id, ordinality, value ->> 'description', (value ->> 'quantityMilli')::bigint, 0, 0, value -> 'details'
      from jsonb_array_elements(p_items) with ordinality;
    perform save_order_files(p_files, null, made_quote.id, p_client_id, p_user_id);
    perform log_activity(p_client_id, made_quote.id, null, null, null, 'REVIEW_REQUESTED',
                         'A client asks for a price by hand: quote ' || made_quote.number, actor);
    response := quote_json(made_quote);
  else
    insert into invoices (number, client_id, issue_date, due_date, currency, subtotal_cents, discount_cents,
                          shipping_cents, shipping_label, tax_rate_bps, tax_cents, total_cents, notes, created_by)
    values (next_document_number('invoice', 'INV-'), p_client_id, business_today(),
            business_today() + payment_term_days(p_client_id), p_document ->> 'currency',
            (p_document ->> 'subtotalCents')::bigint, (p_document ->> 'discountCents')::bigint,
            (p_document ->> 'shippingCents')::bigint, p_document ->> 'shippingLabel',
            (p_document ->> 'taxRateBps')::integer, (p_document ->> 'taxCents')::bigint,
            (p_document ->> 'totalCents')::bigint, coalesce(p_document ->> 'notes', ''), p_user_id)
    returning * into made_invoice;
    insert into invoice_items (invoice_id, position, description, quantity_milli, unit_price_cents, discount_type,
                               discount_bps, discount_fixed_cents, total_cents, details)
    select made_invoice.id, ordinality, value ->> 'description', (value ->> 'quantityMilli')::bigint,
           (value ->> 'unitPriceCents')::bigint, coalesce(value ->> 'discountType', 'NONE')::discount_type,
           coalesce((value ->> 'discountBps')::integer, 0), coalesce((value ->> 'discountFixedCents')::bigint, 0),
           (value ->> 'totalCents')::bigint, value -> 'details'
      from jsonb_array_elements(p_items) with ordinality;
    perform save_order_files(p_files, made_invoice.id, null, p_client_id, p_user_id);
    perform log_activity(p_client_id, null, made_invoice.id, null, null, 'INVOICE_CREATED',
                         'Invoice ' || made_invoice.number || ' was made from a quick order', actor);
    if (select job_policy from settings) = 'ON_INVOICE' then
      perform ensure_job(made_invoice.id, actor);
    end if;
    perform settle_invoice(made_invoice.id, actor);
    select * into made_invoice from invoices where id = made_invoice.id;
    response := invoice_json(made_invoice);
  end if;
  perform keep_answer(p_user_id, 'quick-order/checkout', p_key, p_body_hash, response);
  return response;
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'quick_order_inputs(bigint, bigint, jsonb, boolean, text, text)',
    'keep_answer(bigint, text, text, text, jsonb)', 'payment_term_days(bigint)',
    'save_order_files(jsonb, bigint, bigint, bigint, bigint)',
    'checkout_quick_order(bigint, bigint, text, text, jsonb, jsonb, jsonb, boolean)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

-- Quick order: what a price is made of, and the checkout that turns it into an invoice or a request for review.

-- Everything that prices an order, in one read. `p_items` is [{"file", "settingsHash"}]; `p_reserve` keeps the
-- files from the janitor while a checkout copies them; a finished checkout of the same key answers as `replay`.
create function quick_order_inputs(p_user_id bigint, p_client_id bigint, p_items jsonb, p_reserve boolean,
                                   p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  answered jsonb;
  found_client clients;
begin
  if p_key is not null then
    answered := replayed(p_user_id, 'quick-order/checkout', p_key, p_body_hash);
    if answered ? 'error' then
      return answered;
    elsif answered is not null then
      return jsonb_build_object('replay', answered);
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
    update slice_results set used_at = now() where id in (
      select r.id from jsonb_array_elements(p_items) g, own_tmp_file(p_user_id, g.value ->> 'file') f, slice_results r
       where r.content_hash = f.content_hash and r.settings_hash = g.value ->> 'settingsHash'
       order by r.id for no key update of r);  -- shared with other customers' checkouts: one order of locks
  end if;
  return jsonb_build_object(
    'models', ordered_models(p_user_id, p_items), 'client', client_json(found_client), 'settings', shop_rates());
end
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
  answered jsonb := replayed(p_user_id, 'quick-order/checkout', p_key, p_body_hash);
  made_invoice invoices;
  made_quote quotes;
  actor jsonb := jsonb_build_object('userId', p_user_id);
  response jsonb;
begin
  if answered is not null then
    return answered;
  end if;
  perform from clients where id = p_client_id for key share;
  if not found then
    return refusal(422, 'UNKNOWN_CLIENT', 'Name the client of this order in clientId.',
                   jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  if p_review then
    insert into quotes (number, client_id, issue_date, valid_until, currency, subtotal_cents, shipping_cents,
                        shipping_label, tax_rate_bps, tax_cents, total_cents, notes, needs_review, snapshot, created_by)
    values (next_document_number('quote', 'QT-'), p_client_id, business_today(),
            business_today() + (select quote_validity_days from settings), p_document ->> 'currency', 0, 0, '',
            (p_document ->> 'taxRateBps')::integer, 0, 0, coalesce(p_document ->> 'notes', ''), true,
            coalesce(p_document -> 'snapshot', '{}'), p_user_id)
    returning * into made_quote;
    -- A price by hand is the shop's to give.
    perform write_quote_items(made_quote.id, (
      select jsonb_agg(value - 'unitPriceCents' - 'totalCents' order by ordinality)
        from jsonb_array_elements(p_items) with ordinality));
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
    perform write_invoice_items(made_invoice.id, p_items);
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
    'payment_term_days(bigint)',
    'save_order_files(jsonb, bigint, bigint, bigint, bigint)',
    'checkout_quick_order(bigint, bigint, text, text, jsonb, jsonb, jsonb, boolean)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

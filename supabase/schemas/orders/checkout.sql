-- Quick orders: the inputs of the price, and the checkout that makes an invoice or a request for review.

-- All that prices a quick order, in one read: client, rates and models. `p_items` is [{"file", "settingsHash"}];
-- `p_reserve` keeps the files from the janitor while a checkout copies them; a checkout that the same Idempotency-Key
-- already finished is returned as `replay`.
create function quick_order_inputs(p_user_id bigint, p_client_id bigint, p_items jsonb, p_reserve boolean,
                                   p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb;
  found_client clients;
begin
  if p_key is not null then
    earlier_answer := idempotency_get(p_user_id, 'quick-order/checkout', p_key, p_body_hash);
    if earlier_answer ? 'error' then
      return earlier_answer;
    elsif earlier_answer is not null then
      return jsonb_build_object('replay', earlier_answer);
    end if;
  end if;
  select * into found_client from clients where id = p_client_id;
  if not found then
    return api_error(422, 'UNKNOWN_CLIENT', 'Name the client of this order in clientId.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  if p_reserve then
    update tmp_files set reserved_until = now() + interval '15 minutes'
     where user_id = p_user_id and id in (
       select (own_tmp_file(p_user_id, g.value ->> 'file')).id from jsonb_array_elements(p_items) g);
    update slice_results set used_at = now() where id in (
      select r.id from jsonb_array_elements(p_items) g, own_tmp_file(p_user_id, g.value ->> 'file') f, slice_results r
       where r.content_hash = f.content_hash and r.settings_hash = g.value ->> 'settingsHash'
       order by r.id for no key update of r);  -- in id order: other checkouts lock the same rows
  end if;
  return jsonb_build_object(
    'models', models_with_slices(p_user_id, p_items), 'client', client_json(found_client), 'settings', shop_rates());
end
$$;

-- Creates the DRAFT quote of an order that the shop is to price manually.
create function create_review_quote(p_user_id bigint, p_client_id bigint, p_document jsonb, p_items jsonb,
                                    p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
begin
  insert into quotes (number, client_id, issue_date, valid_until, currency, subtotal_cents, shipping_cents,
                      shipping_label, tax_rate_bps, tax_cents, total_cents, notes, needs_review, snapshot, created_by)
  values (next_document_number('quote', 'QT-'), p_client_id, business_today(),
          business_today() + (select quote_validity_days from settings), p_document ->> 'currency', 0, 0, '',
          (p_document ->> 'taxRateBps')::integer, 0, 0, coalesce(p_document ->> 'notes', ''), true,
          coalesce(p_document -> 'snapshot', '{}'), p_user_id)
  returning * into q;
  -- Only the shop sets a manual price.
  perform replace_quote_items(q.id, (
    select jsonb_agg(value - 'unitPriceCents' - 'totalCents' order by ordinality)
      from jsonb_array_elements(p_items) with ordinality));
  perform insert_order_files(p_files, null, q.id, p_client_id, p_user_id);
  perform log_activity(p_client_id, q.id, null, null, null, 'REVIEW_REQUESTED',
                       'A client asks for a price by hand: quote ' || q.number, jsonb_build_object('userId', p_user_id));
  return quote_json(q);
end
$$;

-- Creates the invoice of a priced order, and its job if the shop's policy says so.
create function create_order_invoice(p_user_id bigint, p_client_id bigint, p_document jsonb, p_items jsonb,
                                     p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  insert into invoices (number, client_id, issue_date, due_date, currency, subtotal_cents, discount_cents,
                        shipping_cents, shipping_label, tax_rate_bps, tax_cents, total_cents, notes, created_by)
  values (next_document_number('invoice', 'INV-'), p_client_id, business_today(),
          business_today() + payment_term_days(p_client_id), p_document ->> 'currency',
          (p_document ->> 'subtotalCents')::bigint, (p_document ->> 'discountCents')::bigint,
          (p_document ->> 'shippingCents')::bigint, p_document ->> 'shippingLabel',
          (p_document ->> 'taxRateBps')::integer, (p_document ->> 'taxCents')::bigint,
          (p_document ->> 'totalCents')::bigint, coalesce(p_document ->> 'notes', ''), p_user_id)
  returning * into i;
  perform replace_invoice_items(i.id, p_items);
  perform insert_order_files(p_files, i.id, null, p_client_id, p_user_id);
  perform log_activity(p_client_id, null, i.id, null, null, 'INVOICE_CREATED',
                       'Invoice ' || i.number || ' was made from a quick order', actor);
  if (select job_policy from settings) = 'ON_INVOICE' then
    perform ensure_job(i.id, actor);
  end if;
  perform update_invoice_status(i.id, actor);
  select * into i from invoices where id = i.id;
  return invoice_json(i);
end
$$;

-- The checkout of a quick order: creates its invoice or, for a review, the shop's DRAFT quote, with lines and files, once
-- per Idempotency-Key. `p_document` has the columns in camelCase; the amounts come from Python's pricing, and constraints
-- check their sums.
create function checkout_quick_order(p_user_id bigint, p_client_id bigint, p_key text, p_body_hash text,
                                     p_document jsonb, p_items jsonb, p_files jsonb, p_review boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, 'quick-order/checkout', p_key, p_body_hash);
  response jsonb;
begin
  if earlier_answer is not null then
    return earlier_answer;
  end if;
  perform from clients where id = p_client_id for key share;
  if not found then
    return api_error(422, 'UNKNOWN_CLIENT', 'Name the client of this order in clientId.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  response := case when p_review then create_review_quote(p_user_id, p_client_id, p_document, p_items, p_files)
                   else create_order_invoice(p_user_id, p_client_id, p_document, p_items, p_files) end;
  perform idempotency_put(p_user_id, 'quick-order/checkout', p_key, p_body_hash, response);
  return response;
end
$$;

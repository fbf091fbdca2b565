-- Changes of a quote's status: DRAFT, PENDING (sent), ACCEPTED, DECLINED, EXPIRED, CONVERTED.

-- Replaces the public link's token; the old link stops working.
create function rotate_quote_token(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
begin
  update quotes set public_token = unguessable_token() where id = p_quote_id returning * into q;
  if not found then
    return quote_not_found_error();
  end if;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_LINK_CHANGED',
                       'Quote ' || q.number || ' got a new link', jsonb_build_object('userId', p_user_id));
  return quote_json(q);
end
$$;

-- Sends a DRAFT (it becomes PENDING) or sends a PENDING quote again. `p_email` queues the e-mail in the same
-- transaction.
create function send_quote(p_user_id bigint, p_quote_id bigint, p_key text, p_body_hash text, p_email boolean, p_to text,
                           p_message text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, 'quotes/send', p_key, p_body_hash);
  q quotes;
  recipient text;
  mail bigint;
  response jsonb;
begin
  if earlier_answer is not null then
    return earlier_answer;
  end if;
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return quote_not_found_error();
  elsif q.status not in ('DRAFT', 'PENDING') then
    return quote_status_error(q, 'NOT_SENDABLE', 'only a DRAFT or a PENDING quote is sent: duplicate it to send it anew.');
  elsif q.valid_until < business_today() then
    return quote_expired_error(q);
  elsif q.needs_review and q.subtotal_cents = 0 then
    return quote_status_error(q, 'NEEDS_PRICE', 'its client asked for a price by hand: edit its lines first.');
  end if;
  select coalesce(nullif(p_to, ''), email) into recipient from clients where id = q.client_id;
  if p_email and length(recipient) < 3 then
    return api_error(422, 'NO_EMAIL', 'This client has no e-mail address; name one in to.',
                     jsonb_build_array(jsonb_build_object('field', 'to')));
  end if;
  update quotes set status = 'PENDING', sent_at = now(), needs_review = false where id = q.id returning * into q;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_SENT', 'Quote ' || q.number || ' was sent',
                       jsonb_build_object('userId', p_user_id));
  mail := queue_mail('QUOTE', q.id, case when p_email then recipient end, p_message, p_user_id);
  response := quote_json(q) || jsonb_build_object(
    'mailId', mail, 'mail', case when p_email then jsonb_build_object('id', mail, 'status', 'QUEUED') end);
  perform idempotency_put(p_user_id, 'quotes/send', p_key, p_body_hash, response);
  return response;
end
$$;

-- Accepts or declines a PENDING quote, once: for its client, for the shop on the client's behalf, or for whoever holds
-- the link (`p_token`).
create function decide_quote(p_quote_id bigint, p_token text, p_client_id bigint, p_user_id bigint, p_accept boolean,
                             p_note text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  decision quote_status := case when p_accept then 'ACCEPTED' else 'DECLINED' end;
begin
  if p_token is not null then
    select * into q from quotes where public_token = p_token and status <> 'DRAFT' for no key update;
  else
    select * into q from quotes
     where id = p_quote_id and (p_client_id is null or (client_id = p_client_id and status <> 'DRAFT')) for no key update;
  end if;
  if q.id is null then
    return case when p_token is not null then quote_link_not_found_error() else quote_not_found_error() end;
  elsif q.status = 'EXPIRED' or (q.status = 'PENDING' and q.valid_until < business_today()) then
    return quote_expired_error(q);
  elsif q.status <> 'PENDING' then
    return quote_status_error(q, 'NOT_PENDING', 'only a PENDING quote is accepted or declined.');
  end if;
  update quotes set status = decision, decided_at = now(), decision_note = p_note where id = q.id returning * into q;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_' || decision,
                       'Quote ' || q.number || ' was ' || lower(decision::text),
                       jsonb_build_object('userId', p_user_id, 'by', case when p_token is not null then 'link' else 'login' end));
  return quote_json(q);
end
$$;

-- Converts a PENDING or ACCEPTED quote into an invoice, once, with its lines, amounts and files; due by the client's
-- payment term.
create function convert_quote(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  created invoices;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return quote_not_found_error();
  elsif q.status = 'CONVERTED' then
    return api_error(409, 'ALREADY_CONVERTED', format('Quote %s is an invoice already; open that one.', q.number),
                     jsonb_build_object('status', q.status, 'convertedInvoiceId', q.converted_invoice_id));
  elsif q.status = 'PENDING' and q.valid_until < business_today() then
    return quote_expired_error(q);
  elsif q.status not in ('PENDING', 'ACCEPTED') then
    return quote_status_error(q, 'NOT_CONVERTIBLE', 'only a PENDING or an ACCEPTED quote becomes an invoice.');
  end if;
  insert into invoices (number, client_id, quote_id, issue_date, due_date, currency, discount_type, discount_bps,
                        discount_fixed_cents, subtotal_cents, discount_cents, shipping_cents, shipping_label, tax_rate_bps,
                        tax_cents, total_cents, notes, terms, created_by)
  values (next_document_number('invoice', 'INV-'), q.client_id, q.id, business_today(),
          business_today() + payment_term_days(q.client_id), q.currency, q.discount_type, q.discount_bps,
          q.discount_fixed_cents, q.subtotal_cents, q.discount_cents, q.shipping_cents, q.shipping_label, q.tax_rate_bps,
          q.tax_cents, q.total_cents, q.notes, q.terms, p_user_id)
  returning * into created;
  insert into invoice_items (invoice_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                             discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select created.id, position, product_template_id, description, quantity_milli, unit_price_cents,
         discount_type, discount_bps, discount_fixed_cents, total_cents, details
    from quote_items where quote_id = q.id;
  update order_files set invoice_id = created.id where quote_id = q.id;
  update quotes set status = 'CONVERTED', converted_invoice_id = created.id where id = q.id;
  perform log_activity(q.client_id, q.id, created.id, null, null, 'QUOTE_CONVERTED',
                       'Quote ' || q.number || ' became invoice ' || created.number, actor);
  if (select job_policy from settings) = 'ON_INVOICE' then
    perform ensure_job(created.id, actor);
  end if;
  perform update_invoice_status(created.id, actor);
  select * into created from invoices where id = created.id;
  return invoice_json(created);
end
$$;

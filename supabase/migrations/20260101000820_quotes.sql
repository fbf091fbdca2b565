-- Quotes: DRAFT, sent (PENDING), ACCEPTED, DECLINED, EXPIRED, CONVERTED. Each change takes the quote's row lock, so
-- of two at once the second sees what the first did.

create function no_such_quote() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select refusal(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.') $$;

create function no_such_quote_link() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select refusal(404, 'QUOTE_NOT_FOUND', 'This link belongs to no quote; ask the shop for a new one.') $$;

-- Refused by the quote's state: the sentence names it, the details name what it can become.
create function quote_conflict(q quotes, p_code text, p_message text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select refusal(409, p_code, format('Quote %s is %s; ', q.number, q.status) || p_message, jsonb_build_object(
    'status', q.status, 'legal', case q.status
      when 'DRAFT' then '["PENDING"]'::jsonb
      when 'PENDING' then '["ACCEPTED", "DECLINED", "EXPIRED", "CONVERTED"]'
      when 'ACCEPTED' then '["CONVERTED"]'
      else '[]' end))
$$;

create function quote_expired(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select refusal(409, 'QUOTE_EXPIRED', format(
      case q.status when 'DRAFT' then 'Quote %s was valid until %s; give it a later validUntil first.'
                    else 'Quote %s was valid until %s; ask for a new one, or duplicate it.' end, q.number, q.valid_until),
    jsonb_build_object('status', q.status, 'validUntil', q.valid_until))
$$;

-- `p_client_id` null reads as the shop, with the snapshot; a client reads his own, and no DRAFT.
create function get_quote(p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select quote_json(q) || jsonb_build_object('snapshot', case when p_client_id is null then q.snapshot end)
       from quotes q
      where q.id = p_quote_id and (p_client_id is null or (q.client_id = p_client_id and q.status <> 'DRAFT'))),
    no_such_quote())
$$;

create function get_public_quote(p_token text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select quote_json(q) || jsonb_build_object(
        'canBeDecided', q.status = 'PENDING' and q.valid_until >= business_today(), 'business', business_json())
       from quotes q where q.public_token = p_token and q.status <> 'DRAFT'),
    no_such_quote_link())
$$;

-- Keyset by (created_at, id), newest first or oldest first. Only what is asked for stands in the query, so that each
-- list runs on its index.
create function list_quotes(p_client_id bigint, p_status quote_status, p_query text, p_oldest_first boolean,
                            p_limit integer, p_after_created timestamptz, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  direction text := case when p_oldest_first then 'asc' else 'desc' end;
  conditions text := concat_ws(' and ', 'true',
    case when p_client_id is not null then 'q.client_id = $1 and q.status <> ''DRAFT''' end,
    case when p_status is not null then 'q.status = $2' end,
    case when p_query is not null then found_by('q', '$3', p_query) end,
    case when p_after_id is not null then
      case when p_oldest_first then '(q.created_at, q.id) > ($5, $6)' else '(q.created_at, q.id) < ($5, $6)' end end);
  listed jsonb;
begin
  execute format($q$
    select coalesce(jsonb_agg(quote_summary_json(page.q) || jsonb_build_object('clientName', c.name)
                              order by (page.q).created_at %1$s, (page.q).id %1$s), '[]')
      from (select q from quotes q where %2$s order by q.created_at %1$s, q.id %1$s limit $4) page
      join clients c on c.id = (page.q).client_id $q$, direction, conditions)
    into listed using p_client_id, p_status, p_query, p_limit, p_after_created, p_after_id;
  return listed;
end
$$;

create function list_quote_files(p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(order_file_json(f) order by f.id) from order_files f where f.quote_id = q.id), '[]')
       from quotes q
      where q.id = p_quote_id and (p_client_id is null or (q.client_id = p_client_id and q.status <> 'DRAFT'))),
    no_such_quote())
$$;

-- What a written quote must have: a client, and a day that is still to come. Locks the client's row against deletion.
create function check_quote(p_client_id bigint, p_valid_until date) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from clients where id = p_client_id for key share;
  if not found then
    return refusal(422, 'UNKNOWN_CLIENT', 'Name one of the shop''s clients in clientId.',
                   jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  if p_valid_until < business_today() then
    return refusal(422, 'VALID_UNTIL_PAST', 'Let the quote be valid today at least, by the business''s own day.',
                   jsonb_build_array(jsonb_build_object('field', 'validUntil')));
  end if;
  return null;
end
$$;

-- The amounts, lines and texts of a quote, in the place of those that it had. `p_document` has the columns in
-- camelCase; the amounts are the pricing module's, and the constraints hold them together.
create function write_quote(p_quote_id bigint, p_document jsonb, p_items jsonb, p_snapshot jsonb) returns void
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
    -- Where a review is to be sent stays with it.
    snapshot = p_snapshot || case when snapshot ? 'shipping' then jsonb_build_object('shipping', snapshot -> 'shipping')
                                  else '{}' end
  where id = p_quote_id;
  -- A line that was priced by hand keeps what its client asked for.
  perform write_quote_items(p_quote_id, (
    select jsonb_agg(n.value || case when coalesce(n.value -> 'details', '{}') = '{}' then jsonb_build_object('details', coalesce(
        (select l.details from quote_items l where l.quote_id = p_quote_id and l.description = n.value ->> 'description'
          order by l.position limit 1), '{}')) else '{}' end order by n.ordinality)
      from jsonb_array_elements(p_items) with ordinality n));
end
$$;

create function create_quote(p_user_id bigint, p_client_id bigint, p_valid_until date, p_document jsonb, p_items jsonb,
                             p_files jsonb, p_snapshot jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  refused jsonb := check_quote(p_client_id, p_valid_until);
  q quotes;
begin
  if refused is not null then
    return refused;
  end if;
  insert into quotes (number, client_id, issue_date, valid_until, currency, subtotal_cents, tax_rate_bps, tax_cents,
                      total_cents, created_by)
  values (next_document_number('quote', 'QT-'), p_client_id, business_today(),
          coalesce(p_valid_until, business_today() + (select quote_validity_days from settings)),
          p_document ->> 'currency', 0, 0, 0, 0, p_user_id)
  returning * into q;
  perform write_quote(q.id, p_document, p_items, p_snapshot);
  perform save_order_files(p_files, null, q.id, q.client_id, p_user_id);
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_CREATED', 'Quote ' || q.number || ' was drafted',
                       jsonb_build_object('userId', p_user_id));
  select * into q from quotes where id = q.id;
  return quote_json(q);
end
$$;

-- The quote that an edit or a deletion needs, locked: a DRAFT, or why not.
create function not_a_draft(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when q.id is null then no_such_quote() when q.status <> 'DRAFT' then
    quote_conflict(q, 'NOT_A_DRAFT', 'only a DRAFT is edited or deleted: duplicate it to write another version.') end
$$;

-- Files that the new lines bring again (same model, same slice) replace the old copies, whose keys are answered.
create function update_quote(p_user_id bigint, p_quote_id bigint, p_client_id bigint, p_valid_until date,
                             p_document jsonb, p_items jsonb, p_files jsonb, p_snapshot jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  refused jsonb;
  replaced jsonb;
begin
  select * into q from quotes where id = p_quote_id for no key update;
  refused := coalesce(not_a_draft(q), check_quote(p_client_id, p_valid_until));
  if refused is not null then
    return refused;
  end if;
  if p_client_id <> q.client_id and exists (select from order_files where quote_id = q.id) then
    return refusal(409, 'FILES_OF_CLIENT', 'This quote keeps files of its client; write a new quote for another client.',
                   jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  update quotes set client_id = p_client_id,
    valid_until = coalesce(p_valid_until, business_today() + (select quote_validity_days from settings))
  where id = q.id;
  perform write_quote(q.id, p_document, p_items, p_snapshot);
  with gone as (
    delete from order_files f using jsonb_array_elements(p_files) n
     where f.quote_id = q.id and f.filename = n.value ->> 'filename'
       and f.file_type = (n.value ->> 'fileType')::order_file_type
       and f.metadata -> 'settingsHash' = n.value #> '{metadata,settingsHash}'
    returning f.storage_key)
  select coalesce(jsonb_agg(distinct storage_key), '[]') into replaced from gone;
  perform save_order_files(p_files, null, q.id, p_client_id, p_user_id);
  perform log_activity(p_client_id, q.id, null, null, null, 'QUOTE_EDITED', 'Quote ' || q.number || ' was edited',
                       jsonb_build_object('userId', p_user_id));
  select * into q from quotes where id = q.id;
  return jsonb_build_object('quote', quote_json(q), 'storageKeys', replaced);
end
$$;

-- Deletes a DRAFT with its files' rows, and answers the keys whose objects must follow. The number stays retired.
create function delete_quote(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  refused jsonb;
  keys jsonb;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into q from quotes where id = p_quote_id for update;
  refused := not_a_draft(q);
  if refused is not null then
    return refused;
  end if;
  perform log_activity(q.client_id, q.id, null, null, null, 'ORDER_FILE_DELETED',
                       'File ' || f.filename || ' was deleted', actor) from order_files f where f.quote_id = q.id;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_DELETED', 'Quote ' || q.number || ' was deleted',
                       actor || jsonb_build_object('number', q.number, 'totalCents', q.total_cents));
  with gone as (delete from order_files where quote_id = q.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into keys from gone;
  delete from quotes where id = q.id;
  return jsonb_build_object('number', q.number, 'storageKeys', keys);
end
$$;

-- A new DRAFT of the same lines, amounts and snapshot, dated today, under a number and a link of its own. A file has
-- one row an object, so each needs a copy: those that `p_copies` ([{"id", "storageKey"}], the key null for a file
-- whose object is gone) does not name are answered as `copy`, and nothing is written.
create function duplicate_quote(p_user_id bigint, p_quote_id bigint, p_copies jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  made quotes;
  missing jsonb;
begin
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return no_such_quote();
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
  returning * into made;
  insert into quote_items (quote_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                           discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select made.id, position, product_template_id, description, quantity_milli, unit_price_cents,
         discount_type, discount_bps, discount_fixed_cents, total_cents, details
    from quote_items where quote_id = q.id;
  insert into order_files (quote_id, client_id, filename, storage_key, file_type, mime_type, size_bytes, metadata, uploaded_by)
  select made.id, f.client_id, f.filename, c.value ->> 'storageKey', f.file_type, f.mime_type, f.size_bytes, f.metadata, p_user_id
    from jsonb_array_elements(p_copies) c join order_files f on f.id = (c.value ->> 'id')::bigint
   where f.quote_id = q.id and c.value ->> 'storageKey' is not null
   order by f.id;
  perform log_activity(made.client_id, made.id, null, null, null, 'QUOTE_CREATED',
                       'Quote ' || made.number || ' was drafted as a duplicate of ' || q.number,
                       jsonb_build_object('userId', p_user_id, 'duplicateOf', q.id));
  return jsonb_build_object('quote', quote_json(made));
end
$$;

-- The old link opens nothing any more.
create function rotate_quote_token(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
begin
  update quotes set public_token = unguessable_token() where id = p_quote_id returning * into q;
  if not found then
    return no_such_quote();
  end if;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_LINK_CHANGED',
                       'Quote ' || q.number || ' got a new link', jsonb_build_object('userId', p_user_id));
  return quote_json(q);
end
$$;

-- DRAFT becomes PENDING; a PENDING one is sent again. `p_email` queues the mail in the same transaction.
create function send_quote(p_user_id bigint, p_quote_id bigint, p_key text, p_body_hash text, p_email boolean, p_to text,
                           p_message text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  answered jsonb := replayed(p_user_id, 'quotes/send', p_key, p_body_hash);
  q quotes;
  recipient text;
  mail bigint;
  response jsonb;
begin
  if answered is not null then
    return answered;
  end if;
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return no_such_quote();
  elsif q.status not in ('DRAFT', 'PENDING') then
    return quote_conflict(q, 'NOT_SENDABLE', 'only a DRAFT or a PENDING quote is sent: duplicate it to send it anew.');
  elsif q.valid_until < business_today() then
    return quote_expired(q);
  elsif q.needs_review and q.subtotal_cents = 0 then
    return quote_conflict(q, 'NEEDS_PRICE', 'its client asked for a price by hand: edit its lines first.');
  end if;
  select coalesce(nullif(p_to, ''), email) into recipient from clients where id = q.client_id;
  if p_email and length(recipient) < 3 then
    return refusal(422, 'NO_EMAIL', 'This client has no e-mail address; name one in to.',
                   jsonb_build_array(jsonb_build_object('field', 'to')));
  end if;
  update quotes set status = 'PENDING', sent_at = now(), needs_review = false where id = q.id returning * into q;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_SENT', 'Quote ' || q.number || ' was sent',
                       jsonb_build_object('userId', p_user_id));
  mail := queue_mail('QUOTE', q.id, case when p_email then recipient end, p_message, p_user_id);
  response := quote_json(q) || jsonb_build_object(
    'mailId', mail, 'mail', case when p_email then jsonb_build_object('id', mail, 'status', 'QUEUED') end);
  perform keep_answer(p_user_id, 'quotes/send', p_key, p_body_hash, response);
  return response;
end
$$;

-- The answer of the quote's owner, of the shop in his name, or of whoever holds the link (`p_token`): once.
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
    return case when p_token is not null then no_such_quote_link() else no_such_quote() end;
  elsif q.status = 'EXPIRED' or (q.status = 'PENDING' and q.valid_until < business_today()) then
    return quote_expired(q);
  elsif q.status <> 'PENDING' then
    return quote_conflict(q, 'NOT_PENDING', 'only a PENDING quote is accepted or declined.');
  end if;
  update quotes set status = decision, decided_at = now(), decision_note = p_note where id = q.id returning * into q;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_' || decision,
                       'Quote ' || q.number || ' was ' || lower(decision::text),
                       jsonb_build_object('userId', p_user_id, 'by', case when p_token is not null then 'link' else 'login' end));
  return quote_json(q);
end
$$;

-- PENDING or ACCEPTED becomes an invoice, once: lines, amounts and files go with it, due by the client's terms.
create function convert_quote(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  made invoices;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return no_such_quote();
  elsif q.status = 'CONVERTED' then
    return refusal(409, 'ALREADY_CONVERTED', format('Quote %s is an invoice already; open that one.', q.number),
                   jsonb_build_object('status', q.status, 'convertedInvoiceId', q.converted_invoice_id));
  elsif q.status = 'PENDING' and q.valid_until < business_today() then
    return quote_expired(q);
  elsif q.status not in ('PENDING', 'ACCEPTED') then
    return quote_conflict(q, 'NOT_CONVERTIBLE', 'only a PENDING or an ACCEPTED quote becomes an invoice.');
  end if;
  insert into invoices (number, client_id, quote_id, issue_date, due_date, currency, discount_type, discount_bps,
                        discount_fixed_cents, subtotal_cents, discount_cents, shipping_cents, shipping_label, tax_rate_bps,
                        tax_cents, total_cents, notes, terms, created_by)
  values (next_document_number('invoice', 'INV-'), q.client_id, q.id, business_today(),
          business_today() + payment_term_days(q.client_id), q.currency, q.discount_type, q.discount_bps,
          q.discount_fixed_cents, q.subtotal_cents, q.discount_cents, q.shipping_cents, q.shipping_label, q.tax_rate_bps,
          q.tax_cents, q.total_cents, q.notes, q.terms, p_user_id)
  returning * into made;
  insert into invoice_items (invoice_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                             discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select made.id, position, product_template_id, description, quantity_milli, unit_price_cents,
         discount_type, discount_bps, discount_fixed_cents, total_cents, details
    from quote_items where quote_id = q.id;
  update order_files set invoice_id = made.id where quote_id = q.id;
  update quotes set status = 'CONVERTED', converted_invoice_id = made.id where id = q.id;
  perform log_activity(q.client_id, q.id, made.id, null, null, 'QUOTE_CONVERTED',
                       'Quote ' || q.number || ' became invoice ' || made.number, actor);
  if (select job_policy from settings) = 'ON_INVOICE' then
    perform ensure_job(made.id, actor);
  end if;
  perform settle_invoice(made.id, actor);
  select * into made from invoices where id = made.id;
  return invoice_json(made);
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'no_such_quote()', 'no_such_quote_link()', 'quote_conflict(quotes, text, text)', 'quote_expired(quotes)',
    'get_quote(bigint, bigint)', 'get_public_quote(text)',
    'list_quotes(bigint, quote_status, text, boolean, integer, timestamptz, bigint)',
    'list_quote_files(bigint, bigint)', 'check_quote(bigint, date)', 'write_quote(bigint, jsonb, jsonb, jsonb)',
    'create_quote(bigint, bigint, date, jsonb, jsonb, jsonb, jsonb)', 'not_a_draft(quotes)',
    'update_quote(bigint, bigint, bigint, date, jsonb, jsonb, jsonb, jsonb)', 'delete_quote(bigint, bigint)',
    'duplicate_quote(bigint, bigint, jsonb)', 'rotate_quote_token(bigint, bigint)',
    'send_quote(bigint, bigint, text, text, boolean, text, text)',
    'decide_quote(bigint, text, bigint, bigint, boolean, text)', 'convert_quote(bigint, bigint)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

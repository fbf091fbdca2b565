-- Files that are kept with quotes and invoices. The callers move and delete the stored objects.

-- A file that is kept with a quote or invoice.
create function order_file_json(f order_files) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', f.id, 'invoiceId', f.invoice_id, 'quoteId', f.quote_id, 'clientId', f.client_id, 'filename', f.filename,
    'storageKey', f.storage_key, 'fileType', f.file_type, 'mimeType', f.mime_type, 'sizeBytes', f.size_bytes,
    'metadata', f.metadata, 'uploadedBy', f.uploaded_by, 'uploadedAt', f.uploaded_at)
$$;

-- Registers one file whose object is already stored. Its client is the document's, never the caller's choice.
create function save_order_file(p_user_id bigint, p_invoice_id bigint, p_quote_id bigint, p_file jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  owner bigint := coalesce((select client_id from invoices where id = p_invoice_id),
                           (select client_id from quotes where id = p_quote_id));
  saved order_files;
begin
  if owner is null then
    return api_error(404, 'DOCUMENT_NOT_FOUND', 'There is no such invoice or quote.');
  end if;
  insert into order_files (invoice_id, quote_id, client_id, filename, storage_key, file_type, mime_type, size_bytes,
                           metadata, uploaded_by)
  values (p_invoice_id, p_quote_id, owner, p_file ->> 'filename', p_file ->> 'storageKey',
          (p_file ->> 'fileType')::order_file_type, p_file ->> 'mimeType', (p_file ->> 'sizeBytes')::bigint,
          coalesce(p_file -> 'metadata', '{}'), p_user_id)
  on conflict (storage_key) do update set size_bytes = excluded.size_bytes
  returning * into saved;
  perform log_activity(owner, p_quote_id, p_invoice_id, null, null, 'ORDER_FILE_SAVED',
                       'File ' || saved.filename || ' was kept with the order', jsonb_build_object('userId', p_user_id));
  return order_file_json(saved);
end
$$;

-- Registers files whose objects are already stored, without checks or activity log: part of writing a document.
create function insert_order_files(p_files jsonb, p_invoice_id bigint, p_quote_id bigint, p_client_id bigint,
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

-- Whether a file belongs to a quote that the shop is still drafting, which its client does not see yet. A DRAFT that
-- the client requested as a review is visible.
create function is_in_draft_quote(f order_files) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select f.invoice_id is null
     and exists (select from quotes q where q.id = f.quote_id and q.status = 'DRAFT' and not q.needs_review)
$$;

-- The files of an invoice, a quote or a client. `p_client_scope` null reads as the shop, else only that client's
-- files.
create function list_order_files(p_client_scope bigint, p_invoice_id bigint, p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(order_file_json(f) order by f.uploaded_at desc, f.id desc), '[]') from order_files f
   where (p_client_scope is null or (f.client_id = p_client_scope and not is_in_draft_quote(f)))
     and (f.invoice_id = p_invoice_id or f.quote_id = p_quote_id or f.client_id = p_client_id)
$$;

-- The files of one invoice, oldest first. `p_client_scope` null reads as the shop.
create function list_invoice_files(p_client_scope bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(order_file_json(f) order by f.id) from order_files f where f.invoice_id = i.id), '[]')
       from invoices i where i.id = p_invoice_id and (p_client_scope is null or i.client_id = p_client_scope)),
    invoice_not_found_error())
$$;

-- Reads one order file. `p_client_scope` null reads as the shop.
create function get_order_file(p_client_scope bigint, p_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select order_file_json(f) from order_files f where f.id = p_id and (p_client_scope is null or (f.client_id = p_client_scope and not is_in_draft_quote(f)))),
    api_error(404, 'FILE_NOT_FOUND', 'There is no such file of yours.'))
$$;

-- Deletes the row of an order file and returns it, so that the caller deletes the object.
create function delete_order_file(p_user_id bigint, p_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted order_files;
begin
  select * into deleted from order_files where id = p_id for update;
  if not found then
    return api_error(404, 'FILE_NOT_FOUND', 'There is no such file.');
  end if;
  perform log_activity(deleted.client_id, deleted.quote_id, deleted.invoice_id, null, null, 'ORDER_FILE_DELETED',
                       'File ' || deleted.filename || ' was deleted', jsonb_build_object('userId', p_user_id));
  delete from order_files where id = p_id;
  return order_file_json(deleted);
end
$$;

-- Rows of the permanent files: order files and invoice attachments. Their objects are the caller's to move.

create function order_file_json(f order_files) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', f.id, 'invoiceId', f.invoice_id, 'quoteId', f.quote_id, 'clientId', f.client_id, 'filename', f.filename,
    'storageKey', f.storage_key, 'fileType', f.file_type, 'mimeType', f.mime_type, 'sizeBytes', f.size_bytes,
    'metadata', f.metadata, 'uploadedBy', f.uploaded_by, 'uploadedAt', f.uploaded_at)
$$;

-- Registers one file whose object is stored. The client is the document's, never the caller's word.
create function save_order_file(p_user_id bigint, p_invoice_id bigint, p_quote_id bigint, p_file jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  owner bigint := coalesce((select client_id from invoices where id = p_invoice_id),
                           (select client_id from quotes where id = p_quote_id));
  saved order_files;
begin
  if owner is null then
    return refusal(404, 'DOCUMENT_NOT_FOUND', 'There is no such invoice or quote.');
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

-- Of a quote that the shop is still writing; what a client sent in for a review is his own.
create function is_in_the_making(f order_files) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select f.invoice_id is null
     and exists (select from quotes q where q.id = f.quote_id and q.status = 'DRAFT' and not q.needs_review)
$$;

-- Files by document or by client; `p_reads_as` null reads as the shop, else only this client's.
create function list_order_files(p_reads_as bigint, p_invoice_id bigint, p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(order_file_json(f) order by f.uploaded_at desc, f.id desc), '[]') from order_files f
   where (p_reads_as is null or (f.client_id = p_reads_as and not is_in_the_making(f)))
     and (f.invoice_id = p_invoice_id or f.quote_id = p_quote_id or f.client_id = p_client_id)
$$;

-- Files of one invoice, in the order in which they came.
create function list_invoice_files(p_reads_as bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(order_file_json(f) order by f.id) from order_files f where f.invoice_id = i.id), '[]')
       from invoices i where i.id = p_invoice_id and (p_reads_as is null or i.client_id = p_reads_as)),
    no_such_invoice())
$$;

create function get_order_file(p_reads_as bigint, p_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select order_file_json(f) from order_files f where f.id = p_id and (p_reads_as is null or (f.client_id = p_reads_as and not is_in_the_making(f)))),
    refusal(404, 'FILE_NOT_FOUND', 'There is no such file of yours.'))
$$;

create function delete_order_file(p_user_id bigint, p_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  gone order_files;
begin
  select * into gone from order_files where id = p_id for update;
  if not found then
    return refusal(404, 'FILE_NOT_FOUND', 'There is no such file.');
  end if;
  perform log_activity(gone.client_id, gone.quote_id, gone.invoice_id, null, null, 'ORDER_FILE_DELETED',
                       'File ' || gone.filename || ' was deleted', jsonb_build_object('userId', p_user_id));
  delete from order_files where id = p_id;
  return order_file_json(gone);
end
$$;

create function attachment_json(a attachments) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', a.id, 'invoiceId', a.invoice_id, 'filename', a.filename, 'storageKey', a.storage_key,
    'mimeType', a.mime_type, 'sizeBytes', a.size_bytes, 'uploadedBy', a.uploaded_by, 'uploadedAt', a.uploaded_at)
$$;

create function no_such_attachment() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select refusal(404, 'FILE_NOT_FOUND', 'There is no such file of this invoice.') $$;

-- Registers an attachment whose object is stored already.
create function save_attachment(p_user_id bigint, p_invoice_id bigint, p_file jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  saved attachments;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  insert into attachments (invoice_id, filename, storage_key, mime_type, size_bytes, uploaded_by)
  values (i.id, p_file ->> 'filename', p_file ->> 'storageKey', p_file ->> 'mimeType',
          (p_file ->> 'sizeBytes')::bigint, p_user_id)
  on conflict (storage_key) do update set
    filename = excluded.filename, size_bytes = excluded.size_bytes, mime_type = excluded.mime_type, uploaded_at = now()
  returning * into saved;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'ATTACHMENT_SAVED',
                       'File ' || saved.filename || ' was attached to invoice ' || i.number,
                       jsonb_build_object('userId', p_user_id));
  return attachment_json(saved);
end
$$;

create function attachment_exists(p_filename text) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select refusal(409, 'FILE_EXISTS',
    format('The invoice has a file named %s; name yours otherwise, or send ?replace=true.', p_filename),
    jsonb_build_array(jsonb_build_object('field', 'filename')))
$$;

-- A place for an upload, seen by nobody until it is complete. The key is `storageKey` of `p_file` while no other row has
-- it, else `otherKey`: names that read alike as keys, and a file with what is to replace it, never meet in one object.
create function request_attachment(p_user_id bigint, p_invoice_id bigint, p_file jsonb, p_replace boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  made attachments;
begin
  perform from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  elsif not p_replace and exists (select from attachments where invoice_id = p_invoice_id
      and filename = p_file ->> 'filename' and uploaded_at is not null) then
    return attachment_exists(p_file ->> 'filename');
  end if;
  insert into attachments (invoice_id, filename, storage_key, mime_type, size_bytes, replaces, uploaded_by, uploaded_at)
  values (p_invoice_id, p_file ->> 'filename',
          case when exists (select from attachments where storage_key = p_file ->> 'storageKey')
               then p_file ->> 'otherKey' else p_file ->> 'storageKey' end,
          p_file ->> 'mimeType', (p_file ->> 'sizeBytes')::bigint, p_replace, p_user_id, null)
  returning * into made;
  return attachment_json(made);
end
$$;

-- The upload has arrived and is what it says. The file that it replaces loses its row in the same moment, and its
-- key is answered: until then the old one stands.
create function complete_attachment(p_user_id bigint, p_invoice_id bigint, p_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  a attachments;
  replaced attachments;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  select * into a from attachments where id = p_id and invoice_id = i.id for update;
  if a.id is null then
    return no_such_attachment();
  elsif a.uploaded_at is not null then
    return jsonb_build_object('attachment', attachment_json(a), 'replacedKey', null);
  end if;
  select * into replaced from attachments
   where invoice_id = i.id and filename = a.filename and uploaded_at is not null;
  if replaced.id is not null and not a.replaces then
    return attachment_exists(a.filename);
  end if;
  delete from attachments where id = replaced.id;
  update attachments set uploaded_at = now(), replaces = false where id = a.id returning * into a;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null,
                       case when replaced.id is null then 'ATTACHMENT_SAVED' else 'ATTACHMENT_REPLACED' end,
                       format(case when replaced.id is null then 'File %s was attached to invoice %s'
                                   else 'File %s of invoice %s was replaced' end, a.filename, i.number),
                       jsonb_build_object('userId', p_user_id, 'attachmentId', a.id, 'replacedId', replaced.id));
  return jsonb_build_object('attachment', attachment_json(a), 'replacedKey', replaced.storage_key);
end
$$;

-- Uploads that were asked for and never completed, older than an upload URL lives; the keys whose objects must follow.
create function expire_attachments(p_limit integer) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  with gone as (
    delete from attachments where id in (
      select id from attachments where uploaded_at is null and requested_at < now() - interval '3 hours'
       order by requested_at for update skip locked limit p_limit)
    returning storage_key)
  select jsonb_build_object('storageKeys', coalesce(jsonb_agg(storage_key), '[]')) from gone
$$;

create function list_attachments(p_reads_as bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(attachment_json(a) order by a.id) from attachments a
                       where a.invoice_id = i.id and a.uploaded_at is not null), '[]')
       from invoices i where i.id = p_invoice_id and (p_reads_as is null or i.client_id = p_reads_as)),
    no_such_invoice())
$$;

-- One attachment; with `p_under_way` also one whose upload is not complete.
create function get_attachment(p_reads_as bigint, p_invoice_id bigint, p_id bigint, p_under_way boolean) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select attachment_json(a) from attachments a join invoices i on i.id = a.invoice_id
      where a.id = p_id and i.id = p_invoice_id and (p_reads_as is null or i.client_id = p_reads_as)
        and (p_under_way or a.uploaded_at is not null)),
    no_such_attachment())
$$;

-- Removes the rows and answers the keys whose objects must follow. An upload under way leaves no trace.
create function remove_attachments(p_user_id bigint, p_ids bigint[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  keys jsonb;
begin
  perform from attachments where id = any (p_ids) order by id for update;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'ATTACHMENT_DELETED',
                       'File ' || a.filename || ' was removed from invoice ' || i.number,
                       jsonb_build_object('userId', p_user_id))
    from attachments a join invoices i on i.id = a.invoice_id where a.id = any (p_ids) and a.uploaded_at is not null;
  with gone as (delete from attachments where id = any (p_ids) returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into keys from gone;
  return jsonb_build_object('storageKeys', keys);
end
$$;

create function delete_attachments(p_user_id bigint, p_keys text[]) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  select remove_attachments(p_user_id, (select array_agg(id) from attachments where storage_key = any (p_keys)))
$$;

create function delete_attachment(p_user_id bigint, p_invoice_id bigint, p_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  gone jsonb;
begin
  perform from invoices where id = p_invoice_id for no key update;
  gone := remove_attachments(p_user_id, (select array_agg(id) from attachments where id = p_id and invoice_id = p_invoice_id));
  if gone -> 'storageKeys' = '[]' then
    return no_such_attachment();
  end if;
  return gone;
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'is_in_the_making(order_files)', 'order_file_json(order_files)', 'save_order_file(bigint, bigint, bigint, jsonb)',
    'list_order_files(bigint, bigint, bigint, bigint)', 'get_order_file(bigint, bigint)',
    'delete_order_file(bigint, bigint)', 'attachment_json(attachments)', 'save_attachment(bigint, bigint, jsonb)',
    'list_invoice_files(bigint, bigint)', 'no_such_attachment()', 'attachment_exists(text)',
    'request_attachment(bigint, bigint, jsonb, boolean)', 'complete_attachment(bigint, bigint, bigint)',
    'expire_attachments(integer)', 'list_attachments(bigint, bigint)', 'get_attachment(bigint, bigint, bigint, boolean)',
    'remove_attachments(bigint, bigint[])', 'delete_attachments(bigint, text[])',
    'delete_attachment(bigint, bigint, bigint)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

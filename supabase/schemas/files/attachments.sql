-- Attachments of invoices. The callers move and delete the stored objects.

-- An attachment of an invoice.
create function attachment_json(a attachments) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', a.id, 'invoiceId', a.invoice_id, 'filename', a.filename, 'storageKey', a.storage_key,
    'mimeType', a.mime_type, 'sizeBytes', a.size_bytes, 'uploadedBy', a.uploaded_by, 'uploadedAt', a.uploaded_at)
$$;

-- The error for an attachment that does not exist.
create function attachment_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'FILE_NOT_FOUND', 'There is no such file of this invoice.') $$;

-- Registers an attachment whose object is already stored.
create function save_attachment(p_user_id bigint, p_invoice_id bigint, p_file jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  saved attachments;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
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

-- The error for a second attachment of the same name.
create function attachment_exists_error(p_filename text) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select api_error(409, 'FILE_EXISTS',
    format('The invoice has a file named %s; name yours otherwise, or send ?replace=true.', p_filename),
    jsonb_build_array(jsonb_build_object('field', 'filename')))
$$;

-- Creates the row of an upload, which nobody sees until it is complete. Its key is `storageKey` of `p_file` if that is
-- free, else `otherKey`: two names that give the same key, or a file and its replacement, never share an object.
create function request_attachment(p_user_id bigint, p_invoice_id bigint, p_file jsonb, p_replace boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  created attachments;
begin
  perform from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  elsif not p_replace and exists (select from attachments where invoice_id = p_invoice_id
      and filename = p_file ->> 'filename' and uploaded_at is not null) then
    return attachment_exists_error(p_file ->> 'filename');
  end if;
  insert into attachments (invoice_id, filename, storage_key, mime_type, size_bytes, replaces, uploaded_by, uploaded_at)
  values (p_invoice_id, p_file ->> 'filename',
          case when exists (select from attachments where storage_key = p_file ->> 'storageKey')
               then p_file ->> 'otherKey' else p_file ->> 'storageKey' end,
          p_file ->> 'mimeType', (p_file ->> 'sizeBytes')::bigint, p_replace, p_user_id, null)
  returning * into created;
  return attachment_json(created);
end
$$;

-- Marks an upload as complete. The attachment that it replaces is deleted in the same transaction, and its storage key
-- is returned; until then the old one stays visible.
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
    return attachment_not_found_error();
  elsif a.uploaded_at is not null then
    return jsonb_build_object('attachment', attachment_json(a), 'replacedKey', null);
  end if;
  select * into replaced from attachments
   where invoice_id = i.id and filename = a.filename and uploaded_at is not null;
  if replaced.id is not null and not a.replaces then
    return attachment_exists_error(a.filename);
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

-- Deletes uploads that were requested more than 3 hours ago and never completed (their upload URL has expired), and
-- returns the storage keys to delete.
create function expire_attachments(p_limit integer) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  with deleted as (
    delete from attachments where id in (
      select id from attachments where uploaded_at is null and requested_at < now() - interval '3 hours'
       order by requested_at for update skip locked limit p_limit)
    returning storage_key)
  select jsonb_build_object('storageKeys', coalesce(jsonb_agg(storage_key), '[]')) from deleted
$$;

-- The complete attachments of an invoice. `p_client_scope` null reads as the shop.
create function list_attachments(p_client_scope bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(attachment_json(a) order by a.id) from attachments a
                       where a.invoice_id = i.id and a.uploaded_at is not null), '[]')
       from invoices i where i.id = p_invoice_id and (p_client_scope is null or i.client_id = p_client_scope)),
    invoice_not_found_error())
$$;

-- Reads one attachment; with `p_under_way` also one whose upload is not complete. `p_client_scope` null reads as the
-- shop.
create function get_attachment(p_client_scope bigint, p_invoice_id bigint, p_id bigint, p_under_way boolean) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select attachment_json(a) from attachments a join invoices i on i.id = a.invoice_id
      where a.id = p_id and i.id = p_invoice_id and (p_client_scope is null or i.client_id = p_client_scope)
        and (p_under_way or a.uploaded_at is not null)),
    attachment_not_found_error())
$$;

-- Deletes attachments by id, logs those that were complete, and returns the storage keys to delete.
create function delete_attachment_rows(p_user_id bigint, p_ids bigint[]) returns jsonb
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
  with deleted as (delete from attachments where id = any (p_ids) returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into keys from deleted;
  return jsonb_build_object('storageKeys', keys);
end
$$;

-- Deletes the attachments with these storage keys.
create function delete_attachments_by_key(p_user_id bigint, p_keys text[]) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  select delete_attachment_rows(p_user_id, (select array_agg(id) from attachments where storage_key = any (p_keys)))
$$;

-- Deletes one attachment of an invoice.
create function delete_attachment(p_user_id bigint, p_invoice_id bigint, p_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted jsonb;
begin
  perform from invoices where id = p_invoice_id for no key update;
  deleted := delete_attachment_rows(p_user_id, (select array_agg(id) from attachments where id = p_id and invoice_id = p_invoice_id));
  if deleted -> 'storageKeys' = '[]' then
    return attachment_not_found_error();
  end if;
  return deleted;
end
$$;

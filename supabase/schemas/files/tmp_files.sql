-- Uploaded models and slicer output, kept for a limited time.

-- An uploaded file (or slicer output) with its slice request's state.
create function tmp_file_json(f tmp_files) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', f.id, 'storageKey', f.storage_key, 'objectKey', coalesce(f.object_key, f.storage_key),
    'filename', f.filename, 'sizeBytes', f.size_bytes,
    'mimeType', f.mime_type, 'status', f.status, 'metadata', f.metadata - 'logTail', 'uploaded', f.uploaded_at is not null,
    'settingsHash', f.settings_hash, 'queued', f.queued_at is not null, 'progressPercent', f.progress_percent,
    'progressStage', f.progress_stage, 'geometry', f.geometry, 'inspection', f.inspection,
    'previewKey', f.preview_key, 'isOutput', f.parent_id is not null, 'materialId', f.material_id,
    'printerId', f.printer_id, 'profile', f.profile, 'createdAt', f.created_at, 'updatedAt', f.updated_at)
$$;

-- A user's own file, by its id or its storage key; null when there is none.
create function own_tmp_file(p_user_id bigint, p_file text) returns tmp_files
language sql stable set search_path = public, pg_temp
as $$
  select f from tmp_files f
   where f.user_id = p_user_id
     and (f.storage_key = p_file or f.id = case when p_file ~ '^[0-9]{1,18}$' then p_file::bigint end)
$$;

-- A user's own file, or for the shop (`p_for_shop`) any file by its id; null when there is none.
create function visible_tmp_file(p_user_id bigint, p_file text, p_for_shop boolean) returns tmp_files
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(own_tmp_file(p_user_id, p_file),
    (select f from tmp_files f where p_for_shop and f.id = case when p_file ~ '^[0-9]{1,18}$' then p_file::bigint end))
$$;

-- The error for a file that does not exist or belongs to another user.
create function file_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'FILE_NOT_FOUND', 'There is no such file of yours; upload it first.') $$;

-- Reads a user's own file; for the shop (`p_for_shop`) any file.
create function get_tmp_file(p_user_id bigint, p_file text, p_for_shop boolean default false) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := visible_tmp_file(p_user_id, p_file, p_for_shop);
begin
  return case when f.id is null then file_not_found_error() else tmp_file_json(f) end;
end
$$;

-- A page of a user's files, newest first.
create function list_tmp_files(p_user_id bigint, p_limit integer, p_before_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(tmp_file_json(f) order by f.id desc), '[]')
    from (select * from tmp_files where user_id = p_user_id and (p_before_id is null or id < p_before_id)
           order by id desc limit p_limit) f
$$;

-- Registers files that are about to be uploaded, or have been (`p_uploaded`), under storage keys that the caller made.
create function save_tmp_files(p_user_id bigint, p_files jsonb, p_uploaded boolean) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  with given as (
    select value, ordinality from jsonb_array_elements(p_files) with ordinality
  ), saved as (
    insert into tmp_files (user_id, storage_key, filename, size_bytes, mime_type, uploaded_at)
    select p_user_id, value ->> 'storageKey', value ->> 'filename', (value ->> 'sizeBytes')::bigint,
           value ->> 'mimeType', case when p_uploaded then now() end
      from given order by ordinality
    returning *
  )
  select coalesce(jsonb_agg(tmp_file_json(s::tmp_files) order by s.id), '[]') from saved s
$$;

-- Changes size, type, status, metadata or upload state of a user's own file; only the keys in `p_changes`.
create function update_tmp_file(p_user_id bigint, p_file text, p_changes jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files := own_tmp_file(p_user_id, p_file);
begin
  if f.id is null then
    return file_not_found_error();
  end if;
  update tmp_files set
    size_bytes = coalesce((p_changes ->> 'sizeBytes')::bigint, size_bytes),
    mime_type = coalesce(p_changes ->> 'mimeType', mime_type),
    status = coalesce((p_changes ->> 'status')::tmp_file_status, status),
    metadata = metadata || coalesce(p_changes -> 'metadata', '{}'),
    uploaded_at = case when (p_changes ->> 'uploaded')::boolean then coalesce(uploaded_at, now()) else uploaded_at end
  where id = f.id returning * into f;
  return tmp_file_json(f);
end
$$;

-- The storage keys that belong to these files alone: their bytes and previews, and those of their slicer outputs.
-- Cached g-code belongs to the slice cache, not to a file.
create function tmp_object_keys(p_ids bigint[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(k.key order by f.id), '[]')
    from tmp_files f
    cross join lateral (values (case when f.object_key is null then f.storage_key end), (f.preview_key)) k (key)
   where (f.id = any (p_ids) or f.parent_id = any (p_ids)) and k.key is not null
$$;

-- Deletes a user's files with their slicer outputs, and returns the storage keys to delete. A file that is being
-- sliced is an error.
create function delete_tmp_files(p_user_id bigint, p_files text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  chosen bigint[];
  keys jsonb;
begin
  select array_agg(id) into chosen from (
    select id from tmp_files
     where user_id = p_user_id and (storage_key = any (p_files) or id::text = any (p_files))
     order by id for update) locked;
  if chosen is null then
    return file_not_found_error();
  end if;
  if exists (select from tmp_files where id = any (chosen) and (queued_at is not null or status = 'running')) then
    return api_error(409, 'SLICE_RUNNING', 'This file is being sliced; delete it when the slice has ended.');
  end if;
  keys := tmp_object_keys(chosen);
  delete from tmp_files where id = any (chosen);
  return jsonb_build_object('storageKeys', keys);
end
$$;

-- Completes an upload that was checked and measured, unless `p_waiting_limit` of the user's models are waiting for
-- inspection: then the upload stays incomplete. Sets inspection_sent_at, by which the janitor finds inspections that
-- were never sent.
create function accept_upload(p_user_id bigint, p_file text, p_size_bytes bigint, p_content_hash text,
                              p_geometry jsonb, p_waiting_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
begin
  perform from users where id = p_user_id for no key update;  -- the user's uploads are counted one at a time
  f := own_tmp_file(p_user_id, p_file);
  if f.id is null then
    return file_not_found_error();
  end if;
  if f.uploaded_at is null
     and (select count(*) from tmp_files where user_id = p_user_id and inspection_sent_at is not null and inspection is null)
         >= p_waiting_limit then
    return api_error(429, 'TOO_MANY_WAITING', format(
      'You have %s models waiting to be looked at; complete this upload when that is done.', p_waiting_limit));
  end if;
  update tmp_files set
    uploaded_at = now(), size_bytes = p_size_bytes, content_hash = p_content_hash, geometry = p_geometry,
    inspection_sent_at = now()
  where id = f.id and uploaded_at is null;
  select * into f from tmp_files where id = f.id;
  return tmp_file_json(f);
end
$$;

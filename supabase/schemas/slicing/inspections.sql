-- Inspection of uploaded models by the worker.

-- The uploaded model that a worker is to inspect; null when it was inspected already or was deleted.
create function get_inspection_input(p_file_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('fileId', id, 'storageKey', storage_key, 'filename', filename, 'contentHash', content_hash)
    from tmp_files where id = p_file_id and inspection is null and uploaded_at is not null and parent_id is null
$$;

-- Stores a model's inspection and preview, once. False means that they are no longer wanted and the preview must be
-- deleted.
create function store_inspection(p_file_id bigint, p_inspection jsonb, p_preview_key text) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set inspection = p_inspection, preview_key = p_preview_key
   where id = p_file_id and inspection is null;
  return found or exists (select from tmp_files where id = p_file_id and preview_key = p_preview_key);
end
$$;

-- A model's way through the slicer: uploaded, requested, claimed, stored. Everything here may be delivered twice.

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

-- A file by its id or by its storage key, if it is this user's.
create function own_tmp_file(p_user_id bigint, p_file text) returns tmp_files
language sql stable set search_path = public, pg_temp
as $$
  select f from tmp_files f
   where f.user_id = p_user_id
     and (f.storage_key = p_file or f.id = case when p_file ~ '^[0-9]{1,18}$' then p_file::bigint end)
$$;

create function visible_tmp_file(p_user_id bigint, p_file text, p_for_shop boolean) returns tmp_files
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(own_tmp_file(p_user_id, p_file),
    (select f from tmp_files f where p_for_shop and f.id = case when p_file ~ '^[0-9]{1,18}$' then p_file::bigint end))
$$;

create function no_such_file() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select refusal(404, 'FILE_NOT_FOUND', 'There is no such file of yours; upload it first.') $$;

-- The user's own file; any file for the shop, where it may look (`p_for_shop`).
create function require_tmp_file(p_user_id bigint, p_file text, p_for_shop boolean default false) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := visible_tmp_file(p_user_id, p_file, p_for_shop);
begin
  return case when f.id is null then no_such_file() else tmp_file_json(f) end;
end
$$;

create function list_tmp_files(p_user_id bigint, p_limit integer, p_before_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(tmp_file_json(f) order by f.id desc), '[]')
    from (select * from tmp_files where user_id = p_user_id and (p_before_id is null or id < p_before_id)
           order by id desc limit p_limit) f
$$;

-- Registers files that are about to be, or have been, uploaded under keys that the caller made.
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

create function update_tmp_file(p_user_id bigint, p_file text, p_changes jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files := own_tmp_file(p_user_id, p_file);
begin
  if f.id is null then
    return no_such_file();
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

-- The objects that are these files' own, and their outputs': bytes and previews. A cached g-code is the cache's.
create function tmp_object_keys(p_ids bigint[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(k.key order by f.id), '[]')
    from tmp_files f
    cross join lateral (values (case when f.object_key is null then f.storage_key end), (f.preview_key)) k (key)
   where (f.id = any (p_ids) or f.parent_id = any (p_ids)) and k.key is not null
$$;

-- Removes rows (a model's g-code with it) and answers every key whose object must follow. A file that is being
-- sliced stays.
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
    return no_such_file();
  end if;
  if exists (select from tmp_files where id = any (chosen) and (queued_at is not null or status = 'running')) then
    return refusal(409, 'SLICE_RUNNING', 'This file is being sliced; delete it when the slice has ended.');
  end if;
  keys := tmp_object_keys(chosen);
  delete from tmp_files where id = any (chosen);
  return jsonb_build_object('storageKeys', keys);
end
$$;

-- What a slice is decided by, read at one moment: the file, the material and the printers to choose from, the rates
-- that price an estimate. Null parts say what is not there. While no printer is active, any will be again: all of them
-- are to choose from.
create function slicing_context(p_user_id bigint, p_file text, p_material_id bigint, p_printer_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := own_tmp_file(p_user_id, p_file);
begin
  return jsonb_build_object(
    'file', case when f.id is not null then tmp_file_json(f) end,
    'material', (select rated_material_json(m) || jsonb_build_object('profile', m.profile) from materials m
      where m.is_active and m.id = coalesce(p_material_id, (select default_material_id from settings))),
    'printers', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'profile', p.profile,
        'bedMm', jsonb_build_array(p.bed_x_mm, p.bed_y_mm, p.bed_z_mm), 'nozzleUm', p.nozzle_um)
        order by p.bed_x_mm::bigint * p.bed_y_mm * p.bed_z_mm, p.id), '[]')
      from printers p where (p.status = 'ACTIVE' or not exists (select from printers where status = 'ACTIVE'))
        and (p_printer_id is null or p.id = p_printer_id)),
    'rates', shop_rates());
end
$$;

-- Accepts an upload that was checked and measured, unless too many of the user's wait for the worker to look at them:
-- then it stays as it is, to be completed later. `inspection_sent_at` makes the janitor send what was not.
create function accept_upload(p_user_id bigint, p_file text, p_size_bytes bigint, p_content_hash text,
                              p_geometry jsonb, p_waiting_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
begin
  perform from users where id = p_user_id for no key update;  -- the waiting limit is counted one at a time
  f := own_tmp_file(p_user_id, p_file);
  if f.id is null then
    return no_such_file();
  end if;
  if f.uploaded_at is null
     and (select count(*) from tmp_files where user_id = p_user_id and inspection_sent_at is not null and inspection is null)
         >= p_waiting_limit then
    return refusal(429, 'TOO_MANY_WAITING', format(
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

-- The slicer that took part last: only its results answer a new request.
create function cached_slice(p_content_hash text, p_settings_hash text) returns slice_results
language sql volatile set search_path = public, pg_temp
as $$
  update slice_results set used_at = now() where id = (
    select r.id from slice_results r, component_health h
     where r.content_hash = p_content_hash and r.settings_hash = p_settings_hash and r.gcode_key is not null
       and h.component = 'slicer' and r.slicer = h.detail ->> 'product' and r.slicer_version = h.detail ->> 'version'
       for update of r)
  returning *
$$;

-- The end of a slice that has its figures: they, the g-code's own file and the status, at once.
create function finish_slice(p_file_id bigint, r slice_results) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  output_key text;
begin
  select * into f from tmp_files where id = p_file_id;
  output_key := f.user_id || '/' || gen_random_uuid() || '/model.gcode.gz';
  insert into tmp_files (user_id, storage_key, object_key, filename, size_bytes, mime_type, parent_id, settings_hash,
                         slice_result_id, uploaded_at)
  values (f.user_id, output_key, r.gcode_key, left(regexp_replace(f.filename, '\.[^.]*$', ''), 245) || '.gcode.gz',
          r.gcode_bytes, 'application/gzip', f.id, f.settings_hash, r.id, now());
  update tmp_files set
    status = 'completed', queued_at = null, claim_token = null, lease_until = null, slice_result_id = r.id,
    progress_percent = 100, progress_stage = '',
    metadata = metadata || jsonb_build_object(
      'metrics', jsonb_build_object('timeSec', r.time_sec, 'grams', trim_scale(r.mass_mg::numeric / 1000)),
      'fallback', false, 'error', null, 'output', output_key)
  where id = f.id;
end
$$;

-- Takes a file into the queue, unless its figures are known: then it is sliced on return, without a message. The row
-- is committed before its message is sent; an unsent one is sent again by the janitor. `p_failure` {code, reason} says
-- that no printer can do it: the request ends there, as the worker would end it.
create function request_slice(p_user_id bigint, p_file text, p_settings jsonb, p_settings_hash text, p_profile jsonb,
                              p_material_id bigint, p_printer_id bigint, p_lane slice_lane, p_failure jsonb,
                              p_waiting_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  r slice_results;
begin
  perform from users where id = p_user_id for no key update;  -- the waiting limit is counted one at a time
  f := own_tmp_file(p_user_id, p_file);
  if f.id is null then
    return no_such_file();
  end if;
  select * into f from tmp_files where id = f.id for update;
  if f.parent_id is not null then
    return refusal(422, 'NOT_A_MODEL', 'This is a slicer''s output; slice the model it was made from.');
  end if;
  if f.uploaded_at is null then
    return refusal(409, 'UPLOAD_INCOMPLETE', 'Upload the file and complete the upload before slicing it.');
  end if;
  if f.geometry is null or f.content_hash is null then
    return refusal(422, 'NOT_A_MODEL', 'This file is no model; upload an STL or a 3MF and slice that.');
  end if;
  if f.queued_at is not null or f.status = 'running' then
    return refusal(409, 'SLICE_RUNNING', 'This file is being sliced; wait for its result before asking again.');
  end if;
  r := cached_slice(f.content_hash, p_settings_hash);
  if r.id is null and p_failure is null
     and (select count(*) from tmp_files where user_id = p_user_id and (queued_at is not null or status = 'running'))
         >= p_waiting_limit then
    return refusal(429, 'TOO_MANY_WAITING', format('You have %s slices waiting; wait for one to end.', p_waiting_limit));
  end if;
  update tmp_files set
    status = 'idle', material_id = p_material_id, printer_id = p_printer_id, profile = p_profile, lane = p_lane,
    request_id = gen_random_uuid(), queued_at = now(), sent_at = now(), sends = 0, claim_token = null,
    lease_until = null, attempts = 0, progress_percent = 0, progress_stage = '', slice_result_id = null,
    settings_hash = p_settings_hash,
    metadata = jsonb_build_object('attempts', 0, 'settings', p_settings, 'metrics', null, 'fallback', false,
                                  'error', null, 'output', null)
  where id = f.id;
  if r.id is not null then
    perform finish_slice(f.id, r);
  elsif p_failure is not null then
    perform settle_with_fallback(f.id, p_failure ->> 'code', p_failure ->> 'reason', null);
  end if;
  select * into f from tmp_files where id = f.id;
  return tmp_file_json(f) || jsonb_build_object('requestId', f.request_id);
end
$$;

-- What a customer sees while he waits, with what an estimate is made of. The shop sees any file, and the slicer's own
-- last lines (`p_for_shop`).
create function slice_status(p_user_id bigint, p_file text, p_for_shop boolean) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := visible_tmp_file(p_user_id, p_file, p_for_shop);
begin
  if f.id is null then
    return no_such_file();
  end if;
  return slicing_context(f.user_id, f.id::text, f.material_id, null) || jsonb_build_object(
    'placeInQueue', case when f.queued_at is not null then
      (select count(*) from tmp_files w
        where w.lane = f.lane and w.queued_at is not null and (w.queued_at, w.id) <= (f.queued_at, f.id)) end,
    'slicerLog', case when p_for_shop then f.metadata -> 'logTail' end,
    'result', (select to_jsonb(s) from (
        select r.mass_mg as "massMg", r.volume_mm3 as "volumeMm3", r.filament_mm as "filamentMm",
               r.time_sec as "timeSec", r.slicer, r.slicer_version as "slicerVersion", r.profile, r.notes
          from slice_results r where r.id = f.slice_result_id) s),
    'outputId', (select o.id from tmp_files o where o.parent_id = f.id and o.settings_hash = f.settings_hash
                  order by o.id desc limit 1));
end
$$;

-- Ends a slice that cannot be had: the seed's flagged fallback, never charged, and a word to its owner.
create function settle_with_fallback(p_file_id bigint, p_code text, p_reason text, p_log_tail text) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  told text;
begin
  update tmp_files set
    status = 'failed', queued_at = null, claim_token = null, lease_until = null, progress_stage = '',
    metadata = metadata || jsonb_build_object(
      'attempts', attempts, 'metrics', jsonb_build_object('timeSec', 3600, 'grams', 80), 'fallback', true,
      'error', p_code || ': ' || p_reason, 'logTail', p_log_tail)
  where id = p_file_id returning * into f;
  told := left(format(
    'We could not slice %s: %s The figures shown are a rough guess; ask for a review and the shop will quote it by hand.',
    f.filename, p_reason), 5000);
  -- Asked again at once, it is not told again.
  insert into user_messages (user_id, body) select f.user_id, told where not exists (
    select from user_messages where user_id = f.user_id and body = told and created_at > now() - interval '1 hour');
end
$$;

-- A worker takes the job. The attempt counts from here, so that a killed worker's counts too; its claim lives as
-- long as it reports. Figures that came meanwhile, for another file of the same content, end the job at once.
create function claim_slice(p_file_id bigint, p_request_id uuid, p_lease_seconds integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  r slice_results;
begin
  select * into f from tmp_files where id = p_file_id for update;
  if not found or f.request_id is distinct from p_request_id or f.status in ('completed', 'failed') then
    return jsonb_build_object('outcome', 'done');
  end if;
  if f.status = 'running' and f.lease_until > now() then
    return jsonb_build_object('outcome', 'busy',
      'retryAfterSeconds', ceil(extract(epoch from f.lease_until - now()))::integer);
  end if;
  r := cached_slice(f.content_hash, f.settings_hash);
  if r.id is not null then
    perform finish_slice(f.id, r);
    return jsonb_build_object('outcome', 'done');
  end if;
  if f.attempts >= 2 then
    perform settle_with_fallback(f.id, 'SLICER_LOST', 'the slicer was interrupted twice.', null);
    return jsonb_build_object('outcome', 'done');
  end if;
  update tmp_files set
    status = 'running', queued_at = null, claim_token = gen_random_uuid(), attempts = attempts + 1,
    lease_until = now() + make_interval(secs => p_lease_seconds), progress_percent = 0, progress_stage = '',
    metadata = metadata || jsonb_build_object('attempts', attempts + 1)
  where id = f.id returning * into f;
  return jsonb_build_object(
    'outcome', 'claimed', 'claimToken', f.claim_token, 'attempt', f.attempts, 'fileId', f.id,
    'storageKey', f.storage_key, 'filename', f.filename, 'sizeBytes', f.size_bytes, 'contentHash', f.content_hash,
    'geometry', f.geometry, 'settings', f.metadata -> 'settings', 'profile', f.profile,
    'printer', (select name from printers where id = f.printer_id));
end
$$;

-- Progress, which also renews the claim. False tells the worker that the job is no longer his.
create function report_slice_progress(p_file_id bigint, p_claim_token uuid, p_percent integer, p_stage text,
                                      p_lease_seconds integer) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set progress_percent = greatest(progress_percent, p_percent), progress_stage = left(p_stage, 200),
    lease_until = now() + make_interval(secs => p_lease_seconds)
   where id = p_file_id and claim_token = p_claim_token and status = 'running';
  return found;
end
$$;

-- Stores the slicer's figures and the g-code for everybody, and ends the job; nothing from a late worker. `surplus`
-- tells that another's g-code of the same figures was first, so that this one is to go.
create function complete_slice(p_file_id bigint, p_claim_token uuid, p_result jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  r slice_results;
begin
  select * into f from tmp_files where id = p_file_id and claim_token = p_claim_token and status = 'running' for update;
  if not found then
    return jsonb_build_object('outcome', 'late');
  end if;
  insert into slice_results as known (content_hash, settings_hash, settings, material_id, printer_id, slicer, slicer_version, profile,
                             nozzle_um, mass_mg, volume_mm3, filament_mm, time_sec, notes, gcode_key, gcode_bytes)
  values (f.content_hash, f.settings_hash, f.metadata -> 'settings', f.material_id, f.printer_id,
          p_result ->> 'slicer', p_result ->> 'slicerVersion', p_result ->> 'profile', (f.profile ->> 'nozzleUm')::integer,
          (p_result ->> 'massMg')::bigint, (p_result ->> 'volumeMm3')::bigint, (p_result ->> 'filamentMm')::bigint,
          (p_result ->> 'timeSec')::bigint, coalesce(p_result -> 'notes', '[]'),
          p_result ->> 'gcodeKey', (p_result ->> 'gcodeBytes')::bigint)
  on conflict (content_hash, settings_hash, slicer, slicer_version) do update set
    -- Figures and g-code belong together: both come anew when the g-code had aged out, else both stay.
    mass_mg = case when known.gcode_key is null then excluded.mass_mg else known.mass_mg end,
    volume_mm3 = case when known.gcode_key is null then excluded.volume_mm3 else known.volume_mm3 end,
    filament_mm = case when known.gcode_key is null then excluded.filament_mm else known.filament_mm end,
    time_sec = case when known.gcode_key is null then excluded.time_sec else known.time_sec end,
    notes = case when known.gcode_key is null then excluded.notes else known.notes end,
    gcode_key = coalesce(known.gcode_key, excluded.gcode_key),
    gcode_bytes = coalesce(known.gcode_bytes, excluded.gcode_bytes),
    used_at = now()
  returning * into r;
  perform finish_slice(f.id, r);
  return jsonb_build_object('outcome', case when r.gcode_key = p_result ->> 'gcodeKey' then 'stored' else 'surplus' end);
end
$$;

-- A caught failure: back into the queue while another attempt may heal it, else the fallback.
create function fail_slice(p_file_id bigint, p_claim_token uuid, p_code text, p_reason text, p_final boolean,
                           p_log_tail text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
begin
  select * into f from tmp_files where id = p_file_id and claim_token = p_claim_token and status = 'running' for update;
  if not found then
    return jsonb_build_object('outcome', 'late');
  end if;
  if p_final or f.attempts >= 2 then
    perform settle_with_fallback(f.id, p_code, p_reason, p_log_tail);
    return jsonb_build_object('outcome', 'failed');
  end if;
  update tmp_files set status = 'idle', queued_at = now(), sent_at = now(), sends = 0, claim_token = null, lease_until = null,
    metadata = metadata || jsonb_build_object('error', p_code || ': ' || p_reason)
  where id = f.id;
  return jsonb_build_object('outcome', 'retry');
end
$$;

-- A worker that is to end, or cannot reach storage, gives its job back: the attempt does not count.
create function give_back_slice(p_file_id bigint, p_claim_token uuid) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set status = 'idle', queued_at = now(), sent_at = now(), sends = 0, claim_token = null,
    lease_until = null, attempts = attempts - 1, metadata = metadata || jsonb_build_object('attempts', attempts - 1)
  where id = p_file_id and claim_token = p_claim_token and status = 'running';
  return found;
end
$$;

-- What is to be inspected: null when it is done, or the file is gone.
create function begin_inspection(p_file_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('fileId', id, 'storageKey', storage_key, 'filename', filename, 'contentHash', content_hash)
    from tmp_files where id = p_file_id and inspection is null and uploaded_at is not null and parent_id is null
$$;

-- Keeps what the worker saw, once. False: it is not wanted any more, and the picture is to go.
create function store_inspection(p_file_id bigint, p_inspection jsonb, p_preview_key text) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set inspection = p_inspection, preview_key = p_preview_key
   where id = p_file_id and inspection is null;
  return found or exists (select from tmp_files where id = p_file_id and preview_key = p_preview_key);
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'tmp_file_json(tmp_files)', 'own_tmp_file(bigint, text)', 'visible_tmp_file(bigint, text, boolean)', 'no_such_file()',
    'require_tmp_file(bigint, text, boolean)',
    'list_tmp_files(bigint, integer, bigint)', 'save_tmp_files(bigint, jsonb, boolean)',
    'update_tmp_file(bigint, text, jsonb)', 'tmp_object_keys(bigint[])', 'delete_tmp_files(bigint, text[])',
    'slicing_context(bigint, text, bigint, bigint)', 'accept_upload(bigint, text, bigint, text, jsonb, integer)',
    'cached_slice(text, text)', 'finish_slice(bigint, slice_results)',
    'request_slice(bigint, text, jsonb, text, jsonb, bigint, bigint, slice_lane, jsonb, integer)',
    'slice_status(bigint, text, boolean)',
    'settle_with_fallback(bigint, text, text, text)', 'claim_slice(bigint, uuid, integer)',
    'report_slice_progress(bigint, uuid, integer, text, integer)', 'complete_slice(bigint, uuid, jsonb)',
    'fail_slice(bigint, uuid, text, text, boolean, text)', 'give_back_slice(bigint, uuid)', 'begin_inspection(bigint)',
    'store_inspection(bigint, jsonb, text)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

-- A model's way through the slicer: uploaded, requested, claimed, stored. Everything here may be delivered twice.

create function tmp_file_json(f tmp_files) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', f.id, 'storageKey', f.storage_key, 'filename', f.filename, 'sizeBytes', f.size_bytes,
    'mimeType', f.mime_type, 'status', f.status, 'metadata', f.metadata - 'logTail', 'uploaded', f.uploaded_at is not null,
    'settingsHash', f.settings_hash, 'queued', f.queued_at is not null, 'progressPercent', f.progress_percent,
    'progressStage', f.progress_stage, 'createdAt', f.created_at, 'updatedAt', f.updated_at)
$$;

-- A file by its id or by its storage key, if it is this user's.
create function own_tmp_file(p_user_id bigint, p_file text) returns tmp_files
language sql stable set search_path = public, pg_temp
as $$
  select f from tmp_files f
   where f.user_id = p_user_id
     and (f.storage_key = p_file or f.id = case when p_file ~ '^[0-9]{1,18}$' then p_file::bigint end)
$$;

create function no_such_file() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select refusal(404, 'FILE_NOT_FOUND', 'There is no such file of yours; upload it first.') $$;

create function require_tmp_file(p_user_id bigint, p_file text) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := own_tmp_file(p_user_id, p_file);
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
  select jsonb_agg(storage_key) into keys from tmp_files where id = any (chosen) or parent_id = any (chosen);
  delete from tmp_files where id = any (chosen);
  return jsonb_build_object('storageKeys', keys);
end
$$;

-- Takes a file into the queue. The row is committed before its message is sent; an unsent one is sent again by
-- the janitor. The settings hash is `settings_hash` of printshop.slicing.settings, with the density as it is now.
create function request_slice(p_user_id bigint, p_file text, p_settings jsonb, p_canonical text, p_material_id bigint,
                              p_profile text, p_waiting_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  m materials;
begin
  perform from users where id = p_user_id for no key update;  -- the waiting limit is counted one at a time
  f := own_tmp_file(p_user_id, p_file);
  if f.id is null then
    return no_such_file();
  end if;
  select * into f from tmp_files where id = f.id for update;
  if f.uploaded_at is null then
    return refusal(409, 'UPLOAD_INCOMPLETE', 'Upload the file and complete the upload before slicing it.');
  end if;
  if f.parent_id is not null then
    return refusal(422, 'NOT_A_MODEL', 'This is a slicer''s output; slice the model it was made from.');
  end if;
  if f.queued_at is not null or f.status = 'running' then
    return refusal(409, 'SLICE_RUNNING', 'This file is being sliced; wait for its result before asking again.');
  end if;
  select * into m from materials
   where id = coalesce(p_material_id, (select default_material_id from settings)) and is_active;
  if not found then
    return refusal(422, 'UNKNOWN_MATERIAL', 'Choose one of the shop''s materials.',
                   jsonb_build_array(jsonb_build_object('field', 'materialId')));
  end if;
  if (select count(*) from tmp_files where user_id = p_user_id and (queued_at is not null or status = 'running'))
     >= p_waiting_limit then
    return refusal(429, 'TOO_MANY_WAITING', format('You have %s slices waiting; wait for one to end.', p_waiting_limit));
  end if;
  update tmp_files set
    status = 'idle', material_id = m.id, request_id = gen_random_uuid(), queued_at = now(), sent_at = now(),
    claim_token = null,
    lease_until = null, attempts = 0, progress_percent = 0, progress_stage = '',
    settings_hash = encode(sha256(convert_to(
      p_canonical || E'\n' || m.id || E'\n' || m.density_mg_cm3 || E'\n' || p_profile, 'UTF8')), 'hex'),
    metadata = jsonb_build_object('attempts', 0, 'settings', p_settings, 'metrics', null, 'fallback', false,
                                  'error', null, 'output', null)
  where id = f.id returning * into f;
  return tmp_file_json(f) || jsonb_build_object('requestId', f.request_id);
end
$$;

-- What a customer sees while he waits.
create function slice_status(p_user_id bigint, p_file text) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := own_tmp_file(p_user_id, p_file);
begin
  if f.id is null then
    return no_such_file();
  end if;
  return tmp_file_json(f) || jsonb_build_object(
    'placeInQueue', case when f.queued_at is not null then
      (select count(*) from tmp_files w where (w.queued_at, w.id) <= (f.queued_at, f.id)) end,
    'result', (select to_jsonb(r) from (
        select s.mass_mg as "massMg", s.volume_mm3 as "volumeMm3", s.filament_mm as "filamentMm",
               s.time_sec as "timeSec", s.slicer, s.slicer_version as "slicerVersion", s.profile, s.notes
          from slice_results s
         where s.content_hash = f.content_hash and s.settings_hash = f.settings_hash and f.status = 'completed') r),
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
begin
  update tmp_files set
    status = 'failed', queued_at = null, claim_token = null, lease_until = null, progress_stage = '',
    metadata = metadata || jsonb_build_object(
      'attempts', attempts, 'metrics', jsonb_build_object('timeSec', 3600, 'grams', 80), 'fallback', true,
      'error', p_code || ': ' || p_reason, 'logTail', p_log_tail)
  where id = p_file_id returning * into f;
  insert into user_messages (user_id, body) values (f.user_id, left(format(
    'We could not slice %s: %s The figures shown are a rough guess; ask for a review and the shop will quote it by hand.',
    f.filename, p_reason), 5000));
end
$$;

-- A worker takes the job. The attempt counts from here, so that a killed worker's counts too.
create function claim_slice(p_file_id bigint, p_request_id uuid, p_lease_seconds integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  density integer;
begin
  select * into f from tmp_files where id = p_file_id for update;
  if not found or f.request_id is distinct from p_request_id or f.status in ('completed', 'failed') then
    return jsonb_build_object('outcome', 'done');
  end if;
  if f.status = 'running' and f.lease_until > now() then
    return jsonb_build_object('outcome', 'busy',
      'retryAfterSeconds', ceil(extract(epoch from f.lease_until - now()))::integer);
  end if;
  if f.attempts >= 2 then
    perform settle_with_fallback(f.id, 'SLICER_LOST', 'the slicer was interrupted twice.', null);
    return jsonb_build_object('outcome', 'done');
  end if;
  select density_mg_cm3 into density from materials where id = f.material_id;
  update tmp_files set
    status = 'running', queued_at = null, claim_token = gen_random_uuid(), attempts = attempts + 1,
    lease_until = now() + make_interval(secs => p_lease_seconds), progress_percent = 0, progress_stage = '',
    metadata = metadata || jsonb_build_object('attempts', attempts + 1)
  where id = f.id returning * into f;
  return jsonb_build_object(
    'outcome', 'claimed', 'claimToken', f.claim_token, 'attempt', f.attempts, 'fileId', f.id, 'userId', f.user_id,
    'storageKey', f.storage_key, 'filename', f.filename, 'sizeBytes', f.size_bytes,
    'settings', f.metadata -> 'settings', 'settingsHash', f.settings_hash, 'densityMgCm3', density);
end
$$;

-- False tells the worker that the job is no longer his.
create function report_slice_progress(p_file_id bigint, p_claim_token uuid, p_percent integer, p_stage text) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set progress_percent = p_percent, progress_stage = left(p_stage, 200)
   where id = p_file_id and claim_token = p_claim_token and status = 'running';
  return found;
end
$$;

-- Stores the slicer's figures, the g-code's own file and the end of the job, at once; nothing from a late worker.
create function complete_slice(p_file_id bigint, p_claim_token uuid, p_result jsonb, p_output jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
begin
  select * into f from tmp_files where id = p_file_id and claim_token = p_claim_token and status = 'running' for update;
  if not found then
    return jsonb_build_object('outcome', 'late');
  end if;
  insert into slice_results (content_hash, settings_hash, settings, material_id, slicer, slicer_version, profile,
                             mass_mg, volume_mm3, filament_mm, time_sec, notes)
  values (p_result ->> 'contentHash', f.settings_hash, f.metadata -> 'settings', f.material_id,
          p_result ->> 'slicer', p_result ->> 'slicerVersion', p_result ->> 'profile',
          (p_result ->> 'massMg')::bigint, (p_result ->> 'volumeMm3')::bigint, (p_result ->> 'filamentMm')::bigint,
          (p_result ->> 'timeSec')::bigint, coalesce(p_result -> 'notes', '[]'))
  on conflict (content_hash, settings_hash) do update set
    slicer = excluded.slicer, slicer_version = excluded.slicer_version, profile = excluded.profile,
    mass_mg = excluded.mass_mg, volume_mm3 = excluded.volume_mm3, filament_mm = excluded.filament_mm,
    time_sec = excluded.time_sec, notes = excluded.notes, created_at = now();
  insert into tmp_files (user_id, storage_key, filename, size_bytes, mime_type, parent_id, settings_hash, uploaded_at)
  values (f.user_id, p_output ->> 'storageKey', left(p_output ->> 'filename', 255), (p_output ->> 'sizeBytes')::bigint,
          p_output ->> 'mimeType', f.id, f.settings_hash, now());
  update tmp_files set
    status = 'completed', claim_token = null, lease_until = null, content_hash = p_result ->> 'contentHash',
    progress_percent = 100, progress_stage = '',
    metadata = metadata || jsonb_build_object(
      'metrics', jsonb_build_object('timeSec', (p_result ->> 'timeSec')::bigint,
                                    'grams', trim_scale((p_result ->> 'massMg')::numeric / 1000)),
      'error', null, 'output', p_output ->> 'storageKey')
  where id = f.id;
  return jsonb_build_object('outcome', 'stored');
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
  update tmp_files set status = 'idle', queued_at = now(), sent_at = now(), claim_token = null, lease_until = null,
    metadata = metadata || jsonb_build_object('error', p_code || ': ' || p_reason)
  where id = f.id;
  return jsonb_build_object('outcome', 'retry');
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'tmp_file_json(tmp_files)', 'own_tmp_file(bigint, text)', 'no_such_file()', 'require_tmp_file(bigint, text)',
    'list_tmp_files(bigint, integer, bigint)', 'save_tmp_files(bigint, jsonb, boolean)',
    'update_tmp_file(bigint, text, jsonb)', 'delete_tmp_files(bigint, text[])',
    'request_slice(bigint, text, jsonb, text, bigint, text, integer)', 'slice_status(bigint, text)',
    'settle_with_fallback(bigint, text, text, text)', 'claim_slice(bigint, uuid, integer)',
    'report_slice_progress(bigint, uuid, integer, text)', 'complete_slice(bigint, uuid, jsonb, jsonb)',
    'fail_slice(bigint, uuid, text, text, boolean, text)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

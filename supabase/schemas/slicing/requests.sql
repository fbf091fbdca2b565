-- Slice requests: from the upload to the result. Every step may be delivered twice.

-- What a slice depends on, read at one moment: the file, the material, the printers to choose from and the rates. A
-- missing file or material is null. When no printer is ACTIVE, all printers are offered.
create function slicing_context(p_user_id bigint, p_file text, p_material_id bigint, p_printer_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := own_tmp_file(p_user_id, p_file);
begin
  return jsonb_build_object(
    'file', case when f.id is not null then tmp_file_json(f) end,
    'material', (select material_price_json(m) || jsonb_build_object('profile', m.profile) from materials m
      where m.is_active and m.id = coalesce(p_material_id, (select default_material_id from settings))),
    'printers', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'profile', p.profile,
        'bedMm', jsonb_build_array(p.bed_x_mm, p.bed_y_mm, p.bed_z_mm), 'nozzleUm', p.nozzle_um)
        order by p.bed_x_mm::bigint * p.bed_y_mm * p.bed_z_mm, p.id), '[]')
      from printers p where (p.status = 'ACTIVE' or not exists (select from printers where status = 'ACTIVE'))
        and (p_printer_id is null or p.id = p_printer_id)),
    'rates', shop_rates());
end
$$;

-- The stored result for this model and these settings, made by the slicer (product and version) that reported last;
-- marks it as used now. Null when there is none.
create function use_cached_slice(p_content_hash text, p_settings_hash text) returns slice_results
language sql volatile set search_path = public, pg_temp
as $$
  update slice_results set used_at = now() where id = (
    select r.id from slice_results r, component_health h
     where r.content_hash = p_content_hash and r.settings_hash = p_settings_hash and r.gcode_key is not null
       and h.component = 'slicer' and r.slicer = h.detail ->> 'product' and r.slicer_version = h.detail ->> 'version'
       for update of r)
  returning *
$$;

-- Completes a file's slice request with a stored result: status, figures and a tmp_files row for the g-code.
create function apply_slice_result(p_file_id bigint, r slice_results) returns void
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

-- Queues a file for slicing, or completes it at once from the slice cache. The row is committed before its queue
-- message is sent; the janitor sends what was not. `p_failure` {code, reason} means that no printer can make it: the
-- request then ends with the fallback, as in the worker.
create function request_slice(p_user_id bigint, p_file text, p_settings jsonb, p_settings_hash text, p_profile jsonb,
                              p_material_id bigint, p_printer_id bigint, p_queue slice_queue, p_failure jsonb,
                              p_waiting_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  r slice_results;
begin
  perform from users where id = p_user_id for no key update;  -- the user's requests are counted one at a time
  f := own_tmp_file(p_user_id, p_file);
  if f.id is null then
    return file_not_found_error();
  end if;
  select * into f from tmp_files where id = f.id for update;
  if f.parent_id is not null then
    return api_error(422, 'NOT_A_MODEL', 'This is a slicer''s output; slice the model it was made from.');
  end if;
  if f.uploaded_at is null then
    return api_error(409, 'UPLOAD_INCOMPLETE', 'Upload the file and complete the upload before slicing it.');
  end if;
  if f.geometry is null or f.content_hash is null then
    return api_error(422, 'NOT_A_MODEL', 'This file is no model; upload an STL or a 3MF and slice that.');
  end if;
  if f.queued_at is not null or f.status = 'running' then
    return api_error(409, 'SLICE_RUNNING', 'This file is being sliced; wait for its result before asking again.');
  end if;
  r := use_cached_slice(f.content_hash, p_settings_hash);
  if r.id is null and p_failure is null
     and (select count(*) from tmp_files where user_id = p_user_id and (queued_at is not null or status = 'running'))
         >= p_waiting_limit then
    return api_error(429, 'TOO_MANY_WAITING', format('You have %s slices waiting; wait for one to end.', p_waiting_limit));
  end if;
  update tmp_files set
    status = 'idle', material_id = p_material_id, printer_id = p_printer_id, profile = p_profile, queue = p_queue,
    request_id = gen_random_uuid(), queued_at = now(), sent_at = now(), sends = 0, claim_token = null,
    lease_until = null, attempts = 0, progress_percent = 0, progress_stage = '', slice_result_id = null,
    settings_hash = p_settings_hash,
    metadata = jsonb_build_object('attempts', 0, 'settings', p_settings, 'metrics', null, 'fallback', false,
                                  'error', null, 'output', null)
  where id = f.id;
  if r.id is not null then
    perform apply_slice_result(f.id, r);
  elsif p_failure is not null then
    perform end_slice_with_fallback(f.id, p_failure ->> 'code', p_failure ->> 'reason', null);
  end if;
  select * into f from tmp_files where id = f.id;
  return tmp_file_json(f) || jsonb_build_object('requestId', f.request_id);
end
$$;

-- A file's slice: progress, place in the queue, result and what an estimate is made of. The shop (`p_for_shop`) sees
-- any file, and the slicer's last log lines.
create function slice_status(p_user_id bigint, p_file text, p_for_shop boolean) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := visible_tmp_file(p_user_id, p_file, p_for_shop);
begin
  if f.id is null then
    return file_not_found_error();
  end if;
  return slicing_context(f.user_id, f.id::text, f.material_id, null) || jsonb_build_object(
    'placeInQueue', case when f.queued_at is not null then
      (select count(*) from tmp_files w
        where w.queue = f.queue and w.queued_at is not null and (w.queued_at, w.id) <= (f.queued_at, f.id)) end,
    'slicerLog', case when p_for_shop then f.metadata -> 'logTail' end,
    'result', (select to_jsonb(s) from (
        select r.mass_mg as "massMg", r.volume_mm3 as "volumeMm3", r.filament_mm as "filamentMm",
               r.time_sec as "timeSec", r.slicer, r.slicer_version as "slicerVersion", r.profile, r.notes
          from slice_results r where r.id = f.slice_result_id) s),
    'outputId', (select o.id from tmp_files o where o.parent_id = f.id and o.settings_hash = f.settings_hash
                  order by o.id desc limit 1));
end
$$;

-- Ends a slice that failed for good: stores the flagged fallback figures, which are never charged, and sends its owner
-- a message.
create function end_slice_with_fallback(p_file_id bigint, p_code text, p_reason text, p_log_tail text) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  notice text;
begin
  update tmp_files set
    status = 'failed', queued_at = null, claim_token = null, lease_until = null, progress_stage = '',
    metadata = metadata || jsonb_build_object(
      'attempts', attempts, 'metrics', jsonb_build_object('timeSec', 3600, 'grams', 80), 'fallback', true,
      'error', p_code || ': ' || p_reason, 'logTail', p_log_tail)
  where id = p_file_id returning * into f;
  notice := left(format(
    'We could not slice %s: %s The figures shown are a rough guess; ask for a review and the shop will quote it by hand.',
    f.filename, p_reason), 5000);
  -- Requested again within the hour, the same message is not sent again.
  insert into user_messages (user_id, body) select f.user_id, notice where not exists (
    select from user_messages where user_id = f.user_id and body = notice and created_at > now() - interval '1 hour');
end
$$;

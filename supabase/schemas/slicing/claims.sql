-- The slicer worker's side of slice requests: claim, progress, result, failure.

-- A worker takes a slice request. The attempt counts from here, also when the worker is killed; the claim lasts
-- `p_lease_seconds` and is renewed by progress reports. If the result exists by now, from another file of the same
-- content, the request is completed at once.
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
  r := use_cached_slice(f.content_hash, f.settings_hash);
  if r.id is not null then
    perform apply_slice_result(f.id, r);
    return jsonb_build_object('outcome', 'done');
  end if;
  if f.attempts >= 2 then
    perform end_slice_with_fallback(f.id, 'SLICER_LOST', 'the slicer was interrupted twice.', null);
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

-- Stores a slice's progress and renews the claim. False means that the claim was lost and the worker must stop.
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

-- Stores a slice result and its g-code in the cache and completes the request. The outcome is `late` when the claim
-- was lost, and `surplus` when another worker stored the same result first, so that this g-code must be deleted.
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
    -- Figures and g-code belong together: both are replaced if the g-code had expired, else both stay.
    mass_mg = case when known.gcode_key is null then excluded.mass_mg else known.mass_mg end,
    volume_mm3 = case when known.gcode_key is null then excluded.volume_mm3 else known.volume_mm3 end,
    filament_mm = case when known.gcode_key is null then excluded.filament_mm else known.filament_mm end,
    time_sec = case when known.gcode_key is null then excluded.time_sec else known.time_sec end,
    notes = case when known.gcode_key is null then excluded.notes else known.notes end,
    gcode_key = coalesce(known.gcode_key, excluded.gcode_key),
    gcode_bytes = coalesce(known.gcode_bytes, excluded.gcode_bytes),
    used_at = now()
  returning * into r;
  perform apply_slice_result(f.id, r);
  return jsonb_build_object('outcome', case when r.gcode_key = p_result ->> 'gcodeKey' then 'stored' else 'surplus' end);
end
$$;

-- After a failed attempt: back into the queue, or the fallback when the failure is final or was the second.
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
    perform end_slice_with_fallback(f.id, p_code, p_reason, p_log_tail);
    return jsonb_build_object('outcome', 'failed');
  end if;
  update tmp_files set status = 'idle', queued_at = now(), sent_at = now(), sends = 0, claim_token = null, lease_until = null,
    metadata = metadata || jsonb_build_object('error', p_code || ': ' || p_reason)
  where id = f.id;
  return jsonb_build_object('outcome', 'retry');
end
$$;

-- Returns a slice request to the queue without counting the attempt: the worker is shutting down or cannot reach
-- storage.
create function release_slice(p_file_id bigint, p_claim_token uuid) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set status = 'idle', queued_at = now(), sent_at = now(), sends = 0, claim_token = null,
    lease_until = null, attempts = attempts - 1, metadata = metadata || jsonb_build_object('attempts', attempts - 1)
  where id = p_file_id and claim_token = p_claim_token and status = 'running';
  return found;
end
$$;

-- The janitor's care for slices and uploads. Each function can be repeated without harm and returns what it did.

-- Whether a queue message that nobody took should be sent again: after 2 minutes, then 4, 8 …, at most 6 hours,
-- because a long queue does not mean a lost message.
create function is_resend_due(p_sent_at timestamptz, p_sends integer) returns boolean
language sql stable set search_path = public, pg_temp
as $$ select p_sent_at < now() - least(interval '2 minutes' * 2 ^ least(p_sends, 10), interval '6 hours') $$;

-- Finds slices whose worker stopped, and slices and inspections whose queue message was never sent or lost. They go
-- back into the queue, or end with the fallback after two attempts. Returns the messages to send.
create function requeue_slices() returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  settled integer := 0;
  slices jsonb;
  inspections jsonb;
begin
  for f in select * from tmp_files where status = 'running' and lease_until < now() for update skip locked loop
    if f.attempts >= 2 then
      perform end_slice_with_fallback(f.id, 'SLICER_LOST', 'the slicer was interrupted twice.', null);
      settled := settled + 1;
    else
      update tmp_files set status = 'idle', claim_token = null, lease_until = null, queued_at = now(),
        sent_at = '-infinity', sends = 0 where id = f.id;
    end if;
  end loop;
  with sent as (
    update tmp_files set sent_at = now(), sends = sends + 1 where id in (
      select id from tmp_files where queued_at is not null and is_resend_due(sent_at, sends)
       order by queued_at for update skip locked limit 500)
    returning id, request_id, queue)
  select coalesce(jsonb_agg(jsonb_build_object('fileId', id, 'requestId', request_id, 'queue', queue)), '[]')
    into slices from sent;
  update tmp_files set inspection = '{"error": "INSPECTION_LOST"}'
   where inspection_sent_at is not null and inspection is null and inspection_sends >= 5
     and is_resend_due(inspection_sent_at, inspection_sends);
  with sent as (
    update tmp_files set inspection_sent_at = now(), inspection_sends = inspection_sends + 1 where id in (
      select id from tmp_files
       where inspection_sent_at is not null and inspection is null and is_resend_due(inspection_sent_at, inspection_sends)
       order by inspection_sent_at for update skip locked limit 500)
    returning id, geometry)
  select coalesce(jsonb_agg(jsonb_build_object('fileId', id, 'requestId', null, 'queue',
      case when (geometry -> 'triangles')::bigint > 500000 then 'LARGE' else 'SMALL' end)), '[]') into inspections from sent;
  return jsonb_build_object('settled', settled, 'messages', slices || inspections);
end
$$;

-- Undoes the counting of messages from `requeue_slices` that could not be sent: they are due again at once.
create function undo_slice_sends(p_messages jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  update tmp_files set sent_at = '-infinity', sends = greatest(0, sends - 1)
   where id in (select (m ->> 'fileId')::bigint from jsonb_array_elements(p_messages) m where m ->> 'requestId' is not null)
     and queued_at is not null;
  update tmp_files set inspection_sent_at = '-infinity', inspection_sends = greatest(0, inspection_sends - 1)
   where id in (select (m ->> 'fileId')::bigint from jsonb_array_elements(p_messages) m where m ->> 'requestId' is null)
     and inspection is null;
$$;

-- Ends the slices named by dead-letter messages ([{"fileId", "requestId"}]) with the fallback, if a worker took them
-- or their message died twice. Others may only have met an unreachable database, and are sent once more.
create function fail_dead_letter_slices(p_messages jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  settled integer := 0;
begin
  for f in
    with dead_letters as (
      select (m ->> 'fileId')::bigint as file_id, m ->> 'requestId' as request_id, count(*) as deliveries
        from jsonb_array_elements(p_messages) m group by 1, 2)
    select t.* from tmp_files t, dead_letters l
     where t.id = l.file_id and t.request_id::text = l.request_id
       and (t.queued_at is not null or (t.status = 'running' and t.lease_until < now()))
       and (t.attempts > 0 or l.deliveries > 1) and is_resend_due(t.sent_at, 0)
     order by t.id for update of t skip locked loop
    perform end_slice_with_fallback(f.id, 'SLICER_GAVE_UP', 'the slicer gave up on this model; the shop looks into it.', null);
    settled := settled + 1;
  end loop;
  return jsonb_build_object('settled', settled);
end
$$;

-- Removes cached g-code that no file refers to and nobody used within the retention, and returns the storage keys to
-- delete.
create function expire_gcode(p_retention_hours integer, p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  keys jsonb;
begin
  with chosen as (
    select r.id, r.gcode_key from slice_results r
     where r.gcode_key is not null and r.used_at < now() - make_interval(hours => p_retention_hours)
       and not exists (select from tmp_files t where t.slice_result_id = r.id)
     order by r.used_at for update skip locked limit p_limit), forgotten as (
    update slice_results r set gcode_key = null, gcode_bytes = null from chosen c where r.id = c.id)
  select coalesce(jsonb_agg(gcode_key), '[]') into keys from chosen;
  return jsonb_build_object('storageKeys', keys);
end
$$;

-- Deletes models past their retention that nothing uses, with their slicer outputs, and returns the storage keys to
-- delete. The row is deleted first: an object without a row is found later as a stray, while a row without its object
-- would break an order that has just reserved it.
create function expire_tmp_files(p_retention_hours integer, p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  chosen bigint[];
  keys jsonb;
begin
  select array_agg(id) into chosen from (
    select id from tmp_files
     where parent_id is null and created_at < now() - make_interval(hours => p_retention_hours)
       and queued_at is null and status <> 'running' and (reserved_until is null or reserved_until < now())
     order by created_at for update skip locked limit p_limit) expired;
  keys := tmp_object_keys(chosen);
  delete from tmp_files where id = any (chosen);
  return jsonb_build_object('files', coalesce(cardinality(chosen), 0), 'storageKeys', keys);
end
$$;

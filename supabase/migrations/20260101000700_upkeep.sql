-- The janitor's rounds, heartbeats and readiness. Each function is harmless twice and answers what it did.

create function record_heartbeat(p_component text, p_detail jsonb) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  insert into component_health (component, detail, reported_at) values (p_component, p_detail, now())
  on conflict (component) do update set detail = excluded.detail, reported_at = excluded.reported_at
  returning jsonb_build_object('component', component, 'reportedAt', reported_at)
$$;

create function readiness() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'migrated', exists (select from settings),
    'components', (select coalesce(jsonb_object_agg(component,
      detail || jsonb_build_object('ageSeconds', floor(extract(epoch from now() - reported_at)))), '{}') from component_health))
$$;

-- When a message that nobody took is sent again: after 2 minutes, then 4, 8 …, at most 6 hours, for a long queue is no
-- lost message.
create function is_overdue(p_sent_at timestamptz, p_sends integer) returns boolean
language sql stable set search_path = public, pg_temp
as $$ select p_sent_at < now() - least(interval '2 minutes' * 2 ^ least(p_sends, 10), interval '6 hours') $$;

-- Slices whose worker is gone, and slices and inspections whose message never left: they go (back) into the queue,
-- unless their attempts are used up. Answers the messages to send.
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
      perform settle_with_fallback(f.id, 'SLICER_LOST', 'the slicer was interrupted twice.', null);
      settled := settled + 1;
    else
      update tmp_files set status = 'idle', claim_token = null, lease_until = null, queued_at = now(),
        sent_at = '-infinity', sends = 0 where id = f.id;
    end if;
  end loop;
  with sent as (
    update tmp_files set sent_at = now(), sends = sends + 1 where id in (
      select id from tmp_files where queued_at is not null and is_overdue(sent_at, sends)
       order by queued_at for update skip locked limit 500)
    returning id, request_id, lane)
  select coalesce(jsonb_agg(jsonb_build_object('fileId', id, 'requestId', request_id, 'lane', lane)), '[]')
    into slices from sent;
  update tmp_files set inspection = '{"error": "INSPECTION_LOST"}'
   where inspection_sent_at is not null and inspection is null and inspection_sends >= 5
     and is_overdue(inspection_sent_at, inspection_sends);
  with sent as (
    update tmp_files set inspection_sent_at = now(), inspection_sends = inspection_sends + 1 where id in (
      select id from tmp_files
       where inspection_sent_at is not null and inspection is null and is_overdue(inspection_sent_at, inspection_sends)
       order by inspection_sent_at for update skip locked limit 500)
    returning id, geometry)
  select coalesce(jsonb_agg(jsonb_build_object('fileId', id, 'requestId', null, 'lane',
      case when (geometry -> 'triangles')::bigint > 500000 then 'LARGE' else 'SMALL' end)), '[]') into inspections from sent;
  return jsonb_build_object('settled', settled, 'messages', slices || inspections);
end
$$;

-- Messages of requeue_slices that did not go after all: they are overdue at once, and do not count.
create function forget_sends(p_messages jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  update tmp_files set sent_at = '-infinity', sends = greatest(0, sends - 1)
   where id in (select (m ->> 'fileId')::bigint from jsonb_array_elements(p_messages) m where m ->> 'requestId' is not null)
     and queued_at is not null;
  update tmp_files set inspection_sent_at = '-infinity', inspection_sends = greatest(0, inspection_sends - 1)
   where id in (select (m ->> 'fileId')::bigint from jsonb_array_elements(p_messages) m where m ->> 'requestId' is null)
     and inspection is null;
$$;

-- The files that dead letters name ([{"fileId", "requestId"}]). One that a worker took, or whose message died twice, will
-- not be sliced; another may only have waited out a time when the database did not answer, and is sent once more.
create function settle_dead_slices(p_messages jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  settled integer := 0;
begin
  for f in
    with letters as (
      select (m ->> 'fileId')::bigint as file_id, m ->> 'requestId' as request_id, count(*) as died
        from jsonb_array_elements(p_messages) m group by 1, 2)
    select t.* from tmp_files t, letters l
     where t.id = l.file_id and t.request_id::text = l.request_id
       and (t.queued_at is not null or (t.status = 'running' and t.lease_until < now()))
       and (t.attempts > 0 or l.died > 1) and is_overdue(t.sent_at, 0)
     order by t.id for update of t skip locked loop
    perform settle_with_fallback(f.id, 'SLICER_GAVE_UP', 'the slicer gave up on this model; the shop looks into it.', null);
    settled := settled + 1;
  end loop;
  return jsonb_build_object('settled', settled);
end
$$;

-- Cached g-code that nobody's file refers to and nobody asked for in a while: the row forgets it, then the object goes.
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

-- Removes models past retention that nothing uses, their g-code with them, oldest first, and answers every key
-- whose object must follow. The row goes first: an object that a crash leaves is found by the second look below,
-- while a row whose object is gone would fail an order that had just reserved it.
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

-- Whether a key of the pdfs bucket names a document that there is, or a PDF that went out by mail.
create function is_pdf_of_ours(p_key text) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_key like 'sent/%' then exists (select from mails where pdf_key = p_key)
    when p_key like 'quote-%' then exists (select from quotes
      where regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g') = regexp_replace(p_key, '^quote-(.*)[.]pdf$', '\1'))
    else exists (select from invoices
      where regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g') = regexp_replace(p_key, '^(invoice|receipt)-(.*)[.]pdf$', '\2')) end
$$;

-- Which of these listed objects no row knows. Seen a second time after 48 hours, a tmp one or a PDF may be deleted.
create function note_stray_objects(p_bucket text, p_keys text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  strays text[];
  ripe jsonb;
begin
  select coalesce(array_agg(k), '{}') into strays from unnest(p_keys) k
   where not exists (select from tmp_files where p_bucket = 'tmp' and storage_key = k)
     and not exists (select from tmp_files where p_bucket = 'tmp' and preview_key = k)
     and not exists (select from slice_results where p_bucket = 'tmp' and gcode_key = k)
     and not exists (select from order_files where p_bucket = 'order-files' and storage_key = k)
     and not (p_bucket = 'pdfs' and is_pdf_of_ours(k))
     and not exists (select from attachments where p_bucket = 'attachments' and storage_key = k);
  select coalesce(jsonb_agg(key), '[]') into ripe from stray_objects
   where bucket = p_bucket and key = any (strays) and first_seen_at < now() - interval '48 hours';
  insert into stray_objects (bucket, key) select p_bucket, unnest(strays)
  on conflict (bucket, key) do update set last_seen_at = now();
  delete from stray_objects where bucket = p_bucket and key = any (p_keys) and not key = any (strays);
  return jsonb_build_object('strays', cardinality(strays), 'ripe', ripe);
end
$$;

create function forget_stray_objects(p_bucket text, p_keys text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  gone integer;
begin
  delete from stray_objects where bucket = p_bucket and key = any (p_keys);
  get diagnostics gone = row_count;
  return jsonb_build_object('forgotten', gone);
end
$$;

-- What time alone changes: quotes expire, invoices fall overdue, jobs are archived, old keys and sessions go.
create function age_documents() returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  s settings;
  today date := business_today();
  actor jsonb := '{"userId": null, "by": "janitor"}';
  expired integer;
  overdue integer;
  archived integer;
  keys integer;
begin
  select * into s from settings;
  with changed as (
    update quotes set status = 'EXPIRED' where status = 'PENDING' and valid_until < today returning *)
  select count(*) into expired from (
    select log_activity(client_id, id, null, null, null, 'QUOTE_EXPIRED', 'Quote ' || number || ' expired', actor) from changed) l;
  with changed as (
    update invoices set status = 'OVERDUE'
     where status = 'PENDING' and due_date + s.overdue_grace_days < today and balance_cents > 0 returning *)
  select count(*) into overdue from (
    select log_activity(client_id, quote_id, id, null, null, 'INVOICE_OVERDUE', 'Invoice ' || number || ' is overdue', actor) from changed) l;
  with changed as (
    update jobs set archived_at = now() where id in (
      select id from jobs
       where archived_at is null
         and coalesce(completed_at, cancelled_at) < now() - make_interval(days => s.archive_jobs_after_days)
         for no key update skip locked) returning *)
  select count(*) into archived from (
    select log_activity(client_id, null, invoice_id, id, null, 'JOB_ARCHIVED', 'Job ' || title || ' was archived', actor) from changed) l;
  delete from idempotency_keys where created_at < now() - interval '7 days';
  get diagnostics keys = row_count;
  delete from revoked_sessions where revoked_at < now() - interval '30 days';
  -- By then the fullest count has run out.
  delete from login_attempts where counted_at < now() - interval '1 day';
  return jsonb_build_object('quotesExpired', expired, 'invoicesOverdue', overdue, 'jobsArchived', archived,
                            'idempotencyKeysForgotten', keys);
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'record_heartbeat(text, jsonb)', 'readiness()', 'is_overdue(timestamptz, integer)', 'requeue_slices()',
    'forget_sends(jsonb)', 'settle_dead_slices(jsonb)', 'expire_gcode(integer, integer)', 'expire_tmp_files(integer, integer)',
    'is_pdf_of_ours(text)', 'note_stray_objects(text, text[])', 'forget_stray_objects(text, text[])',
    'age_documents()'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

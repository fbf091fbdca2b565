-- Jobs and the queue that they wait in. Locks are taken in one order: unfinished jobs by id, then a printer, then
-- finished jobs by id.

-- A page of jobs, in queue order or by creation, after the row that `p_after_…` names.
create function list_jobs(p_status job_status, p_printer_id bigint, p_archived boolean, p_query text, p_sort text,
                          p_limit integer, p_after_position bigint, p_after_created timestamptz, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  sorting text := case p_sort
    when 'queue' then 'j.queue_position, j.id' when 'createdAt' then 'j.created_at, j.id'
    else 'j.created_at desc, j.id desc' end;
  conditions text := case when p_archived then 'j.archived_at is not null' else 'j.archived_at is null' end;
  page jsonb;
begin
  if p_status is not null then conditions := conditions || ' and j.status = $1'; end if;
  if p_printer_id is not null then conditions := conditions || ' and j.printer_id = $2'; end if;
  if p_query is not null then conditions := conditions || ' and ' || search_condition('j', '$3', p_query); end if;
  if p_after_id is not null then
    conditions := conditions || case p_sort
      when 'queue' then ' and (j.queue_position, j.id) > ($5, $7)' when 'createdAt' then ' and (j.created_at, j.id) > ($6, $7)'
      else ' and (j.created_at, j.id) < ($6, $7)' end;
  end if;
  execute format('select coalesce(jsonb_agg(job_json(j) order by %1$s), ''[]'')
                    from (select * from jobs j where %2$s order by %1$s limit $4) j', sorting, conditions)
    into page
    using p_status, p_printer_id, p_query, p_limit, p_after_position, p_after_created, p_after_id;
  return page;
end
$$;

-- Reads a job with its print record and the files of its order, including those of the quote that it came from.
create function get_job(p_job_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select job_json(j) || jsonb_build_object('printRecord', print_record_json(j.id), 'files', (
        select coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'filename', f.filename, 'fileType', f.file_type,
            'mimeType', f.mime_type, 'sizeBytes', f.size_bytes) order by f.id), '[]')
          from order_files f
         where f.invoice_id = j.invoice_id or f.quote_id = (select quote_id from invoices where id = j.invoice_id)))
       from jobs j where j.id = p_job_id),
    api_error(404, 'JOB_NOT_FOUND', 'There is no such job.'))
$$;

-- Changes fields of a job. `p_changes` holds only those that change, in camelCase. A null heldReason releases the job,
-- a null printedMassMg removes the weighed mass.
create function update_job(p_job_id bigint, p_changes jsonb, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
  printer bigint;
  problem jsonb;
begin
  select * into j from jobs where id = p_job_id for no key update;
  problem := job_read_only_error(j);
  if problem is not null then
    return problem;
  end if;
  printer := case when p_changes ? 'printerId' then (p_changes ->> 'printerId')::bigint else j.printer_id end;
  if printer is distinct from j.printer_id then
    if j.status in ('PRINTING', 'PAUSED') then
      return job_on_printer_error(j);
    elsif j.status in ('COMPLETED', 'CANCELLED') then
      return api_error(409, 'JOB_FINISHED', 'The job is finished; leave its printer as it is.');
    end if;
    perform from printers where id = printer for key share;
    if printer is not null and not found then
      return unknown_printer_error();
    end if;
  end if;
  update jobs set title = coalesce(p_changes ->> 'title', title), notes = coalesce(p_changes ->> 'notes', notes),
      priority = coalesce((p_changes ->> 'priority')::job_priority, priority), printer_id = printer,
      -- Clearing a hold shows the hold of its payment, if that is another one.
      held_reason = case when not p_changes ? 'heldReason' then held_reason
        else coalesce(p_changes ->> 'heldReason', case when held_reason <> payment_hold then payment_hold end) end,
      estimated_seconds = coalesce((p_changes ->> 'estimatedSeconds')::bigint, estimated_seconds),
      estimated_mass_mg = coalesce((p_changes ->> 'estimatedMassMg')::bigint, estimated_mass_mg),
      printed_mass_mg = case when p_changes ? 'printedMassMg' then (p_changes ->> 'printedMassMg')::bigint else printed_mass_mg end
    where id = j.id;
  perform log_activity(j.client_id, null, j.invoice_id, j.id, printer, 'JOB_CHANGED', format('Job %s was changed', j.title),
                       jsonb_build_object('userId', p_user_id, 'changes', p_changes));
  return get_job(j.id);
end
$$;

-- Moves a job to another status, and to `p_printer_id` where given.
create function move_job(p_job_id bigint, p_status job_status, p_printer_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
  printer bigint;
  problem jsonb;
begin
  select * into j from jobs where id = p_job_id for no key update;
  problem := job_read_only_error(j);
  if problem is not null then
    return problem;
  elsif p_status <> all (job_transitions(j.status)) then
    return api_error(409, 'ILLEGAL_TRANSITION', format('A job goes from %s to %s.', j.status,
        coalesce(nullif(array_to_string(job_transitions(j.status), ', '), ''), 'nowhere: it is finished')),
      jsonb_build_object('status', j.status, 'legalNext', job_transitions(j.status)));
  end if;
  printer := coalesce(p_printer_id, j.printer_id);
  if printer is distinct from j.printer_id then
    perform from printers where id = printer for key share;
    if not found then
      return unknown_printer_error();
    elsif j.status in ('PRINTING', 'PAUSED') and p_status in ('PRINTING', 'PAUSED') then
      return job_on_printer_error(j);
    end if;
  end if;
  if p_status = 'PRINTING' then
    problem := print_start_error(j, printer);
    if problem is not null then
      return problem;
    end if;
  end if;
  update jobs set status = p_status,
      printer_id = case when p_status = 'COMPLETED' and s.auto_detach_on_complete then null else printer end
    from settings s where jobs.id = j.id;
  perform log_activity(j.client_id, null, j.invoice_id, j.id, printer, 'JOB_MOVED',
                       format('Job %s went from %s to %s', j.title, j.status, p_status),
                       jsonb_build_object('userId', p_user_id, 'from', j.status, 'to', p_status));
  return get_job(j.id);
end
$$;

-- Archives a completed or cancelled job.
create function archive_job(p_job_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
  problem jsonb;
begin
  select * into j from jobs where id = p_job_id for no key update;
  problem := job_read_only_error(j);
  if problem is not null then
    return problem;
  elsif j.status not in ('COMPLETED', 'CANCELLED') then
    return api_error(409, 'NOT_FINISHED', 'Complete or cancel the job before you archive it.', jsonb_build_object('status', j.status));
  end if;
  update jobs set archived_at = now() where id = j.id;
  perform log_activity(j.client_id, null, j.invoice_id, j.id, null, 'JOB_ARCHIVED', format('Job %s was archived', j.title),
                       jsonb_build_object('userId', p_user_id));
  return get_job(j.id);
end
$$;

-- Reorders the queue (all jobs that are neither finished nor archived) and numbers it from 1. Either `p_job_ids` take,
-- in this order, the places that they hold together, while the others stay where they are; or `p_job_id` goes right
-- before or after another. Locks the whole queue, so that a concurrent reorder starts from this one's result.
create function reorder_jobs(p_job_ids bigint[], p_job_id bigint, p_before_id bigint, p_after_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  anchor bigint := coalesce(p_before_id, p_after_id);
  named bigint[] := coalesce(p_job_ids, array[p_job_id, anchor]);
  queue bigint[];
  missing bigint[];
  place integer;
begin
  perform from jobs where archived_at is null and status not in ('COMPLETED', 'CANCELLED') order by id for no key update;
  select coalesce(array_agg(id order by queue_position, id), '{}') into queue
    from jobs where archived_at is null and status not in ('COMPLETED', 'CANCELLED');
  select array_agg(n) into missing from unnest(named) n where n <> all (queue);
  if exists (select from unnest(missing) m where not exists (select from jobs where id = m)) then
    return api_error(404, 'JOB_NOT_FOUND', 'Name only jobs that there are.', (
      select jsonb_build_object('jobIds', jsonb_agg(m)) from unnest(missing) m where not exists (select from jobs where id = m)));
  elsif missing is not null then
    return api_error(409, 'JOB_NOT_QUEUED', 'Leave out the jobs that are finished or archived: they stand in no queue.',
                     jsonb_build_object('jobIds', missing));
  end if;
  if p_job_ids is null then
    queue := array_remove(queue, p_job_id);
    place := array_position(queue, anchor) - case when p_before_id is not null then 1 else 0 end;
    queue := queue[:place] || p_job_id || queue[place + 1:];
  else
    select array_agg(coalesce(w.id, q.id) order by q.place) into queue
      from (select id, ordinality as place, row_number() over (partition by id = any (p_job_ids) order by ordinality) as nth
              from unnest(queue) with ordinality u(id, ordinality)) q
      left join unnest(p_job_ids) with ordinality w(id, nth) on w.nth = q.nth and q.id = any (p_job_ids);
  end if;
  update jobs set queue_position = q.place from unnest(queue) with ordinality q(id, place)
   where jobs.id = q.id and jobs.queue_position <> q.place;
  perform log_activity(null, null, null, p_job_id, null, 'JOBS_REORDERED', 'The queue was put in another order',
                       jsonb_build_object('userId', p_user_id, 'jobIds', named));
  return jsonb_build_object('jobIds', queue);
end
$$;

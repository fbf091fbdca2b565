-- The workshop: jobs, the queue that they stand in, and the catalogue of printers, materials and product templates.
-- Locks are taken in one order: unfinished jobs by id, then a printer, then finished jobs by id.

-- The one table of a job's legal moves: forward, over steps that a job does not need (a design alone is never printed),
-- and back when a print failed or a step was called too early. COMPLETED and CANCELLED are the end.
create function job_transitions(p_status job_status) returns job_status[]
language sql immutable set search_path = public, pg_temp
as $$
  select case p_status
    when 'QUEUED' then '{PRE_PROCESSING, IN_QUEUE, PRINTING, CANCELLED}'
    when 'PRE_PROCESSING' then '{QUEUED, IN_QUEUE, PRINTING, POST_PROCESSING, CANCELLED}'
    when 'IN_QUEUE' then '{QUEUED, PRE_PROCESSING, PRINTING, CANCELLED}'
    when 'PRINTING' then '{IN_QUEUE, PAUSED, PRINTING_COMPLETE, CANCELLED}'
    when 'PAUSED' then '{IN_QUEUE, PRINTING, CANCELLED}'
    when 'PRINTING_COMPLETE' then '{IN_QUEUE, POST_PROCESSING, PACKAGING, OUT_FOR_DELIVERY, COMPLETED, CANCELLED}'
    when 'POST_PROCESSING' then '{IN_QUEUE, PRINTING_COMPLETE, PACKAGING, OUT_FOR_DELIVERY, COMPLETED, CANCELLED}'
    when 'PACKAGING' then '{POST_PROCESSING, OUT_FOR_DELIVERY, COMPLETED, CANCELLED}'
    when 'OUT_FOR_DELIVERY' then '{PACKAGING, COMPLETED, CANCELLED}'
    else '{}'
  end::job_status[]
$$;

-- Whole seconds that a job has printed, with the clock that runs.
create function seconds_printed(j jobs) returns bigint
language sql stable set search_path = public, pg_temp
as $$
  select j.printed_seconds + coalesce(greatest(0, floor(extract(epoch from clock_timestamp() - j.printing_since))), 0)::bigint
$$;

-- The clock and the dates of the end follow the status, whoever changes it.
create function keep_job_times() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  if old.status = 'PRINTING' then
    new.printed_seconds := seconds_printed(old);
    new.printing_since := null;
    if old.printer_id <> all (old.printed_on) then
      new.printed_on := old.printed_on || old.printer_id;
    end if;
  end if;
  case new.status
    when 'PRINTING' then new.printing_since := clock_timestamp();
    when 'COMPLETED' then new.completed_at := now();
    when 'CANCELLED' then new.cancelled_at := now();
    else null;
  end case;
  return new;
end
$$;
create trigger keep_job_times before update of status on jobs
  for each row when (old.status is distinct from new.status) execute function keep_job_times();

-- A completed job leaves a record of what it took, kept right whoever corrects the job; one that is reopened leaves none.
-- What the lines said stays as it was when it was completed. A printer or a material that is deleted meanwhile is none.
create function keep_print_record() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
declare
  prints record;
  is_for_another boolean;
  printer bigint;
  material bigint;
begin
  if new.status <> 'COMPLETED' then
    delete from print_records where job_id = new.id;
    return null;
  elsif old.status = 'COMPLETED' then
    update print_records set printed_seconds = new.printed_seconds, printed_mass_mg = new.printed_mass_mg where job_id = new.id;
    return null;
  end if;
  select * into prints from invoice_prints(new.invoice_id);
  if cardinality(new.printed_on) = 1 and prints.is_sliced and cardinality(prints.materials) = 1 then
    select profile || ' ' || nozzle_um <> any (prints.machines) into is_for_another from printers where id = new.printed_on[1];
  end if;
  if not is_for_another then
    select id into printer from printers where id = new.printed_on[1] for key share;
    select id into material from materials where id = prints.materials[1] for key share;
  end if;
  insert into print_records (job_id, printer_id, material_id, printers, materials, is_sliced, is_for_another, sliced_seconds,
                             sliced_mass_mg, printed_seconds, printed_mass_mg, completed_at)
  values (new.id, printer, material, cardinality(new.printed_on), cardinality(prints.materials), prints.is_sliced,
          coalesce(is_for_another, false), prints.seconds, prints.mass_mg, new.printed_seconds, new.printed_mass_mg, new.completed_at);
  return null;
end
$$;
create trigger keep_print_record after update of status, printed_seconds, printed_mass_mg on jobs
  for each row when (old.status = 'COMPLETED' or new.status = 'COMPLETED') execute function keep_print_record();

create function print_record_json(p_job_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('slicedSeconds', sliced_seconds, 'slicedMassMg', sliced_mass_mg, 'timeBps', time_bps,
                            'massBps', mass_bps, 'leftOut', left_out)
    from print_records where job_id = p_job_id
$$;

create function job_json(j jobs) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', j.id, 'title', j.title, 'status', j.status, 'priority', j.priority, 'queuePosition', j.queue_position,
    'invoiceId', j.invoice_id, 'invoiceNumber', (select number from invoices where id = j.invoice_id),
    'clientId', j.client_id, 'clientName', (select name from clients where id = j.client_id),
    'printer', (select jsonb_build_object('id', id, 'name', name, 'status', status) from printers where id = j.printer_id),
    'heldReason', j.held_reason, 'estimatedSeconds', j.estimated_seconds, 'estimatedMassMg', j.estimated_mass_mg,
    'printedSeconds', seconds_printed(j), 'printedMassMg', j.printed_mass_mg, 'printingSince', j.printing_since, 'notes', j.notes,
    'legalNext', case when j.archived_at is null then to_jsonb(job_transitions(j.status)) else '[]' end,
    'completedAt', j.completed_at, 'cancelledAt', j.cancelled_at, 'archivedAt', j.archived_at,
    'createdAt', j.created_at, 'updatedAt', j.updated_at)
$$;

-- One page: the queue, or by age; `p_after_…` is the place of the last row of the page before.
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
  if p_query is not null then conditions := conditions || ' and ' || found_by('j', '$3', p_query); end if;
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

-- A job with what its print taught and the files of its order, those of the quote that it came from too.
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
    refusal(404, 'JOB_NOT_FOUND', 'There is no such job.'))
$$;

create function job_read_only(j jobs) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select case
    when j.id is null then refusal(404, 'JOB_NOT_FOUND', 'There is no such job.')
    when j.archived_at is not null then refusal(409, 'JOB_ARCHIVED', 'The job is archived and can only be read.')
  end
$$;

create function unknown_printer() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select refusal(422, 'UNKNOWN_PRINTER', 'Choose one of the shop''s printers.',
                 '[{"field": "printerId", "problem": "there is no such printer"}]')
$$;

create function job_on_printer(j jobs) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select refusal(409, 'JOB_ON_PRINTER', format('The print is on the bed of %s; take it off (IN_QUEUE) before it changes the printer.',
                 (select name from printers where id = j.printer_id)), jsonb_build_object('printerId', j.printer_id))
$$;

-- `p_changes` has the fields that change, in camelCase, and only those. A null heldReason lets the job go on, a null
-- printedMassMg takes back what was weighed.
create function change_job(p_job_id bigint, p_changes jsonb, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
  printer bigint;
  refused jsonb;
begin
  select * into j from jobs where id = p_job_id for no key update;
  refused := job_read_only(j);
  if refused is not null then
    return refused;
  end if;
  printer := case when p_changes ? 'printerId' then (p_changes ->> 'printerId')::bigint else j.printer_id end;
  if printer is distinct from j.printer_id then
    if j.status in ('PRINTING', 'PAUSED') then
      return job_on_printer(j);
    elsif j.status in ('COMPLETED', 'CANCELLED') then
      return refusal(409, 'JOB_FINISHED', 'The job is finished; leave its printer as it is.');
    end if;
    perform from printers where id = printer for key share;
    if printer is not null and not found then
      return unknown_printer();
    end if;
  end if;
  update jobs set title = coalesce(p_changes ->> 'title', title), notes = coalesce(p_changes ->> 'notes', notes),
      priority = coalesce((p_changes ->> 'priority')::job_priority, priority), printer_id = printer,
      -- Behind a hold that is cleared there may be its payment's, which nobody has seen.
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

-- Why a job cannot start on this printer now; null when it can. The caller holds the job's lock. The printer's lock,
-- kept until commit, makes starts and changes of one printer wait for each other.
create function not_startable(j jobs, p_printer_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p printers;
  s settings;
  others bigint[];
begin
  if j.held_reason is not null then
    return refusal(409, 'JOB_HELD', 'The job is held; clear its heldReason first.', jsonb_build_object('heldReason', j.held_reason));
  elsif p_printer_id is null then
    return refusal(409, 'PRINTER_REQUIRED', 'Name the printer in printerId.');
  end if;
  select * into p from printers where id = p_printer_id for no key update;
  select * into s from settings;
  if p.status = 'OFFLINE' and s.guard_offline_printers then
    return refusal(409, 'PRINTER_OFFLINE', format('%s is offline; choose another printer, or set it ACTIVE.', p.name),
                   jsonb_build_object('printerId', p.id));
  elsif p.status = 'MAINTENANCE' and s.guard_maintenance_printers then
    return refusal(409, 'PRINTER_IN_MAINTENANCE', format('%s is in maintenance; choose another printer, or set it ACTIVE.', p.name),
                   jsonb_build_object('printerId', p.id));
  end if;
  -- A paused print is still on the bed: it may go on, and no other may come.
  select array_agg(id order by id) into others from jobs where printer_id = p.id and status in ('PRINTING', 'PAUSED');
  if j.status <> 'PAUSED' and cardinality(others) >= s.max_active_prints_per_printer then
    return refusal(409, 'PRINTER_BUSY', format('%s has a print on its bed; choose another printer, or finish that one.', p.name),
                   jsonb_build_object('printerId', p.id, 'jobIds', others, 'maxActivePrints', s.max_active_prints_per_printer));
  end if;
  return null;
end
$$;

-- One step of a job's way, on `p_printer_id` from now on where that is named.
create function move_job(p_job_id bigint, p_status job_status, p_printer_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
  printer bigint;
  refused jsonb;
begin
  select * into j from jobs where id = p_job_id for no key update;
  refused := job_read_only(j);
  if refused is not null then
    return refused;
  elsif p_status <> all (job_transitions(j.status)) then
    return refusal(409, 'ILLEGAL_TRANSITION', format('A job goes from %s to %s.', j.status,
        coalesce(nullif(array_to_string(job_transitions(j.status), ', '), ''), 'nowhere: it is finished')),
      jsonb_build_object('status', j.status, 'legalNext', job_transitions(j.status)));
  end if;
  printer := coalesce(p_printer_id, j.printer_id);
  if printer is distinct from j.printer_id then
    perform from printers where id = printer for key share;
    if not found then
      return unknown_printer();
    elsif j.status in ('PRINTING', 'PAUSED') and p_status in ('PRINTING', 'PAUSED') then
      return job_on_printer(j);
    end if;
  end if;
  if p_status = 'PRINTING' then
    refused := not_startable(j, printer);
    if refused is not null then
      return refused;
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

create function archive_job(p_job_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
  refused jsonb;
begin
  select * into j from jobs where id = p_job_id for no key update;
  refused := job_read_only(j);
  if refused is not null then
    return refused;
  elsif j.status not in ('COMPLETED', 'CANCELLED') then
    return refusal(409, 'NOT_FINISHED', 'Complete or cancel the job before you archive it.', jsonb_build_object('status', j.status));
  end if;
  update jobs set archived_at = now() where id = j.id;
  perform log_activity(j.client_id, null, j.invoice_id, j.id, null, 'JOB_ARCHIVED', format('Job %s was archived', j.title),
                       jsonb_build_object('userId', p_user_id));
  return get_job(j.id);
end
$$;

-- Orders the queue, which is every job that is neither finished nor archived, and numbers it from 1. Either `p_job_ids`
-- take, in this order, the places that they hold together, and the others stay where they are; or `p_job_id` goes
-- right before or after another. The lock on the whole queue makes a second reorder start from what the first one left.
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
    return refusal(404, 'JOB_NOT_FOUND', 'Name only jobs that there are.', (
      select jsonb_build_object('jobIds', jsonb_agg(m)) from unnest(missing) m where not exists (select from jobs where id = m)));
  elsif missing is not null then
    return refusal(409, 'JOB_NOT_QUEUED', 'Leave out the jobs that are finished or archived: they stand in no queue.',
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

-- ---- printers

create function printer_json(p printers) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', p.id, 'name', p.name, 'model', p.model, 'status', p.status, 'bedXMm', p.bed_x_mm, 'bedYMm', p.bed_y_mm,
    'bedZMm', p.bed_z_mm, 'nozzleUm', p.nozzle_um, 'profile', p.profile, 'notes', p.notes,
    'activeJobs', (select count(*) from jobs where printer_id = p.id and status in ('PRINTING', 'PAUSED')),
    'currentJob', (select jsonb_build_object('id', j.id, 'title', j.title, 'status', j.status,
        'estimatedSeconds', j.estimated_seconds, 'printedSeconds', seconds_printed(j))
      from jobs j where j.printer_id = p.id and j.status in ('PRINTING', 'PAUSED')
      order by j.printing_since, j.id limit 1),
    'createdAt', p.created_at, 'updatedAt', p.updated_at)
$$;

create function name_taken() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select refusal(409, 'NAME_TAKEN', 'Another one has this name; choose one of its own.',
                 '[{"field": "name", "problem": "it is taken"}]')
$$;

-- Makes a printer, or replaces the one named; `p_printer` has the fields of the API. One with a print on its bed may go OFFLINE
-- or into MAINTENANCE: that says what is so.
create function save_printer(p_printer_id bigint, p_printer jsonb, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p record;
  stored printers;
begin
  select * into p from jsonb_to_record(p_printer) as fields (name text, model text, status printer_status,
    "bedXMm" integer, "bedYMm" integer, "bedZMm" integer, "nozzleUm" integer, profile text, notes text);
  if p_printer_id is null then
    insert into printers (name, model, status, bed_x_mm, bed_y_mm, bed_z_mm, nozzle_um, profile, notes)
    values (p.name, p.model, p.status, p."bedXMm", p."bedYMm", p."bedZMm", p."nozzleUm", p.profile, p.notes)
    returning * into stored;
  else
    update printers set name = p.name, model = p.model, status = p.status, bed_x_mm = p."bedXMm",
        bed_y_mm = p."bedYMm", bed_z_mm = p."bedZMm", nozzle_um = p."nozzleUm", profile = p.profile, notes = p.notes
      where id = p_printer_id returning * into stored;
    if not found then
      return refusal(404, 'PRINTER_NOT_FOUND', 'There is no such printer.');
    end if;
  end if;
  perform log_activity(null, null, null, null, stored.id,
                       case when p_printer_id is null then 'PRINTER_CREATED' else 'PRINTER_CHANGED' end,
                       format('Printer %s was saved', stored.name), p_printer || jsonb_build_object('userId', p_user_id));
  return printer_json(stored);
exception when unique_violation then
  return name_taken();
end
$$;

-- Whoever would print on it holds it; finished jobs let go.
create function delete_printer(p_printer_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p printers;
  users bigint[];
begin
  select * into p from printers where id = p_printer_id for update;
  if not found then
    return refusal(404, 'PRINTER_NOT_FOUND', 'There is no such printer.');
  end if;
  select array_agg(id order by id) into users from jobs where printer_id = p.id and status not in ('COMPLETED', 'CANCELLED');
  if users is not null then
    return refusal(409, 'PRINTER_IN_USE', 'Jobs are waiting for it or on its bed; give them another printer first.',
                   jsonb_build_object('jobIds', users));
  end if;
  perform log_activity(null, null, null, null, p.id, 'PRINTER_DELETED', format('Printer %s was deleted', p.name),
                       jsonb_build_object('userId', p_user_id, 'printerId', p.id));
  perform from jobs where printer_id = p.id order by id for no key update;
  update jobs set printer_id = null where printer_id = p.id;
  delete from printers where id = p.id;
  return jsonb_build_object('deleted', p.id);
end
$$;

-- ---- materials

create function material_json(m materials) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select rated_material_json(m) || jsonb_build_object(
    'profile', m.profile, 'isActive', m.is_active, 'isDefault', exists (select from settings where default_material_id = m.id),
    'createdAt', m.created_at, 'updatedAt', m.updated_at)
$$;

-- The settings are locked while a material goes out of use, so that it does not become the default meanwhile.
create function save_material(p_material_id bigint, p_material jsonb, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m record;
  stored materials;
begin
  select * into m from jsonb_to_record(p_material) as fields (name text, "costPerKgCents" bigint, "densityMgCm3" integer,
    profile text, "isActive" boolean);
  if p_material_id is null then
    insert into materials (name, cost_per_kg_cents, density_mg_cm3, profile, is_active)
    values (m.name, m."costPerKgCents", m."densityMgCm3", m.profile, m."isActive") returning * into stored;
  else
    if not m."isActive" then
      perform from settings for share;
      if exists (select from settings where default_material_id = p_material_id) then
        return refusal(409, 'DEFAULT_MATERIAL', 'It is the default of the settings; choose another default first.');
      end if;
    end if;
    update materials set name = m.name, cost_per_kg_cents = m."costPerKgCents",
        density_mg_cm3 = m."densityMgCm3", profile = m.profile, is_active = m."isActive"
      where id = p_material_id returning * into stored;
    if not found then
      return refusal(404, 'MATERIAL_NOT_FOUND', 'There is no such material.');
    end if;
  end if;
  perform log_activity(null, null, null, null, null,
                       case when p_material_id is null then 'MATERIAL_CREATED' else 'MATERIAL_CHANGED' end,
                       format('Material %s was saved', stored.name),
                       p_material || jsonb_build_object('userId', p_user_id, 'materialId', stored.id));
  return material_json(stored);
exception when unique_violation then
  return name_taken();
end
$$;

create function delete_material(p_material_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m materials;
  uses text[];
begin
  perform from settings for share;
  select * into m from materials where id = p_material_id for update;
  if not found then
    return refusal(404, 'MATERIAL_NOT_FOUND', 'There is no such material.');
  end if;
  uses := array_remove(array[
    case when exists (select from settings where default_material_id = m.id) then 'settings' end,
    case when exists (select from product_templates where material_id = m.id) then 'productTemplates' end,
    case when exists (select from slice_results where material_id = m.id) then 'slices' end,
    case when exists (select from tmp_files where material_id = m.id) then 'uploads' end], null);
  if uses <> '{}' then
    return refusal(409, 'MATERIAL_IN_USE', 'The material is in use; set isActive to false instead.', jsonb_build_object('usedBy', uses));
  end if;
  perform log_activity(null, null, null, null, null, 'MATERIAL_DELETED', format('Material %s was deleted', m.name),
                       jsonb_build_object('userId', p_user_id, 'materialId', m.id));
  delete from materials where id = m.id;
  return jsonb_build_object('deleted', m.id);
end
$$;

-- ---- product templates

create function product_template_json(t product_templates) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', t.id, 'name', t.name, 'description', t.description, 'pricingType', t.pricing_type,
    'unitPriceCents', t.unit_price_cents, 'materialId', t.material_id, 'isActive', t.is_active,
    'createdAt', t.created_at, 'updatedAt', t.updated_at)
$$;

create function save_product_template(p_template_id bigint, p_template jsonb, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  t record;
  stored product_templates;
begin
  select * into t from jsonb_to_record(p_template) as fields (name text, description text, "pricingType" pricing_type,
    "unitPriceCents" bigint, "materialId" bigint, "isActive" boolean);
  perform from materials where id = t."materialId" and (is_active or not t."isActive") for key share;
  if t."materialId" is not null and not found then
    return refusal(422, 'UNKNOWN_MATERIAL', 'Choose one of the shop''s active materials.',
                   '[{"field": "materialId", "problem": "there is no such active material"}]');
  end if;
  if p_template_id is null then
    insert into product_templates (name, description, pricing_type, unit_price_cents, material_id, is_active)
    values (t.name, t.description, t."pricingType", t."unitPriceCents", t."materialId", t."isActive") returning * into stored;
  else
    update product_templates set name = t.name, description = t.description, pricing_type = t."pricingType",
        unit_price_cents = t."unitPriceCents", material_id = t."materialId", is_active = t."isActive"
      where id = p_template_id returning * into stored;
    if not found then
      return refusal(404, 'PRODUCT_TEMPLATE_NOT_FOUND', 'There is no such product template.');
    end if;
  end if;
  perform log_activity(null, null, null, null, null,
                       case when p_template_id is null then 'PRODUCT_TEMPLATE_CREATED' else 'PRODUCT_TEMPLATE_CHANGED' end,
                       format('Product template %s was saved', stored.name),
                       p_template || jsonb_build_object('userId', p_user_id, 'productTemplateId', stored.id));
  return product_template_json(stored);
exception when unique_violation then
  return name_taken();
end
$$;

-- Lines that were written from it keep their words and prices.
create function delete_product_template(p_template_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  t product_templates;
begin
  delete from product_templates where id = p_template_id returning * into t;
  if not found then
    return refusal(404, 'PRODUCT_TEMPLATE_NOT_FOUND', 'There is no such product template.');
  end if;
  perform log_activity(null, null, null, null, null, 'PRODUCT_TEMPLATE_DELETED', format('Product template %s was deleted', t.name),
                       jsonb_build_object('userId', p_user_id, 'productTemplateId', t.id));
  return jsonb_build_object('deleted', t.id);
end
$$;

-- ---- what prints taught

-- One page of the pairs of printer and material that prints were recorded of, by their ids: what they taught, and how
-- many of their prints were so far off that they are taken for mistakes.
create function list_print_factors(p_limit integer, p_after_printer_id bigint, p_after_material_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
      'printerId', p.id, 'printer', p.name, 'materialId', m.id, 'material', m.name, 'records', r.records, 'outOfBounds', r.out_of_bounds,
      'time', print_ratio(p.id, m.id, 'time'), 'mass', print_ratio(p.id, m.id, 'mass')) order by p.id, m.id), '[]')
    from (select printer_id, material_id, count(*) as records,
                 count(*) filter (where time_bps not between 2000 and 50000 or mass_bps not between 2000 and 50000) as out_of_bounds
            from print_records
           where printer_id is not null and material_id is not null
             and (p_after_printer_id is null or (printer_id, material_id) > (p_after_printer_id, p_after_material_id))
           group by printer_id, material_id order by printer_id, material_id limit p_limit) r
    join printers p on p.id = r.printer_id
    join materials m on m.id = r.material_id
$$;

-- One page of a list of the catalogue, by name or newest first.
create function list_catalogue(p_kind text, p_query text, p_sort text, p_limit integer, p_after_name text,
                               p_after_created timestamptz, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  shape text := case p_kind when 'printers' then 'printer_json' when 'materials' then 'material_json'
    when 'product_templates' then 'product_template_json' end;
  sorting text := case p_sort when 'name' then 'lower(r.name), r.id' else 'r.created_at desc, r.id desc' end;
  conditions text := 'true';
  page jsonb;
begin
  if p_query is not null then conditions := conditions || ' and position(lower($1) in lower(r.name)) > 0'; end if;
  if p_after_id is not null then
    conditions := conditions || case p_sort
      when 'name' then ' and (lower(r.name), r.id) > (lower($3), $5)' else ' and (r.created_at, r.id) < ($4, $5)' end;
  end if;
  execute format('select coalesce(jsonb_agg(%1$I(r) order by %2$s), ''[]'')
                    from (select * from %3$I r where %4$s order by %2$s limit $2) r', shape, sorting, p_kind, conditions)
    into page using p_query, p_limit, p_after_name, p_after_created, p_after_id;
  return page;
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'job_transitions(job_status)', 'seconds_printed(jobs)', 'keep_job_times()', 'keep_print_record()',
    'print_record_json(bigint)', 'job_json(jobs)',
    'list_jobs(job_status, bigint, boolean, text, text, integer, bigint, timestamptz, bigint)', 'get_job(bigint)',
    'job_read_only(jobs)', 'unknown_printer()', 'job_on_printer(jobs)', 'change_job(bigint, jsonb, bigint)',
    'not_startable(jobs, bigint)', 'move_job(bigint, job_status, bigint, bigint)', 'archive_job(bigint, bigint)',
    'reorder_jobs(bigint[], bigint, bigint, bigint, bigint)',
    'printer_json(printers)', 'name_taken()', 'save_printer(bigint, jsonb, bigint)', 'delete_printer(bigint, bigint)',
    'material_json(materials)', 'save_material(bigint, jsonb, bigint)', 'delete_material(bigint, bigint)',
    'product_template_json(product_templates)', 'save_product_template(bigint, jsonb, bigint)',
    'delete_product_template(bigint, bigint)',
    'list_print_factors(integer, bigint, bigint)', 'list_catalogue(text, text, text, integer, text, timestamptz, bigint)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

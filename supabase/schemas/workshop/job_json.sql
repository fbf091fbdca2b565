-- Jobs in JSON, their legal moves and errors.

-- The statuses that a job may change to. Forward, over steps that a job does not need (a design alone is never
-- printed), and back when a print failed. COMPLETED and CANCELLED are final.
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

-- The whole seconds that a job has printed, including the print that is running.
create function job_printed_seconds(j jobs) returns bigint
language sql stable set search_path = public, pg_temp
as $$
  select j.printed_seconds + coalesce(greatest(0, floor(extract(epoch from clock_timestamp() - j.printing_since))), 0)::bigint
$$;

-- A job's print record: printed against sliced.
create function print_record_json(p_job_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('slicedSeconds', sliced_seconds, 'slicedMassMg', sliced_mass_mg, 'timeBps', time_bps,
                            'massBps', mass_bps, 'leftOut', left_out)
    from print_records where job_id = p_job_id
$$;

-- A job with its invoice, client, printer and legal next statuses.
create function job_json(j jobs) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', j.id, 'title', j.title, 'status', j.status, 'priority', j.priority, 'queuePosition', j.queue_position,
    'invoiceId', j.invoice_id, 'invoiceNumber', (select number from invoices where id = j.invoice_id),
    'clientId', j.client_id, 'clientName', (select name from clients where id = j.client_id),
    'printer', (select jsonb_build_object('id', id, 'name', name, 'status', status) from printers where id = j.printer_id),
    'heldReason', j.held_reason, 'estimatedSeconds', j.estimated_seconds, 'estimatedMassMg', j.estimated_mass_mg,
    'printedSeconds', job_printed_seconds(j), 'printedMassMg', j.printed_mass_mg, 'printingSince', j.printing_since, 'notes', j.notes,
    'legalNext', case when j.archived_at is null then to_jsonb(job_transitions(j.status)) else '[]' end,
    'completedAt', j.completed_at, 'cancelledAt', j.cancelled_at, 'archivedAt', j.archived_at,
    'createdAt', j.created_at, 'updatedAt', j.updated_at)
$$;

-- An error when the job does not exist or is archived; null otherwise.
create function job_read_only_error(j jobs) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select case
    when j.id is null then api_error(404, 'JOB_NOT_FOUND', 'There is no such job.')
    when j.archived_at is not null then api_error(409, 'JOB_ARCHIVED', 'The job is archived and can only be read.')
  end
$$;

-- The error for a printer that does not exist.
create function unknown_printer_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select api_error(422, 'UNKNOWN_PRINTER', 'Choose one of the shop''s printers.',
                   '[{"field": "printerId", "problem": "there is no such printer"}]')
$$;

-- The error for a change of printer while the print is on the bed.
create function job_on_printer_error(j jobs) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select api_error(409, 'JOB_ON_PRINTER', format('The print is on the bed of %s; take it off (IN_QUEUE) before it changes the printer.',
                   (select name from printers where id = j.printer_id)), jsonb_build_object('printerId', j.printer_id))
$$;

-- An error when the job cannot start on this printer now; null otherwise. The caller holds the job's lock. Locks the
-- printer's row until commit, so that starts and changes of one printer wait for each other.
create function print_start_error(j jobs, p_printer_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p printers;
  s settings;
  others bigint[];
begin
  if j.held_reason is not null then
    return api_error(409, 'JOB_HELD', 'The job is held; clear its heldReason first.', jsonb_build_object('heldReason', j.held_reason));
  elsif p_printer_id is null then
    return api_error(409, 'PRINTER_REQUIRED', 'Name the printer in printerId.');
  end if;
  select * into p from printers where id = p_printer_id for no key update;
  select * into s from settings;
  if p.status = 'OFFLINE' and s.guard_offline_printers then
    return api_error(409, 'PRINTER_OFFLINE', format('%s is offline; choose another printer, or set it ACTIVE.', p.name),
                     jsonb_build_object('printerId', p.id));
  elsif p.status = 'MAINTENANCE' and s.guard_maintenance_printers then
    return api_error(409, 'PRINTER_IN_MAINTENANCE', format('%s is in maintenance; choose another printer, or set it ACTIVE.', p.name),
                     jsonb_build_object('printerId', p.id));
  end if;
  -- A paused print is still on the bed: it may continue, but no other may start.
  select array_agg(id order by id) into others from jobs where printer_id = p.id and status in ('PRINTING', 'PAUSED');
  if j.status <> 'PAUSED' and cardinality(others) >= s.max_active_prints_per_printer then
    return api_error(409, 'PRINTER_BUSY', format('%s has a print on its bed; choose another printer, or finish that one.', p.name),
                     jsonb_build_object('printerId', p.id, 'jobIds', others, 'maxActivePrints', s.max_active_prints_per_printer));
  end if;
  return null;
end
$$;

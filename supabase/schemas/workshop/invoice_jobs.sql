-- The job of an invoice: created, held and updated with it.

-- Sums an invoice's printed lines over pieces and quantities: seconds, milligrams, whether any is fast track, the
-- materials, whether all figures come from the slicer, and the printer profiles and nozzles that they were sliced for
-- (`generic 400`).
create function invoice_print_totals(p_invoice_id bigint, out seconds bigint, out mass_mg bigint, out is_fast_track boolean,
                                     out materials bigint[], out is_sliced boolean, out machines text[])
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(sum((l.details ->> 'timeSec')::bigint * l.pieces / 1000), 0)::bigint,
         coalesce(sum((l.details ->> 'massMg')::bigint * l.pieces / 1000), 0)::bigint,
         coalesce(bool_or((l.details ->> 'fastTrack')::boolean), false),
         coalesce(array_agg(distinct (l.details ->> 'materialId')::bigint)
                  filter (where l.details ? 'timeSec' and l.details ? 'materialId'), '{}'),
         coalesce(bool_and(l.details ? 'slicer') filter (where l.details ? 'timeSec'), false),
         coalesce(array_agg(distinct split_part(l.details ->> 'profile', '/', 1) || ' ' || (l.details ->> 'nozzleUm'))
                  filter (where l.details ->> 'profile' is not null and l.details ->> 'nozzleUm' is not null), '{}')
    from (select details, coalesce((details ->> 'pieces')::bigint, 1) * quantity_milli as pieces
            from invoice_items where invoice_id = p_invoice_id) l
$$;

-- Creates the job of an invoice that has none, at the end of the queue. Returns its id, or null if there was one.
create function ensure_job(p_invoice_id bigint, p_actor jsonb) returns bigint
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  created bigint;
begin
  select * into i from invoices where id = p_invoice_id;
  insert into jobs (invoice_id, client_id, title, priority, estimated_seconds, estimated_mass_mg, queue_position)
  select i.id, i.client_id, 'Invoice ' || i.number,
    (case when p.is_fast_track then 'FAST_TRACK' else 'NORMAL' end)::job_priority, p.seconds, p.mass_mg,
    coalesce((select max(queue_position) from jobs where archived_at is null), 0) + 1
  from invoice_print_totals(i.id) p
  on conflict (invoice_id) do nothing
  returning id into created;
  if created is not null then
    perform log_activity(i.client_id, i.quote_id, i.id, created, null, 'JOB_CREATED',
                         'A job was queued for invoice ' || i.number, p_actor);
  end if;
  return created;
end
$$;

-- Holds the job of an invoice until the shop clears it; an earlier reason stays.
create function hold_job(p_invoice_id bigint, p_reason text, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
begin
  update jobs set held_reason = p_reason
   where invoice_id = p_invoice_id and held_reason is null and status not in ('COMPLETED', 'CANCELLED')
     and archived_at is null
  returning * into j;
  if found then
    perform log_activity(j.client_id, null, j.invoice_id, j.id, j.printer_id, 'JOB_HELD',
                         format('Job %s is held: %s', j.title, p_reason), p_actor);
  end if;
end
$$;

-- Cancels the job of an invoice if nothing was printed yet, else holds it for a person to check.
create function cancel_or_hold_job(p_invoice_id bigint, p_reason text, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
begin
  select * into j from jobs
   where invoice_id = p_invoice_id and status not in ('COMPLETED', 'CANCELLED') and archived_at is null for no key update;
  if j.id is null then
    return;
  elsif j.status < 'PRINTING' and j.printed_seconds = 0 then
    update jobs set status = 'CANCELLED', printer_id = null where id = j.id;
    perform log_activity(j.client_id, null, j.invoice_id, j.id, j.printer_id, 'JOB_MOVED',
                         format('Job %s went from %s to CANCELLED: %s', j.title, j.status, p_reason),
                         p_actor || jsonb_build_object('from', j.status, 'to', 'CANCELLED'));
  else
    perform hold_job(p_invoice_id, p_reason, p_actor);
  end if;
end
$$;

-- Updates a job after its invoice's lines were edited: estimates, unless the lines ask for the same as before (then
-- the shop's own estimate stays), and the fast track.
create function update_job_estimate(p_invoice_id bigint, p_seconds_before bigint, p_mass_mg_before bigint, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  prints record;
  j jobs;
  seconds bigint;
  mass_mg bigint;
  urgency job_priority;
begin
  select * into j from jobs
   where invoice_id = p_invoice_id and archived_at is null and status not in ('COMPLETED', 'CANCELLED') for no key update;
  if not found then
    return;
  end if;
  select * into prints from invoice_print_totals(p_invoice_id);
  seconds := case when prints.seconds = p_seconds_before then j.estimated_seconds else prints.seconds end;
  mass_mg := case when prints.mass_mg = p_mass_mg_before then j.estimated_mass_mg else prints.mass_mg end;
  urgency := case when prints.is_fast_track and j.priority = 'NORMAL' then 'FAST_TRACK' else j.priority end;
  if (seconds, mass_mg, urgency) is distinct from (j.estimated_seconds, j.estimated_mass_mg, j.priority) then
    update jobs set estimated_seconds = seconds, estimated_mass_mg = mass_mg, priority = urgency where id = j.id;
    perform log_activity(j.client_id, null, j.invoice_id, j.id, j.printer_id, 'JOB_CHANGED',
                         format('Job %s follows the new lines of its invoice', j.title), p_actor || jsonb_build_object(
                           'changes', jsonb_build_object('estimatedSeconds', seconds, 'estimatedMassMg', mass_mg, 'priority', urgency)));
  end if;
end
$$;

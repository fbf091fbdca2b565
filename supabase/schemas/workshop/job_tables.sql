-- Print jobs and the records of what they took.

create type job_status as enum (
  'QUEUED', 'PRE_PROCESSING', 'IN_QUEUE', 'PRINTING', 'PAUSED', 'PRINTING_COMPLETE', 'POST_PROCESSING',
  'PACKAGING', 'OUT_FOR_DELIVERY', 'COMPLETED', 'CANCELLED'
);
create type job_priority as enum ('NORMAL', 'FAST_TRACK', 'URGENT');

create table jobs (
  id bigint generated always as identity primary key,
  invoice_id bigint not null unique references invoices (id),
  client_id bigint not null references clients (id),
  printer_id bigint references printers (id),
  title text not null check (length(title) between 1 and 300),
  status job_status not null default 'QUEUED',
  priority job_priority not null default 'NORMAL',
  queue_position bigint not null default 0,
  held_reason text check (length(held_reason) <= 500),
  payment_hold text,
  estimated_seconds bigint not null default 0 check (estimated_seconds >= 0),
  estimated_mass_mg bigint not null default 0 check (estimated_mass_mg >= 0),
  printed_seconds bigint not null default 0 check (printed_seconds >= 0),
  printed_mass_mg bigint check (printed_mass_mg > 0),
  printing_since timestamptz,
  printed_on bigint[] not null default '{}',
  notes text not null default '' check (length(notes) <= 5000),
  completed_at timestamptz,
  cancelled_at timestamptz,
  archived_at timestamptz,
  search_text text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on column jobs.printed_mass_mg is 'As weighed by the shop; null if not weighed.';
comment on column jobs.printed_on is 'The printers that it was printed on, in that order, each once.';
create index jobs_by_queue on jobs (queue_position, id) where archived_at is null;
create index jobs_by_created on jobs (created_at desc, id desc) where archived_at is null;
create index jobs_archived_by_queue on jobs (queue_position, id) where archived_at is not null;
create index jobs_archived_by_created on jobs (created_at desc, id desc) where archived_at is not null;
create index jobs_by_status on jobs (status, created_at desc, id desc);
create index jobs_by_printer on jobs (printer_id, status);
create index jobs_by_client on jobs (client_id, created_at desc, id desc);
create index jobs_by_text on jobs using gin (search_text extensions.gin_trgm_ops);
create index jobs_by_ngrams on jobs using gin (search_ngrams(search_text));
create index jobs_open_by_status on jobs (status) where archived_at is null;
comment on column jobs.payment_hold is 'Why its payment holds the job. held_reason shows it, and the shop may clear that one.';
create index jobs_held on jobs (id) where archived_at is null and held_reason is not null;
create index jobs_to_archive on jobs (coalesce(completed_at, cancelled_at)) where archived_at is null;

-- What a completed job took, compared with the slicer's figures. Print factors are computed per pair of printer and
-- material, so a job counts only if it was printed on one printer, in one material, and sliced entirely for such a printer;
-- `left_out` says why another does not.
create table print_records (
  job_id bigint primary key references jobs (id) on delete cascade,
  printer_id bigint references printers (id) on delete set null,
  material_id bigint references materials (id) on delete set null,
  printers integer not null check (printers >= 0),
  materials integer not null check (materials >= 0),
  is_sliced boolean not null,
  is_for_another boolean not null default false,
  sliced_seconds bigint not null check (sliced_seconds >= 0),
  sliced_mass_mg bigint not null check (sliced_mass_mg >= 0),
  printed_seconds bigint not null check (printed_seconds >= 0),
  printed_mass_mg bigint check (printed_mass_mg > 0),
  time_bps bigint generated always as (
    case when sliced_seconds > 0 and printed_seconds > 0 then
      (printed_seconds * 20000 + sliced_seconds) / (sliced_seconds * 2) end) stored,
  mass_bps bigint generated always as (
    case when sliced_mass_mg > 0 then (printed_mass_mg * 20000 + sliced_mass_mg) / (sliced_mass_mg * 2) end) stored,
  left_out text generated always as (
    case when printers = 0 then 'NOT_PRINTED' when printers > 1 then 'SEVERAL_PRINTERS'
         when not is_sliced then 'NOT_SLICED' when materials <> 1 then 'SEVERAL_MATERIALS'
         when is_for_another then 'OTHER_PRINTER' end) stored,
  completed_at timestamptz not null,
  constraint print_records_left_out_has_no_pair check (left_out is null or (printer_id is null and material_id is null))
);
comment on column print_records.is_for_another is 'Sliced for another printer profile or nozzle than the printer''s.';
comment on column print_records.time_bps is 'Printed / sliced in basis points; extreme ratios are stored and left out of print factors.';
create index print_records_by_pair on print_records (printer_id, material_id, completed_at desc, job_id desc);
create index print_records_by_material on print_records (material_id);

-- Trigger: a job is searched by its title and its client's names.
create function set_job_search_text() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  select lower(new.title || ' ' || c.name || ' ' || c.company) into new.search_text from clients c where c.id = new.client_id;
  return new;
end
$$;

-- Trigger: sets a job's print clock and end dates when its status changes, whoever changes it.
create function set_job_times() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  if old.status = 'PRINTING' then
    new.printed_seconds := job_printed_seconds(old);
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

-- Trigger: keeps the print record of a completed job, also when the job is corrected, and deletes it when the job is
-- reopened. The sliced figures stay as they were at completion. A printer or material that was deleted meanwhile is
-- recorded as none.
create function sync_print_record() returns trigger
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
  select * into prints from invoice_print_totals(new.invoice_id);
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
create trigger set_job_search_text before insert or update of title, client_id on jobs
  for each row execute function set_job_search_text();
create trigger set_job_times before update of status on jobs
  for each row when (old.status is distinct from new.status) execute function set_job_times();
create trigger sync_print_record after update of status, printed_seconds, printed_mass_mg on jobs
  for each row when (old.status = 'COMPLETED' or new.status = 'COMPLETED') execute function sync_print_record();
create trigger set_updated_at before update on jobs for each row execute function set_updated_at();

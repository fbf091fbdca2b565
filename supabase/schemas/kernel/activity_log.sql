-- The activity log: every change, in the transaction that made it.

create table activity_logs (
  id bigint generated always as identity primary key,
  client_id bigint references clients (id) on delete set null,
  quote_id bigint references quotes (id) on delete set null,
  invoice_id bigint references invoices (id) on delete set null,
  job_id bigint references jobs (id) on delete set null,
  printer_id bigint references printers (id) on delete set null,
  action text not null check (length(action) between 1 and 100),
  message text not null,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index activity_logs_by_created on activity_logs (created_at desc, id desc);
create index activity_logs_by_client on activity_logs (client_id, id desc);
create index activity_logs_by_quote on activity_logs (quote_id, id desc);
create index activity_logs_by_invoice on activity_logs (invoice_id, id desc);
create index activity_logs_by_job on activity_logs (job_id, id desc);
create index activity_logs_by_printer on activity_logs (printer_id, id desc);

-- Records a change in the activity log, in the transaction that makes the change. `metadata` carries the acting user
-- as userId.
create function log_activity(
  client bigint, quote bigint, invoice bigint, job bigint, printer bigint,
  action text, message text, metadata jsonb default '{}'
) returns void
language sql volatile set search_path = public, pg_temp
as $$
  insert into activity_logs (client_id, quote_id, invoice_id, job_id, printer_id, action, message, metadata)
  values (client, quote, invoice, job, printer, action, message, coalesce(metadata, '{}'))
$$;

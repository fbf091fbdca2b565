-- Files: uploads and slicer output (tmp_files), files kept with orders, attachments of invoices.

create type tmp_file_status as enum ('idle', 'running', 'completed', 'failed');
create type slice_queue as enum ('SMALL', 'LARGE');
create type order_file_type as enum ('model', 'settings');

create table tmp_files (
  id bigint generated always as identity primary key,
  user_id bigint not null references users (id) on delete cascade,
  storage_key text not null unique,
  filename text not null check (length(filename) between 1 and 255),
  size_bytes bigint not null check (size_bytes >= 0),
  mime_type text not null default 'application/octet-stream',
  status tmp_file_status not null default 'idle',
  metadata jsonb not null default '{}',
  parent_id bigint references tmp_files (id) on delete cascade,
  uploaded_at timestamptz,
  object_key text,
  content_hash text check (content_hash ~ '^[0-9a-f]{64}$'),
  geometry jsonb,
  inspection jsonb,
  inspection_sent_at timestamptz,
  inspection_sends integer not null default 0,
  preview_key text unique,
  material_id bigint references materials (id),
  printer_id bigint references printers (id) on delete set null,
  profile jsonb,
  settings_hash text,
  slice_result_id bigint references slice_results (id) on delete set null,
  queue slice_queue not null default 'SMALL',
  request_id uuid,
  queued_at timestamptz,
  sent_at timestamptz,
  sends integer not null default 0,
  claim_token uuid,
  lease_until timestamptz,
  attempts integer not null default 0,
  progress_percent integer not null default 0 check (progress_percent between 0 and 100),
  progress_stage text not null default '',
  reserved_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on column tmp_files.metadata is 'Of a model: attempts, settings, metrics {timeSec, grams}, fallback, error, output, logTail.';
comment on column tmp_files.parent_id is 'Of slicer output: the model that it was sliced from.';
comment on column tmp_files.object_key is 'Of slicer output: the object in the slice cache that storage_key stands for.';
comment on column tmp_files.geometry is 'Of a model: its dimensions (class Geometry in Python).';
comment on column tmp_files.inspection is 'Of a model: its topology as the worker found it, or why there is none.';
comment on column tmp_files.profile is 'Of a requested slice: the print profile at that time (class PrintProfile in Python).';
comment on column tmp_files.sent_at is 'When its queue message was last sent; queued_at keeps its place in the queue.';
comment on column tmp_files.reserved_until is 'A checkout is copying it: the janitor must not delete it before this time.';
create index tmp_files_by_user on tmp_files (user_id, id desc);
create index tmp_files_by_parent on tmp_files (parent_id);
create index tmp_files_by_material on tmp_files (material_id);
create index tmp_files_by_printer on tmp_files (printer_id);
create index tmp_files_by_result on tmp_files (slice_result_id);
create index tmp_files_to_inspect on tmp_files (inspection_sent_at) where inspection_sent_at is not null and inspection is null;
create index tmp_files_by_age on tmp_files (created_at) where parent_id is null;
create index tmp_files_waiting on tmp_files (queue, queued_at, id) where queued_at is not null;
create index tmp_files_running on tmp_files (lease_until) where status = 'running';
create index tmp_files_failed on tmp_files (updated_at) where status = 'failed';

create table order_files (
  id bigint generated always as identity primary key,
  invoice_id bigint references invoices (id),
  quote_id bigint references quotes (id),
  client_id bigint not null references clients (id),
  filename text not null check (length(filename) between 1 and 255),
  storage_key text not null unique,
  file_type order_file_type not null,
  mime_type text not null,
  size_bytes bigint not null check (size_bytes >= 0),
  metadata jsonb not null default '{}',
  uploaded_by bigint references users (id) on delete set null,
  uploaded_at timestamptz not null default now(),
  constraint order_files_has_document check (invoice_id is not null or quote_id is not null)
);
create index order_files_by_invoice on order_files (invoice_id);
create index order_files_by_quote on order_files (quote_id);
create index order_files_by_client on order_files (client_id, uploaded_at desc, id desc);
create index order_files_by_uploader on order_files (uploaded_by);

create table attachments (
  id bigint generated always as identity primary key,
  invoice_id bigint not null references invoices (id),
  filename text not null check (length(filename) between 1 and 255),
  storage_key text not null unique,
  mime_type text not null,
  size_bytes bigint not null check (size_bytes >= 0),
  replaces boolean not null default false,
  uploaded_by bigint references users (id) on delete set null,
  requested_at timestamptz not null default now(),
  uploaded_at timestamptz default now()
);
comment on column attachments.uploaded_at is 'Null while its upload is under way: such a row is not listed.';
comment on column attachments.replaces is 'Of an upload under way: it may replace the attachment of the same name.';
create index attachments_by_invoice on attachments (invoice_id, id);
create unique index attachments_by_name on attachments (invoice_id, filename) where uploaded_at is not null;
create index attachments_under_way on attachments (requested_at) where uploaded_at is null;
create index attachments_by_uploader on attachments (uploaded_by);
create trigger set_updated_at before update on tmp_files for each row execute function set_updated_at();

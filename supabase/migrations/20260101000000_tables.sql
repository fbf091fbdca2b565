-- Every table of the bureau. Money is integers in the document currency's minor units (_cents), rates are basis
-- points (_bps), quantities thousandths (_milli), lengths whole millimetres unless the name says otherwise.
-- Writes go through the functions of the later migrations; what must always hold, holds here.

-- Search by any part of a text, on an index: by trigrams, which know letters and digits alone, or, for what has no three
-- of them in a row, by its characters and pairs of characters.
create extension if not exists pg_trgm with schema extensions;

create function search_marks(p_text text) returns text[]
language sql immutable parallel safe set search_path = public, pg_temp
as $$
  select coalesce(array_agg(distinct substr(p_text, start, size)), '{}')
    from generate_series(1, length(p_text)) start, generate_series(1, 2) size where start + size - 1 <= length(p_text)
$$;

create type user_role as enum ('ADMIN', 'CLIENT');
create type quote_status as enum ('DRAFT', 'PENDING', 'ACCEPTED', 'DECLINED', 'EXPIRED', 'CONVERTED');
create type invoice_status as enum ('PENDING', 'PAID', 'OVERDUE', 'VOID', 'WRITTEN_OFF', 'REFUNDED');
create type discount_type as enum ('NONE', 'PERCENT', 'FIXED');
create type pricing_type as enum ('FIXED', 'CALCULATED');
create type payment_method as enum ('STRIPE', 'BANK_TRANSFER', 'CASH', 'OTHER');
create type payment_kind as enum ('PAYMENT', 'REFUND');
create type job_status as enum (
  'QUEUED', 'PRE_PROCESSING', 'IN_QUEUE', 'PRINTING', 'PAUSED', 'PRINTING_COMPLETE', 'POST_PROCESSING',
  'PACKAGING', 'OUT_FOR_DELIVERY', 'COMPLETED', 'CANCELLED'
);
create type job_priority as enum ('NORMAL', 'FAST_TRACK', 'URGENT');
create type job_policy as enum ('ON_PAYMENT', 'ON_INVOICE');
create type printer_status as enum ('ACTIVE', 'MAINTENANCE', 'OFFLINE');
create type tmp_file_status as enum ('idle', 'running', 'completed', 'failed');
create type slice_lane as enum ('SMALL', 'LARGE');
create type order_file_type as enum ('model', 'settings');
create type mail_kind as enum ('QUOTE', 'INVOICE');
create type mail_status as enum ('QUEUED', 'SENDING', 'SENT', 'FAILED');

-- A token that nobody guesses: 244 random bits in hex.
create function unguessable_token() returns text
language sql volatile set search_path = public, pg_temp
as $$ select replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') $$;

create table settings (
  id boolean primary key default true check (id),
  business_name text not null default '' check (length(business_name) <= 200),
  business_address text not null default '' check (length(business_address) <= 1000),
  business_phone text not null default '' check (length(business_phone) <= 50),
  business_email text not null default '' check (length(business_email) <= 254),
  abn text check (abn ~ '^[0-9]{11}$'),
  logo_data_url text,
  bank_details text not null default '' check (length(bank_details) <= 2000),
  time_zone text not null default 'Australia/Sydney',
  currency text check (currency ~ '^[A-Z]{3}$'),
  tax_rate_bps integer not null default 1000 check (tax_rate_bps between 0 and 10000),
  quote_prefix text not null default 'QT-' check (length(quote_prefix) <= 12),
  invoice_prefix text not null default 'INV-' check (length(invoice_prefix) <= 12),
  payment_terms jsonb not null default '[{"code":"COD","days":0},{"code":"NET7","days":7},{"code":"NET14","days":14},{"code":"NET30","days":30}]',
  default_payment_term text not null default 'COD',
  overdue_grace_days integer not null default 0 check (overdue_grace_days between 0 and 365),
  quote_validity_days integer not null default 30 check (quote_validity_days between 1 and 365),
  hourly_rate_cents bigint not null default 4500 check (hourly_rate_cents >= 0),
  setup_cents bigint not null default 2000 check (setup_cents >= 0),
  minimum_cents bigint not null default 3500 check (minimum_cents >= 0),
  fast_track_surcharge_bps integer not null default 0 check (fast_track_surcharge_bps between 0 and 100000),
  default_material_id bigint,
  shipping_regions jsonb not null default '[{"id":1,"code":"regional","label":"Regional","states":[],"postcodePrefixes":[],"baseCents":2500,"surchargeCents":0,"isDefault":true}]',
  job_policy job_policy not null default 'ON_PAYMENT',
  guard_offline_printers boolean not null default true,
  guard_maintenance_printers boolean not null default true,
  max_active_prints_per_printer integer not null default 1 check (max_active_prints_per_printer between 1 and 100),
  use_print_factors boolean not null default false,
  auto_detach_on_complete boolean not null default true,
  archive_jobs_after_days integer not null default 7 check (archive_jobs_after_days between 1 and 365),
  updated_at timestamptz not null default now()
);

comment on column settings.currency is 'Of new documents; null is the deployment''s STRIPE_CURRENCY.';

create table clients (
  id bigint generated always as identity primary key,
  name text not null check (length(name) between 1 and 200),
  company text not null default '' check (length(company) <= 200),
  email text not null default '' check (length(email) <= 254),
  phone text not null default '' check (length(phone) <= 50),
  abn text check (abn ~ '^[0-9]{11}$'),
  address_line1 text not null default '',
  address_line2 text not null default '',
  suburb text not null default '',
  state text not null default '',
  postcode text not null default '',
  country text not null default 'AU',
  payment_term text,
  preferences jsonb not null default '{}',
  search_text text not null generated always as (lower(name || ' ' || company || ' ' || email || ' ' || phone)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index clients_by_name on clients (lower(name), id);
create index clients_by_text on clients using gin (search_text extensions.gin_trgm_ops);
create index clients_by_marks on clients using gin (search_marks(search_text));
create index clients_by_created on clients (created_at desc, id desc);

create table users (
  id bigint generated always as identity primary key,
  auth_user_id uuid unique references auth.users (id) on delete cascade,
  email text not null check (length(email) <= 254),
  name text not null default '' check (length(name) <= 200),
  role user_role not null default 'CLIENT',
  client_id bigint references clients (id),
  sessions_valid_from timestamptz not null default '-infinity',
  must_change_password boolean not null default false,
  search_text text not null generated always as (lower(email || ' ' || name)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (role = 'ADMIN' or client_id is not null)
);
comment on column users.must_change_password is 'The login still has the one-time password that the shop gave it.';
comment on column users.sessions_valid_from is 'Tokens issued before are refused: set by a password or role change.';
create index users_by_client on users (client_id);
create index users_by_created on users (created_at desc, id desc);
create index users_by_text on users using gin (search_text extensions.gin_trgm_ops);
create index users_by_marks on users using gin (search_marks(search_text));

create table closed_logins (
  user_id bigint primary key,
  auth_user_id uuid not null unique references auth.users (id) on delete cascade,
  closed_at timestamptz not null default now()
);
comment on table closed_logins is 'Deleted users whose login Supabase Auth has yet to forget: it opens nothing any more.';

create table client_notes (
  id bigint generated always as identity primary key,
  client_id bigint not null references clients (id) on delete cascade,
  author_id bigint references users (id) on delete set null,
  author text not null check (length(author) <= 254),
  body text not null check (length(body) between 1 and 2000),
  created_at timestamptz not null default now()
);
comment on table client_notes is 'What the shop notes about a client; no client ever sees it.';
create index client_notes_by_client on client_notes (client_id, id desc);
create index client_notes_by_author on client_notes (author_id);

create table revoked_sessions (
  session_id uuid primary key,
  user_id bigint not null references users (id) on delete cascade,
  revoked_at timestamptz not null default now()
);
create index revoked_sessions_by_user on revoked_sessions (user_id);
create index revoked_sessions_by_age on revoked_sessions (revoked_at);

create table login_attempts (
  subject text primary key check (subject ~ '^[0-9a-f]{64}$'),
  level_milli bigint not null,
  counted_at timestamptz not null
);
comment on table login_attempts is 'Guesses and mails lately asked for, by a keyed hash of the account or of where they came from.';
create index login_attempts_by_age on login_attempts (counted_at);

create table materials (
  id bigint generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 100),
  cost_per_kg_cents bigint not null check (cost_per_kg_cents >= 0),
  density_mg_cm3 integer not null check (density_mg_cm3 between 100 and 20000),
  profile text not null default 'pla' check (profile ~ '^[a-z0-9-]{1,40}$'),
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table settings add foreign key (default_material_id) references materials (id) on delete set null;
create index settings_by_material on settings (default_material_id);

create table product_templates (
  id bigint generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 200),
  description text not null default '' check (length(description) <= 2000),
  pricing_type pricing_type not null default 'FIXED',
  unit_price_cents bigint check (unit_price_cents >= 0),
  material_id bigint references materials (id),
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((pricing_type = 'FIXED') = (unit_price_cents is not null)),
  check (pricing_type = 'CALCULATED' or material_id is null)
);
create index product_templates_by_material on product_templates (material_id);

create table printers (
  id bigint generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 100),
  model text not null default '' check (length(model) <= 100),
  status printer_status not null default 'ACTIVE',
  bed_x_mm integer not null check (bed_x_mm between 1 and 5000),
  bed_y_mm integer not null check (bed_y_mm between 1 and 5000),
  bed_z_mm integer not null check (bed_z_mm between 1 and 5000),
  nozzle_um integer not null default 400 check (nozzle_um between 100 and 2000),
  profile text not null default 'generic' check (profile ~ '^[a-z0-9-]{1,40}$'),
  notes text not null default '' check (length(notes) <= 2000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table quotes (
  id bigint generated always as identity primary key,
  number text not null unique,
  client_id bigint not null references clients (id),
  status quote_status not null default 'DRAFT',
  issue_date date not null,
  valid_until date not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  discount_type discount_type not null default 'NONE',
  discount_bps integer not null default 0 check (discount_bps between 0 and 10000),
  discount_fixed_cents bigint not null default 0 check (discount_fixed_cents >= 0),
  subtotal_cents bigint not null check (subtotal_cents >= 0),
  discount_cents bigint not null default 0 check (discount_cents between 0 and subtotal_cents),
  shipping_cents bigint not null default 0 check (shipping_cents >= 0),
  shipping_label text not null default '',
  tax_rate_bps integer not null check (tax_rate_bps between 0 and 10000),
  tax_cents bigint not null check (tax_cents >= 0),
  total_cents bigint not null check (total_cents = subtotal_cents - discount_cents + shipping_cents + tax_cents),
  notes text not null default '' check (length(notes) <= 5000),
  terms text not null default '' check (length(terms) <= 5000),
  public_token text not null unique default unguessable_token(),
  needs_review boolean not null default false,
  snapshot jsonb not null default '{}',
  decision_note text check (length(decision_note) <= 2000),
  sent_at timestamptz,
  decided_at timestamptz,
  converted_invoice_id bigint unique,
  created_by bigint references users (id) on delete set null,
  search_text text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index quotes_by_created on quotes (created_at desc, id desc);
create index quotes_by_status on quotes (status, created_at desc, id desc);
create index quotes_by_text on quotes using gin (search_text extensions.gin_trgm_ops);
create index quotes_by_marks on quotes using gin (search_marks(search_text));
create index quotes_by_client on quotes (client_id, created_at desc, id desc);
create index quotes_by_pdf on quotes (regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g'));
create index quotes_by_creator on quotes (created_by);
create index quotes_to_expire on quotes (valid_until) where status = 'PENDING';
create index quotes_to_review on quotes (created_at) where status = 'DRAFT' and needs_review;

create table quote_items (
  id bigint generated always as identity primary key,
  quote_id bigint not null references quotes (id) on delete cascade,
  position integer not null check (position >= 1),
  product_template_id bigint references product_templates (id) on delete set null,
  description text not null check (length(description) between 1 and 2000),
  quantity_milli bigint not null check (quantity_milli > 0),
  unit_price_cents bigint not null check (unit_price_cents >= 0),
  discount_type discount_type not null default 'NONE',
  discount_bps integer not null default 0 check (discount_bps between 0 and 10000),
  discount_fixed_cents bigint not null default 0 check (discount_fixed_cents >= 0),
  total_cents bigint not null check (total_cents >= 0),
  details jsonb not null default '{}',
  unique (quote_id, position)
);
create index quote_items_by_template on quote_items (product_template_id);

create table invoices (
  id bigint generated always as identity primary key,
  number text not null unique,
  client_id bigint not null references clients (id),
  quote_id bigint references quotes (id),
  status invoice_status not null default 'PENDING',
  issue_date date not null,
  due_date date not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  discount_type discount_type not null default 'NONE',
  discount_bps integer not null default 0 check (discount_bps between 0 and 10000),
  discount_fixed_cents bigint not null default 0 check (discount_fixed_cents >= 0),
  subtotal_cents bigint not null check (subtotal_cents >= 0),
  discount_cents bigint not null default 0 check (discount_cents between 0 and subtotal_cents),
  shipping_cents bigint not null default 0 check (shipping_cents >= 0),
  shipping_label text not null default '',
  tax_rate_bps integer not null check (tax_rate_bps between 0 and 10000),
  tax_cents bigint not null check (tax_cents >= 0),
  total_cents bigint not null check (total_cents = subtotal_cents - discount_cents + shipping_cents + tax_cents),
  paid_cents bigint not null default 0,
  written_off_cents bigint not null default 0 check (written_off_cents >= 0),
  written_off_at timestamptz,
  balance_cents bigint not null generated always as (
    case when status in ('PENDING', 'OVERDUE', 'PAID') then greatest(0, total_cents - paid_cents) else 0 end
  ) stored,
  credit_cents bigint not null generated always as (greatest(0, paid_cents - total_cents)) stored,
  notes text not null default '' check (length(notes) <= 5000),
  terms text not null default '' check (length(terms) <= 5000),
  pay_token text not null unique default unguessable_token(),
  stripe_session_id text unique,
  stripe_checkout_url text,
  stripe_session_cents bigint,
  stripe_session_expires_at timestamptz,
  stripe_attempt integer not null default 0,
  sent_at timestamptz,
  paid_at timestamptz,
  created_by bigint references users (id) on delete set null,
  search_text text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (written_off_cents = 0 or written_off_at is not null)
);
comment on column invoices.paid_cents is 'Payments less refunds, kept by the ledger triggers alone.';
alter table quotes add foreign key (converted_invoice_id) references invoices (id) on delete set null;
create index invoices_by_created on invoices (created_at desc, id desc);
create index invoices_by_status on invoices (status, created_at desc, id desc);
create index invoices_by_text on invoices using gin (search_text extensions.gin_trgm_ops);
create index invoices_by_marks on invoices using gin (search_marks(search_text));
create index invoices_by_client on invoices (client_id, created_at desc, id desc);
create index invoices_by_client_money on invoices (client_id, currency)
  include (status, total_cents, paid_cents, balance_cents, credit_cents);
create index invoices_by_due on invoices (due_date, id);
create index invoices_by_status_due on invoices (status, due_date, id);
create index invoices_by_client_due on invoices (client_id, due_date, id);
-- By the name that its number has in a PDF's key (printshop.adapters.storage.keys.pdf_filename).
create index invoices_by_pdf on invoices (regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g'));
create index invoices_by_quote on invoices (quote_id);
create index invoices_by_creator on invoices (created_by);
create index invoices_to_age on invoices (due_date) where status = 'PENDING';
create index invoices_by_issue on invoices (issue_date, id);
create index invoices_by_currency on invoices (currency);
-- What is owed, and what is to be given back, without a look at the rest.
create index invoices_owed on invoices (currency, due_date, status) include (balance_cents)
  where status in ('PENDING', 'OVERDUE') and balance_cents > 0;
create index invoices_with_credit on invoices (currency) include (credit_cents) where credit_cents > 0;

create table invoice_items (
  id bigint generated always as identity primary key,
  invoice_id bigint not null references invoices (id) on delete cascade,
  position integer not null check (position >= 1),
  product_template_id bigint references product_templates (id) on delete set null,
  description text not null check (length(description) between 1 and 2000),
  quantity_milli bigint not null check (quantity_milli > 0),
  unit_price_cents bigint not null check (unit_price_cents >= 0),
  discount_type discount_type not null default 'NONE',
  discount_bps integer not null default 0 check (discount_bps between 0 and 10000),
  discount_fixed_cents bigint not null default 0 check (discount_fixed_cents >= 0),
  total_cents bigint not null check (total_cents >= 0),
  details jsonb not null default '{}',
  unique (invoice_id, position)
);
create index invoice_items_by_template on invoice_items (product_template_id);

-- A document is found by its number and its client's names, without a join.
create function keep_search_text() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  select lower(new.number || ' ' || c.name || ' ' || c.company) into new.search_text from clients c where c.id = new.client_id;
  return new;
end
$$;
create trigger keep_search_text before insert or update of number, client_id on quotes
  for each row execute function keep_search_text();
create trigger keep_search_text before insert or update of number, client_id on invoices
  for each row execute function keep_search_text();

create function spread_client_name() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  update quotes set search_text = lower(number || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  update invoices set search_text = lower(number || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  perform from jobs where client_id = new.id order by id for no key update;  -- in the order of who orders the queue
  update jobs set search_text = lower(title || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  return null;
end
$$;
create trigger spread_client_name after update of name, company on clients
  for each row when ((old.name, old.company) is distinct from (new.name, new.company)) execute function spread_client_name();

create table payments (
  id bigint generated always as identity primary key,
  invoice_id bigint not null references invoices (id),
  kind payment_kind not null default 'PAYMENT',
  method payment_method not null,
  amount_cents bigint not null,
  processor_id text unique,
  reference text not null default '' check (length(reference) <= 500),
  note text not null default '' check (length(note) <= 2000),
  parent_payment_id bigint references payments (id),
  is_flagged boolean not null default false,
  paid_at timestamptz not null default now(),
  created_by bigint references users (id) on delete set null,
  created_at timestamptz not null default now(),
  check ((kind = 'PAYMENT' and amount_cents > 0) or (kind = 'REFUND' and amount_cents < 0)),
  check (kind = 'PAYMENT' or parent_payment_id is not null)
);
create index payments_by_invoice on payments (invoice_id, paid_at, id);
create index payments_by_parent on payments (parent_payment_id);
create index payments_by_creator on payments (created_by);
create index payments_by_day on payments (paid_at desc, id desc) include (invoice_id, amount_cents);

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
comment on column jobs.printed_mass_mg is 'What the shop weighed; null while it has not.';
comment on column jobs.printed_on is 'Every printer that it left the bed of, first to last, each once.';
create index jobs_by_queue on jobs (queue_position, id) where archived_at is null;
create index jobs_by_created on jobs (created_at desc, id desc) where archived_at is null;
create index jobs_archived_by_queue on jobs (queue_position, id) where archived_at is not null;
create index jobs_archived_by_created on jobs (created_at desc, id desc) where archived_at is not null;
create index jobs_by_status on jobs (status, created_at desc, id desc);
create index jobs_by_printer on jobs (printer_id, status);
create index jobs_by_client on jobs (client_id, created_at desc, id desc);
create index jobs_by_text on jobs using gin (search_text extensions.gin_trgm_ops);
create index jobs_by_marks on jobs using gin (search_marks(search_text));
create index jobs_open_by_status on jobs (status) where archived_at is null;
comment on column jobs.payment_hold is 'Why its payment holds it; told by held_reason, which the shop may clear.';
create index jobs_held on jobs (id) where archived_at is null and held_reason is not null;
create index jobs_to_archive on jobs (coalesce(completed_at, cancelled_at)) where archived_at is null;

-- What a completed job took, against what the slicer said of it. A printer and a material teach together, so a job that
-- was not printed on one printer, in one material, whole from slices made for such a printer, has no pair; `left_out`
-- says why not.
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
  check (left_out is null or (printer_id is null and material_id is null))
);
comment on column print_records.is_for_another is 'Sliced for a printer of another profile or nozzle than the one that printed it.';
comment on column print_records.time_bps is 'Printed by sliced, 10000 is as the slicer said; one far off is kept, and taken for a mistake.';
create index print_records_by_pair on print_records (printer_id, material_id, completed_at desc, job_id desc);
create index print_records_by_material on print_records (material_id);

-- A job is found by its title and its client's names.
create function keep_job_search_text() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  select lower(new.title || ' ' || c.name || ' ' || c.company) into new.search_text from clients c where c.id = new.client_id;
  return new;
end
$$;
create trigger keep_job_search_text before insert or update of title, client_id on jobs
  for each row execute function keep_job_search_text();

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
  slice_result_id bigint,
  lane slice_lane not null default 'SMALL',
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
comment on column tmp_files.metadata is 'Of a model: attempts, settings, metrics {timeSec, grams}, fallback, error, output.';
comment on column tmp_files.parent_id is 'Of a g-code: the model it was sliced from.';
comment on column tmp_files.object_key is 'Of a g-code that the slice cache holds: the object that storage_key stands for.';
comment on column tmp_files.geometry is 'Of a model: what it measures, `printshop.geometry.dimensions.Geometry`.';
comment on column tmp_files.inspection is 'Of a model, from the worker: its topology, or why there is none.';
comment on column tmp_files.profile is 'Of a requested slice: `printshop.slicing.settings.PrintProfile`, as it was then.';
comment on column tmp_files.sent_at is 'When its message was last sent; queued_at keeps its place in the queue.';
comment on column tmp_files.reserved_until is 'A checkout is copying it: the janitor keeps its hands off until then.';
create index tmp_files_by_user on tmp_files (user_id, id desc);
create index tmp_files_by_parent on tmp_files (parent_id);
create index tmp_files_by_material on tmp_files (material_id);
create index tmp_files_by_printer on tmp_files (printer_id);
create index tmp_files_by_result on tmp_files (slice_result_id);
create index tmp_files_to_inspect on tmp_files (inspection_sent_at) where inspection_sent_at is not null and inspection is null;
create index tmp_files_by_age on tmp_files (created_at) where parent_id is null;
create index tmp_files_waiting on tmp_files (lane, queued_at, id) where queued_at is not null;
create index tmp_files_running on tmp_files (lease_until) where status = 'running';
create index tmp_files_failed on tmp_files (updated_at) where status = 'failed';

create table slice_results (
  id bigint generated always as identity primary key,
  content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
  settings_hash text not null check (settings_hash ~ '^[0-9a-f]{64}$'),
  settings jsonb not null,
  material_id bigint not null references materials (id),
  printer_id bigint references printers (id) on delete set null,
  slicer text not null,
  slicer_version text not null,
  profile text not null,
  nozzle_um integer check (nozzle_um between 100 and 2000),
  mass_mg bigint not null check (mass_mg >= 0),
  volume_mm3 bigint not null check (volume_mm3 >= 0),
  filament_mm bigint not null check (filament_mm >= 0),
  time_sec bigint not null check (time_sec > 0),
  notes jsonb not null default '[]',
  gcode_key text unique,
  gcode_bytes bigint check (gcode_bytes > 0),
  created_at timestamptz not null default now(),
  used_at timestamptz not null default now(),
  unique (content_hash, settings_hash, slicer, slicer_version),
  check ((gcode_key is null) = (gcode_bytes is null))
);
alter table tmp_files add foreign key (slice_result_id) references slice_results (id) on delete set null;
comment on table slice_results is 'What the slicer said, by content, settings and slicer; prices come from here alone.';
comment on column slice_results.gcode_key is 'Its g-code in the tmp bucket, nobody''s own; null once it has aged out.';
create index slice_results_to_age on slice_results (used_at) where gcode_key is not null;
create index slice_results_by_material on slice_results (material_id);
create index slice_results_by_printer on slice_results (printer_id);

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
  check (invoice_id is not null or quote_id is not null)
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
comment on column attachments.uploaded_at is 'Null while its upload is under way: such a row is nobody''s to see.';
comment on column attachments.replaces is 'Of an upload under way: it may take the place of the file of its name.';
create index attachments_by_invoice on attachments (invoice_id, id);
create unique index attachments_by_name on attachments (invoice_id, filename) where uploaded_at is not null;
create index attachments_under_way on attachments (requested_at) where uploaded_at is null;
create index attachments_by_uploader on attachments (uploaded_by);

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

create table user_messages (
  id bigint generated always as identity primary key,
  user_id bigint not null references users (id) on delete cascade,
  sender_id bigint references users (id) on delete set null,
  invoice_id bigint references invoices (id) on delete set null,
  body text not null check (length(body) between 1 and 5000),
  read_at timestamptz,
  created_at timestamptz not null default now()
);
comment on column user_messages.user_id is 'The client whose thread it is; sender_id null is the shop''s system.';
create index user_messages_by_thread on user_messages (user_id, id desc);
create index user_messages_by_sender on user_messages (sender_id, id desc);
create index user_messages_by_invoice on user_messages (invoice_id, id desc);
create index user_messages_for_shop on user_messages (user_id) where read_at is null and sender_id = user_id;
create index user_messages_for_client on user_messages (user_id)
  where read_at is null and sender_id is distinct from user_id;

create table message_threads (
  user_id bigint primary key references users (id) on delete cascade,
  latest_id bigint not null
);
comment on table message_threads is 'One row a thread, so that threads are listed by their latest message on an index; kept by a trigger.';
create index message_threads_by_latest on message_threads (latest_id desc);

create function keep_thread() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  insert into message_threads as t (user_id, latest_id) values (new.user_id, new.id)
  on conflict (user_id) do update set latest_id = greatest(t.latest_id, excluded.latest_id);
  return null;
end
$$;
create trigger keep_thread after insert on user_messages for each row execute function keep_thread();

create table mails (
  id bigint generated always as identity primary key,
  kind mail_kind not null,
  quote_id bigint references quotes (id) on delete cascade,
  invoice_id bigint references invoices (id) on delete cascade,
  to_address text check (length(to_address) between 3 and 254),
  message text not null default '' check (length(message) <= 5000),
  status mail_status not null default 'QUEUED',
  attempts integer not null default 0,
  queued_at timestamptz not null default now(),
  claim_token uuid,
  lease_until timestamptz,
  sent_at timestamptz,
  provider_id text,
  pdf_key text,
  error text,
  created_by bigint references users (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((kind = 'QUOTE') = (quote_id is not null) and (kind = 'INVOICE') = (invoice_id is not null))
);
comment on table mails is 'The outbox: committed with the change that it tells of, sent by the mailer, sent again by the janitor.';
comment on column mails.to_address is 'Null where the shop sends no e-mail: then its PDF is kept as it was sent, and that is all.';
comment on column mails.queued_at is 'When its message was last put into the queue.';
comment on column mails.pdf_key is 'The PDF that goes with it, as it goes, in the pdfs bucket; noted before it is sent.';
create index mails_by_quote on mails (quote_id, id desc);
create index mails_by_invoice on mails (invoice_id, id desc);
create index mails_by_creator on mails (created_by);
create index mails_by_pdf on mails (pdf_key) where pdf_key is not null;
create index mails_to_send on mails (queued_at) where status in ('QUEUED', 'SENDING');

create table webhook_events (
  id bigint generated always as identity primary key,
  stripe_event_id text not null unique,
  event_type text not null,
  processed_at timestamptz not null default now(),
  outcome text not null default 'RECORDED' check (outcome in ('APPLIED', 'RECORDED', 'FLAGGED', 'UNMATCHED')),
  invoice_id bigint references invoices (id) on delete set null,
  metadata jsonb not null default '{}'
);
create index webhook_events_by_invoice on webhook_events (invoice_id);
create index webhook_events_to_see on webhook_events (id desc) where outcome in ('FLAGGED', 'UNMATCHED');

-- Every page that Stripe made for an invoice, until Stripe has confirmed how it ended: RETIRED is one that must not be paid
-- any more and is yet to be closed, COMPLETE one whose money is still on its way. States only ever move to the right.
create table checkout_sessions (
  session_id text primary key,
  invoice_id bigint references invoices (id) on delete set null,
  state text not null default 'OPEN' check (state in ('OPEN', 'RETIRED', 'EXPIRED', 'COMPLETE', 'FAILED', 'PAID')),
  amount_cents bigint not null check (amount_cents > 0),
  expires_at timestamptz not null,
  checked_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index checkout_sessions_one_open on checkout_sessions (invoice_id) where state = 'OPEN';
create index checkout_sessions_by_invoice on checkout_sessions (invoice_id);
create index checkout_sessions_to_check on checkout_sessions (checked_at) where state in ('OPEN', 'RETIRED', 'COMPLETE');

-- What is known of money that went back, by Stripe's own ids, also before the payment itself is known. The ledger's refunds
-- are derived from it. Stages only ever rise, so that no order of arrival matters: a refund is pending (1), through (2), has
-- failed (3); a dispute is open (1), its funds are withdrawn (2), given back (3). A CHARGE holds Stripe's cumulative
-- amount, of which only what no REFUND explains counts. `happened_at` is Stripe's clock: when it was made or opened.
create table reversals (
  processor_id text primary key,
  kind text not null check (kind in ('REFUND', 'DISPUTE', 'CHARGE')),
  payment_intent text not null,
  amount_cents bigint not null check (amount_cents >= 0),
  currency text not null,
  stage smallint not null check (stage between 1 and 3),
  happened_at timestamptz not null,
  dispute_outcome text check (dispute_outcome in ('WON', 'LOST')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index reversals_by_payment_intent on reversals (payment_intent);
create index reversals_pending on reversals (processor_id) where kind = 'REFUND' and stage = 1;

-- A refund that the shop has asked for, committed before Stripe is asked; SETTLED once an event of it has come.
create table refund_requests (
  id bigint generated always as identity primary key,
  invoice_id bigint not null references invoices (id),
  payment_id bigint not null references payments (id),
  amount_cents bigint not null check (amount_cents > 0),
  reason text check (reason in ('duplicate', 'fraudulent', 'requested_by_customer')),
  note text not null default '' check (length(note) <= 2000),
  state text not null default 'REQUESTED' check (state in ('REQUESTED', 'SENT', 'SETTLED', 'REFUSED')),
  attempt integer not null default 0,
  refund_id text unique,
  refusal text,
  created_by bigint references users (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((state in ('SENT', 'SETTLED')) = (refund_id is not null))
);
create index refund_requests_by_invoice on refund_requests (invoice_id, id);
create index refund_requests_by_payment on refund_requests (payment_id);
create index refund_requests_by_creator on refund_requests (created_by);
create index refund_requests_under_way on refund_requests (updated_at) where state in ('REQUESTED', 'SENT');

create table number_sequences (
  kind text primary key check (kind in ('quote', 'invoice')),
  last_number bigint not null default 0 check (last_number >= 0),
  updated_at timestamptz not null default now()
);

create table idempotency_keys (
  user_id bigint not null references users (id) on delete cascade,
  route text not null,
  key text not null check (length(key) between 1 and 255),
  body_hash text not null,
  response jsonb not null,
  created_at timestamptz not null default now(),
  primary key (user_id, route, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

create table component_health (
  component text primary key check (component in ('slicer', 'pdf', 'janitor')),
  detail jsonb not null default '{}',
  reported_at timestamptz not null default now()
);

create table stray_objects (
  bucket text not null,
  key text not null,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  primary key (bucket, key)
);
comment on table stray_objects is 'Objects without a row: tmp ones go at a second look, others are flagged to the shop.';

create function set_updated_at() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  new.updated_at := now();
  return new;
end
$$;

do $$
declare
  name text;
begin
  foreach name in array array['settings', 'clients', 'users', 'materials', 'product_templates', 'printers',
    'quotes', 'invoices', 'jobs', 'tmp_files', 'number_sequences', 'mails', 'checkout_sessions', 'reversals',
    'refund_requests'] loop
    execute format('create trigger set_updated_at before update on %I for each row execute function set_updated_at()', name);
  end loop;
end
$$;

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values
  ('attachments', 'attachments', false, 26214400, null),
  ('pdfs', 'pdfs', false, 26214400, array['application/pdf']),
  ('tmp', 'tmp', false, 104857600, null),
  ('order-files', 'order-files', false, 104857600, null)
on conflict (id) do update set public = false, file_size_limit = excluded.file_size_limit,
  allowed_mime_types = excluded.allowed_mime_types;

-- Only the back end, on its service key, comes in. Hosted projects differ in what they grant by default, so
-- both halves are said by name: everybody else loses, service_role gets.
do $$
declare
  name text;
begin
  foreach name in array array['settings', 'clients', 'client_notes', 'users', 'closed_logins', 'revoked_sessions', 'login_attempts', 'materials', 'product_templates',
    'printers', 'quotes', 'quote_items', 'invoices', 'invoice_items', 'payments', 'jobs', 'print_records', 'tmp_files',
    'slice_results', 'order_files', 'attachments', 'activity_logs', 'user_messages', 'webhook_events',
    'checkout_sessions', 'reversals', 'refund_requests', 'number_sequences', 'idempotency_keys', 'component_health', 'stray_objects', 'mails', 'message_threads'] loop
    execute format('alter table %I enable row level security', name);
    execute format('create policy service_role_only on %I to service_role using (true) with check (true)', name);
    execute format('revoke all on table %I from public, anon, authenticated, service_role', name);
    execute format('grant select, insert, update, delete on table %I to service_role', name);
  end loop;
end
$$;
revoke all on all sequences in schema public from public, anon, authenticated, service_role;
revoke all on function unguessable_token(), search_marks(text), set_updated_at(), keep_search_text(), keep_job_search_text(),
  spread_client_name(), keep_thread() from public, anon, authenticated, service_role;
grant execute on function unguessable_token(), search_marks(text), set_updated_at(), keep_search_text(), keep_job_search_text(),
  spread_client_name(), keep_thread() to service_role;
grant usage on schema public to service_role;

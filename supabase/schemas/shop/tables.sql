-- The shop's settings: one row.

create type job_policy as enum ('ON_PAYMENT', 'ON_INVOICE');

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
  default_material_id bigint references materials (id) on delete set null,
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
comment on column settings.currency is 'The currency of new documents; null means the deployment''s STRIPE_CURRENCY.';
comment on column settings.job_policy is 'When an invoice gets its job: when it is paid, or when it is created.';
create index settings_by_material on settings (default_material_id);
create trigger set_updated_at before update on settings for each row execute function set_updated_at();

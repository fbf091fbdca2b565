-- Made by `make migration NAME=baseline`; what is written between the markers by hand is kept by it.

-- Steps by hand, before.

-- Generated.
-- Search by any part of a text, served by indexes: trigrams, which know letters and digits only, and n-grams for texts
-- without three of them in a row.

create extension if not exists pg_trgm with schema extensions;

-- Every single character and every pair of characters of a text: the index terms for searches that trigrams cannot
-- serve, because the text has no three letters or digits in a row.
create function search_ngrams(p_text text) returns text[]
language sql immutable parallel safe set search_path = public, pg_temp
as $$
  select coalesce(array_agg(distinct substr(p_text, start, size)), '{}')
    from generate_series(1, length(p_text)) start, generate_series(1, 2) size where start + size - 1 <= length(p_text)
$$;

-- A LIKE pattern that matches any text containing `p_text` literally, in lower case.
create function like_pattern(p_text text) returns text
language sql immutable set search_path = public, pg_temp
as $$ select '%' || replace(replace(replace(lower(p_text), '\', '\\'), '%', '\%'), '_', '\_') || '%' $$;

-- The SQL condition that a row's search_text contains a parameter's text. A text without three letters or digits in a
-- row gets a second condition that the n-gram index can serve. `p_row` and `p_parameter` are SQL: an alias and `$1`.
create function search_condition(p_row text, p_parameter text, p_query text) returns text
language sql immutable set search_path = public, pg_temp
as $$
  select format('%1$s.search_text like like_pattern(%2$s)', p_row, p_parameter)
    || case when p_query !~ '[[:alnum:]]{3}'
         then format(' and search_ngrams(%1$s.search_text) @> search_ngrams(lower(%2$s))', p_row, p_parameter) else '' end
$$;

-- Column defaults and triggers that every table shares.

-- A token of 244 random bits in hex, for links that work without a login.
create function unguessable_token() returns text
language sql volatile set search_path = public, pg_temp
as $$ select replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') $$;

-- Trigger: sets updated_at on every update of a row.
create function set_updated_at() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  new.updated_at := now();
  return new;
end
$$;

-- Errors of the API that functions return as values.

-- The value that a function returns instead of its answer when it refuses a request before writing anything.
-- `Database.call` in Python raises it as the API's error with this status, code and sentence.
create function api_error(p_status integer, p_code text, p_message text, p_details jsonb default null) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select jsonb_build_object('error', jsonb_build_object(
    'status', p_status, 'code', p_code, 'message', p_message, 'details', p_details))
$$;

-- Clients: the customers in the shop's books.

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
create index clients_by_ngrams on clients using gin (search_ngrams(search_text));
create index clients_by_created on clients (created_at desc, id desc);

-- Trigger: copies a client's changed names into the search text of their quotes, invoices and jobs.
create function propagate_client_name() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  update quotes set search_text = lower(number || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  update invoices set search_text = lower(number || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  perform from jobs where client_id = new.id order by id for no key update;  -- in the lock order of reorder_jobs
  update jobs set search_text = lower(title || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  return null;
end
$$;
create trigger propagate_client_name after update of name, company on clients
  for each row when ((old.name, old.company) is distinct from (new.name, new.company)) execute function propagate_client_name();
create trigger set_updated_at before update on clients for each row execute function set_updated_at();

-- Users and their sessions. The logins themselves (e-mail, password) are Supabase Auth's.

create type user_role as enum ('ADMIN', 'CLIENT');

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
  constraint users_client_has_client_id check (role = 'ADMIN' or client_id is not null)
);
comment on column users.must_change_password is 'The login still has the one-time password that the shop gave it.';
comment on column users.sessions_valid_from is 'Access tokens issued before it are refused; set by a change of password or role.';
create index users_by_client on users (client_id);
create index users_by_created on users (created_at desc, id desc);
create index users_by_text on users using gin (search_text extensions.gin_trgm_ops);
create index users_by_ngrams on users using gin (search_ngrams(search_text));

create table closed_logins (
  user_id bigint primary key,
  auth_user_id uuid not null unique references auth.users (id) on delete cascade,
  closed_at timestamptz not null default now()
);
comment on table closed_logins is 'Logins of deleted users that are still to be deleted in Supabase Auth; they are refused.';

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
comment on table login_attempts is 'Recent attempts to log in or to request an e-mail, by a keyed hash of the account or of the source address.';
comment on column login_attempts.level_milli is 'Attempts counted and not yet regained, in thousandths, as of counted_at.';
create index login_attempts_by_age on login_attempts (counted_at);
create trigger set_updated_at before update on users for each row execute function set_updated_at();

-- The shop's notes about clients.

create table client_notes (
  id bigint generated always as identity primary key,
  client_id bigint not null references clients (id) on delete cascade,
  author_id bigint references users (id) on delete set null,
  author text not null check (length(author) <= 254),
  body text not null check (length(body) between 1 and 2000),
  created_at timestamptz not null default now()
);
comment on table client_notes is 'Internal notes of the shop; no client sees them.';
create index client_notes_by_client on client_notes (client_id, id desc);
create index client_notes_by_author on client_notes (author_id);

-- The shop's catalogue: materials, product templates and printers.

create type pricing_type as enum ('FIXED', 'CALCULATED');
create type printer_status as enum ('ACTIVE', 'MAINTENANCE', 'OFFLINE');

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
  constraint product_templates_fixed_has_price check ((pricing_type = 'FIXED') = (unit_price_cents is not null)),
  constraint product_templates_fixed_has_no_material check (pricing_type = 'CALCULATED' or material_id is null)
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
create trigger set_updated_at before update on materials for each row execute function set_updated_at();
create trigger set_updated_at before update on product_templates for each row execute function set_updated_at();
create trigger set_updated_at before update on printers for each row execute function set_updated_at();

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

-- What quotes and invoices share. Money is integers in the document currency's minor units (_cents), rates are basis
-- points (_bps), quantities thousandths (_milli), lengths whole millimetres unless the name says otherwise.

create type discount_type as enum ('NONE', 'PERCENT', 'FIXED');

-- Trigger: a quote or invoice is searched by its number and its client's names, without a join.
create function set_document_search_text() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  select lower(new.number || ' ' || c.name || ' ' || c.company) into new.search_text from clients c where c.id = new.client_id;
  return new;
end
$$;

-- Deferred trigger: at commit, a document's lines must sum to its subtotal.
create function check_subtotal() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
declare
  kind text := split_part(rtrim(tg_table_name, 's'), '_', 1);
  parent text := case when tg_table_name like '%items' then kind || '_id' else 'id' end;
  changed bigint[] := array[(to_jsonb(new) ->> parent)::bigint, (to_jsonb(old) ->> parent)::bigint];
  wrong record;
begin
  if kind = 'invoice' then
    select d.number, d.subtotal_cents, sums.total into wrong from invoices d,
      lateral (select coalesce(sum(i.total_cents), 0) as total from invoice_items i where i.invoice_id = d.id) sums
     where d.id = any (changed) and d.subtotal_cents <> sums.total;
  else
    select d.number, d.subtotal_cents, sums.total into wrong from quotes d,
      lateral (select coalesce(sum(i.total_cents), 0) as total from quote_items i where i.quote_id = d.id) sums
     where d.id = any (changed) and d.subtotal_cents <> sums.total;
  end if;
  if found then
    raise exception '% %: subtotal is %, its lines sum to %', kind, wrong.number, wrong.subtotal_cents, wrong.total
      using errcode = 'check_violation';
  end if;
  return null;
end
$$;

-- Quotes and their lines.

create type quote_status as enum ('DRAFT', 'PENDING', 'ACCEPTED', 'DECLINED', 'EXPIRED', 'CONVERTED');

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
  discount_cents bigint not null default 0
    constraint quotes_discount_within_subtotal check (discount_cents between 0 and subtotal_cents),
  shipping_cents bigint not null default 0 check (shipping_cents >= 0),
  shipping_label text not null default '',
  tax_rate_bps integer not null check (tax_rate_bps between 0 and 10000),
  tax_cents bigint not null check (tax_cents >= 0),
  total_cents bigint not null
    constraint quotes_total_is_sum check (total_cents = subtotal_cents - discount_cents + shipping_cents + tax_cents),
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
create index quotes_by_ngrams on quotes using gin (search_ngrams(search_text));
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
create trigger set_document_search_text before insert or update of number, client_id on quotes
  for each row execute function set_document_search_text();
create constraint trigger check_subtotal after insert or update of subtotal_cents on quotes
  deferrable initially deferred for each row execute function check_subtotal();
create trigger set_updated_at before update on quotes for each row execute function set_updated_at();
create constraint trigger check_subtotal after insert or update or delete on quote_items
  deferrable initially deferred for each row execute function check_subtotal();

-- Invoices and their lines.

create type invoice_status as enum ('PENDING', 'PAID', 'OVERDUE', 'VOID', 'WRITTEN_OFF', 'REFUNDED');

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
  discount_cents bigint not null default 0
    constraint invoices_discount_within_subtotal check (discount_cents between 0 and subtotal_cents),
  shipping_cents bigint not null default 0 check (shipping_cents >= 0),
  shipping_label text not null default '',
  tax_rate_bps integer not null check (tax_rate_bps between 0 and 10000),
  tax_cents bigint not null check (tax_cents >= 0),
  total_cents bigint not null
    constraint invoices_total_is_sum check (total_cents = subtotal_cents - discount_cents + shipping_cents + tax_cents),
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
  constraint invoices_write_off_has_date check (written_off_cents = 0 or written_off_at is not null)
);
comment on column invoices.balance_cents is 'What can still be paid.';
comment on column invoices.credit_cents is 'What was paid beyond the total.';
comment on column invoices.stripe_attempt is 'Counts Checkout sessions; part of the idempotency key that Stripe is called with.';
comment on column invoices.paid_cents is 'Payments less refunds; written by the trigger sync_paid_cents only.';
alter table quotes add foreign key (converted_invoice_id) references invoices (id) on delete set null;
create index invoices_by_created on invoices (created_at desc, id desc);
create index invoices_by_status on invoices (status, created_at desc, id desc);
create index invoices_by_text on invoices using gin (search_text extensions.gin_trgm_ops);
create index invoices_by_ngrams on invoices using gin (search_ngrams(search_text));
create index invoices_by_client on invoices (client_id, created_at desc, id desc);
create index invoices_by_client_money on invoices (client_id, currency)
  include (status, total_cents, paid_cents, balance_cents, credit_cents);
create index invoices_by_due on invoices (due_date, id);
create index invoices_by_status_due on invoices (status, due_date, id);
create index invoices_by_client_due on invoices (client_id, due_date, id);
-- By the invoice number as it stands in a PDF's storage key (pdf_filename in Python).
create index invoices_by_pdf on invoices (regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g'));
create index invoices_by_quote on invoices (quote_id);
create index invoices_by_creator on invoices (created_by);
create index invoices_to_age on invoices (due_date) where status = 'PENDING';
create index invoices_by_issue on invoices (issue_date, id);
create index invoices_by_currency on invoices (currency);
-- The receivables and credits of the dashboard and the ageing report.
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
create trigger set_document_search_text before insert or update of number, client_id on invoices
  for each row execute function set_document_search_text();
create constraint trigger check_subtotal after insert or update of subtotal_cents on invoices
  deferrable initially deferred for each row execute function check_subtotal();
create trigger set_updated_at before update on invoices for each row execute function set_updated_at();
create constraint trigger check_subtotal after insert or update or delete on invoice_items
  deferrable initially deferred for each row execute function check_subtotal();

-- The ledger: payments and refunds, and the triggers that keep invoices.paid_cents equal to their sum.

create type payment_method as enum ('STRIPE', 'BANK_TRANSFER', 'CASH', 'OTHER');
create type payment_kind as enum ('PAYMENT', 'REFUND');

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
  constraint payments_refund_is_negative check ((kind = 'PAYMENT' and amount_cents > 0) or (kind = 'REFUND' and amount_cents < 0)),
  constraint payments_refund_has_parent check (kind = 'PAYMENT' or parent_payment_id is not null)
);
comment on column payments.processor_id is 'At Stripe: the payment intent, refund or dispute; null for a manual payment.';
comment on column payments.parent_payment_id is 'Of a refund: the payment that it refunds.';
comment on column payments.is_flagged is 'A person should check it: it differs from what was asked for.';
create index payments_by_invoice on payments (invoice_id, paid_at, id);
create index payments_by_parent on payments (parent_payment_id);
create index payments_by_creator on payments (created_by);
create index payments_by_day on payments (paid_at desc, id desc) include (invoice_id, amount_cents);

-- Trigger: keeps invoices.paid_cents equal to the sum of the invoice's payments less refunds.
create function sync_paid_cents() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  if tg_op <> 'INSERT' then
    update invoices set paid_cents = paid_cents - old.amount_cents where id = old.invoice_id;
  end if;
  if tg_op <> 'DELETE' then
    update invoices set paid_cents = paid_cents + new.amount_cents where id = new.invoice_id;
  end if;
  return null;
end
$$;

-- Deferred trigger: at commit, paid_cents must equal the payments, and a PAID invoice must be paid in full unless it
-- has refunds.
create function check_ledger_balance() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
declare
  parent text := case tg_table_name when 'invoices' then 'id' else 'invoice_id' end;
  checked invoices;
  ledger bigint;
begin
  for checked in select * from invoices
               where id in ((to_jsonb(new) ->> parent)::bigint, (to_jsonb(old) ->> parent)::bigint) loop
    select coalesce(sum(amount_cents), 0) into ledger from payments where invoice_id = checked.id;
    if checked.paid_cents <> ledger then
      raise exception 'invoice %: paid_cents is %, its payments sum to %', checked.number, checked.paid_cents, ledger
        using errcode = 'check_violation';
    end if;
    if checked.status = 'PAID' and checked.paid_cents < checked.total_cents
       and not exists (select from payments where invoice_id = checked.id and kind = 'REFUND') then
      raise exception 'invoice % is PAID with % of % paid', checked.number, checked.paid_cents, checked.total_cents
        using errcode = 'check_violation';
    end if;
  end loop;
  return null;
end
$$;
-- On these columns only: a deferred trigger runs as whoever commits, and Supabase Auth, which sets `created_by` to null
-- when it deletes a login, may not read the ledger.
create constraint trigger check_ledger_balance after insert or update of total_cents, paid_cents, status on invoices
  deferrable initially deferred for each row execute function check_ledger_balance();
create trigger sync_paid_cents after insert or update of amount_cents, invoice_id or delete on payments
  for each row execute function sync_paid_cents();
create constraint trigger check_ledger_balance after insert or update of amount_cents, invoice_id, kind or delete on payments
  deferrable initially deferred for each row execute function check_ledger_balance();

-- What is known from Stripe: events, Checkout sessions, refunds and disputes.

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

-- Every Checkout session that Stripe created for an invoice. RETIRED: must not be paid any more and is still to be expired
-- at Stripe. COMPLETE: paid, the money is still on its way. A state only moves to the right in the list of its check.
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

-- Refunds and disputes as known from Stripe, by Stripe's ids, also before their payment is known; the ledger's refunds are
-- derived from them. A stage only rises, so that the order of arrival does not matter: a refund is pending (1), succeeded
-- (2) or failed (3); a dispute is open (1), its funds are withdrawn (2) or reinstated (3). A CHARGE holds Stripe's cumulative
-- refunded amount, of which only what no REFUND explains counts. `happened_at` is by Stripe's clock.
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

-- A refund that the shop requested, committed before Stripe is called. SETTLED when Stripe's event of it has arrived.
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
  constraint refund_requests_sent_has_refund_id check ((state in ('SENT', 'SETTLED')) = (refund_id is not null))
);
comment on column refund_requests.refusal is 'Why Stripe refused it.';
create index refund_requests_by_invoice on refund_requests (invoice_id, id);
create index refund_requests_by_payment on refund_requests (payment_id);
create index refund_requests_by_creator on refund_requests (created_by);
create index refund_requests_under_way on refund_requests (updated_at) where state in ('REQUESTED', 'SENT');
create trigger set_updated_at before update on checkout_sessions for each row execute function set_updated_at();
create trigger set_updated_at before update on reversals for each row execute function set_updated_at();
create trigger set_updated_at before update on refund_requests for each row execute function set_updated_at();

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

-- The slice cache.

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
  constraint slice_results_gcode_has_size check ((gcode_key is null) = (gcode_bytes is null))
);
comment on table slice_results is 'The slicer''s results by file content, settings and slicer version; prices are computed from these only.';
comment on column slice_results.gcode_key is 'Its g-code in the tmp bucket, owned by no user; null after it expired.';
create index slice_results_to_age on slice_results (used_at) where gcode_key is not null;
create index slice_results_by_material on slice_results (material_id);
create index slice_results_by_printer on slice_results (printer_id);

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

-- Gapless numbers of quotes and invoices.

create table number_sequences (
  kind text primary key check (kind in ('quote', 'invoice')),
  last_number bigint not null default 0 check (last_number >= 0),
  updated_at timestamptz not null default now()
);

-- Draws the next quote or invoice number, gapless: inside the caller's transaction, so that a rollback returns it. The
-- row lock makes concurrent callers wait until commit, so call it as late as possible.
create function next_document_number(kind text, default_prefix text) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  drawn bigint;
  prefix text;
begin
  insert into number_sequences as s (kind, last_number) values (next_document_number.kind, 1)
  on conflict on constraint number_sequences_pkey do update set last_number = s.last_number + 1
  returning s.last_number into drawn;
  select case next_document_number.kind when 'quote' then quote_prefix when 'invoice' then invoice_prefix end
    into prefix from settings;
  return coalesce(prefix, default_prefix) || lpad(drawn::text, greatest(4, length(drawn::text)), '0');
end
$$;
create trigger set_updated_at before update on number_sequences for each row execute function set_updated_at();

-- Idempotency keys: the same request again gets the same answer.

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

-- The answer that this user's Idempotency-Key got before on this route; an error if the key came with another body;
-- null for a new key. Concurrent requests with the same key wait here for each other. Call it first: `idempotency_put`
-- ends the same transaction.
create function idempotency_get(p_user_id bigint, p_route text, p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer idempotency_keys;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_route || ':' || p_user_id || ':' || p_key, 0));
  select * into earlier_answer from idempotency_keys where user_id = p_user_id and route = p_route and key = p_key;
  if not found then
    return null;
  elsif earlier_answer.body_hash <> p_body_hash then
    return api_error(422, 'IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body; send a new key.');
  end if;
  return earlier_answer.response;
end
$$;

-- Stores the answer to an Idempotency-Key, to be returned by `idempotency_get` when the request is repeated.
create function idempotency_put(p_user_id bigint, p_route text, p_key text, p_body_hash text, p_response jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  insert into idempotency_keys (user_id, route, key, body_hash, response)
  values (p_user_id, p_route, p_key, p_body_hash, p_response)
$$;

-- Messages between the shop and its clients.

create table user_messages (
  id bigint generated always as identity primary key,
  user_id bigint not null references users (id) on delete cascade,
  sender_id bigint references users (id) on delete set null,
  invoice_id bigint references invoices (id) on delete set null,
  body text not null check (length(body) between 1 and 5000),
  read_at timestamptz,
  created_at timestamptz not null default now()
);
comment on column user_messages.user_id is 'The client login whose thread it is; sender_id null is a message of the system.';
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
comment on table message_threads is 'One row per thread, so that an index lists threads by their latest message; kept by a trigger.';
create index message_threads_by_latest on message_threads (latest_id desc);

-- Trigger: keeps the latest message of each thread.
create function update_message_thread() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  insert into message_threads as t (user_id, latest_id) values (new.user_id, new.id)
  on conflict (user_id) do update set latest_id = greatest(t.latest_id, excluded.latest_id);
  return null;
end
$$;
create trigger update_message_thread after insert on user_messages for each row execute function update_message_thread();

-- The outbox of e-mails.

create type mail_kind as enum ('QUOTE', 'INVOICE');
create type mail_status as enum ('QUEUED', 'SENDING', 'SENT', 'FAILED');

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
  constraint mails_has_document_of_kind check ((kind = 'QUOTE') = (quote_id is not null) and (kind = 'INVOICE') = (invoice_id is not null))
);
comment on table mails is 'The outbox: a row is committed with the change that it is about, and sent by the mailer.';
comment on column mails.to_address is 'Null when the shop sends no e-mail: then only the PDF is stored as it was sent.';
comment on column mails.queued_at is 'When its queue message was last sent.';
comment on column mails.pdf_key is 'The attached PDF in the pdfs bucket; recorded before the mail is sent.';
create index mails_by_quote on mails (quote_id, id desc);
create index mails_by_invoice on mails (invoice_id, id desc);
create index mails_by_creator on mails (created_by);
create index mails_by_pdf on mails (pdf_key) where pdf_key is not null;
create index mails_to_send on mails (queued_at) where status in ('QUEUED', 'SENDING');
create trigger set_updated_at before update on mails for each row execute function set_updated_at();

-- Heartbeats, and objects in storage that no row knows.

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
comment on table stray_objects is 'Stored objects without a row: in tmp and pdfs they are deleted after 48 hours, in other buckets only counted.';

-- Users in JSON.

-- The signed-in user, as every request carries them.
create function user_json(u users) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', u.id, 'authUserId', u.auth_user_id, 'email', u.email, 'name', u.name,
                            'role', u.role, 'clientId', u.client_id, 'mustChangePassword', u.must_change_password)
$$;

-- A user as the shop's list of logins shows them.
create function user_account_json(u users) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', u.id, 'email', u.email, 'name', u.name, 'role', u.role, 'clientId', u.client_id,
    'clientName', (select c.name from clients c where c.id = u.client_id),
    'mustChangePassword', u.must_change_password, 'createdAt', u.created_at)
$$;

-- Limits on login attempts.

-- Counts a login attempt before it is made, so that many at once cannot get round the limit. `p_subjects` is
-- [{"subject", "attempts", "seconds"}]: the hash of an account or of a source, how many attempts it has at once, and
-- in how many seconds it regains one. When they are used up, each further attempt waits twice as long as the one
-- before, from 30 seconds to 15 minutes; nobody is locked out for good, and refused attempts do not lengthen the wait.
-- `reset_rate_limit` takes a successful attempt back.
create function count_attempt(p_subjects jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  wait double precision;
  present timestamptz;
begin
  insert into login_attempts (subject, level_milli, counted_at)
  select s ->> 'subject', 0, '-infinity' from jsonb_array_elements(p_subjects) s order by 1
  on conflict (subject) do nothing;
  -- In subject order, so that concurrent callers do not deadlock.
  perform from login_attempts
   where subject in (select s ->> 'subject' from jsonb_array_elements(p_subjects) s) order by subject for update;
  present := clock_timestamp();
  select max(extract(epoch from a.counted_at - present) + least(900, 30 * 2 ^ least(10, ceil(a.level_milli / 1000.0) - (s ->> 'attempts')::integer)))
    into wait
    from jsonb_array_elements(p_subjects) s join login_attempts a on a.subject = s ->> 'subject'
   where ceil(a.level_milli / 1000.0) >= (s ->> 'attempts')::integer;
  if wait > 0 then
    return api_error(429, 'TOO_MANY_ATTEMPTS', 'Too many attempts; wait as long as Retry-After says, then try again.',
                     jsonb_build_object('retryAfterSeconds', ceil(wait)));
  end if;
  update login_attempts a
     set level_milli = 1000 + greatest(0, a.level_milli - floor(
           1000 * extract(epoch from present - greatest(a.counted_at, present - interval '1 day')) / (s ->> 'seconds')::integer)),
         counted_at = present
    from jsonb_array_elements(p_subjects) s where a.subject = s ->> 'subject';
  return jsonb_build_object('counted', true);
end
$$;

-- After a successful login: resets the account's count, and takes this one attempt back from its source (`p_attempt`
-- {"account", "source"}). The source keeps its other attempts, because a login to one's own account must not clear
-- guesses at others.
create function reset_rate_limit(p_attempt jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from login_attempts where subject in (p_attempt ->> 'account', p_attempt ->> 'source') order by subject for update;
  delete from login_attempts where subject = p_attempt ->> 'account';
  update login_attempts set level_milli = greatest(0, level_milli - 1000) where subject = p_attempt ->> 'source';
end
$$;

-- Sign-up, sessions and the user of a request.

-- The user of a verified access token, or why the token is no longer accepted. The role comes from `users` alone,
-- never from the token.
create function authenticate(p_auth_user_id uuid, p_session_id uuid, p_issued_at timestamptz) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  found_user users;
begin
  select * into found_user from users where auth_user_id = p_auth_user_id;
  if not found then
    return api_error(403, 'NO_PROFILE', 'This login has no account here; sign up, or ask the shop for an invitation.');
  end if;
  if p_issued_at < date_trunc('second', found_user.sessions_valid_from)
     or exists (select from revoked_sessions where session_id = p_session_id) then
    return api_error(401, 'SESSION_ENDED', 'This session has ended; log in again.');
  end if;
  return user_json(found_user);
end
$$;

-- The profile of a login: the existing one, or at the first login a new CLIENT user with a new client. An existing
-- client is never matched by e-mail, because whoever owns an address later must not inherit another person's orders. A
-- closed login, or an invited one (`p_invited`) whose profile was never created, gets an error. `p_attempt` is the
-- counted login attempt.
create function open_account(p_auth_user_id uuid, p_email text, p_name text, p_company text, p_phone text,
                             p_invited boolean default false, p_attempt jsonb default null) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  opened users;
  new_client bigint;
begin
  perform reset_rate_limit(p_attempt);
  perform pg_advisory_xact_lock(hashtextextended(p_auth_user_id::text, 0));
  select * into opened from users where auth_user_id = p_auth_user_id;
  if found then
    return user_json(opened);
  end if;
  if p_invited or exists (select from closed_logins where auth_user_id = p_auth_user_id) then
    return api_error(403, 'NO_PROFILE', 'This login has no account here; ask the shop for an invitation.');
  end if;
  insert into clients (name, company, email, phone)
  -- A name from Supabase's own sign-up may exceed our limits.
  values (left(coalesce(nullif(trim(p_name), ''), split_part(p_email, '@', 1)), 200), left(coalesce(p_company, ''), 200),
          p_email, left(coalesce(p_phone, ''), 50))
  returning id into new_client;
  insert into users (auth_user_id, email, name, role, client_id)
  values (p_auth_user_id, p_email, left(coalesce(p_name, ''), 200), 'CLIENT', new_client)
  returning * into opened;
  perform log_activity(new_client, null, null, null, null, 'CLIENT_SIGNED_UP', 'A new client signed up',
                       jsonb_build_object('userId', opened.id));
  return user_json(opened);
end
$$;

-- Ends one session: its access token is refused from now on, although its signature is still valid.
create function end_session(p_user_id bigint, p_session_id uuid) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  insert into revoked_sessions (session_id, user_id) values (p_session_id, p_user_id) on conflict do nothing;
  return jsonb_build_object('ended', true);
end
$$;

-- After the user chose a new password: ends every session whose token was issued before this second, and the given
-- session whenever it was issued. `p_attempt` is the counted attempt that led here. Returns the user.
create function end_all_sessions(p_auth_user_id uuid, p_session_id uuid, p_attempt jsonb default null) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  ended users;
begin
  perform reset_rate_limit(p_attempt);
  update users set sessions_valid_from = now(), must_change_password = false where auth_user_id = p_auth_user_id returning * into ended;
  if not found then
    return api_error(403, 'NO_PROFILE', 'This login has no account here.');
  end if;
  insert into revoked_sessions (session_id, user_id)
  select p_session_id, ended.id where p_session_id is not null on conflict do nothing;
  perform log_activity(ended.client_id, null, null, null, null, 'SESSIONS_ENDED', 'All sessions of a user were ended',
                       jsonb_build_object('userId', ended.id));
  return user_json(ended);
end
$$;

-- Makes a login an admin; called by `make admin` only, by no route.
create function make_admin(p_auth_user_id uuid, p_email text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  promoted users;
begin
  insert into users (auth_user_id, email, role) values (p_auth_user_id, p_email, 'ADMIN')
  on conflict (auth_user_id) do update set role = 'ADMIN'
  returning * into promoted;
  perform log_activity(null, null, null, null, null, 'ADMIN_MADE', 'A user was made an admin',
                       jsonb_build_object('userId', promoted.id));
  return user_json(promoted);
end
$$;

-- The shop's list of logins: invitations and deletions. The login itself is created and deleted in Supabase Auth.

-- A page of the users, newest first, after the row (`p_before_created`, `p_before_id`).
create function list_users(p_query text, p_limit integer, p_before_created timestamptz, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  wanted text := 'true';
  page jsonb;
begin
  if p_query is not null then
    wanted := wanted || ' and ' || search_condition('u', '$1', p_query);
  end if;
  if p_before_id is not null then
    wanted := wanted || ' and (u.created_at, u.id) < ($2, $3)';
  end if;
  execute format('select coalesce(jsonb_agg(user_account_json(u) order by u.created_at desc, u.id desc), ''[]'')
                    from (select * from users u where %s order by u.created_at desc, u.id desc limit $4) u', wanted)
    into page using p_query, p_before_created, p_before_id, p_limit;
  return page;
end
$$;

-- Creates the profile of a login that the shop has just invited with a one-time password. Only this function attaches
-- a login to an existing client.
create function create_user(p_user_id bigint, p_auth_user_id uuid, p_email text, p_name text, p_role user_role,
                            p_client_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  created users;
begin
  if p_role = 'CLIENT' then
    perform from clients where id = p_client_id for key share;
    if not found then
      return api_error(422, 'UNKNOWN_CLIENT', 'Name the client of this login in clientId.', '[{"field": "clientId"}]');
    end if;
  end if;
  insert into users (auth_user_id, email, name, role, client_id, must_change_password)
  values (p_auth_user_id, p_email, p_name, p_role, p_client_id, true)
  returning * into created;
  perform log_activity(created.client_id, null, null, null, null, 'USER_INVITED',
                       case p_role when 'ADMIN' then 'An admin' else 'A client''s login' end || ' was invited: ' || p_email,
                       jsonb_build_object('userId', p_user_id, 'invitedUserId', created.id, 'role', p_role));
  return user_account_json(created);
end
$$;

-- Whether a login has a profile.
create function has_profile(p_auth_user_id uuid) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('hasProfile', exists (select from users where auth_user_id = p_auth_user_id))
$$;

-- Deletes a user, never the last admin, and returns the login that the caller must delete in Supabase Auth. Until then
-- the login is listed in closed_logins; deleting the same user again returns it again. The user's own message thread
-- is deleted; messages that they wrote in other threads stay, without a sender.
create function delete_user(p_user_id bigint, p_deleted_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted users;
  closed closed_logins;
begin
  -- Two admins who delete each other wait here: the second sees what the first did.
  perform pg_advisory_xact_lock(hashtextextended('delete_user', 0));
  select * into deleted from users where id = p_deleted_id for update;
  if not found then
    select * into closed from closed_logins where user_id = p_deleted_id;
    if not found then
      return api_error(404, 'USER_NOT_FOUND', 'There is no such user.');
    end if;
    return jsonb_build_object('authUserId', closed.auth_user_id);
  elsif deleted.role = 'ADMIN' and not exists (select from users where role = 'ADMIN' and id <> deleted.id) then
    return api_error(409, 'LAST_ADMIN', 'This is the last admin; invite another one first.');
  elsif not exists (select from users where id = p_user_id and role = 'ADMIN') then
    return api_error(403, 'ADMIN_ONLY', 'Only the shop may do this.');
  end if;
  perform log_activity(deleted.client_id, null, null, null, null, 'USER_DELETED', 'The login ' || deleted.email || ' was deleted',
                       jsonb_build_object('userId', p_user_id, 'deletedUserId', deleted.id, 'role', deleted.role));
  delete from users where id = deleted.id;
  insert into closed_logins (user_id, auth_user_id) select deleted.id, deleted.auth_user_id where deleted.auth_user_id is not null;
  return jsonb_build_object('authUserId', deleted.auth_user_id);
end
$$;

-- Clients in JSON.

-- A client as documents show them: name, contact and address.
create function client_json(c clients) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', c.id, 'name', c.name, 'company', c.company, 'email', c.email, 'phone', c.phone, 'abn', c.abn,
    'address', case when c.address_line1 || c.address_line2 || c.suburb || c.state || c.postcode <> '' then jsonb_build_object(
      'line1', c.address_line1, 'line2', c.address_line2, 'suburb', c.suburb, 'state', c.state,
      'postcode', c.postcode, 'country', c.country) end)
$$;

-- A client's invoice totals per currency: open invoices, outstanding, billed, paid and credit. VOID invoices bill
-- nothing; only PENDING and OVERDUE ones are outstanding.
create function client_totals_json(p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('currency', m.currency, 'openInvoices', m.open,
      'outstandingCents', m.outstanding, 'billedCents', m.billed, 'paidCents', m.paid, 'creditCents', m.credit)
      order by m.currency), '[]')
    from (
      select currency, count(*) filter (where status in ('PENDING', 'OVERDUE')) as open,
        coalesce(sum(balance_cents) filter (where status in ('PENDING', 'OVERDUE')), 0) as outstanding,
        coalesce(sum(total_cents) filter (where status <> 'VOID'), 0) as billed,
        sum(paid_cents) as paid, sum(credit_cents) as credit
      from invoices where client_id = p_client_id group by currency) m
$$;

-- A client as a row of the shop's list.
create function client_summary_json(c clients) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select client_json(c) || jsonb_build_object('paymentTerm', c.payment_term, 'totals', client_totals_json(c.id),
                                              'createdAt', c.created_at, 'updatedAt', c.updated_at)
$$;

-- A note that the shop made about a client.
create function client_note_json(n client_notes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', n.id, 'authorId', n.author_id, 'author', n.author, 'body', n.body, 'createdAt', n.created_at)
$$;

-- A client's print preferences. A preferred material that is no longer active reads as null.
create function client_preferences(p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select c.preferences || jsonb_build_object('materialId', (
      select m.id from materials m where m.id = (c.preferences ->> 'materialId')::bigint and m.is_active))
    from clients c where c.id = p_client_id
$$;

-- A client as the shop sees them: summary, preferences, notes, logins and the latest activity.
create function client_detail_json(c clients) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select client_summary_json(c) || jsonb_build_object(
    'preferences', client_preferences(c.id),
    'notes', (select coalesce(jsonb_agg(client_note_json(n) order by n.id desc), '[]')
      from client_notes n where n.client_id = c.id),
    'users', (select coalesce(jsonb_agg(jsonb_build_object('id', u.id, 'email', u.email, 'name', u.name,
        'mustChangePassword', u.must_change_password, 'createdAt', u.created_at) order by u.id), '[]')
      from users u where u.client_id = c.id),
    'activity', (select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'action', a.action, 'message', a.message,
        'quoteId', a.quote_id, 'invoiceId', a.invoice_id, 'jobId', a.job_id, 'metadata', a.metadata,
        'createdAt', a.created_at) order by a.id desc), '[]')
      from (select * from activity_logs where client_id = c.id order by id desc limit 20) a))
$$;

-- Clients as the shop reads them.

-- Reads one client for the shop.
create function get_client(p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce((select client_detail_json(c) from clients c where c.id = p_client_id),
                  api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client.'))
$$;

-- A page of the clients, sorted by name or creation, after the row that `p_after_…` names. The query is assembled from
-- fixed fragments; every value is a parameter.
create function list_clients(p_query text, p_sort text, p_limit integer, p_after_created timestamptz,
                             p_after_name text, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  sorted text := case p_sort when 'name' then 'lower(c.name), c.id' when 'createdAt' then 'c.created_at, c.id'
                   else 'c.created_at desc, c.id desc' end;
  place text := case p_sort when 'name' then '(lower(c.name), c.id) > (lower($3), $4)'
                  when 'createdAt' then '(c.created_at, c.id) > ($2, $4)' else '(c.created_at, c.id) < ($2, $4)' end;
  wanted text := 'true';
  page jsonb;
begin
  if p_query is not null then
    wanted := wanted || ' and ' || search_condition('c', '$1', p_query);
  end if;
  if p_after_id is not null then
    wanted := wanted || ' and ' || place;
  end if;
  execute format('select coalesce(jsonb_agg(client_summary_json(c) order by %1$s), ''[]'')
                    from (select * from clients c where %2$s order by %1$s limit $5) c', sorted, wanted)
    into page using p_query, p_after_created, p_after_name, p_after_id, p_limit;
  return page;
end
$$;

-- A page of a client's order files, newest first. `p_client_scope` null reads as the shop, else only that client's
-- files.
create function list_client_order_files(p_client_scope bigint, p_client_id bigint, p_limit integer,
                                        p_before_uploaded timestamptz, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  place text := concat_ws(' ', '', case when p_before_id is not null then 'and (f.uploaded_at, f.id) < ($2, $3)' end,
                          case when p_client_scope is not null then 'and not is_in_draft_quote(f)' end);
  page jsonb;
begin
  if p_client_scope <> p_client_id or not exists (select from clients where id = p_client_id) then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client of yours.');
  end if;
  execute format('select coalesce(jsonb_agg(order_file_json(f) order by f.uploaded_at desc, f.id desc), ''[]'') from (
                    select * from order_files f where f.client_id = $1%s
                     order by f.uploaded_at desc, f.id desc limit $4) f', place)
    into page using p_client_id, p_before_uploaded, p_before_id, p_limit;
  return page;
end
$$;

-- Changes of clients.

-- An error when the shop has no payment term of this code; null for a known or missing one.
create function payment_term_error(p_code text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select api_error(422, 'UNKNOWN_PAYMENT_TERM', 'Choose one of the payment terms of the settings, or leave it out.',
                   '[{"field": "paymentTerm"}]')
   where p_code is not null
     and not exists (select from settings s, jsonb_array_elements(s.payment_terms) t where t.value ->> 'code' = p_code)
$$;

-- Creates a client. `p_client` is the whole client in camelCase.
create function create_client(p_user_id bigint, p_client jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  address jsonb := coalesce(nullif(p_client -> 'address', 'null'), '{}');
  problem jsonb := payment_term_error(p_client ->> 'paymentTerm');
  created clients;
begin
  if problem is not null then
    return problem;
  end if;
  insert into clients (name, company, email, phone, abn, address_line1, address_line2, suburb, state, postcode, country,
                       payment_term)
  values (p_client ->> 'name', p_client ->> 'company', p_client ->> 'email', p_client ->> 'phone', p_client ->> 'abn',
          coalesce(address ->> 'line1', ''), coalesce(address ->> 'line2', ''), coalesce(address ->> 'suburb', ''),
          coalesce(address ->> 'state', ''), coalesce(address ->> 'postcode', ''), coalesce(address ->> 'country', 'AU'),
          p_client ->> 'paymentTerm')
  returning * into created;
  perform log_activity(created.id, null, null, null, null, 'CLIENT_CREATED', 'Client ' || created.name || ' was created',
                       jsonb_build_object('userId', p_user_id));
  return client_detail_json(created);
end
$$;

-- Replaces a client's fields. `p_client` is the whole client in camelCase.
create function update_client(p_user_id bigint, p_client_id bigint, p_client jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  address jsonb := coalesce(nullif(p_client -> 'address', 'null'), '{}');
  problem jsonb := payment_term_error(p_client ->> 'paymentTerm');
  before clients;
  after clients;
begin
  select * into before from clients where id = p_client_id for no key update;
  if not found then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  elsif problem is not null then
    return problem;
  end if;
  update clients set
    name = p_client ->> 'name', company = p_client ->> 'company', email = p_client ->> 'email',
    phone = p_client ->> 'phone', abn = p_client ->> 'abn', payment_term = p_client ->> 'paymentTerm',
    address_line1 = coalesce(address ->> 'line1', ''), address_line2 = coalesce(address ->> 'line2', ''),
    suburb = coalesce(address ->> 'suburb', ''), state = coalesce(address ->> 'state', ''),
    postcode = coalesce(address ->> 'postcode', ''), country = coalesce(address ->> 'country', 'AU')
  where id = p_client_id returning * into after;
  perform log_activity(after.id, null, null, null, null, 'CLIENT_CHANGED', 'Client ' || after.name || ' was changed',
    jsonb_build_object('userId', p_user_id, 'changed', (
      select coalesce(jsonb_agg(n.key order by n.key), '[]') from jsonb_each(to_jsonb(after)) n
       where n.value is distinct from to_jsonb(before) -> n.key and n.key not in ('updated_at', 'search_text'))));
  return client_detail_json(after);
end
$$;

-- Deletes a client that has no documents, jobs, files or logins. The row lock keeps new ones from being added
-- meanwhile.
create function delete_client(p_user_id bigint, p_client_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted clients;
  used jsonb;
begin
  select * into deleted from clients where id = p_client_id for update;
  if not found then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  end if;
  select jsonb_object_agg(b.kind, b.number) into used from (
    select 'quotes' as kind, count(*) as number from quotes where client_id = deleted.id
    union all select 'invoices', count(*) from invoices where client_id = deleted.id
    union all select 'jobs', count(*) from jobs where client_id = deleted.id
    union all select 'orderFiles', count(*) from order_files where client_id = deleted.id
    union all select 'users', count(*) from users where client_id = deleted.id) b where b.number > 0;
  if used is not null then
    return api_error(409, 'CLIENT_IN_USE', case when used - 'users' = '{}'
        then 'This client has logins: delete them under admin/users, then the client.'
        else 'This client has documents, jobs or files, which are kept: keep the client, and delete its logins if nobody may use it.'
      end, used);
  end if;
  perform log_activity(deleted.id, null, null, null, null, 'CLIENT_DELETED', 'Client ' || deleted.name || ' was deleted',
                       jsonb_build_object('userId', p_user_id, 'clientId', deleted.id));
  delete from clients where id = deleted.id;
  return jsonb_build_object('id', deleted.id);
end
$$;

-- Adds a note about a client, up to `p_limit` notes.
create function add_client_note(p_user_id bigint, p_client_id bigint, p_body text, p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  added client_notes;
begin
  perform from clients where id = p_client_id for no key update;
  if not found then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  elsif (select count(*) from client_notes where client_id = p_client_id) >= p_limit then
    return api_error(409, 'NOTES_FULL', 'This client has as many notes as are kept: ' || p_limit || '; write to an invoice or a job instead.');
  end if;
  insert into client_notes (client_id, author_id, author, body)
  select p_client_id, u.id, coalesce(nullif(u.name, ''), u.email), p_body from users u where u.id = p_user_id
  returning * into added;
  perform log_activity(p_client_id, null, null, null, null, 'CLIENT_NOTE_ADDED', 'A note was added to a client',
                       jsonb_build_object('userId', p_user_id, 'noteId', added.id));
  return client_note_json(added);
end
$$;

-- Replaces a client's print preferences.
create function save_preferences(p_user_id bigint, p_client_id bigint, p_preferences jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from clients where id = p_client_id for no key update;
  if p_preferences ->> 'materialId' is not null and not exists (
      select from materials where id = (p_preferences ->> 'materialId')::bigint and is_active) then
    return api_error(422, 'UNKNOWN_MATERIAL', 'Choose one of the shop''s materials.', '[{"field": "materialId"}]');
  end if;
  update clients set preferences = p_preferences where id = p_client_id;
  perform log_activity(p_client_id, null, null, null, null, 'PREFERENCES_CHANGED', 'A client changed its preferences',
                       jsonb_build_object('userId', p_user_id));
  return client_preferences(p_client_id);
end
$$;

-- Documents as PDFs show them.

-- A line of a quote or invoice.
create function item_json(p_position integer, p_description text, p_quantity_milli bigint, p_unit_price_cents bigint,
  p_discount_type discount_type, p_discount_bps integer, p_discount_fixed_cents bigint, p_total_cents bigint,
  p_details jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'position', p_position, 'description', p_description, 'quantity', trim_scale(p_quantity_milli::numeric / 1000),
    'unitPriceCents', p_unit_price_cents, 'discountType', p_discount_type, 'discountBps', p_discount_bps,
    'discountFixedCents', p_discount_fixed_cents, 'totalCents', p_total_cents, 'details', nullif(p_details, '{}'))
$$;

-- What lies between an invoice's total and its balance: total - received + refunded - written off - credited + in
-- credit = balance (of a VOID invoice, total counts as 0). `creditedCents` is what was refunded after full payment and
-- is not owed again.
create function payment_summary_json(p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('receivedCents', m.received, 'refundedCents', m.refunded,
      'writtenOffCents', least(i.written_off_cents, g.given_up),
      'creditedCents', g.given_up - least(i.written_off_cents, g.given_up),
      'inCreditCents', greatest(0, i.paid_cents - case when i.status = 'VOID' then 0 else i.total_cents end))
    from invoices i,
         lateral (select coalesce(sum(amount_cents) filter (where kind = 'PAYMENT'), 0)::bigint as received,
                         coalesce(-sum(amount_cents) filter (where kind = 'REFUND'), 0)::bigint as refunded
                    from payments where invoice_id = i.id) m,
         lateral (select case when i.status in ('PAID', 'REFUNDED', 'WRITTEN_OFF')
                              then greatest(0, i.total_cents - i.paid_cents) else 0 end as given_up) g
   where i.id = p_invoice_id
$$;

-- A document as its PDF shows it, with the shop, read at one moment. `p_client_id` null reads as the shop.
create function get_document(p_kind text, p_id bigint, p_client_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  document jsonb;
begin
  if p_kind = 'invoice' then
    document := get_invoice(p_id, p_client_id);
  else
    select quote_json(q) into document from quotes q
     where q.id = p_id and (p_client_id is null or (q.client_id = p_client_id and q.status <> 'DRAFT'));
    document := coalesce(document, api_error(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.'));
  end if;
  if document ? 'error' then
    return document;
  end if;
  if p_kind = 'invoice' then
    document := document || payment_summary_json(p_id);
  end if;
  -- Pictures of the models, by the file id that each line names.
  document := document || jsonb_build_object('pictures', (
    select coalesce(jsonb_object_agg(f.metadata ->> 'fileId', f.storage_key order by f.id), '{}') from order_files f
     where ((p_kind = 'invoice' and f.invoice_id = p_id) or (p_kind = 'quote' and f.quote_id = p_id))
       and f.mime_type = 'image/png' and f.metadata ? 'fileId'));
  return jsonb_build_object('document', document, 'business', business_json());
end
$$;

-- Uploaded models and slicer output, kept for a limited time.

-- An uploaded file (or slicer output) with its slice request's state.
create function tmp_file_json(f tmp_files) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', f.id, 'storageKey', f.storage_key, 'objectKey', coalesce(f.object_key, f.storage_key),
    'filename', f.filename, 'sizeBytes', f.size_bytes,
    'mimeType', f.mime_type, 'status', f.status, 'metadata', f.metadata - 'logTail', 'uploaded', f.uploaded_at is not null,
    'settingsHash', f.settings_hash, 'queued', f.queued_at is not null, 'progressPercent', f.progress_percent,
    'progressStage', f.progress_stage, 'geometry', f.geometry, 'inspection', f.inspection,
    'previewKey', f.preview_key, 'isOutput', f.parent_id is not null, 'materialId', f.material_id,
    'printerId', f.printer_id, 'profile', f.profile, 'createdAt', f.created_at, 'updatedAt', f.updated_at)
$$;

-- A user's own file, by its id or its storage key; null when there is none.
create function own_tmp_file(p_user_id bigint, p_file text) returns tmp_files
language sql stable set search_path = public, pg_temp
as $$
  select f from tmp_files f
   where f.user_id = p_user_id
     and (f.storage_key = p_file or f.id = case when p_file ~ '^[0-9]{1,18}$' then p_file::bigint end)
$$;

-- A user's own file, or for the shop (`p_for_shop`) any file by its id; null when there is none.
create function visible_tmp_file(p_user_id bigint, p_file text, p_for_shop boolean) returns tmp_files
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(own_tmp_file(p_user_id, p_file),
    (select f from tmp_files f where p_for_shop and f.id = case when p_file ~ '^[0-9]{1,18}$' then p_file::bigint end))
$$;

-- The error for a file that does not exist or belongs to another user.
create function file_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'FILE_NOT_FOUND', 'There is no such file of yours; upload it first.') $$;

-- Reads a user's own file; for the shop (`p_for_shop`) any file.
create function get_tmp_file(p_user_id bigint, p_file text, p_for_shop boolean default false) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := visible_tmp_file(p_user_id, p_file, p_for_shop);
begin
  return case when f.id is null then file_not_found_error() else tmp_file_json(f) end;
end
$$;

-- A page of a user's files, newest first.
create function list_tmp_files(p_user_id bigint, p_limit integer, p_before_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(tmp_file_json(f) order by f.id desc), '[]')
    from (select * from tmp_files where user_id = p_user_id and (p_before_id is null or id < p_before_id)
           order by id desc limit p_limit) f
$$;

-- Registers files that are about to be uploaded, or have been (`p_uploaded`), under storage keys that the caller made.
create function save_tmp_files(p_user_id bigint, p_files jsonb, p_uploaded boolean) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  with given as (
    select value, ordinality from jsonb_array_elements(p_files) with ordinality
  ), saved as (
    insert into tmp_files (user_id, storage_key, filename, size_bytes, mime_type, uploaded_at)
    select p_user_id, value ->> 'storageKey', value ->> 'filename', (value ->> 'sizeBytes')::bigint,
           value ->> 'mimeType', case when p_uploaded then now() end
      from given order by ordinality
    returning *
  )
  select coalesce(jsonb_agg(tmp_file_json(s::tmp_files) order by s.id), '[]') from saved s
$$;

-- Changes size, type, status, metadata or upload state of a user's own file; only the keys in `p_changes`.
create function update_tmp_file(p_user_id bigint, p_file text, p_changes jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files := own_tmp_file(p_user_id, p_file);
begin
  if f.id is null then
    return file_not_found_error();
  end if;
  update tmp_files set
    size_bytes = coalesce((p_changes ->> 'sizeBytes')::bigint, size_bytes),
    mime_type = coalesce(p_changes ->> 'mimeType', mime_type),
    status = coalesce((p_changes ->> 'status')::tmp_file_status, status),
    metadata = metadata || coalesce(p_changes -> 'metadata', '{}'),
    uploaded_at = case when (p_changes ->> 'uploaded')::boolean then coalesce(uploaded_at, now()) else uploaded_at end
  where id = f.id returning * into f;
  return tmp_file_json(f);
end
$$;

-- The storage keys that belong to these files alone: their bytes and previews, and those of their slicer outputs.
-- Cached g-code belongs to the slice cache, not to a file.
create function tmp_object_keys(p_ids bigint[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(k.key order by f.id), '[]')
    from tmp_files f
    cross join lateral (values (case when f.object_key is null then f.storage_key end), (f.preview_key)) k (key)
   where (f.id = any (p_ids) or f.parent_id = any (p_ids)) and k.key is not null
$$;

-- Deletes a user's files with their slicer outputs, and returns the storage keys to delete. A file that is being
-- sliced is an error.
create function delete_tmp_files(p_user_id bigint, p_files text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  chosen bigint[];
  keys jsonb;
begin
  select array_agg(id) into chosen from (
    select id from tmp_files
     where user_id = p_user_id and (storage_key = any (p_files) or id::text = any (p_files))
     order by id for update) locked;
  if chosen is null then
    return file_not_found_error();
  end if;
  if exists (select from tmp_files where id = any (chosen) and (queued_at is not null or status = 'running')) then
    return api_error(409, 'SLICE_RUNNING', 'This file is being sliced; delete it when the slice has ended.');
  end if;
  keys := tmp_object_keys(chosen);
  delete from tmp_files where id = any (chosen);
  return jsonb_build_object('storageKeys', keys);
end
$$;

-- Completes an upload that was checked and measured, unless `p_waiting_limit` of the user's models are waiting for
-- inspection: then the upload stays incomplete. Sets inspection_sent_at, by which the janitor finds inspections that
-- were never sent.
create function accept_upload(p_user_id bigint, p_file text, p_size_bytes bigint, p_content_hash text,
                              p_geometry jsonb, p_waiting_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
begin
  perform from users where id = p_user_id for no key update;  -- the user's uploads are counted one at a time
  f := own_tmp_file(p_user_id, p_file);
  if f.id is null then
    return file_not_found_error();
  end if;
  if f.uploaded_at is null
     and (select count(*) from tmp_files where user_id = p_user_id and inspection_sent_at is not null and inspection is null)
         >= p_waiting_limit then
    return api_error(429, 'TOO_MANY_WAITING', format(
      'You have %s models waiting to be looked at; complete this upload when that is done.', p_waiting_limit));
  end if;
  update tmp_files set
    uploaded_at = now(), size_bytes = p_size_bytes, content_hash = p_content_hash, geometry = p_geometry,
    inspection_sent_at = now()
  where id = f.id and uploaded_at is null;
  select * into f from tmp_files where id = f.id;
  return tmp_file_json(f);
end
$$;

-- The one look-up that a request begins with.

-- The user of a verified access token (or the error of `authenticate`), with what the request is about to need, read at the
-- same moment: for an admin who prices a document, the price book (`p_pricing`: the slices that the request names); for
-- a slice request, the slicing context (`p_slicing`: {file, materialId, printerId}).
create function get_request_context(p_auth_user_id uuid, p_session_id uuid, p_issued_at timestamptz,
                                    p_pricing jsonb default null, p_slicing jsonb default null) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  caller jsonb := authenticate(p_auth_user_id, p_session_id, p_issued_at);
begin
  if caller ? 'error' then
    return caller;
  elsif p_pricing is not null and caller ->> 'role' = 'ADMIN' then
    return caller || jsonb_build_object('priceBook', price_book((caller ->> 'id')::bigint, p_pricing));
  elsif p_slicing is not null then
    return caller || jsonb_build_object('slicing', slicing_context((caller ->> 'id')::bigint, p_slicing ->> 'file',
      (p_slicing ->> 'materialId')::bigint, (p_slicing ->> 'printerId')::bigint));
  end if;
  return caller;
end
$$;

-- Errors of acts on invoices.

-- The error for an invoice that does not exist or belongs to another client.
create function invoice_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.') $$;

-- An error when the invoice is VOID, WRITTEN_OFF or REFUNDED; null otherwise.
create function invoice_closed_error(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
    api_error(409, 'INVOICE_CLOSED', format('Invoice %s is %s, which is the end of it; write a new one.', i.number, i.status),
              jsonb_build_object('status', i.status)) end
$$;

-- An error when the invoice has payments; null otherwise. `p_instead` says what to do instead.
create function has_payments_error(i invoices, p_instead text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when exists (select from payments where invoice_id = i.id) then
    api_error(409, 'HAS_PAYMENTS', format('Invoice %s has payments; %s', i.number, p_instead),
              jsonb_build_object('paidCents', i.paid_cents)) end
$$;

-- An error when there is no due date (an unknown payment term) or it lies before the issue date; null otherwise.
create function due_date_error(p_issued date, p_due date) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_due is null then
      api_error(422, 'UNKNOWN_PAYMENT_TERM', 'Name one of the payment terms in the shop''s settings, or a dueDate.',
                jsonb_build_array(jsonb_build_object('field', 'paymentTerm')))
    when p_due < p_issued then
      api_error(422, 'DUE_BEFORE_ISSUE', format('Let the invoice be due on its issue date, %s, or later.', p_issued),
                jsonb_build_array(jsonb_build_object('field', 'dueDate'))) end
$$;

-- An error when this edit is not allowed: a closed invoice, another client, another currency after a payment, or a
-- higher total after a refund; null otherwise.
create function invoice_not_editable_error(i invoices, p_client_id bigint, p_document jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
      api_error(409, 'NOT_EDITABLE', format('Invoice %s is %s and stays as it is; write a new one.', i.number, i.status),
                jsonb_build_object('status', i.status))
    when p_client_id <> i.client_id then
      api_error(409, 'CLIENT_FIXED', format('Invoice %s stays its client''s; void it and write one for the other.', i.number),
                jsonb_build_array(jsonb_build_object('field', 'clientId')))
    when p_document ->> 'currency' <> i.currency and exists (select from payments where invoice_id = i.id) then
      api_error(409, 'CURRENCY_FIXED', format('Invoice %s was paid in %s and stays in it; write a new one in %s.',
                i.number, i.currency, p_document ->> 'currency'), jsonb_build_object('currency', i.currency))
    when (p_document ->> 'totalCents')::bigint > i.total_cents
         and exists (select from payments where invoice_id = i.id and kind = 'REFUND') then
      api_error(409, 'HAS_REFUNDS', format('Invoice %s has a refund, so nothing more is owed on it; write a new one for what comes on top.',
                i.number), jsonb_build_object('totalCents', i.total_cents)) end
$$;

-- An error when nothing can be paid on the invoice: it is paid, or closed; null otherwise.
create function invoice_not_payable_error(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when i.status = 'PAID' or (i.status in ('PENDING', 'OVERDUE') and i.balance_cents = 0) then
      api_error(409, 'ALREADY_PAID', format('Invoice %s is paid; nothing is left to pay.', i.number))
    when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
      api_error(409, 'NOT_PAYABLE', format('Invoice %s can no longer be paid; ask the shop if you think it should be.', i.number))
    end
$$;

-- Attachments of invoices. The callers move and delete the stored objects.

-- An attachment of an invoice.
create function attachment_json(a attachments) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', a.id, 'invoiceId', a.invoice_id, 'filename', a.filename, 'storageKey', a.storage_key,
    'mimeType', a.mime_type, 'sizeBytes', a.size_bytes, 'uploadedBy', a.uploaded_by, 'uploadedAt', a.uploaded_at)
$$;

-- The error for an attachment that does not exist.
create function attachment_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'FILE_NOT_FOUND', 'There is no such file of this invoice.') $$;

-- Registers an attachment whose object is already stored.
create function save_attachment(p_user_id bigint, p_invoice_id bigint, p_file jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  saved attachments;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  insert into attachments (invoice_id, filename, storage_key, mime_type, size_bytes, uploaded_by)
  values (i.id, p_file ->> 'filename', p_file ->> 'storageKey', p_file ->> 'mimeType',
          (p_file ->> 'sizeBytes')::bigint, p_user_id)
  on conflict (storage_key) do update set
    filename = excluded.filename, size_bytes = excluded.size_bytes, mime_type = excluded.mime_type, uploaded_at = now()
  returning * into saved;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'ATTACHMENT_SAVED',
                       'File ' || saved.filename || ' was attached to invoice ' || i.number,
                       jsonb_build_object('userId', p_user_id));
  return attachment_json(saved);
end
$$;

-- The error for a second attachment of the same name.
create function attachment_exists_error(p_filename text) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select api_error(409, 'FILE_EXISTS',
    format('The invoice has a file named %s; name yours otherwise, or send ?replace=true.', p_filename),
    jsonb_build_array(jsonb_build_object('field', 'filename')))
$$;

-- Creates the row of an upload, which nobody sees until it is complete. Its key is `storageKey` of `p_file` if that is
-- free, else `otherKey`: two names that give the same key, or a file and its replacement, never share an object.
create function request_attachment(p_user_id bigint, p_invoice_id bigint, p_file jsonb, p_replace boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  created attachments;
begin
  perform from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  elsif not p_replace and exists (select from attachments where invoice_id = p_invoice_id
      and filename = p_file ->> 'filename' and uploaded_at is not null) then
    return attachment_exists_error(p_file ->> 'filename');
  end if;
  insert into attachments (invoice_id, filename, storage_key, mime_type, size_bytes, replaces, uploaded_by, uploaded_at)
  values (p_invoice_id, p_file ->> 'filename',
          case when exists (select from attachments where storage_key = p_file ->> 'storageKey')
               then p_file ->> 'otherKey' else p_file ->> 'storageKey' end,
          p_file ->> 'mimeType', (p_file ->> 'sizeBytes')::bigint, p_replace, p_user_id, null)
  returning * into created;
  return attachment_json(created);
end
$$;

-- Marks an upload as complete. The attachment that it replaces is deleted in the same transaction, and its storage key
-- is returned; until then the old one stays visible.
create function complete_attachment(p_user_id bigint, p_invoice_id bigint, p_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  a attachments;
  replaced attachments;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  select * into a from attachments where id = p_id and invoice_id = i.id for update;
  if a.id is null then
    return attachment_not_found_error();
  elsif a.uploaded_at is not null then
    return jsonb_build_object('attachment', attachment_json(a), 'replacedKey', null);
  end if;
  select * into replaced from attachments
   where invoice_id = i.id and filename = a.filename and uploaded_at is not null;
  if replaced.id is not null and not a.replaces then
    return attachment_exists_error(a.filename);
  end if;
  delete from attachments where id = replaced.id;
  update attachments set uploaded_at = now(), replaces = false where id = a.id returning * into a;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null,
                       case when replaced.id is null then 'ATTACHMENT_SAVED' else 'ATTACHMENT_REPLACED' end,
                       format(case when replaced.id is null then 'File %s was attached to invoice %s'
                                   else 'File %s of invoice %s was replaced' end, a.filename, i.number),
                       jsonb_build_object('userId', p_user_id, 'attachmentId', a.id, 'replacedId', replaced.id));
  return jsonb_build_object('attachment', attachment_json(a), 'replacedKey', replaced.storage_key);
end
$$;

-- Deletes uploads that were requested more than 3 hours ago and never completed (their upload URL has expired), and
-- returns the storage keys to delete.
create function expire_attachments(p_limit integer) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  with deleted as (
    delete from attachments where id in (
      select id from attachments where uploaded_at is null and requested_at < now() - interval '3 hours'
       order by requested_at for update skip locked limit p_limit)
    returning storage_key)
  select jsonb_build_object('storageKeys', coalesce(jsonb_agg(storage_key), '[]')) from deleted
$$;

-- The complete attachments of an invoice. `p_client_scope` null reads as the shop.
create function list_attachments(p_client_scope bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(attachment_json(a) order by a.id) from attachments a
                       where a.invoice_id = i.id and a.uploaded_at is not null), '[]')
       from invoices i where i.id = p_invoice_id and (p_client_scope is null or i.client_id = p_client_scope)),
    invoice_not_found_error())
$$;

-- Reads one attachment; with `p_under_way` also one whose upload is not complete. `p_client_scope` null reads as the
-- shop.
create function get_attachment(p_client_scope bigint, p_invoice_id bigint, p_id bigint, p_under_way boolean) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select attachment_json(a) from attachments a join invoices i on i.id = a.invoice_id
      where a.id = p_id and i.id = p_invoice_id and (p_client_scope is null or i.client_id = p_client_scope)
        and (p_under_way or a.uploaded_at is not null)),
    attachment_not_found_error())
$$;

-- Deletes attachments by id, logs those that were complete, and returns the storage keys to delete.
create function delete_attachment_rows(p_user_id bigint, p_ids bigint[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  keys jsonb;
begin
  perform from attachments where id = any (p_ids) order by id for update;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'ATTACHMENT_DELETED',
                       'File ' || a.filename || ' was removed from invoice ' || i.number,
                       jsonb_build_object('userId', p_user_id))
    from attachments a join invoices i on i.id = a.invoice_id where a.id = any (p_ids) and a.uploaded_at is not null;
  with deleted as (delete from attachments where id = any (p_ids) returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into keys from deleted;
  return jsonb_build_object('storageKeys', keys);
end
$$;

-- Deletes the attachments with these storage keys.
create function delete_attachments_by_key(p_user_id bigint, p_keys text[]) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  select delete_attachment_rows(p_user_id, (select array_agg(id) from attachments where storage_key = any (p_keys)))
$$;

-- Deletes one attachment of an invoice.
create function delete_attachment(p_user_id bigint, p_invoice_id bigint, p_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted jsonb;
begin
  perform from invoices where id = p_invoice_id for no key update;
  deleted := delete_attachment_rows(p_user_id, (select array_agg(id) from attachments where id = p_id and invoice_id = p_invoice_id));
  if deleted -> 'storageKeys' = '[]' then
    return attachment_not_found_error();
  end if;
  return deleted;
end
$$;

-- Files that are kept with quotes and invoices. The callers move and delete the stored objects.

-- A file that is kept with a quote or invoice.
create function order_file_json(f order_files) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', f.id, 'invoiceId', f.invoice_id, 'quoteId', f.quote_id, 'clientId', f.client_id, 'filename', f.filename,
    'storageKey', f.storage_key, 'fileType', f.file_type, 'mimeType', f.mime_type, 'sizeBytes', f.size_bytes,
    'metadata', f.metadata, 'uploadedBy', f.uploaded_by, 'uploadedAt', f.uploaded_at)
$$;

-- Registers one file whose object is already stored. Its client is the document's, never the caller's choice.
create function save_order_file(p_user_id bigint, p_invoice_id bigint, p_quote_id bigint, p_file jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  owner bigint := coalesce((select client_id from invoices where id = p_invoice_id),
                           (select client_id from quotes where id = p_quote_id));
  saved order_files;
begin
  if owner is null then
    return api_error(404, 'DOCUMENT_NOT_FOUND', 'There is no such invoice or quote.');
  end if;
  insert into order_files (invoice_id, quote_id, client_id, filename, storage_key, file_type, mime_type, size_bytes,
                           metadata, uploaded_by)
  values (p_invoice_id, p_quote_id, owner, p_file ->> 'filename', p_file ->> 'storageKey',
          (p_file ->> 'fileType')::order_file_type, p_file ->> 'mimeType', (p_file ->> 'sizeBytes')::bigint,
          coalesce(p_file -> 'metadata', '{}'), p_user_id)
  on conflict (storage_key) do update set size_bytes = excluded.size_bytes
  returning * into saved;
  perform log_activity(owner, p_quote_id, p_invoice_id, null, null, 'ORDER_FILE_SAVED',
                       'File ' || saved.filename || ' was kept with the order', jsonb_build_object('userId', p_user_id));
  return order_file_json(saved);
end
$$;

-- Registers files whose objects are already stored, without checks or activity log: part of writing a document.
create function insert_order_files(p_files jsonb, p_invoice_id bigint, p_quote_id bigint, p_client_id bigint,
                                   p_user_id bigint) returns void
language sql volatile set search_path = public, pg_temp
as $$
  insert into order_files (invoice_id, quote_id, client_id, filename, storage_key, file_type, mime_type, size_bytes,
                           metadata, uploaded_by)
  select p_invoice_id, p_quote_id, p_client_id, v ->> 'filename', v ->> 'storageKey',
         (v ->> 'fileType')::order_file_type, v ->> 'mimeType', (v ->> 'sizeBytes')::bigint,
         coalesce(v -> 'metadata', '{}'), p_user_id
    from jsonb_array_elements(p_files) v
$$;

-- Whether a file belongs to a quote that the shop is still drafting, which its client does not see yet. A DRAFT that
-- the client requested as a review is visible.
create function is_in_draft_quote(f order_files) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select f.invoice_id is null
     and exists (select from quotes q where q.id = f.quote_id and q.status = 'DRAFT' and not q.needs_review)
$$;

-- The files of an invoice, a quote or a client. `p_client_scope` null reads as the shop, else only that client's
-- files.
create function list_order_files(p_client_scope bigint, p_invoice_id bigint, p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(order_file_json(f) order by f.uploaded_at desc, f.id desc), '[]') from order_files f
   where (p_client_scope is null or (f.client_id = p_client_scope and not is_in_draft_quote(f)))
     and (f.invoice_id = p_invoice_id or f.quote_id = p_quote_id or f.client_id = p_client_id)
$$;

-- The files of one invoice, oldest first. `p_client_scope` null reads as the shop.
create function list_invoice_files(p_client_scope bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(order_file_json(f) order by f.id) from order_files f where f.invoice_id = i.id), '[]')
       from invoices i where i.id = p_invoice_id and (p_client_scope is null or i.client_id = p_client_scope)),
    invoice_not_found_error())
$$;

-- Reads one order file. `p_client_scope` null reads as the shop.
create function get_order_file(p_client_scope bigint, p_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select order_file_json(f) from order_files f where f.id = p_id and (p_client_scope is null or (f.client_id = p_client_scope and not is_in_draft_quote(f)))),
    api_error(404, 'FILE_NOT_FOUND', 'There is no such file of yours.'))
$$;

-- Deletes the row of an order file and returns it, so that the caller deletes the object.
create function delete_order_file(p_user_id bigint, p_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted order_files;
begin
  select * into deleted from order_files where id = p_id for update;
  if not found then
    return api_error(404, 'FILE_NOT_FOUND', 'There is no such file.');
  end if;
  perform log_activity(deleted.client_id, deleted.quote_id, deleted.invoice_id, null, null, 'ORDER_FILE_DELETED',
                       'File ' || deleted.filename || ' was deleted', jsonb_build_object('userId', p_user_id));
  delete from order_files where id = p_id;
  return order_file_json(deleted);
end
$$;

-- Invoices in JSON: one shape for the API, PDFs and Stripe; camelCase, amounts in minor units.

-- An invoice as a row of a list.
create function invoice_summary_json(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', i.id, 'number', i.number, 'status', i.status, 'clientId', i.client_id, 'issueDate', i.issue_date,
    'dueDate', i.due_date, 'currency', i.currency, 'totalCents', i.total_cents, 'paidCents', i.paid_cents,
    'balanceCents', i.balance_cents, 'creditCents', i.credit_cents, 'sentAt', i.sent_at, 'paidAt', i.paid_at,
    'createdAt', i.created_at, 'updatedAt', i.updated_at)
$$;

-- An invoice in full: lines, payments, job.
create function invoice_json(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select invoice_summary_json(i) || jsonb_build_object(
    'kind', 'invoice', 'quoteId', i.quote_id,
    'client', (select client_json(c) from clients c where c.id = i.client_id),
    'items', (select coalesce(jsonb_agg(item_json(l.position, l.description, l.quantity_milli, l.unit_price_cents,
        l.discount_type, l.discount_bps, l.discount_fixed_cents, l.total_cents, l.details) order by l.position), '[]')
      from invoice_items l where l.invoice_id = i.id),
    'payments', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'kind', p.kind, 'method', p.method,
        'amountCents', p.amount_cents, 'reference', p.reference, 'processorId', p.processor_id, 'paidAt', p.paid_at,
        'date', (p.paid_at at time zone s.time_zone)::date) order by p.paid_at, p.id), '[]')
      from payments p, settings s where p.invoice_id = i.id),
    'job', (select jsonb_build_object('id', j.id, 'status', j.status, 'priority', j.priority)
      from jobs j where j.invoice_id = i.id),
    'attachments', (select count(*) from attachments a where a.invoice_id = i.id and a.uploaded_at is not null),
    'discountType', i.discount_type, 'discountBps', i.discount_bps, 'discountFixedCents', i.discount_fixed_cents,
    'subtotalCents', i.subtotal_cents, 'discountCents', i.discount_cents, 'shippingCents', i.shipping_cents,
    'shippingLabel', i.shipping_label, 'taxRateBps', i.tax_rate_bps, 'taxCents', i.tax_cents,
    'writtenOffCents', i.written_off_cents, 'notes', i.notes, 'terms', i.terms, 'payToken', i.pay_token)
$$;

-- Removes the credit from an invoice that a client reads (`p_client_id` not null): it is the shop's internal figure.
create function hide_credit_from_client(p_invoice jsonb, p_client_id bigint) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select case when p_client_id is null then p_invoice else p_invoice || '{"creditCents": null}' end $$;

-- The answer of every change of an invoice: the invoice, and the Checkout session that the caller must expire at
-- Stripe.
create function changed_invoice_json(p_invoice_id bigint, p_retired text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$ select jsonb_build_object('invoice', invoice_json(i), 'retired', p_retired) from invoices i where i.id = p_invoice_id $$;

-- Invoices as the shop and their clients read them.

-- Reads one invoice. `p_client_id` null reads as the shop, else only that client's.
create function get_invoice(p_invoice_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select hide_credit_from_client(invoice_json(i), p_client_id) from invoices i
      where i.id = p_invoice_id and (p_client_id is null or i.client_id = p_client_id)),
    invoice_not_found_error())
$$;

-- A page of invoices, sorted by created_at or due_date, after the row (`p_after`, `p_after_id`). The query holds only
-- the conditions asked for, so that each list uses its index. `p_query` finds text in number and client name.
create function list_invoices(p_client_id bigint, p_status invoice_status, p_query text, p_sort text, p_limit integer,
                              p_after text, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  key text := case p_sort when 'dueDate' then 'due_date' else 'created_at' end;
  direction text := case p_sort when '-createdAt' then 'desc' else 'asc' end;
  place text := case p_sort when 'dueDate' then '($5::date, $6)' else '($5::timestamptz, $6)' end;
  conditions text := concat_ws(' and ', 'true',
    case when p_client_id is not null then 'i.client_id = $1' end,
    case when p_status is not null then 'i.status = $2' end,
    case when p_query is not null then search_condition('i', '$3', p_query) end,
    case when p_after_id is not null then
      format('(i.%s, i.id) %s %s', key, case direction when 'desc' then '<' else '>' end, place) end);
  listed jsonb;
begin
  execute format($q$
    select coalesce(jsonb_agg(hide_credit_from_client(invoice_summary_json(page.i), $1) || jsonb_build_object('clientName', c.name)
                              order by (page.i).%1$s %2$s, (page.i).id %2$s), '[]')
      from (select i from invoices i where %3$s order by i.%1$s %2$s, i.id %2$s limit $4) page
      join clients c on c.id = (page.i).client_id $q$, key, direction, conditions)
    into listed using p_client_id, p_status, p_query, p_limit, p_after, p_after_id;
  return listed;
end
$$;

-- Whether a client may see this action in an invoice's activity: what happened to the invoice and its money, not the
-- shop's internal work.
create function is_client_visible_action(p_action text) returns boolean
language sql immutable set search_path = public, pg_temp
as $$
  select p_action = any ('{INVOICE_CREATED, INVOICE_EDITED, INVOICE_SENT, INVOICE_MAILED, INVOICE_PAID, INVOICE_UNPAID,
    INVOICE_OVERDUE, INVOICE_VOIDED, INVOICE_WRITTEN_OFF, INVOICE_REFUNDED, QUOTE_CONVERTED, CHECKOUT_OPENED,
    PAYMENT_RECEIVED, PAYMENT_RECORDED, PAYMENT_DELETED, ATTACHMENT_SAVED, ATTACHMENT_REPLACED, ATTACHMENT_DELETED}'::text[])
$$;

-- A page of an invoice's activity, newest first. Its client sees neither who acted nor internal actions.
create function list_invoice_activity(p_client_id bigint, p_invoice_id bigint, p_limit integer, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  listed jsonb;
begin
  perform from invoices where id = p_invoice_id and (p_client_id is null or client_id = p_client_id);
  if not found then
    return invoice_not_found_error();
  end if;
  execute format($q$
    select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'action', a.action, 'message', a.message,
        'createdAt', a.created_at, 'metadata', case when $2 is null then a.metadata end) order by a.id desc), '[]')
      from (select * from activity_logs where invoice_id = $1 %s order by id desc limit $3) a $q$,
    concat_ws(' ', case when p_before_id is not null then 'and id < $4' end,
              case when p_client_id is not null then 'and is_client_visible_action(action)' end))
    into listed using p_invoice_id, p_client_id, p_limit, p_before_id;
  return listed;
end
$$;

-- Changes of an invoice's status. Functions that take an open Checkout session out of use return its id as `retired`,
-- for the caller to expire at Stripe after the commit.

-- The most that was ever paid on an invoice, in the order in which the money moved rather than in which we heard of
-- it. Stripe's payments count by Stripe's clock; a manual payment with a later date counts from when it was recorded.
create function peak_paid_cents(p_invoice_id bigint) returns bigint
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(max(so_far), 0)::bigint from (
    select sum(amount_cents) over (order by case method when 'STRIPE' then paid_at else least(paid_at, created_at) end, kind, id) as so_far
      from payments where invoice_id = p_invoice_id) moves
$$;

-- Sets an invoice's status after its payments or total changed; the caller holds the row lock. A full refund makes it
-- REFUNDED, and never payable again unless the refund fails; a partial refund leaves it PAID, and so does an open
-- dispute. An invoice that was once paid in full stays so, whichever event arrives last.
create function update_invoice_status(p_invoice_id bigint, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  was_paid boolean;
  is_refunded boolean;
begin
  select * into i from invoices where id = p_invoice_id;
  was_paid := peak_paid_cents(i.id) >= i.total_cents;
  is_refunded := i.paid_cents <= 0 and not has_open_dispute(i.id)
             and exists (select from payments where invoice_id = i.id and kind = 'REFUND');
  if i.status in ('PENDING', 'OVERDUE') and was_paid then
    perform retire_checkout_session(i.id);
    update invoices set status = 'PAID', paid_at = now() where id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_PAID', 'Invoice ' || i.number || ' is paid', p_actor);
    perform ensure_job(i.id, p_actor);
    perform sync_payment_hold(i.id, p_actor);
  elsif i.status = 'PAID' and was_paid and is_refunded then
    update invoices set status = 'REFUNDED' where id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_REFUNDED', 'Invoice ' || i.number || ' was refunded in full', p_actor);
  elsif i.status = 'REFUNDED' and was_paid and not is_refunded then
    update invoices set status = 'PAID' where id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_PAID', 'Invoice ' || i.number || ' is no longer refunded in full', p_actor);
  elsif i.status in ('PAID', 'REFUNDED') and not was_paid then
    update invoices set status = case when i.due_date + s.overdue_grace_days < business_today() then 'OVERDUE' else 'PENDING' end::invoice_status,
      paid_at = null
      from settings s where invoices.id = i.id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_UNPAID', 'Invoice ' || i.number || ' is owed again', p_actor);
  end if;
end
$$;

-- Voids an invoice without payments and cancels or holds its job. Returns the Checkout session to expire.
create function void_unpaid_invoice(i invoices, p_reason text, p_actor jsonb) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  retired text := retire_checkout_session(i.id);
begin
  update invoices set status = 'VOID' where id = i.id;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_VOIDED',
                       format('Invoice %s is void: %s', i.number, p_reason), p_actor);
  perform cancel_or_hold_job(i.id, 'its invoice is void', p_actor);
  return retired;
end
$$;

-- Voids an invoice that has no payments.
create function void_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  problem jsonb;
  retired text;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  problem := coalesce(invoice_closed_error(i), has_payments_error(i, 'refund or delete them before it is void.'));
  if problem is not null then
    return problem;
  end if;
  retired := void_unpaid_invoice(i, 'it was taken back', jsonb_build_object('userId', p_user_id));
  return changed_invoice_json(i.id, retired);
end
$$;

-- Writes off the balance of an invoice; written_off_cents records it.
create function write_off_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  problem jsonb;
  retired text;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  problem := coalesce(invoice_closed_error(i), invoice_not_payable_error(i));
  if problem is not null then
    return problem;
  end if;
  retired := retire_checkout_session(i.id);
  update invoices set status = 'WRITTEN_OFF', written_off_cents = i.balance_cents, written_off_at = now() where id = i.id;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_WRITTEN_OFF',
                       'Invoice ' || i.number || ' was written off',
                       jsonb_build_object('userId', p_user_id, 'writtenOffCents', i.balance_cents));
  return changed_invoice_json(i.id, retired);
end
$$;

-- Undoes the conversion of a quote: voids the invoice and makes the quote ACCEPTED, so that it can be converted again.
create function revert_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  q quotes;
  problem jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  elsif i.quote_id is null then
    return api_error(409, 'NOT_FROM_A_QUOTE', format('Invoice %s came from no quote; void it instead.', i.number));
  end if;
  problem := coalesce(invoice_closed_error(i), has_payments_error(i, 'its quote cannot be converted again.'));
  if problem is not null then
    return problem;
  end if;
  retired := void_unpaid_invoice(i, 'its quote was opened again', actor);
  update quotes set status = 'ACCEPTED', converted_invoice_id = null
   where id = i.quote_id and converted_invoice_id = i.id returning * into q;
  if found then
    perform log_activity(i.client_id, q.id, i.id, null, null, 'INVOICE_REVERTED',
                         format('Invoice %s was taken back; quote %s may be converted again', i.number, q.number), actor);
  end if;
  return changed_invoice_json(i.id, retired);
end
$$;

-- Marks an invoice as sent, the first time or again. `p_email` queues the e-mail in the same transaction.
create function send_invoice(p_user_id bigint, p_invoice_id bigint, p_key text, p_body_hash text, p_email boolean,
                             p_to text, p_message text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, 'invoices/send', p_key, p_body_hash);
  i invoices;
  problem jsonb;
  recipient text;
  mail bigint;
  response jsonb;
begin
  if earlier_answer is not null then
    return earlier_answer;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  select coalesce(nullif(p_to, ''), email) into recipient from clients where id = i.client_id;
  problem := coalesce(invoice_closed_error(i), case when p_email and length(recipient) < 3 then
    api_error(422, 'NO_EMAIL', 'This client has no e-mail address; name one in to.',
              jsonb_build_array(jsonb_build_object('field', 'to'))) end);
  if problem is not null then
    return problem;
  end if;
  update invoices set sent_at = coalesce(sent_at, now()) where id = i.id returning * into i;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_SENT', 'Invoice ' || i.number || ' was sent',
                       jsonb_build_object('userId', p_user_id));
  mail := queue_mail('INVOICE', i.id, case when p_email then recipient end, p_message, p_user_id);
  response := invoice_json(i) || jsonb_build_object(
    'mailId', mail, 'mail', case when p_email then jsonb_build_object('id', mail, 'status', 'QUEUED') end);
  perform idempotency_put(p_user_id, 'invoices/send', p_key, p_body_hash, response);
  return response;
end
$$;

-- Replaces the pay link's token; the old link stops working. An open Checkout session stays open.
create function rotate_pay_token(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
begin
  update invoices set pay_token = unguessable_token() where id = p_invoice_id returning * into i;
  if not found then
    return invoice_not_found_error();
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAY_LINK_CHANGED',
                       'Invoice ' || i.number || ' got a new pay link', jsonb_build_object('userId', p_user_id));
  return invoice_json(i);
end
$$;

-- Writing of invoices. Each change locks the invoice's row first and its job's next, so that of two at once the second
-- sees what the first did.

-- How many days a client has to pay: by their own payment term, else by the shop's default.
create function payment_term_days(p_client_id bigint) returns integer
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select (t.value ->> 'days')::integer from jsonb_array_elements(s.payment_terms) t
      where t.value ->> 'code' = c.payment_term),
    (select (t.value ->> 'days')::integer from jsonb_array_elements(s.payment_terms) t
      where t.value ->> 'code' = s.default_payment_term), 0)
  from settings s, clients c where c.id = p_client_id
$$;

-- The due date: the given one, else by the named payment term, else by the client's. Null for an unknown term.
create function compute_due_date(p_client_id bigint, p_issued date, p_due_date date, p_payment_term text) returns date
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_due_date is not null then p_due_date
    when p_payment_term is not null then
      (select p_issued + (t.value ->> 'days')::integer from settings s, jsonb_array_elements(s.payment_terms) t
        where t.value ->> 'code' = p_payment_term)
    else p_issued + payment_term_days(p_client_id) end
$$;

-- The new lines of an invoice, with the details (print figures) of the old line wherever an unchanged line came
-- without.
create function restore_line_details(p_invoice_id bigint, p_items jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_agg(n.value || case when coalesce(n.value -> 'details', '{}') = '{}' then jsonb_build_object('details', coalesce(
      (select l.details from invoice_items l
        where l.invoice_id = p_invoice_id and l.description = n.value ->> 'description'
          and l.quantity_milli = (n.value ->> 'quantityMilli')::bigint
          and l.unit_price_cents = (n.value ->> 'unitPriceCents')::bigint
        order by l.position limit 1), '{}')) else '{}' end order by n.ordinality)
    from jsonb_array_elements(p_items) with ordinality n
$$;

-- Replaces an invoice's lines. `p_items` has the columns in camelCase.
create function replace_invoice_items(p_invoice_id bigint, p_items jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  delete from invoice_items where invoice_id = p_invoice_id;
  insert into invoice_items (invoice_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                             discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select p_invoice_id, ordinality, (value ->> 'productTemplateId')::bigint, value ->> 'description',
         (value ->> 'quantityMilli')::bigint, (value ->> 'unitPriceCents')::bigint,
         coalesce(value ->> 'discountType', 'NONE')::discount_type, coalesce((value ->> 'discountBps')::integer, 0),
         coalesce((value ->> 'discountFixedCents')::bigint, 0), (value ->> 'totalCents')::bigint,
         coalesce(value -> 'details', '{}')
    from jsonb_array_elements(p_items) with ordinality;
$$;

-- Creates an invoice. `p_document` has the columns in camelCase; the amounts come from Python's pricing, and
-- constraints check their sums.
create function create_invoice(p_user_id bigint, p_client_id bigint, p_due_date date, p_payment_term text,
                               p_document jsonb, p_items jsonb, p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  today date := business_today();
  due date := compute_due_date(p_client_id, today, p_due_date, p_payment_term);
  problem jsonb;
  i invoices;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  perform from clients where id = p_client_id for key share;
  if not found then
    return api_error(422, 'UNKNOWN_CLIENT', 'Name one of the shop''s clients in clientId.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  problem := due_date_error(today, due);
  if problem is not null then
    return problem;
  end if;
  insert into invoices (number, client_id, issue_date, due_date, currency, discount_type, discount_bps,
                        discount_fixed_cents, subtotal_cents, discount_cents, shipping_cents, shipping_label,
                        tax_rate_bps, tax_cents, total_cents, notes, terms, created_by)
  values (next_document_number('invoice', 'INV-'), p_client_id, today, due, p_document ->> 'currency',
          (p_document ->> 'discountType')::discount_type, (p_document ->> 'discountBps')::integer,
          (p_document ->> 'discountFixedCents')::bigint, (p_document ->> 'subtotalCents')::bigint,
          (p_document ->> 'discountCents')::bigint, (p_document ->> 'shippingCents')::bigint,
          p_document ->> 'shippingLabel', (p_document ->> 'taxRateBps')::integer, (p_document ->> 'taxCents')::bigint,
          (p_document ->> 'totalCents')::bigint, p_document ->> 'notes', p_document ->> 'terms', p_user_id)
  returning * into i;
  perform replace_invoice_items(i.id, p_items);
  perform insert_order_files(p_files, i.id, null, i.client_id, p_user_id);
  perform log_activity(i.client_id, null, i.id, null, null, 'INVOICE_CREATED', 'Invoice ' || i.number || ' was written',
                       actor || jsonb_build_object('totalCents', i.total_cents));
  if (select job_policy from settings) = 'ON_INVOICE' then
    perform ensure_job(i.id, actor);
  end if;
  perform update_invoice_status(i.id, actor);
  return (select invoice_json(created) from invoices created where created.id = i.id);
end
$$;

-- Replaces all that the shop wrote in an invoice; payments stay, and the status follows. Files that the new lines
-- bring again (same model, same slice) replace the old copies, whose storage keys are returned.
create function update_invoice(p_user_id bigint, p_invoice_id bigint, p_client_id bigint, p_due_date date,
                               p_payment_term text, p_document jsonb, p_items jsonb, p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  due date;
  problem jsonb;
  items jsonb;
  before record;
  replaced jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  due := compute_due_date(i.client_id, i.issue_date, p_due_date, p_payment_term);
  problem := coalesce(invoice_not_editable_error(i, p_client_id, p_document), due_date_error(i.issue_date, due));
  if problem is not null then
    return problem;
  end if;
  items := restore_line_details(i.id, p_items);
  select * into before from invoice_print_totals(i.id);
  update invoices set due_date = due, currency = p_document ->> 'currency',
    discount_type = (p_document ->> 'discountType')::discount_type, discount_bps = (p_document ->> 'discountBps')::integer,
    discount_fixed_cents = (p_document ->> 'discountFixedCents')::bigint,
    subtotal_cents = (p_document ->> 'subtotalCents')::bigint, discount_cents = (p_document ->> 'discountCents')::bigint,
    shipping_cents = (p_document ->> 'shippingCents')::bigint, shipping_label = p_document ->> 'shippingLabel',
    tax_rate_bps = (p_document ->> 'taxRateBps')::integer, tax_cents = (p_document ->> 'taxCents')::bigint,
    total_cents = (p_document ->> 'totalCents')::bigint, notes = p_document ->> 'notes', terms = p_document ->> 'terms',
    status = case when invoices.status = 'OVERDUE' and due + s.overdue_grace_days >= business_today()
                  then 'PENDING' else invoices.status end
    from settings s where invoices.id = i.id;
  perform replace_invoice_items(i.id, items);
  perform update_job_estimate(i.id, before.seconds, before.mass_mg, actor);
  with deleted as (
    delete from order_files f using jsonb_array_elements(p_files) n
     where f.invoice_id = i.id and f.filename = n.value ->> 'filename'
       and f.file_type = (n.value ->> 'fileType')::order_file_type
       and f.metadata -> 'settingsHash' = n.value #> '{metadata,settingsHash}'
    returning f.storage_key)
  select coalesce(jsonb_agg(distinct storage_key), '[]') into replaced from deleted;
  perform insert_order_files(p_files, i.id, null, i.client_id, p_user_id);
  retired := retire_checkout_session(i.id);
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_EDITED', 'Invoice ' || i.number || ' was edited',
                       actor || jsonb_build_object('totalCents', p_document -> 'totalCents', 'formerTotalCents', i.total_cents));
  perform update_invoice_status(i.id, actor);
  return changed_invoice_json(i.id, retired) || jsonb_build_object('storageKeys', replaced);
end
$$;

-- Deletes an invoice that was never sent nor paid, with its unstarted job and its files, and returns the storage keys
-- to delete. The number is not used again.
create function delete_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  j jobs;
  problem jsonb;
  attached jsonb;
  ordered jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  elsif i.quote_id is not null then
    return api_error(409, 'USE_REVERT', format('Invoice %s came from a quote; revert it instead.', i.number));
  elsif i.sent_at is not null then
    return api_error(409, 'ALREADY_SENT', format('Invoice %s was sent; void it instead.', i.number));
  end if;
  problem := coalesce(has_payments_error(i, 'it stays in the books.'), case when exists (
      select from activity_logs where invoice_id = i.id and action in ('PAYMENT_RECORDED', 'PAYMENT_RECEIVED')) then
    api_error(409, 'HAS_PAYMENTS', format('Invoice %s was paid once and stays in the books; void it instead.', i.number)) end);
  select * into j from jobs where invoice_id = i.id for update;
  if problem is null and j.id is not null and j.status <> 'CANCELLED' and (j.status >= 'PRINTING' or j.printed_seconds > 0) then
    problem := api_error(409, 'JOB_STARTED', format('The job of invoice %s is %s; void the invoice instead.', i.number, j.status),
                         jsonb_build_object('jobId', j.id, 'status', j.status));
  end if;
  if problem is not null then
    return problem;
  end if;
  perform log_activity(i.client_id, null, i.id, j.id, null, 'INVOICE_DELETED', 'Invoice ' || i.number || ' was deleted',
                       actor || jsonb_build_object('invoiceId', i.id, 'number', i.number, 'totalCents', i.total_cents));
  delete from jobs where id = j.id;
  with deleted as (delete from attachments where invoice_id = i.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into attached from deleted;
  with deleted as (delete from order_files where invoice_id = i.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into ordered from deleted;
  retired := retire_checkout_session(i.id);
  delete from invoices where id = i.id;
  return jsonb_build_object('number', i.number, 'attachmentKeys', attached, 'orderFileKeys', ordered, 'retired', retired);
end
$$;

-- E-mails: a document and a message to an address. Queued in the transaction of the sender, claimed by one mailer at a
-- time, logged in the document's activity. A mailer whose claim was taken over writes nothing.

-- Logs an e-mail's event in its document's activity. Without an address nothing was e-mailed, and nothing is logged.
create function log_mail_activity(m mails, p_action text, p_said text, p_metadata jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  metadata jsonb := jsonb_build_object('mailId', m.id, 'to', m.to_address) || p_metadata;
begin
  if m.to_address is null then
    return;
  elsif m.kind = 'QUOTE' then
    perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_' || p_action,
                         'Quote ' || q.number || ' ' || p_said, metadata)
      from quotes q where q.id = m.quote_id;
  else
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_' || p_action,
                         'Invoice ' || i.number || ' ' || p_said, metadata)
      from invoices i where i.id = m.invoice_id;
  end if;
end
$$;

-- Queues a document's e-mail and returns its id. The caller puts the id into the mail queue after the commit; the
-- janitor does so later for ids that were lost. A null address sends nothing, but stores the PDF as it was sent.
create function queue_mail(p_kind mail_kind, p_document_id bigint, p_to text, p_message text, p_user_id bigint) returns bigint
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  created mails;
begin
  insert into mails (kind, quote_id, invoice_id, to_address, message, created_by)
  values (p_kind, case p_kind when 'QUOTE' then p_document_id end, case p_kind when 'INVOICE' then p_document_id end,
          p_to, coalesce(p_message, ''), p_user_id)
  returning * into created;
  perform log_mail_activity(created, 'MAIL_QUEUED', 'is on its way by e-mail', jsonb_build_object('userId', p_user_id));
  return created.id;
end
$$;

-- Marks a mail as failed for good.
create function mark_mail_failed(m mails, p_reason text) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update mails set status = 'FAILED', error = p_reason, claim_token = null, lease_until = null where id = m.id;
  perform log_mail_activity(m, 'MAIL_FAILED', 'could not be e-mailed: ' || p_reason,
                            jsonb_build_object('userId', m.created_by, 'by', 'mailer', 'reason', p_reason));
end
$$;

-- A mailer takes a mail. `state` is `claimed` (with all that is to be sent), `busy` (another mailer has it) or `done`
-- (nothing to do). The fifth attempt is the last.
create function claim_mail(p_mail_id bigint, p_lease_seconds integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m mails;
  token uuid := gen_random_uuid();
  found jsonb;
begin
  select * into m from mails where id = p_mail_id for update;
  if m.id is null or m.status in ('SENT', 'FAILED') then
    return '{"state": "done"}';
  end if;
  if m.status = 'SENDING' and m.lease_until > now() then
    return '{"state": "busy"}';
  end if;
  if m.attempts >= 5 then
    perform mark_mail_failed(m, coalesce(m.error, 'The mailer was interrupted five times; send it again.'));
    return '{"state": "done"}';
  end if;
  found := get_document(lower(m.kind::text), coalesce(m.quote_id, m.invoice_id), null);
  if found #>> '{document,status}' = 'VOID' then
    perform mark_mail_failed(m, 'The invoice was voided before it was sent.');
    return '{"state": "done"}';
  end if;
  update mails set status = 'SENDING', attempts = attempts + 1, claim_token = token,
    lease_until = now() + make_interval(secs => p_lease_seconds)
  where id = m.id;
  return found || jsonb_build_object('state', 'claimed', 'claimToken', token, 'attempt', m.attempts + 1,
                                     'to', m.to_address, 'message', m.message);
end
$$;

-- Records which PDF goes with a mail, before it is sent. `written` false means that the claim was lost and this mailer
-- must not send.
create function set_mail_pdf(p_mail_id bigint, p_claim_token uuid, p_pdf_key text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update mails set pdf_key = p_pdf_key where id = p_mail_id and status = 'SENDING' and claim_token = p_claim_token;
  return jsonb_build_object('written', found);
end
$$;

-- The storage key of the PDF that was last sent to the customer. `p_client_id` null reads as the shop.
create function get_sent_pdf(p_kind text, p_id bigint, p_client_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  found_number text;
  key text;
begin
  if p_kind = 'invoice' then
    select number into found_number from invoices where id = p_id and (p_client_id is null or client_id = p_client_id);
    if not found then
      return invoice_not_found_error();
    end if;
    select pdf_key into key from mails where invoice_id = p_id and status = 'SENT' order by id desc limit 1;
  else
    select number into found_number from quotes
     where id = p_id and (p_client_id is null or (client_id = p_client_id and status <> 'DRAFT'));
    if not found then
      return api_error(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.');
    end if;
    select pdf_key into key from mails where quote_id = p_id and status = 'SENT' order by id desc limit 1;
  end if;
  if key is null then
    return api_error(409, 'NOT_SENT', format(
      '%s is not kept as sent yet: if it was sent just now, ask again in a minute; leave `sent` away to read it as it stands now.',
      found_number));
  end if;
  return jsonb_build_object('number', found_number, 'storageKey', key);
end
$$;

-- Marks a claimed mail as sent. `written` false means that the claim was lost.
create function mark_mail_sent(p_mail_id bigint, p_claim_token uuid, p_provider_id text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m mails;
begin
  update mails set status = 'SENT', sent_at = now(), provider_id = p_provider_id, error = null, claim_token = null,
    lease_until = null
  where id = p_mail_id and status = 'SENDING' and claim_token = p_claim_token
  returning * into m;
  if m.id is null then
    return '{"written": false}';
  end if;
  perform log_mail_activity(m, 'MAILED', 'was e-mailed', jsonb_build_object('userId', m.created_by, 'by', 'mailer'));
  return '{"written": true}';
end
$$;

-- After a failed attempt: back into the queue, or failed for good when the failure is final or it was the fifth.
create function fail_mail(p_mail_id bigint, p_claim_token uuid, p_reason text, p_final boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m mails;
begin
  select * into m from mails
   where id = p_mail_id and status = 'SENDING' and claim_token = p_claim_token for update;
  if m.id is null then
    return '{"written": false, "status": null}';
  end if;
  if p_final or m.attempts >= 5 then
    perform mark_mail_failed(m, p_reason);
    return '{"written": true, "status": "FAILED"}';
  end if;
  update mails set status = 'QUEUED', queued_at = now(), error = p_reason, claim_token = null, lease_until = null
  where id = m.id;
  return '{"written": true, "status": "QUEUED"}';
end
$$;

-- Finds mails that were never sent or whose mailer stopped, and returns the ids to put into the mail queue again.
create function requeue_mails() returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  with sent as (
    update mails set queued_at = now() where id in (
      select id from mails
       where status in ('QUEUED', 'SENDING') and queued_at < now() - interval '2 minutes'
         and (status = 'QUEUED' or lease_until < now())
       order by queued_at for update skip locked limit 500)
    returning id)
  select jsonb_build_object('mailIds', coalesce(jsonb_agg(id order by id), '[]')) from sent
$$;

-- Messages: one thread per client login, written by the client, the shop or the system (no sender). A message is
-- unread until it was part of an answer to the other side: reading and marking are one call.

-- A message with its sender as the reader may see them.
create function message_json(m user_messages) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', m.id, 'userId', m.user_id, 'invoiceId', m.invoice_id,
    'invoiceNumber', (select number from invoices where id = m.invoice_id), 'body', m.body,
    'sender', (select jsonb_build_object(
        'id', u.id, 'role', case when u.id = m.user_id then 'CLIENT' else 'ADMIN' end,
        -- Staff without a name appear as the shop: clients do not see their e-mail addresses.
        'name', coalesce(nullif(u.name, ''), case when u.id = m.user_id then u.email else s.business_name end))
      from users u, settings s where u.id = m.sender_id),
    'readAt', m.read_at, 'createdAt', m.created_at)
$$;

-- Marks the messages of a page as read by this side, and returns the page as it was before. The extra row after
-- `p_limit`, which only shows that there is a next page, is not marked.
create function mark_messages_read(p_page user_messages[], p_by_shop boolean, p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update user_messages set read_at = now()
   where id in (select m.id from unnest(p_page[:p_limit]) m
                 where m.read_at is null and (m.sender_id is not distinct from m.user_id) = p_by_shop)
     and read_at is null;
  return coalesce((select jsonb_agg(message_json(m) order by m.id desc) from unnest(p_page) m), '[]');
end
$$;

-- A page of a user's thread, newest first, plus one row if there is a next page. Marks the page as read.
create function list_messages(p_user_id bigint, p_by_shop boolean, p_limit integer, p_before_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  page user_messages[];
begin
  if not exists (select from users where id = p_user_id) then
    return api_error(404, 'USER_NOT_FOUND', 'There is no such login; pick one from the list of users.');
  end if;
  page := array(select m from user_messages m where m.user_id = p_user_id and m.id < coalesce(p_before_id, 9223372036854775807)
                 order by m.id desc limit p_limit + 1);
  return mark_messages_read(page, p_by_shop, p_limit);
end
$$;

-- A page of the messages about an invoice: all for the shop, those of their own thread for a client. Marks the page as
-- read.
create function list_invoice_messages(p_invoice_id bigint, p_user_id bigint, p_client_id bigint, p_limit integer,
                                      p_before_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  page user_messages[];
begin
  if not exists (select from invoices where id = p_invoice_id and (p_client_id is null or client_id = p_client_id)) then
    return api_error(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.');
  end if;
  page := array(select m from user_messages m
                 where m.invoice_id = p_invoice_id and (p_client_id is null or m.user_id = p_user_id)
                   and m.id < coalesce(p_before_id, 9223372036854775807)
                 order by m.id desc limit p_limit + 1);
  return mark_messages_read(page, p_client_id is null, p_limit);
end
$$;

-- A page of the shop's threads, latest message first. Marks nothing as read.
create function list_threads(p_limit integer, p_before_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
      'userId', u.id, 'userName', u.name, 'userEmail', u.email, 'clientId', u.client_id,
      'clientName', (select coalesce(nullif(company, ''), name) from clients where id = u.client_id),
      'unread', (select count(*) from user_messages w
                  where w.user_id = u.id and w.read_at is null and w.sender_id = w.user_id),
      'latest', (select message_json(m) from user_messages m where m.id = t.latest_id)) order by t.latest_id desc), '[]')
    from (select * from message_threads where latest_id < coalesce(p_before_id, 9223372036854775807)
           order by latest_id desc limit p_limit) t
    join users u on u.id = t.user_id
$$;

-- Writes a message into the thread of `p_user_id`, sent by that user or by one of the shop (`p_sender_id`).
create function write_message(p_sender_id bigint, p_user_id bigint, p_invoice_id bigint, p_body text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  owner users;
  i invoices;
  written user_messages;
begin
  select * into owner from users where id = p_user_id and role = 'CLIENT' for key share;
  if not found then
    return api_error(404, 'USER_NOT_FOUND', 'There is no client with this login; pick one from the list of users.');
  end if;
  if p_invoice_id is not null then
    select * into i from invoices where id = p_invoice_id and (p_sender_id <> p_user_id or client_id = owner.client_id)
       for key share;
    if not found then
      return api_error(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.');
    elsif i.client_id <> owner.client_id then
      return api_error(422, 'INVOICE_OF_ANOTHER_CLIENT', 'Name an invoice of the client to whom you write.',
                       jsonb_build_array(jsonb_build_object('field', 'invoiceId')));
    end if;
  end if;
  insert into user_messages (user_id, sender_id, invoice_id, body)
  values (owner.id, p_sender_id, i.id, p_body) returning * into written;
  perform log_activity(owner.client_id, i.quote_id, i.id, null, null, 'MESSAGE_WRITTEN',
    case when p_sender_id = owner.id then 'A client wrote a message' else 'The shop wrote a message' end
      || coalesce(' about invoice ' || i.number, ''),
    jsonb_build_object('userId', p_sender_id, 'messageId', written.id, 'threadUserId', owner.id));
  return message_json(written);
end
$$;

-- Writes a message about an invoice: a client into their own thread; the shop to the client's login that wrote last,
-- or to the client's first login.
create function write_invoice_message(p_sender_id bigint, p_client_id bigint, p_invoice_id bigint, p_body text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  owner bigint;
  recipient bigint := p_sender_id;
begin
  select client_id into owner from invoices where id = p_invoice_id and (p_client_id is null or client_id = p_client_id);
  if not found then
    return api_error(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.');
  end if;
  if p_client_id is null then
    select u.id into recipient from users u where u.client_id = owner and u.role = 'CLIENT'
     order by (select max(m.id) from user_messages m where m.sender_id = u.id) desc nulls last, u.id limit 1;
    if not found then
      return api_error(409, 'NO_LOGIN', 'This client has no login to read it; invite one first, or send the invoice by e-mail.');
    end if;
  end if;
  return write_message(p_sender_id, recipient, p_invoice_id, p_body);
end
$$;

-- Quick orders: the inputs of the price, and the checkout that makes an invoice or a request for review.

-- All that prices a quick order, in one read: client, rates and models. `p_items` is [{"file", "settingsHash"}];
-- `p_reserve` keeps the files from the janitor while a checkout copies them; a checkout that the same Idempotency-Key
-- already finished is returned as `replay`.
create function quick_order_inputs(p_user_id bigint, p_client_id bigint, p_items jsonb, p_reserve boolean,
                                   p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb;
  found_client clients;
begin
  if p_key is not null then
    earlier_answer := idempotency_get(p_user_id, 'quick-order/checkout', p_key, p_body_hash);
    if earlier_answer ? 'error' then
      return earlier_answer;
    elsif earlier_answer is not null then
      return jsonb_build_object('replay', earlier_answer);
    end if;
  end if;
  select * into found_client from clients where id = p_client_id;
  if not found then
    return api_error(422, 'UNKNOWN_CLIENT', 'Name the client of this order in clientId.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  if p_reserve then
    update tmp_files set reserved_until = now() + interval '15 minutes'
     where user_id = p_user_id and id in (
       select (own_tmp_file(p_user_id, g.value ->> 'file')).id from jsonb_array_elements(p_items) g);
    update slice_results set used_at = now() where id in (
      select r.id from jsonb_array_elements(p_items) g, own_tmp_file(p_user_id, g.value ->> 'file') f, slice_results r
       where r.content_hash = f.content_hash and r.settings_hash = g.value ->> 'settingsHash'
       order by r.id for no key update of r);  -- in id order: other checkouts lock the same rows
  end if;
  return jsonb_build_object(
    'models', models_with_slices(p_user_id, p_items), 'client', client_json(found_client), 'settings', shop_rates());
end
$$;

-- Creates the DRAFT quote of an order that the shop is to price manually.
create function create_review_quote(p_user_id bigint, p_client_id bigint, p_document jsonb, p_items jsonb,
                                    p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
begin
  insert into quotes (number, client_id, issue_date, valid_until, currency, subtotal_cents, shipping_cents,
                      shipping_label, tax_rate_bps, tax_cents, total_cents, notes, needs_review, snapshot, created_by)
  values (next_document_number('quote', 'QT-'), p_client_id, business_today(),
          business_today() + (select quote_validity_days from settings), p_document ->> 'currency', 0, 0, '',
          (p_document ->> 'taxRateBps')::integer, 0, 0, coalesce(p_document ->> 'notes', ''), true,
          coalesce(p_document -> 'snapshot', '{}'), p_user_id)
  returning * into q;
  -- Only the shop sets a manual price.
  perform replace_quote_items(q.id, (
    select jsonb_agg(value - 'unitPriceCents' - 'totalCents' order by ordinality)
      from jsonb_array_elements(p_items) with ordinality));
  perform insert_order_files(p_files, null, q.id, p_client_id, p_user_id);
  perform log_activity(p_client_id, q.id, null, null, null, 'REVIEW_REQUESTED',
                       'A client asks for a price by hand: quote ' || q.number, jsonb_build_object('userId', p_user_id));
  return quote_json(q);
end
$$;

-- Creates the invoice of a priced order, and its job if the shop's policy says so.
create function create_order_invoice(p_user_id bigint, p_client_id bigint, p_document jsonb, p_items jsonb,
                                     p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  insert into invoices (number, client_id, issue_date, due_date, currency, subtotal_cents, discount_cents,
                        shipping_cents, shipping_label, tax_rate_bps, tax_cents, total_cents, notes, created_by)
  values (next_document_number('invoice', 'INV-'), p_client_id, business_today(),
          business_today() + payment_term_days(p_client_id), p_document ->> 'currency',
          (p_document ->> 'subtotalCents')::bigint, (p_document ->> 'discountCents')::bigint,
          (p_document ->> 'shippingCents')::bigint, p_document ->> 'shippingLabel',
          (p_document ->> 'taxRateBps')::integer, (p_document ->> 'taxCents')::bigint,
          (p_document ->> 'totalCents')::bigint, coalesce(p_document ->> 'notes', ''), p_user_id)
  returning * into i;
  perform replace_invoice_items(i.id, p_items);
  perform insert_order_files(p_files, i.id, null, p_client_id, p_user_id);
  perform log_activity(p_client_id, null, i.id, null, null, 'INVOICE_CREATED',
                       'Invoice ' || i.number || ' was made from a quick order', actor);
  if (select job_policy from settings) = 'ON_INVOICE' then
    perform ensure_job(i.id, actor);
  end if;
  perform update_invoice_status(i.id, actor);
  select * into i from invoices where id = i.id;
  return invoice_json(i);
end
$$;

-- The checkout of a quick order: creates its invoice or, for a review, the shop's DRAFT quote, with lines and files, once
-- per Idempotency-Key. `p_document` has the columns in camelCase; the amounts come from Python's pricing, and constraints
-- check their sums.
create function checkout_quick_order(p_user_id bigint, p_client_id bigint, p_key text, p_body_hash text,
                                     p_document jsonb, p_items jsonb, p_files jsonb, p_review boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, 'quick-order/checkout', p_key, p_body_hash);
  response jsonb;
begin
  if earlier_answer is not null then
    return earlier_answer;
  end if;
  perform from clients where id = p_client_id for key share;
  if not found then
    return api_error(422, 'UNKNOWN_CLIENT', 'Name the client of this order in clientId.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  response := case when p_review then create_review_quote(p_user_id, p_client_id, p_document, p_items, p_files)
                   else create_order_invoice(p_user_id, p_client_id, p_document, p_items, p_files) end;
  perform idempotency_put(p_user_id, 'quick-order/checkout', p_key, p_body_hash, response);
  return response;
end
$$;

-- The pay link and its Checkout sessions: at most one open session of an invoice, and none for an amount that is not
-- owed. A session that was taken out of use is RETIRED until Stripe confirms that nobody can pay it any more.

-- Moves a Checkout session on to a later state; a state never goes back.
create function advance_checkout_session(p_session_id text, p_state text) returns void
language sql volatile set search_path = public, pg_temp
as $$
  update checkout_sessions set state = p_state
   where session_id = p_session_id
     and array_position(array['OPEN', 'RETIRED', 'EXPIRED', 'COMPLETE', 'FAILED', 'PAID'], p_state)
       > array_position(array['OPEN', 'RETIRED', 'EXPIRED', 'COMPLETE', 'FAILED', 'PAID'], state)
$$;

-- Takes the invoice's open Checkout session out of use and returns its id. The next session gets a new idempotency
-- key, because Stripe would answer the old session to the old key.
create function retire_checkout_session(p_invoice_id bigint) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  retired text;
begin
  select stripe_session_id into retired from invoices where id = p_invoice_id;
  update invoices set stripe_attempt = stripe_attempt + 1, stripe_session_id = null, stripe_checkout_url = null,
    stripe_session_cents = null, stripe_session_expires_at = null where id = p_invoice_id;
  perform advance_checkout_session(retired, 'RETIRED');
  return retired;
end
$$;

-- The retired Checkout sessions of an invoice that are still to be expired at Stripe.
create function checkout_sessions_to_close(p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(session_id order by created_at), '[]') from checkout_sessions
   where invoice_id = p_invoice_id and state = 'RETIRED' and expires_at > now()
$$;

-- Finds the Checkout session to pay an invoice at: the open one if its amount still equals the balance, else (`url`
-- null) what the caller needs to create one, after expiring the sessions in `retire`. The attempt is stored before
-- Stripe is called, because Stripe replays its first answer to the same `key`; the key is unique to this row of this
-- database.
create function open_checkout(p_pay_token text, p_invoice_id bigint, p_client_id bigint, p_refresh boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  problem jsonb;
begin
  if p_pay_token is not null then
    select * into i from invoices where pay_token = p_pay_token for no key update;
  else
    select * into i from invoices
     where id = p_invoice_id and (p_client_id is null or client_id = p_client_id) for no key update;
  end if;
  if not found then
    return api_error(404, 'INVOICE_NOT_FOUND', 'This link belongs to no invoice; ask the shop for a new one.');
  end if;
  problem := coalesce(invoice_not_payable_error(i), case
    when exists (select from checkout_sessions where invoice_id = i.id and state = 'COMPLETE') then
      api_error(409, 'PAYMENT_UNDER_WAY', format('A payment of invoice %s is on its way; wait for the bank''s answer.', i.number)) end);
  if problem is not null then
    return problem;
  end if;
  if not p_refresh and i.stripe_session_id is not null and i.stripe_session_cents = i.balance_cents
     and i.stripe_session_expires_at > now() + interval '2 minutes' then
    return jsonb_build_object('url', i.stripe_checkout_url, 'sessionId', i.stripe_session_id);
  end if;
  if i.stripe_session_id is not null or i.stripe_attempt = 0 then
    perform retire_checkout_session(i.id);
    i.stripe_attempt := i.stripe_attempt + 1;
  end if;
  return jsonb_build_object('url', null, 'invoiceId', i.id, 'number', i.number, 'currency', i.currency,
    'balanceCents', i.balance_cents, 'attempt', i.stripe_attempt, 'retire', checkout_sessions_to_close(i.id),
    'key', format('invoice-%s-%s-%s', i.id, i.stripe_attempt, (extract(epoch from i.created_at) * 1000000)::bigint),
    'clientName', (select coalesce(nullif(company, ''), name) from clients where id = i.client_id),
    'clientEmail', (select nullif(email, '') from clients where id = i.client_id));
end
$$;

-- Stores the Checkout session that Stripe created for this attempt, and marks `p_closed` as expired. `stored` false
-- means that the invoice has changed meanwhile, so that this session must be expired too.
create function store_checkout(p_invoice_id bigint, p_attempt integer, p_session_id text, p_url text,
                               p_cents bigint, p_expires_at timestamptz, p_closed text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  fits boolean;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  perform advance_checkout_session(closed, 'EXPIRED') from unnest(p_closed) closed;
  fits := i.id is not null and i.stripe_attempt = p_attempt and i.balance_cents = p_cents and invoice_not_payable_error(i) is null
    and p_expires_at > now() + interval '2 minutes';
  insert into checkout_sessions (session_id, invoice_id, state, amount_cents, expires_at)
  values (p_session_id, i.id, case when fits then 'OPEN' else 'RETIRED' end, p_cents, p_expires_at)
  on conflict (session_id) do nothing;
  fits := fits and exists (select from checkout_sessions where session_id = p_session_id and state = 'OPEN');
  if not fits then
    perform advance_checkout_session(p_session_id, 'RETIRED');
    return jsonb_build_object('stored', false);
  end if;
  update invoices set stripe_session_id = p_session_id, stripe_checkout_url = p_url, stripe_session_cents = p_cents,
    stripe_session_expires_at = p_expires_at where id = i.id;
  if i.stripe_session_id is distinct from p_session_id then
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'CHECKOUT_OPENED',
                         'A payment page was opened for invoice ' || i.number,
                         jsonb_build_object('sessionId', p_session_id, 'amountCents', p_cents));
  end if;
  return jsonb_build_object('stored', true);
end
$$;

-- After a final error that Stripe replays for this attempt's key: the next attempt gets a new key.
create function retire_checkout_attempt(p_invoice_id bigint, p_attempt integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update invoices set stripe_attempt = stripe_attempt + 1
   where id = p_invoice_id and stripe_attempt = p_attempt and stripe_session_id is null;
  return jsonb_build_object('retired', found);
end
$$;

-- The ledger of card payments, derived from the facts known of Stripe. All that concerns one payment waits at its
-- advisory lock, taken before any row lock.

-- Whether a payment of the invoice is disputed with the outcome still open.
create function has_open_dispute(p_invoice_id bigint) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select exists (select from payments p join reversals r on r.payment_intent = p.processor_id
                  where p.invoice_id = p_invoice_id and r.kind = 'DISPUTE' and r.dispute_outcome is null)
$$;

-- How much of a payment was refunded or withdrawn by disputes.
create function refunded_cents(p_payment_id bigint) returns bigint
language sql stable set search_path = public, pg_temp
as $$ select -coalesce(sum(amount_cents), 0)::bigint from payments where parent_payment_id = p_payment_id $$;

-- Brings a payment's refunds in the ledger in line with the refunds and disputes known from Stripe.
create function sync_reversals(p payments, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  r record;
  i invoices;
  refunded bigint := refunded_cents(p.id);
  refunds_total bigint := (select coalesce(sum(amount_cents), 0) from reversals where payment_intent = p.processor_id and kind = 'REFUND');
begin
  select * into i from invoices where id = p.invoice_id;
  for r in
    select f.processor_id, f.happened_at, -b.amount_cents as booked, case
        when f.currency <> i.currency then 0
        when f.kind = 'REFUND' then case when f.stage < 3 then f.amount_cents else 0 end
        when f.kind = 'DISPUTE' then case when f.stage = 2 then f.amount_cents else 0 end
        else greatest(0, f.amount_cents - refunds_total) end as due,
      case f.kind when 'DISPUTE' then 'Disputed' else 'Refunded' end as reference
      from reversals f left join payments b on b.processor_id = f.processor_id
     where f.payment_intent = p.processor_id order by f.processor_id loop
    continue when r.due = coalesce(r.booked, 0);
    if r.due = 0 then
      delete from payments where processor_id = r.processor_id;
    else
      insert into payments (invoice_id, kind, method, amount_cents, processor_id, reference, parent_payment_id, paid_at)
      values (p.invoice_id, 'REFUND', 'STRIPE', -r.due, r.processor_id, r.reference, p.id, r.happened_at)
      on conflict (processor_id) do update set amount_cents = excluded.amount_cents;
    end if;
  end loop;
  refunded := refunded_cents(p.id) - refunded;
  if refunded <> 0 then
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, case when refunded > 0 then 'MONEY_WENT_BACK' else 'MONEY_CAME_BACK' end,
                         format(case when refunded > 0 then 'Money of invoice %s went back' else 'Money of invoice %s came back' end, i.number),
                         p_actor || jsonb_build_object('paymentId', p.id, 'amountCents', abs(refunded)));
  end if;
end
$$;

-- Holds an invoice's job while its payment is disputed or was refunded, and releases it when the money is back. Acts
-- only when the cause changes, so that a hold which the shop has cleared is not set again by the next event of the
-- same cause.
create function sync_payment_hold(p_invoice_id bigint, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
  cause text := case
    when exists (select from payments p join reversals r on r.payment_intent = p.processor_id
                  where p.invoice_id = p_invoice_id and r.kind = 'DISPUTE' and r.dispute_outcome is distinct from 'WON')
      then 'its payment is disputed'
    when exists (select from payments p join invoices i on i.id = p.invoice_id
                  where i.id = p_invoice_id and p.kind = 'REFUND' and i.paid_cents < i.total_cents) then 'money was refunded' end;
begin
  select * into j from jobs where invoice_id = p_invoice_id for no key update;
  if j.id is null or j.payment_hold is not distinct from cause then
    return;
  end if;
  update jobs set payment_hold = cause, held_reason = case
      when j.status in ('COMPLETED', 'CANCELLED') or j.archived_at is not null then held_reason
      when held_reason is null or held_reason = j.payment_hold then cause else held_reason end
   where id = j.id;
  perform log_activity(j.client_id, null, j.invoice_id, j.id, j.printer_id,
                       case when cause is null then 'JOB_RELEASED' else 'JOB_HELD' end,
                       format(case when cause is null then 'Job %s is no longer held: %s' else 'Job %s is held: %s' end,
                              j.title, coalesce(cause, 'the money is back')), p_actor);
end
$$;

-- After a card payment or its refunds changed: updates the ledger, the invoice's status and its job. The caller holds
-- the invoice's row lock.
create function reconcile_payment(p_payment_intent text, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p payments;
begin
  select * into p from payments where processor_id = p_payment_intent and kind = 'PAYMENT';
  perform sync_reversals(p, p_actor);
  -- Twice: an invoice that was paid and already refunded becomes PAID first, then REFUNDED.
  perform update_invoice_status(p.invoice_id, p_actor);
  perform update_invoice_status(p.invoice_id, p_actor);
  -- A job is never removed. So payments that reach the total create one, held if money was refunded meanwhile: the order
  -- of arrival must not matter.
  perform ensure_job(id, p_actor) from invoices
   where id = p.invoice_id and status in ('PENDING', 'OVERDUE', 'PAID', 'REFUNDED')
     and total_cents <= (select sum(amount_cents) from payments where invoice_id = p.invoice_id and kind = 'PAYMENT');
  perform sync_payment_hold(p.invoice_id, p_actor);
end
$$;

-- Payments that the shop records manually. A card payment is recorded by Stripe's event only, and taken back by a
-- refund only.

-- A payment or refund of an invoice.
create function payment_json(p payments) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', p.id, 'invoiceId', p.invoice_id, 'kind', p.kind, 'method', p.method,
    'amountCents', p.amount_cents, 'reference', p.reference, 'note', p.note, 'isFlagged', p.is_flagged,
    'parentPaymentId', p.parent_payment_id, 'paidAt', p.paid_at,
    'date', (p.paid_at at time zone (select time_zone from settings))::date, 'createdAt', p.created_at)
$$;

-- The payments of an invoice, oldest first. Its client sees neither the shop's note nor the flag.
create function list_payments(p_client_id bigint, p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(payment_json(p) || case when p_client_id is null then '{}'::jsonb
          else '{"note": null, "isFlagged": null}' end order by p.paid_at, p.id)
        from payments p where p.invoice_id = i.id), '[]')
       from invoices i where i.id = p_invoice_id and (p_client_id is null or i.client_id = p_client_id)),
    invoice_not_found_error())
$$;

-- Records a manual payment, of the whole balance when `p_amount_cents` is null, once per Idempotency-Key.
create function record_payment(p_user_id bigint, p_invoice_id bigint, p_amount_cents bigint, p_method payment_method,
                               p_reference text, p_note text, p_paid_at timestamptz, p_route text, p_key text,
                               p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, p_route, p_key, p_body_hash);
  i invoices;
  paid payments;
  problem jsonb;
  retired text;
  response jsonb;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  if earlier_answer is not null then
    return earlier_answer;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  problem := coalesce(invoice_not_payable_error(i), case
    when p_amount_cents > i.balance_cents then
      api_error(409, 'EXCEEDS_BALANCE', format('Invoice %s owes less than this payment; record at most its balance.', i.number),
                jsonb_build_object('balanceCents', i.balance_cents, 'currency', i.currency))
    when p_paid_at > now() + interval '1 day' then
      api_error(422, 'PAID_IN_FUTURE', 'Give the day on which the money came; it is still to come.',
                jsonb_build_array(jsonb_build_object('field', 'paidAt'))) end);
  if problem is not null then
    return problem;
  end if;
  insert into payments (invoice_id, method, amount_cents, reference, note, paid_at, created_by)
  values (i.id, p_method, coalesce(p_amount_cents, i.balance_cents), p_reference, p_note, coalesce(p_paid_at, now()), p_user_id)
  returning * into paid;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_RECORDED',
                       'A payment was recorded for invoice ' || i.number,
                       actor || jsonb_build_object('paymentId', paid.id, 'amountCents', paid.amount_cents, 'method', paid.method));
  -- An open Checkout session asks for the former balance.
  retired := retire_checkout_session(i.id);
  perform update_invoice_status(i.id, actor);
  response := changed_invoice_json(i.id, retired);
  perform idempotency_put(p_user_id, p_route, p_key, p_body_hash, response);
  return response;
end
$$;

-- An error when these payments cannot be deleted: a card payment, a refund on the invoice, or a closed invoice; null
-- otherwise.
create function payments_not_deletable_error(i invoices, p_payment_ids bigint[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    case when exists (select from payments where id = any (p_payment_ids) and (method = 'STRIPE' or kind = 'REFUND')) then
      api_error(409, 'USE_REFUND', format('Invoice %s was paid by card; refund that payment instead.', i.number)) end,
    case when exists (select from payments where invoice_id = i.id and kind = 'REFUND') then
      api_error(409, 'HAS_REFUNDS', format('Invoice %s has a refund; its payments stay as they are.', i.number)) end,
    invoice_closed_error(i))
$$;

-- Deletes payments of an invoice and logs each.
create function delete_payments(i invoices, p_payment_ids bigint[], p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_DELETED',
                       'A payment of invoice ' || i.number || ' was deleted',
                       p_actor || jsonb_build_object('paymentId', p.id, 'amountCents', p.amount_cents, 'method', p.method))
    from payments p where p.id = any (p_payment_ids);
  delete from payments where id = any (p_payment_ids);
end
$$;

-- Deletes one manual payment.
create function delete_payment(p_user_id bigint, p_invoice_id bigint, p_payment_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  problem jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  perform from payments where id = p_payment_id and invoice_id = i.id;
  if not found then
    return case when exists (select from activity_logs where invoice_id = i.id and action = 'PAYMENT_DELETED'
                                and metadata ->> 'paymentId' = p_payment_id::text)
      then api_error(409, 'PAYMENT_DELETED', 'This payment was deleted already; read the invoice again.')
      else api_error(404, 'PAYMENT_NOT_FOUND', 'The invoice has no such payment.') end;
  end if;
  problem := payments_not_deletable_error(i, array[p_payment_id]);
  if problem is not null then
    return problem;
  end if;
  perform delete_payments(i, array[p_payment_id], actor);
  retired := retire_checkout_session(i.id);
  perform update_invoice_status(i.id, actor);
  return changed_invoice_json(i.id, retired);
end
$$;

-- Deletes all manual payments of an invoice and holds its job.
create function mark_invoice_unpaid(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  found_payments bigint[];
  problem jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  select array_agg(id) into found_payments from payments where invoice_id = i.id;
  problem := coalesce(payments_not_deletable_error(i, found_payments), case when found_payments is null then
    api_error(409, 'NOT_PAID', format('Invoice %s has no payment to take back.', i.number)) end);
  if problem is not null then
    return problem;
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_MARKED_UNPAID',
                       'Invoice ' || i.number || ' was marked unpaid', actor);
  perform delete_payments(i, found_payments, actor);
  retired := retire_checkout_session(i.id);
  perform update_invoice_status(i.id, actor);
  perform hold_job(i.id, 'marked unpaid', actor);
  return changed_invoice_json(i.id, retired);
end
$$;

-- Refunds that the shop requests. A request is committed first and counts against what is left to refund; then Stripe
-- is called under the request's key, as often as it takes. The ledger waits for Stripe's event.

-- How much of a card payment can still be refunded: not yet refunded, disputed or requested.
create function refundable_cents(p payments) returns bigint
language sql stable set search_path = public, pg_temp
as $$
  select greatest(0, p.amount_cents
    + coalesce((select sum(b.amount_cents) from payments b where b.parent_payment_id = p.id), 0)
    - coalesce((select sum(r.amount_cents) from refund_requests r
                 where r.payment_id = p.id and r.state in ('REQUESTED', 'SENT')), 0))::bigint
$$;

-- The smallest amount that a card payment can be a multiple of, in ISO 4217 minor units
-- (https://docs.stripe.com/currencies#special-cases).
create function card_amount_step(p_currency text) returns integer
language sql immutable set search_path = public, pg_temp
as $$ select case when p_currency in ('BHD', 'JOD', 'KWD', 'OMR', 'TND') then 10 when p_currency = 'MGA' then 100 else 1 end $$;

-- A refund request with its status and the key that Stripe is called with.
create function refund_request_json(r refund_requests) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', r.id, 'invoiceId', r.invoice_id, 'paymentId', r.payment_id,
    'paymentIntent', p.processor_id, 'amountCents', r.amount_cents, 'currency', i.currency, 'reason', r.reason, 'note', r.note,
    'attempt', r.attempt,
    'key', format('refund-%s-%s-%s', r.id, r.attempt, (extract(epoch from r.created_at) * 1000000)::bigint),
    'refundId', r.refund_id, 'refusal', r.refusal, 'createdAt', r.created_at,
    'status', case when r.state = 'REFUSED' then 'REFUSED' when f.stage = 3 then 'FAILED' when f.stage = 2 then 'SUCCEEDED'
                   else 'PENDING' end)
    from payments p, invoices i left join reversals f on f.processor_id = r.refund_id
   where p.id = r.payment_id and i.id = r.invoice_id
$$;

-- Stores a refund request for one card payment: the named one, else the newest with enough left; without an amount,
-- all that is left. Committed before Stripe is called, so that two requests cannot refund more than was paid. The same
-- Idempotency-Key returns the same request with its present status.
create function request_refund(p_user_id bigint, p_invoice_id bigint, p_payment_id bigint, p_amount_cents bigint, p_reason text,
                               p_note text, p_route text, p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, p_route, p_key, p_body_hash);
  i invoices;
  chosen payments;
  r refund_requests;
  left_cents bigint;
begin
  if earlier_answer is not null then
    select * into r from refund_requests where id = (earlier_answer ->> 'id')::bigint;
    return case when r.id is null then earlier_answer else refund_request_json(r) end;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return invoice_not_found_error();
  end if;
  select * into chosen from payments p
   where invoice_id = i.id and kind = 'PAYMENT' and method = 'STRIPE' and (p_payment_id is null or id = p_payment_id)
   order by refundable_cents(p) >= coalesce(p_amount_cents, 1) desc, id desc limit 1;
  if chosen.id is null then
    return case when exists (select from payments where id = p_payment_id and invoice_id = i.id)
                  or (p_payment_id is null and exists (select from payments where invoice_id = i.id and kind = 'PAYMENT')) then
        api_error(409, 'NOT_PAID_BY_CARD', format('Invoice %s was not paid by card; give the money back by hand and delete the payment.', i.number))
      when p_payment_id is null then
        api_error(409, 'NOT_PAID', format('Invoice %s has no payment to refund.', i.number))
      else api_error(404, 'PAYMENT_NOT_FOUND', 'The invoice has no such payment.') end;
  end if;
  left_cents := refundable_cents(chosen);
  if left_cents = 0 then
    return api_error(409, 'ALREADY_REFUNDED', format('Nothing of this payment of invoice %s is left to refund.', i.number));
  elsif p_amount_cents > left_cents then
    return api_error(409, 'EXCEEDS_REFUNDABLE', format('Less than that is left to refund of this payment of invoice %s; refund at most the rest.', i.number),
                     jsonb_build_object('refundableCents', left_cents, 'currency', i.currency, 'paymentId', chosen.id));
  end if;
  if coalesce(p_amount_cents, left_cents) % card_amount_step(i.currency) <> 0 then
    return api_error(422, 'NO_CARD_AMOUNT', 'Cards carry no such amount in this currency; round it.',
                     jsonb_build_array(jsonb_build_object('field', 'amountCents', 'problem', format('a multiple of %s', card_amount_step(i.currency)))));
  end if;
  insert into refund_requests (invoice_id, payment_id, amount_cents, reason, note, created_by)
  values (i.id, chosen.id, coalesce(p_amount_cents, left_cents), p_reason, p_note, p_user_id) returning * into r;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'REFUND_REQUESTED',
                       'A refund was asked for on invoice ' || i.number,
                       jsonb_build_object('userId', p_user_id, 'refundRequestId', r.id, 'paymentId', chosen.id, 'amountCents', r.amount_cents));
  perform idempotency_put(p_user_id, p_route, p_key, p_body_hash, jsonb_build_object('id', r.id));
  return refund_request_json(r);
end
$$;

-- Records Stripe's answer to a refund request: the refund, or why it was refused.
create function record_refund_answer(p_request_id bigint, p_refund_id text, p_refusal text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  r refund_requests;
  i invoices;
begin
  update refund_requests set state = case when p_refund_id is null then 'REFUSED' else 'SENT' end, refund_id = p_refund_id,
    refusal = p_refusal
   where id = p_request_id and (state = 'REQUESTED' or state = 'SENT' and p_refund_id is null) returning * into r;
  if found then
    select * into i from invoices where id = r.invoice_id;
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, case when p_refund_id is null then 'REFUND_REFUSED' else 'REFUND_SENT' end,
                         format(case when p_refund_id is null then 'Stripe refused a refund on invoice %s' else 'Stripe took a refund on invoice %s' end, i.number),
                         jsonb_build_object('userId', r.created_by, 'refundRequestId', r.id, 'amountCents', r.amount_cents,
                                            'refundId', p_refund_id, 'refusal', p_refusal));
  else
    select * into r from refund_requests where id = p_request_id;
  end if;
  return refund_request_json(r);
end
$$;

-- After a failure at Stripe that it replays for this attempt's key: the next attempt gets a new key.
create function start_next_refund_attempt(p_request_id bigint, p_attempt integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update refund_requests set attempt = attempt + 1 where id = p_request_id and attempt = p_attempt and state = 'REQUESTED';
  return jsonb_build_object('raised', found);
end
$$;

-- Refund requests that the reconciler should continue: never sent, sent without any event since, or pending at the
-- bank (less often the older they are). Marks them as checked.
create function refunds_to_check(p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  chosen bigint[];
begin
  select array_agg(id) into chosen from (
    select id from refund_requests
     where id in (
       select id from refund_requests where state in ('REQUESTED', 'SENT') and updated_at < now() - interval '2 minutes'
       union all
       select r.id from reversals f join refund_requests r on r.refund_id = f.processor_id
        where f.kind = 'REFUND' and f.stage = 1 and r.state = 'SETTLED'
          and r.updated_at < now() - greatest(interval '2 minutes', (now() - r.created_at) / 4))
     order by updated_at for update skip locked limit p_limit) waiting;
  update refund_requests set updated_at = now() where id = any (chosen);
  return (select coalesce(jsonb_agg(refund_request_json(r)), '[]') from refund_requests r where id = any (chosen));
end
$$;

-- Stripe's events: each is recorded and applied in one transaction, once. An event is first stored as a fact whose
-- state only moves forward, and the ledger is derived from the facts: so the order of arrival, which Stripe does not
-- promise, changes nothing.

-- Converts Stripe's amount to ISO 4217 minor units, which the tables hold. https://docs.stripe.com/currencies#special-
-- cases: ISK and UGX have two more decimals at Stripe, MGA two fewer.
create function stripe_amount_to_cents(p_amount bigint, p_currency text) returns bigint
language sql immutable set search_path = public, pg_temp
as $$ select case upper(p_currency) when 'ISK' then p_amount / 100 when 'UGX' then p_amount / 100 when 'MGA' then p_amount * 100 else p_amount end $$;

-- Books the payment of a paid Checkout session; what exceeds the balance becomes credit. Anything that differs from what
-- was asked for is flagged; a payment in another currency is flagged and not booked, because its amounts do not add up with
-- the invoice's.
create function book_checkout_payment(p_event jsonb, i invoices, known checkout_sessions, p_amount bigint,
                                      p_actor jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  session jsonb := p_event #> '{data,object}';
  intent text := coalesce(session ->> 'payment_intent', session ->> 'id');
  flags text[] := '{}';
begin
  if upper(session ->> 'currency') is distinct from i.currency then
    return '{"outcome": "FLAGGED", "flags": ["CURRENCY"]}';
  elsif p_amount is null or p_amount <= 0 then
    return '{"outcome": "FLAGGED", "flags": ["AMOUNT"]}';
  end if;
  if known.invoice_id is distinct from i.id then flags := flags || 'SESSION'::text; end if;
  if known.amount_cents <> p_amount then flags := flags || 'AMOUNT'::text; end if;
  if p_amount > i.balance_cents then flags := flags || 'EXCESS'::text; end if;
  if p_amount < i.balance_cents then flags := flags || 'SHORT'::text; end if;
  if i.status not in ('PENDING', 'OVERDUE') then flags := flags || ('STATUS_' || i.status)::text; end if;
  insert into payments (invoice_id, kind, method, amount_cents, processor_id, reference, is_flagged, paid_at)
  values (i.id, 'PAYMENT', 'STRIPE', p_amount, intent, session ->> 'id', flags <> '{}',
          coalesce(to_timestamp((p_event ->> 'created')::bigint), now()))
  on conflict (processor_id) do nothing;
  if not found then
    return '{"outcome": "RECORDED"}';
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_RECEIVED',
                       'A card payment arrived for invoice ' || i.number,
                       p_actor || jsonb_build_object('amountCents', p_amount, 'flags', to_jsonb(flags)));
  -- Another open session asks for the former balance.
  perform retire_checkout_session(i.id);
  perform reconcile_payment(intent, p_actor);
  -- Refunds and disputes that arrived before their payment are compared with it now, as if they had come later.
  if exists (select from reversals where payment_intent = intent and currency <> i.currency) then
    flags := flags || 'CURRENCY'::text;
  end if;
  if 'AMOUNT' <> all (flags) and exists (select from reversals where payment_intent = intent and amount_cents > p_amount) then
    flags := flags || 'AMOUNT'::text;
  end if;
  return jsonb_build_object('outcome', 'APPLIED', 'flags', to_jsonb(flags), 'retire', checkout_sessions_to_close(i.id));
end
$$;

-- Applies a Checkout session event: moves the session on, and books the payment when it is paid. A session of no known
-- invoice is UNMATCHED if it was paid.
create function apply_checkout_event(p_event jsonb, p_actor jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  session jsonb := p_event #> '{data,object}';
  named text := session #>> '{metadata,invoiceId}';
  amount bigint := stripe_amount_to_cents((session ->> 'amount_total')::bigint, session ->> 'currency');
  facts jsonb := jsonb_build_object('amount', amount, 'currency', upper(session ->> 'currency'),
                                    'paymentIntent', session -> 'payment_intent');
  new_state text := case
    when p_event ->> 'type' = 'checkout.session.expired' then 'EXPIRED'
    when p_event ->> 'type' = 'checkout.session.async_payment_failed' then 'FAILED'
    when session ->> 'payment_status' = 'paid' then 'PAID' else 'COMPLETE' end;
  known checkout_sessions;
  i invoices;
begin
  perform pg_advisory_xact_lock(hashtextextended(coalesce(session ->> 'payment_intent', session ->> 'id'), 0));
  select * into known from checkout_sessions where session_id = session ->> 'id';
  -- Other systems may use the same account and name invoices of their own: an unknown session must look like ours.
  if named ~ '^[0-9]{1,18}$' and (known.session_id is not null or (session -> 'isOurs')::boolean) then
    select * into i from invoices
     where id = named::bigint and (known.session_id is not null or number = session #>> '{metadata,invoiceNumber}') for no key update;
  end if;
  if i.id is null then
    perform advance_checkout_session(session ->> 'id', new_state);
    return facts || jsonb_build_object('outcome', case when new_state = 'PAID' then 'UNMATCHED' else 'RECORDED' end);
  end if;
  if i.stripe_session_id = session ->> 'id' then
    perform retire_checkout_session(i.id);
  end if;
  -- An unknown session is stored now, or Stripe's first answer, replayed to a retry, would be stored as open.
  insert into checkout_sessions (session_id, invoice_id, state, amount_cents, expires_at)
  values (session ->> 'id', i.id, new_state, greatest(amount, 1), now()) on conflict (session_id) do nothing;
  perform advance_checkout_session(session ->> 'id', new_state);
  facts := facts || jsonb_build_object('invoiceId', i.id);
  if new_state = 'PAID' then
    return facts || book_checkout_payment(p_event, i, known, amount, p_actor);
  elsif new_state = 'FAILED' then
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_FAILED',
                         'A payment of invoice ' || i.number || ' did not go through', p_actor);
  end if;
  return facts || '{"outcome": "RECORDED"}';
end
$$;

-- Applies an event of a refund, a refunded charge or a dispute: stores the fact, and updates the ledger if its payment
-- is known.
create function apply_reversal_event(p_event jsonb, p_actor jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  object jsonb := p_event #> '{data,object}';
  kind text := case object ->> 'object' when 'refund' then 'REFUND' when 'dispute' then 'DISPUTE' else 'CHARGE' end;
  intent text := object ->> 'payment_intent';
  amount bigint := stripe_amount_to_cents((object ->> case kind when 'CHARGE' then 'amount_refunded' else 'amount' end)::bigint, object ->> 'currency');
  happened timestamptz := coalesce(to_timestamp(coalesce(case when kind <> 'CHARGE' then object ->> 'created' end, p_event ->> 'created')::bigint), now());
  stage integer := case
    when kind = 'REFUND' then case object ->> 'status' when 'succeeded' then 2 when 'failed' then 3 when 'canceled' then 3 else 1 end
    when p_event ->> 'type' = 'charge.dispute.funds_withdrawn' then 2
    when p_event ->> 'type' = 'charge.dispute.funds_reinstated' then 3 else 1 end;
  closed text := case when p_event ->> 'type' = 'charge.dispute.closed' then case when object ->> 'status' = 'lost' then 'LOST' else 'WON' end end;
  facts jsonb := jsonb_build_object('amount', amount, 'currency', upper(object ->> 'currency'), 'paymentIntent', intent);
  paid payments;
  before invoices;
  after invoices;
  flags text[] := '{}';
begin
  if intent is null or amount is null or object ->> 'currency' is null then
    return facts || jsonb_build_object('outcome', 'RECORDED');
  end if;
  perform pg_advisory_xact_lock(hashtextextended(intent, 0));
  insert into reversals as r (processor_id, kind, payment_intent, amount_cents, currency, stage, happened_at, dispute_outcome)
  values (object ->> 'id', kind, intent, amount, upper(object ->> 'currency'), stage, happened, closed)
  on conflict (processor_id) do update set amount_cents = greatest(r.amount_cents, excluded.amount_cents),
    stage = greatest(r.stage, excluded.stage), happened_at = least(r.happened_at, excluded.happened_at),
    dispute_outcome = coalesce(r.dispute_outcome, excluded.dispute_outcome);
  select * into paid from payments where processor_id = intent and payments.kind = 'PAYMENT';
  if paid.id is null then
    return facts || jsonb_build_object('outcome', 'RECORDED');
  end if;
  select * into before from invoices where id = paid.invoice_id for no key update;
  update refund_requests q set state = 'SETTLED', refund_id = object ->> 'id'
   where q.payment_id = paid.id and q.state in ('REQUESTED', 'SENT') and kind = 'REFUND'
     and (q.refund_id = object ->> 'id' or q.id::text = object #>> '{metadata,refundRequestId}');
  perform reconcile_payment(intent, p_actor);
  select * into after from invoices where id = paid.invoice_id;
  if after.balance_cents <> before.balance_cents then
    perform retire_checkout_session(after.id);
  end if;
  if upper(object ->> 'currency') <> after.currency then flags := flags || 'CURRENCY'::text; end if;
  if amount > paid.amount_cents then flags := flags || 'AMOUNT'::text; end if;
  return facts || jsonb_build_object('outcome', 'APPLIED', 'invoiceId', after.id, 'flags', to_jsonb(flags),
                                     'retire', checkout_sessions_to_close(after.id));
end
$$;

-- Whether a recorded event was not applied because it is of the other mode (test or live) than the account's key.
create function is_livemode_mismatch(e webhook_events) returns boolean
language sql immutable set search_path = public, pg_temp
as $$ select e.outcome = 'FLAGGED' and e.metadata -> 'flags' ? 'LIVEMODE' $$;

-- Applies one Stripe event, once; a repeated or concurrent delivery gets DUPLICATE. An event of the other mode (test
-- or live) than the account's key is flagged and not applied, until it is delivered again with the right mode. An
-- event of another API version is applied and flagged.
create function apply_stripe_event(p_event jsonb, p_livemode boolean, p_api_version text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  kind text := p_event ->> 'type';
  recorded bigint;
  is_other_mode boolean := (p_event ->> 'livemode')::boolean is distinct from p_livemode;
  answer jsonb := '{"outcome": "RECORDED"}';
  actor jsonb := jsonb_build_object('stripeEventId', p_event ->> 'id');
  handled boolean := kind like 'checkout.session.%' or kind = 'charge.refunded' or kind like 'refund.%'
                     or kind = 'charge.refund.updated' or kind like 'charge.dispute.%';
begin
  insert into webhook_events (stripe_event_id, event_type) values (p_event ->> 'id', kind)
  on conflict (stripe_event_id) do nothing returning id into recorded;
  if recorded is null and not is_other_mode then
    update webhook_events e set processed_at = now() where stripe_event_id = p_event ->> 'id' and is_livemode_mismatch(e) returning id into recorded;
  end if;
  if recorded is null then
    return jsonb_build_object('outcome', 'DUPLICATE');
  elsif is_other_mode then
    answer := answer || case when handled then '{"outcome": "FLAGGED", "flags": ["LIVEMODE"]}'::jsonb else '{}' end;
  elsif kind like 'checkout.session.%' then
    answer := apply_checkout_event(p_event, actor);
  elsif handled then
    answer := apply_reversal_event(p_event, actor);
  end if;
  if handled and p_event ->> 'api_version' is distinct from p_api_version then
    answer := answer || jsonb_build_object('flags', coalesce(answer -> 'flags', '[]') || '["API_VERSION"]'::jsonb);
  end if;
  if answer ->> 'outcome' <> 'UNMATCHED' and coalesce(answer -> 'flags', '[]') <> '[]' then
    answer := answer || '{"outcome": "FLAGGED"}';
  end if;
  update webhook_events set outcome = answer ->> 'outcome', invoice_id = (answer ->> 'invoiceId')::bigint,
    metadata = jsonb_strip_nulls(answer - '{outcome,retire}'::text[]
      || jsonb_build_object('sessionId', case when kind like 'checkout.session.%' then p_event #>> '{data,object,id}' end))
   where id = recorded;
  return jsonb_strip_nulls(jsonb_build_object('outcome', answer -> 'outcome', 'invoiceId', answer -> 'invoiceId', 'retire', answer -> 'retire'));
end
$$;

-- A page of the events that a person has to check, newest first: payments of no known invoice, and flagged ones.
create function list_unmatched_stripe_events(p_limit integer, p_before bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', e.id, 'stripeEventId', e.stripe_event_id, 'type', e.event_type,
      'outcome', e.outcome, 'flags', coalesce(e.metadata -> 'flags', '[]'), 'amountCents', e.metadata -> 'amount',
      'currency', e.metadata -> 'currency', 'sessionId', e.metadata -> 'sessionId',
      'paymentIntent', e.metadata -> 'paymentIntent', 'invoiceId', e.invoice_id,
      'invoiceNumber', i.number, 'receivedAt', e.processed_at) order by e.id desc), '[]')
    from (select * from webhook_events
           where outcome in ('FLAGGED', 'UNMATCHED') and (p_before is null or id < p_before)
           order by id desc limit p_limit) e
    left join invoices i on i.id = e.invoice_id
$$;

-- What the reconciler asks Stripe for: sessions whose end is not known, and events and sessions that never arrived.

-- The Checkout sessions whose state the reconciler should ask Stripe for, the longest unchecked first, and marks them
-- as checked. Sessions to be closed are checked every minute, open ones less often the older they are.
create function checkout_sessions_to_check(p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  found_sessions jsonb;
begin
  with chosen as (
    select session_id from checkout_sessions
     where state in ('OPEN', 'RETIRED', 'COMPLETE')
       and checked_at < now() - greatest(interval '1 minute', case when state = 'RETIRED' and expires_at > now() then interval '1 minute' else (now() - created_at) / 4 end)
     order by checked_at for update skip locked limit p_limit), checked as (
    update checkout_sessions s set checked_at = now() from chosen c where s.session_id = c.session_id
    returning s.session_id, s.state)
  select coalesce(jsonb_agg(jsonb_build_object('sessionId', session_id, 'state', state)), '[]') into found_sessions from checked;
  return found_sessions;
end
$$;

-- Ends a session that Stripe does not know, once it has expired. Before that, the key of another account may be the
-- reason, and the session may still be open there.
create function end_unknown_checkout_session(p_session_id text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  known checkout_sessions;
begin
  select * into known from checkout_sessions where session_id = p_session_id and expires_at <= now();
  if not found then
    return jsonb_build_object('ended', false);
  end if;
  perform from invoices where id = known.invoice_id for no key update;
  perform retire_checkout_session(id) from invoices where id = known.invoice_id and stripe_session_id = p_session_id;
  perform advance_checkout_session(p_session_id, case known.state when 'COMPLETE' then 'FAILED' else 'EXPIRED' end);
  return jsonb_build_object('ended', true);
end
$$;

-- Those of the given event ids that were never applied here.
create function unknown_stripe_events(p_event_ids text[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(event_id), '[]') from unnest(p_event_ids) as e(event_id)
   where not exists (select from webhook_events known where stripe_event_id = e.event_id and not is_livemode_mismatch(known))
$$;

-- Those of the given Checkout session ids that are not stored here.
create function unknown_checkout_sessions(p_session_ids text[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(created.id), '[]') from unnest(p_session_ids) as created(id)
   where not exists (select from checkout_sessions where session_id = created.id)
$$;

-- What prices are computed from, read at one moment: the shop's rates, catalogue and stored slices.

-- The shop's rates, taxes and shipping regions that prices are computed from.
create function shop_rates() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('currency', currency, 'taxRateBps', tax_rate_bps,
      'hourlyRateCents', hourly_rate_cents, 'setupCents', setup_cents, 'minimumCents', minimum_cents,
      'fastTrackSurchargeBps', fast_track_surcharge_bps, 'shippingRegions', shipping_regions)
    from settings
$$;

-- A material with what its price is computed from; null for none.
create function material_price_json(m materials) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select case when m.id is not null then jsonb_build_object('id', m.id, 'name', m.name,
    'costPerKgCents', m.cost_per_kg_cents, 'densityMgCm3', m.density_mg_cm3) end
$$;

-- How a printer's real prints in a material compare with the slicer's figures: the median of printed / sliced in basis
-- points, its interquartile range, and the number of prints. `p_of` is `time` or `mass`. Takes the last 50 prints;
-- ratios below a fifth or above five are taken for mistakes and left out.
create function measured_print_factor(p_printer_id bigint, p_material_id bigint, p_of text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('prints', r.prints, 'factorBps', floor(r.quartiles[2] + 0.5)::bigint,
                            'spreadBps', floor(r.quartiles[3] - r.quartiles[1] + 0.5)::bigint)
    from (select count(*) as prints, percentile_cont(array[0.25, 0.5, 0.75]) within group (order by bps) as quartiles
            from (select case p_of when 'time' then time_bps else mass_bps end as bps from print_records
                   where printer_id = p_printer_id and material_id = p_material_id
                     and case p_of when 'time' then time_bps else mass_bps end between 2000 and 50000
                   order by completed_at desc, job_id desc limit 50) latest) r
$$;

-- A measured print factor of at least 5 prints; null for fewer.
create function reliable_print_factor(p_ratio jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select case when (p_ratio ->> 'prints')::integer >= 5 then p_ratio end $$;

-- The print factors that correct prices for this printer and material; null when the shop does not use them, the
-- printer is unknown, or there are too few prints.
create function applied_print_factor(p_printer_id bigint, p_material_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('printerId', p.id, 'printer', p.name, 'time', r.time, 'mass', r.mass)
    from settings s, printers p, lateral (
      select reliable_print_factor(measured_print_factor(p.id, p_material_id, 'time')) as time,
             reliable_print_factor(measured_print_factor(p.id, p_material_id, 'mass')) as mass) r
   where s.use_print_factors and p.id = p_printer_id and coalesce(r.time, r.mass) is not null
$$;

-- The user's files named in `p_items` ([{"file", "settingsHash"}]), in that order, each with its slice result,
-- material and g-code; null for a file that is not theirs.
create function models_with_slices(p_user_id bigint, p_items jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_agg(case when f.id is null then null else jsonb_build_object(
      'fileId', f.id, 'storageKey', f.storage_key, 'filename', f.filename, 'sizeBytes', f.size_bytes,
      'mimeType', f.mime_type, 'contentHash', f.content_hash, 'settingsHash', g.value ->> 'settingsHash',
      'status', f.status, 'busy', f.queued_at is not null or f.status = 'running',
      'uploaded', f.uploaded_at is not null, 'isOutput', f.parent_id is not null,
      'isCurrent', f.settings_hash is not distinct from g.value ->> 'settingsHash',
      'fallback', coalesce((f.metadata ->> 'fallback')::boolean, false)
        and f.settings_hash is not distinct from g.value ->> 'settingsHash',
      'error', f.metadata -> 'error',
      'settings', coalesce(r.settings, f.metadata -> 'settings'),
      'slice', case when r.id is not null then jsonb_build_object('massMg', r.mass_mg, 'volumeMm3', r.volume_mm3,
        'filamentMm', r.filament_mm, 'timeSec', r.time_sec, 'slicer', r.slicer, 'slicerVersion', r.slicer_version,
        'profile', r.profile, 'nozzleUm', r.nozzle_um) end,
      'material', material_price_json(m),
      'printFactor', applied_print_factor(r.printer_id, m.id),
      'logTail', f.metadata -> 'logTail',
      'preview', case when f.preview_key is not null then jsonb_build_object('storageKey', f.preview_key,
        'filename', left(regexp_replace(f.filename, '\.[^.]*$', ''), 251) || '.png',
        'sizeBytes', f.inspection -> 'previewBytes', 'mimeType', 'image/png') end,
      -- The cache's g-code: the customer may have deleted their copy.
      'output', case when r.gcode_key is not null then jsonb_build_object('storageKey', r.gcode_key,
        'filename', left(regexp_replace(f.filename, '\.[^.]*$', ''), 245) || '.gcode.gz',
        'sizeBytes', r.gcode_bytes, 'mimeType', 'application/gzip') end) end order by g.ordinality)
    from jsonb_array_elements(p_items) with ordinality g
    left join lateral own_tmp_file(p_user_id, g.value ->> 'file') f on true
    left join lateral (
      select * from slice_results s where s.content_hash = f.content_hash and s.settings_hash = g.value ->> 'settingsHash'
       order by (s.id is not distinct from f.slice_result_id) desc, s.id desc limit 1) r on true
    left join materials m on m.id = coalesce(r.material_id, f.material_id)
$$;

-- All that prices a document: rates, active catalogue, and the slices that the request names.
create function price_book(p_user_id bigint, p_items jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select shop_rates() || jsonb_build_object(
    'defaultMaterialId', (select default_material_id from settings),
    'materials', (select coalesce(jsonb_agg(material_price_json(m) order by m.id), '[]') from materials m where m.is_active),
    'templates', (select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'description', t.description,
        'pricingType', t.pricing_type, 'unitPriceCents', t.unit_price_cents, 'materialId', t.material_id) order by t.id), '[]')
      from product_templates t where t.is_active),
    'models', coalesce(models_with_slices(p_user_id, p_items), '[]'))
$$;

-- Errors of acts on quotes.

-- The error for a quote that does not exist or belongs to another client.
create function quote_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.') $$;

-- The error for a quote link that is unknown or was replaced.
create function quote_link_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'QUOTE_NOT_FOUND', 'This link belongs to no quote; ask the shop for a new one.') $$;

-- The error for an act that the quote's status does not allow; the details list the statuses it can change to.
create function quote_status_error(q quotes, p_code text, p_message text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select api_error(409, p_code, format('Quote %s is %s; ', q.number, q.status) || p_message, jsonb_build_object(
    'status', q.status, 'legal', case q.status
      when 'DRAFT' then '["PENDING"]'::jsonb
      when 'PENDING' then '["ACCEPTED", "DECLINED", "EXPIRED", "CONVERTED"]'
      when 'ACCEPTED' then '["CONVERTED"]'
      else '[]' end))
$$;

-- The error for a quote whose valid-until date has passed.
create function quote_expired_error(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select api_error(409, 'QUOTE_EXPIRED', format(
      case q.status when 'DRAFT' then 'Quote %s was valid until %s; give it a later validUntil first.'
                    else 'Quote %s was valid until %s; ask for a new one, or duplicate it.' end, q.number, q.valid_until),
    jsonb_build_object('status', q.status, 'validUntil', q.valid_until))
$$;

-- An error when the quote does not exist or is not a DRAFT; null otherwise.
create function quote_not_draft_error(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when q.id is null then quote_not_found_error() when q.status <> 'DRAFT' then
    quote_status_error(q, 'NOT_A_DRAFT', 'only a DRAFT is edited or deleted: duplicate it to write another version.') end
$$;

-- An error when the client is unknown or the valid-until date has passed; null otherwise. Locks the client's row
-- against deletion.
create function quote_input_error(p_client_id bigint, p_valid_until date) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from clients where id = p_client_id for key share;
  if not found then
    return api_error(422, 'UNKNOWN_CLIENT', 'Name one of the shop''s clients in clientId.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  if p_valid_until < business_today() then
    return api_error(422, 'VALID_UNTIL_PAST', 'Let the quote be valid today at least, by the business''s own day.',
                     jsonb_build_array(jsonb_build_object('field', 'validUntil')));
  end if;
  return null;
end
$$;

-- Quotes in JSON.

-- A quote as a row of a list.
create function quote_summary_json(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', q.id, 'number', q.number, 'status', q.status, 'clientId', q.client_id, 'issueDate', q.issue_date,
    'validUntil', q.valid_until, 'currency', q.currency, 'totalCents', q.total_cents, 'needsReview', q.needs_review,
    'sentAt', q.sent_at, 'decidedAt', q.decided_at, 'convertedInvoiceId', q.converted_invoice_id,
    'createdAt', q.created_at, 'updatedAt', q.updated_at)
$$;

-- A quote in full, with its lines.
create function quote_json(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select quote_summary_json(q) || jsonb_build_object(
    'kind', 'quote',
    'client', (select client_json(c) from clients c where c.id = q.client_id),
    'items', (select coalesce(jsonb_agg(item_json(l.position, l.description, l.quantity_milli, l.unit_price_cents,
        l.discount_type, l.discount_bps, l.discount_fixed_cents, l.total_cents, l.details) order by l.position), '[]')
      from quote_items l where l.quote_id = q.id),
    'discountType', q.discount_type, 'discountBps', q.discount_bps, 'discountFixedCents', q.discount_fixed_cents,
    'subtotalCents', q.subtotal_cents, 'discountCents', q.discount_cents, 'shippingCents', q.shipping_cents,
    'shippingLabel', q.shipping_label, 'taxRateBps', q.tax_rate_bps, 'taxCents', q.tax_cents,
    'notes', q.notes, 'terms', q.terms, 'decisionNote', q.decision_note, 'publicToken', q.public_token)
$$;

-- Changes of a quote's status: DRAFT, PENDING (sent), ACCEPTED, DECLINED, EXPIRED, CONVERTED.

-- Replaces the public link's token; the old link stops working.
create function rotate_quote_token(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
begin
  update quotes set public_token = unguessable_token() where id = p_quote_id returning * into q;
  if not found then
    return quote_not_found_error();
  end if;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_LINK_CHANGED',
                       'Quote ' || q.number || ' got a new link', jsonb_build_object('userId', p_user_id));
  return quote_json(q);
end
$$;

-- Sends a DRAFT (it becomes PENDING) or sends a PENDING quote again. `p_email` queues the e-mail in the same
-- transaction.
create function send_quote(p_user_id bigint, p_quote_id bigint, p_key text, p_body_hash text, p_email boolean, p_to text,
                           p_message text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer jsonb := idempotency_get(p_user_id, 'quotes/send', p_key, p_body_hash);
  q quotes;
  recipient text;
  mail bigint;
  response jsonb;
begin
  if earlier_answer is not null then
    return earlier_answer;
  end if;
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return quote_not_found_error();
  elsif q.status not in ('DRAFT', 'PENDING') then
    return quote_status_error(q, 'NOT_SENDABLE', 'only a DRAFT or a PENDING quote is sent: duplicate it to send it anew.');
  elsif q.valid_until < business_today() then
    return quote_expired_error(q);
  elsif q.needs_review and q.subtotal_cents = 0 then
    return quote_status_error(q, 'NEEDS_PRICE', 'its client asked for a price by hand: edit its lines first.');
  end if;
  select coalesce(nullif(p_to, ''), email) into recipient from clients where id = q.client_id;
  if p_email and length(recipient) < 3 then
    return api_error(422, 'NO_EMAIL', 'This client has no e-mail address; name one in to.',
                     jsonb_build_array(jsonb_build_object('field', 'to')));
  end if;
  update quotes set status = 'PENDING', sent_at = now(), needs_review = false where id = q.id returning * into q;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_SENT', 'Quote ' || q.number || ' was sent',
                       jsonb_build_object('userId', p_user_id));
  mail := queue_mail('QUOTE', q.id, case when p_email then recipient end, p_message, p_user_id);
  response := quote_json(q) || jsonb_build_object(
    'mailId', mail, 'mail', case when p_email then jsonb_build_object('id', mail, 'status', 'QUEUED') end);
  perform idempotency_put(p_user_id, 'quotes/send', p_key, p_body_hash, response);
  return response;
end
$$;

-- Accepts or declines a PENDING quote, once: for its client, for the shop on the client's behalf, or for whoever holds
-- the link (`p_token`).
create function decide_quote(p_quote_id bigint, p_token text, p_client_id bigint, p_user_id bigint, p_accept boolean,
                             p_note text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  decision quote_status := case when p_accept then 'ACCEPTED' else 'DECLINED' end;
begin
  if p_token is not null then
    select * into q from quotes where public_token = p_token and status <> 'DRAFT' for no key update;
  else
    select * into q from quotes
     where id = p_quote_id and (p_client_id is null or (client_id = p_client_id and status <> 'DRAFT')) for no key update;
  end if;
  if q.id is null then
    return case when p_token is not null then quote_link_not_found_error() else quote_not_found_error() end;
  elsif q.status = 'EXPIRED' or (q.status = 'PENDING' and q.valid_until < business_today()) then
    return quote_expired_error(q);
  elsif q.status <> 'PENDING' then
    return quote_status_error(q, 'NOT_PENDING', 'only a PENDING quote is accepted or declined.');
  end if;
  update quotes set status = decision, decided_at = now(), decision_note = p_note where id = q.id returning * into q;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_' || decision,
                       'Quote ' || q.number || ' was ' || lower(decision::text),
                       jsonb_build_object('userId', p_user_id, 'by', case when p_token is not null then 'link' else 'login' end));
  return quote_json(q);
end
$$;

-- Converts a PENDING or ACCEPTED quote into an invoice, once, with its lines, amounts and files; due by the client's
-- payment term.
create function convert_quote(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  created invoices;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return quote_not_found_error();
  elsif q.status = 'CONVERTED' then
    return api_error(409, 'ALREADY_CONVERTED', format('Quote %s is an invoice already; open that one.', q.number),
                     jsonb_build_object('status', q.status, 'convertedInvoiceId', q.converted_invoice_id));
  elsif q.status = 'PENDING' and q.valid_until < business_today() then
    return quote_expired_error(q);
  elsif q.status not in ('PENDING', 'ACCEPTED') then
    return quote_status_error(q, 'NOT_CONVERTIBLE', 'only a PENDING or an ACCEPTED quote becomes an invoice.');
  end if;
  insert into invoices (number, client_id, quote_id, issue_date, due_date, currency, discount_type, discount_bps,
                        discount_fixed_cents, subtotal_cents, discount_cents, shipping_cents, shipping_label, tax_rate_bps,
                        tax_cents, total_cents, notes, terms, created_by)
  values (next_document_number('invoice', 'INV-'), q.client_id, q.id, business_today(),
          business_today() + payment_term_days(q.client_id), q.currency, q.discount_type, q.discount_bps,
          q.discount_fixed_cents, q.subtotal_cents, q.discount_cents, q.shipping_cents, q.shipping_label, q.tax_rate_bps,
          q.tax_cents, q.total_cents, q.notes, q.terms, p_user_id)
  returning * into created;
  insert into invoice_items (invoice_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                             discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select created.id, position, product_template_id, description, quantity_milli, unit_price_cents,
         discount_type, discount_bps, discount_fixed_cents, total_cents, details
    from quote_items where quote_id = q.id;
  update order_files set invoice_id = created.id where quote_id = q.id;
  update quotes set status = 'CONVERTED', converted_invoice_id = created.id where id = q.id;
  perform log_activity(q.client_id, q.id, created.id, null, null, 'QUOTE_CONVERTED',
                       'Quote ' || q.number || ' became invoice ' || created.number, actor);
  if (select job_policy from settings) = 'ON_INVOICE' then
    perform ensure_job(created.id, actor);
  end if;
  perform update_invoice_status(created.id, actor);
  select * into created from invoices where id = created.id;
  return invoice_json(created);
end
$$;

-- Writing of quotes. Each change locks the quote's row, so that of two at once the second sees what the first did.

-- Replaces a quote's lines. `p_items` has the columns in camelCase.
create function replace_quote_items(p_quote_id bigint, p_items jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  delete from quote_items where quote_id = p_quote_id;
  insert into quote_items (quote_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                           discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select p_quote_id, ordinality, (value ->> 'productTemplateId')::bigint, value ->> 'description',
         (value ->> 'quantityMilli')::bigint, coalesce((value ->> 'unitPriceCents')::bigint, 0),
         coalesce(value ->> 'discountType', 'NONE')::discount_type, coalesce((value ->> 'discountBps')::integer, 0),
         coalesce((value ->> 'discountFixedCents')::bigint, 0), coalesce((value ->> 'totalCents')::bigint, 0),
         coalesce(value -> 'details', '{}')
    from jsonb_array_elements(p_items) with ordinality;
$$;

-- Replaces a quote's amounts, lines, texts and price snapshot. `p_document` has the columns in camelCase; the amounts
-- come from Python's pricing, and constraints check their sums.
create function replace_quote_content(p_quote_id bigint, p_document jsonb, p_items jsonb, p_snapshot jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update quotes set
    currency = p_document ->> 'currency', discount_type = (p_document ->> 'discountType')::discount_type,
    discount_bps = (p_document ->> 'discountBps')::integer,
    discount_fixed_cents = (p_document ->> 'discountFixedCents')::bigint,
    subtotal_cents = (p_document ->> 'subtotalCents')::bigint, discount_cents = (p_document ->> 'discountCents')::bigint,
    shipping_cents = (p_document ->> 'shippingCents')::bigint, shipping_label = p_document ->> 'shippingLabel',
    tax_rate_bps = (p_document ->> 'taxRateBps')::integer, tax_cents = (p_document ->> 'taxCents')::bigint,
    total_cents = (p_document ->> 'totalCents')::bigint, notes = p_document ->> 'notes', terms = p_document ->> 'terms',
    -- The shipping address of a requested review is kept.
    snapshot = p_snapshot || case when snapshot ? 'shipping' then jsonb_build_object('shipping', snapshot -> 'shipping')
                                  else '{}' end
  where id = p_quote_id;
  -- A line that was priced manually keeps the details that its client asked for.
  perform replace_quote_items(p_quote_id, (
    select jsonb_agg(n.value || case when coalesce(n.value -> 'details', '{}') = '{}' then jsonb_build_object('details', coalesce(
        (select l.details from quote_items l where l.quote_id = p_quote_id and l.description = n.value ->> 'description'
          order by l.position limit 1), '{}')) else '{}' end order by n.ordinality)
      from jsonb_array_elements(p_items) with ordinality n));
end
$$;

-- Creates a DRAFT quote with its lines and files.
create function create_quote(p_user_id bigint, p_client_id bigint, p_valid_until date, p_document jsonb, p_items jsonb,
                             p_files jsonb, p_snapshot jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  problem jsonb := quote_input_error(p_client_id, p_valid_until);
  q quotes;
begin
  if problem is not null then
    return problem;
  end if;
  insert into quotes (number, client_id, issue_date, valid_until, currency, subtotal_cents, tax_rate_bps, tax_cents,
                      total_cents, created_by)
  values (next_document_number('quote', 'QT-'), p_client_id, business_today(),
          coalesce(p_valid_until, business_today() + (select quote_validity_days from settings)),
          p_document ->> 'currency', 0, 0, 0, 0, p_user_id)
  returning * into q;
  perform replace_quote_content(q.id, p_document, p_items, p_snapshot);
  perform insert_order_files(p_files, null, q.id, q.client_id, p_user_id);
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_CREATED', 'Quote ' || q.number || ' was drafted',
                       jsonb_build_object('userId', p_user_id));
  select * into q from quotes where id = q.id;
  return quote_json(q);
end
$$;

-- Replaces all that the shop wrote in a DRAFT. Files that the new lines bring again (same model, same slice) replace
-- the old copies, whose storage keys are returned.
create function update_quote(p_user_id bigint, p_quote_id bigint, p_client_id bigint, p_valid_until date,
                             p_document jsonb, p_items jsonb, p_files jsonb, p_snapshot jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  problem jsonb;
  replaced jsonb;
begin
  select * into q from quotes where id = p_quote_id for no key update;
  problem := coalesce(quote_not_draft_error(q), quote_input_error(p_client_id, p_valid_until));
  if problem is not null then
    return problem;
  end if;
  if p_client_id <> q.client_id and exists (select from order_files where quote_id = q.id) then
    return api_error(409, 'FILES_OF_CLIENT', 'This quote keeps files of its client; write a new quote for another client.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  update quotes set client_id = p_client_id,
    valid_until = coalesce(p_valid_until, business_today() + (select quote_validity_days from settings))
  where id = q.id;
  perform replace_quote_content(q.id, p_document, p_items, p_snapshot);
  with deleted as (
    delete from order_files f using jsonb_array_elements(p_files) n
     where f.quote_id = q.id and f.filename = n.value ->> 'filename'
       and f.file_type = (n.value ->> 'fileType')::order_file_type
       and f.metadata -> 'settingsHash' = n.value #> '{metadata,settingsHash}'
    returning f.storage_key)
  select coalesce(jsonb_agg(distinct storage_key), '[]') into replaced from deleted;
  perform insert_order_files(p_files, null, q.id, p_client_id, p_user_id);
  perform log_activity(p_client_id, q.id, null, null, null, 'QUOTE_EDITED', 'Quote ' || q.number || ' was edited',
                       jsonb_build_object('userId', p_user_id));
  select * into q from quotes where id = q.id;
  return jsonb_build_object('quote', quote_json(q), 'storageKeys', replaced);
end
$$;

-- Deletes a DRAFT with its files, and returns the storage keys to delete. The number is not used again.
create function delete_quote(p_user_id bigint, p_quote_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  problem jsonb;
  keys jsonb;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into q from quotes where id = p_quote_id for update;
  problem := quote_not_draft_error(q);
  if problem is not null then
    return problem;
  end if;
  perform log_activity(q.client_id, q.id, null, null, null, 'ORDER_FILE_DELETED',
                       'File ' || f.filename || ' was deleted', actor) from order_files f where f.quote_id = q.id;
  perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_DELETED', 'Quote ' || q.number || ' was deleted',
                       actor || jsonb_build_object('number', q.number, 'totalCents', q.total_cents));
  with deleted as (delete from order_files where quote_id = q.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into keys from deleted;
  delete from quotes where id = q.id;
  return jsonb_build_object('number', q.number, 'storageKeys', keys);
end
$$;

-- Creates a DRAFT with the same lines, amounts and snapshot, dated today, with a number and link of its own. Each file
-- needs a copied object: files that `p_copies` ([{"id", "storageKey"}], the key null if the object no longer exists)
-- does not name are returned as `copy`, and nothing is written.
create function duplicate_quote(p_user_id bigint, p_quote_id bigint, p_copies jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  q quotes;
  created quotes;
  missing jsonb;
begin
  select * into q from quotes where id = p_quote_id for no key update;
  if not found then
    return quote_not_found_error();
  end if;
  select jsonb_agg(order_file_json(f) order by f.id) into missing from order_files f
   where f.quote_id = q.id
     and f.id not in (select (c.value ->> 'id')::bigint from jsonb_array_elements(p_copies) c);
  if missing is not null then
    return jsonb_build_object('copy', missing);
  end if;
  insert into quotes (number, client_id, issue_date, valid_until, currency, discount_type, discount_bps,
                      discount_fixed_cents, subtotal_cents, discount_cents, shipping_cents, shipping_label, tax_rate_bps,
                      tax_cents, total_cents, notes, terms, needs_review, snapshot, created_by)
  values (next_document_number('quote', 'QT-'), q.client_id, business_today(),
          business_today() + (select quote_validity_days from settings), q.currency, q.discount_type, q.discount_bps,
          q.discount_fixed_cents, q.subtotal_cents, q.discount_cents, q.shipping_cents, q.shipping_label, q.tax_rate_bps,
          q.tax_cents, q.total_cents, q.notes, q.terms, q.needs_review, q.snapshot, p_user_id)
  returning * into created;
  insert into quote_items (quote_id, position, product_template_id, description, quantity_milli, unit_price_cents,
                           discount_type, discount_bps, discount_fixed_cents, total_cents, details)
  select created.id, position, product_template_id, description, quantity_milli, unit_price_cents,
         discount_type, discount_bps, discount_fixed_cents, total_cents, details
    from quote_items where quote_id = q.id;
  insert into order_files (quote_id, client_id, filename, storage_key, file_type, mime_type, size_bytes, metadata, uploaded_by)
  select created.id, f.client_id, f.filename, c.value ->> 'storageKey', f.file_type, f.mime_type, f.size_bytes, f.metadata, p_user_id
    from jsonb_array_elements(p_copies) c join order_files f on f.id = (c.value ->> 'id')::bigint
   where f.quote_id = q.id and c.value ->> 'storageKey' is not null
   order by f.id;
  perform log_activity(created.client_id, created.id, null, null, null, 'QUOTE_CREATED',
                       'Quote ' || created.number || ' was drafted as a duplicate of ' || q.number,
                       jsonb_build_object('userId', p_user_id, 'duplicateOf', q.id));
  return jsonb_build_object('quote', quote_json(created));
end
$$;

-- Statements of account.

-- Every entry of a client's account by the shop's days; positive cents are owed by the client. A VOID invoice bills
-- nothing, but money received for it counts. Amounts that can no longer be paid are taken off: by a write-off, else by
-- a CREDIT with each refund, last refund first, because the refund alone would make them owed again.
create function account_entries(p_client_id bigint)
returns table (currency text, day date, moment timestamptz, place bigint, kind text, invoice_id bigint, number text,
               due_date date, method payment_method, cents bigint)
language sql stable set search_path = public, pg_temp
as $$
  with billed as materialized (
    select i.*, least(i.written_off_cents, g.given_up) as written_off, g.given_up
      from invoices i, lateral (select case when i.status in ('PAID', 'REFUNDED', 'WRITTEN_OFF')
                                         then greatest(0, i.total_cents - i.paid_cents) else 0 end as given_up) g
     where i.client_id = p_client_id
  ), moved as materialized (
    select i.currency, (p.paid_at at time zone s.time_zone)::date as day, p.paid_at, p.id, p.kind, p.method, p.amount_cents,
           i.id as invoice_id, i.number, i.due_date, case when p.kind = 'REFUND' then
             least(-p.amount_cents, i.given_up - i.written_off - coalesce(sum(-p.amount_cents) filter (where p.kind = 'REFUND')
               over (partition by i.id order by p.paid_at desc, p.id desc
                     rows between unbounded preceding and 1 preceding), 0)) end as credited
      from settings s, billed i join payments p on p.invoice_id = i.id
  )
  select currency, issue_date, null, id, 'INVOICE', id, number, due_date, null, total_cents from billed where status <> 'VOID'
  union all
  select currency, day, paid_at, id, kind::text, invoice_id, number, due_date, method, -amount_cents from moved
  union all
  select currency, day, paid_at, id, 'CREDIT', invoice_id, number, due_date, null, -credited from moved where credited > 0
  union all
  select b.currency, (b.written_off_at at time zone s.time_zone)::date, b.written_off_at, b.id, 'WRITE_OFF', b.id, b.number,
         b.due_date, null, -b.written_off
    from settings s, billed b where b.written_off > 0
$$;

-- One account per currency: opening balance, entries, closing balance and the ageing of what is owed at the end. The
-- ageing less the credit equals the closing balance. An account without entries and balance is left out.
create function statement_accounts_json(p_client_id bigint, p_from date, p_to date) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  with entries as materialized (
    select * from account_entries(p_client_id) where day <= p_to
  ), accounts as (
    select currency, coalesce(sum(cents) filter (where day < p_from), 0)::bigint as opening, sum(cents)::bigint as closing,
           count(*) filter (where day >= p_from) as moves
      from entries group by currency
  ), listed as (
    select e.currency, jsonb_agg(jsonb_build_object('date', e.day, 'kind', e.kind, 'number', e.number,
             'dueDate', case when e.kind = 'INVOICE' then e.due_date end, 'method', e.method, 'amountCents', e.cents,
             'balanceCents', e.balance) order by e.nth) as entries
      from (select *, (sum(cents) over account)::bigint as balance, row_number() over account as nth from entries
            window account as (partition by currency order by day, moment nulls first, place, kind desc)) e
     where e.day >= p_from group by e.currency
  ), left_open as (
    select currency, p_to - due_date as late, sum(cents)::bigint as cents from entries group by currency, invoice_id, due_date
  ), aged as (
    select currency, coalesce(sum(cents) filter (where cents > 0 and late <= 0), 0)::bigint as "currentCents",
           coalesce(sum(cents) filter (where cents > 0 and late between 1 and 30), 0)::bigint as "days1To30Cents",
           coalesce(sum(cents) filter (where cents > 0 and late between 31 and 60), 0)::bigint as "days31To60Cents",
           coalesce(sum(cents) filter (where cents > 0 and late between 61 and 90), 0)::bigint as "days61To90Cents",
           coalesce(sum(cents) filter (where cents > 0 and late > 90), 0)::bigint as "daysOver90Cents",
           coalesce(-sum(cents) filter (where cents < 0), 0)::bigint as "creditCents"
      from left_open group by currency
  )
  select coalesce(jsonb_agg(jsonb_build_object('currency', a.currency, 'openingCents', a.opening, 'closingCents', a.closing,
           'entries', coalesce(t.entries, '[]'), 'ageing', to_jsonb(g) - 'currency') order by a.currency), '[]')
    from accounts a join aged g using (currency) left join listed t using (currency)
   where a.moves > 0 or a.closing <> 0
$$;

-- A client's statement of account. `p_client_scope` null reads as the shop, else only that client. The period ends
-- today at the latest, which is the default, and begins a year before its end by default.
create function client_statement(p_client_scope bigint, p_client_id bigint, p_from date, p_to date, p_max_entries integer) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  c clients;
  last date := least(p_to, business_today());
  first date := coalesce(p_from, (last - interval '1 year')::date + 1);
  accounts jsonb;
begin
  select * into c from clients where id = p_client_id and (p_client_scope is null or id = p_client_scope);
  if c.id is null then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client of yours.');
  elsif first > last then
    return api_error(422, 'PERIOD_REVERSED', 'Let `from` be no later than `to`, and no later than today.',
                     '[{"field": "from"}, {"field": "to"}]');
  end if;
  accounts := statement_accounts_json(c.id, first, last);
  if (select sum(jsonb_array_length(a -> 'entries')) from jsonb_array_elements(accounts) a) > p_max_entries then
    return api_error(422, 'STATEMENT_TOO_LONG',
      format('These days have more than %s entries; ask for a shorter period.', p_max_entries), '[{"field": "from"}]');
  end if;
  return jsonb_build_object(
    'document', jsonb_build_object('kind', 'statement', 'clientId', c.id, 'client', client_json(c), 'from', first, 'to', last,
                                   'issueDate', business_today(), 'accounts', accounts),
    'business', business_json());
end
$$;

-- The shop's settings.

-- Today's date in the shop's time zone.
create function business_today() returns date
language sql stable set search_path = public, pg_temp
as $$ select (now() at time zone settings.time_zone)::date from settings $$;

-- The settings as the API shows them to the shop.
create function settings_json(s settings) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'businessName', s.business_name, 'businessAddress', s.business_address, 'businessPhone', s.business_phone,
    'businessEmail', s.business_email, 'abn', s.abn, 'logoDataUrl', s.logo_data_url, 'bankDetails', s.bank_details,
    'timeZone', s.time_zone, 'currency', s.currency, 'taxRateBps', s.tax_rate_bps, 'quotePrefix', s.quote_prefix,
    'invoicePrefix', s.invoice_prefix, 'paymentTerms', s.payment_terms, 'defaultPaymentTerm', s.default_payment_term,
    'overdueGraceDays', s.overdue_grace_days, 'quoteValidityDays', s.quote_validity_days,
    'hourlyRateCents', s.hourly_rate_cents, 'setupCents', s.setup_cents, 'minimumCents', s.minimum_cents,
    'fastTrackSurchargeBps', s.fast_track_surcharge_bps, 'defaultMaterialId', s.default_material_id,
    'shippingRegions', s.shipping_regions, 'jobPolicy', s.job_policy,
    'guardOfflinePrinters', s.guard_offline_printers, 'guardMaintenancePrinters', s.guard_maintenance_printers,
    'maxActivePrintsPerPrinter', s.max_active_prints_per_printer, 'autoDetachOnComplete', s.auto_detach_on_complete,
    'archiveJobsAfterDays', s.archive_jobs_after_days, 'usePrintFactors', s.use_print_factors, 'updatedAt', s.updated_at)
$$;

-- Reads the settings.
create function get_settings() returns jsonb
language sql stable set search_path = public, pg_temp
as $$ select settings_json(s) from settings s $$;

-- Logs which fields of the settings changed, never their values: bank details are among them.
create function log_settings_change(p_before settings, p_after settings, p_user_id bigint) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  old jsonb := settings_json(p_before);
  fields text[];
begin
  select array_agg(n.key order by n.key) into fields from jsonb_each(settings_json(p_after) - 'updatedAt') n
   where n.value is distinct from old -> n.key;
  if fields is not null then
    perform log_activity(null, null, null, null, null, 'SETTINGS_CHANGED',
                         'The settings were changed: ' || array_to_string(fields, ', '),
                         jsonb_build_object('userId', p_user_id, 'fields', to_jsonb(fields)));
  end if;
end
$$;

-- Replaces all settings. `p_updated_at`, when given, is the updated_at that the caller last read: another one means
-- that somebody saved in between, and is an error.
create function save_settings(p_user_id bigint, p_settings jsonb, p_updated_at timestamptz) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  before settings;
  after settings;
begin
  select * into before from settings for update;
  if p_updated_at is not null and p_updated_at <> before.updated_at then
    return api_error(409, 'SETTINGS_CHANGED', 'Somebody else saved the settings meanwhile; read them again and repeat your change.');
  end if;
  if p_settings ->> 'timeZone' <> before.time_zone
     and not exists (select from pg_timezone_names where name = p_settings ->> 'timeZone') then
    return api_error(422, 'UNKNOWN_TIME_ZONE', 'Name the time zone as the IANA does, such as Australia/Sydney.',
                     jsonb_build_array(jsonb_build_object('field', 'timeZone')));
  end if;
  if p_settings ->> 'logoDataUrl' is not null and p_settings ->> 'logoDataUrl' is distinct from before.logo_data_url then
    return api_error(422, 'LOGO_NOT_STORED', 'Upload a new logo to settings/logo; here send the stored one, or null to remove it.',
                     jsonb_build_array(jsonb_build_object('field', 'logoDataUrl')));
  end if;
  perform from materials where id = (p_settings ->> 'defaultMaterialId')::bigint and is_active for share;
  if not found and p_settings ->> 'defaultMaterialId' is not null then
    return api_error(422, 'UNKNOWN_MATERIAL', 'Choose the default among the active materials.',
                     jsonb_build_array(jsonb_build_object('field', 'defaultMaterialId')));
  end if;
  update settings set
    business_name = p_settings ->> 'businessName', business_address = p_settings ->> 'businessAddress',
    business_phone = p_settings ->> 'businessPhone', business_email = p_settings ->> 'businessEmail',
    abn = p_settings ->> 'abn', logo_data_url = p_settings ->> 'logoDataUrl', bank_details = p_settings ->> 'bankDetails',
    time_zone = p_settings ->> 'timeZone', currency = p_settings ->> 'currency',
    tax_rate_bps = (p_settings ->> 'taxRateBps')::integer, quote_prefix = p_settings ->> 'quotePrefix',
    invoice_prefix = p_settings ->> 'invoicePrefix', payment_terms = p_settings -> 'paymentTerms',
    default_payment_term = p_settings ->> 'defaultPaymentTerm',
    overdue_grace_days = (p_settings ->> 'overdueGraceDays')::integer,
    quote_validity_days = (p_settings ->> 'quoteValidityDays')::integer,
    hourly_rate_cents = (p_settings ->> 'hourlyRateCents')::bigint, setup_cents = (p_settings ->> 'setupCents')::bigint,
    minimum_cents = (p_settings ->> 'minimumCents')::bigint,
    fast_track_surcharge_bps = (p_settings ->> 'fastTrackSurchargeBps')::integer,
    default_material_id = (p_settings ->> 'defaultMaterialId')::bigint,
    shipping_regions = p_settings -> 'shippingRegions', job_policy = (p_settings ->> 'jobPolicy')::job_policy,
    guard_offline_printers = (p_settings ->> 'guardOfflinePrinters')::boolean,
    guard_maintenance_printers = (p_settings ->> 'guardMaintenancePrinters')::boolean,
    max_active_prints_per_printer = (p_settings ->> 'maxActivePrintsPerPrinter')::integer,
    auto_detach_on_complete = (p_settings ->> 'autoDetachOnComplete')::boolean,
    archive_jobs_after_days = (p_settings ->> 'archiveJobsAfterDays')::integer,
    use_print_factors = (p_settings ->> 'usePrintFactors')::boolean
  where id returning * into after;
  perform log_settings_change(before, after, p_user_id);
  return settings_json(after);
end
$$;

-- Stores the logo, or removes it (null).
create function save_logo(p_user_id bigint, p_logo_data_url text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  before settings;
  after settings;
begin
  select * into before from settings for update;
  update settings set logo_data_url = p_logo_data_url where id returning * into after;
  perform log_settings_change(before, after, p_user_id);
  return settings_json(after);
end
$$;

-- The shop as its documents show it: name, address, bank details, logo.
create function business_json() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('name', business_name, 'address', business_address, 'phone', business_phone,
    'email', business_email, 'abn', abn, 'bankDetails', bank_details, 'logoDataUrl', logo_data_url,
    'timeZone', time_zone, 'locale', 'en-AU')
  from settings
$$;

-- The portal: what a client sees of their own orders, without anything internal to the shop.

-- A job as its client sees it.
create function portal_job_json(j jobs) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', j.id, 'invoiceId', j.invoice_id,
    'invoiceNumber', (select i.number from invoices i where i.id = j.invoice_id),
    'status', j.status, 'priority', j.priority, 'estimatedHours', round(j.estimated_seconds / 3600.0, 2),
    'createdAt', j.created_at, 'updatedAt', j.updated_at, 'completedAt', j.completed_at)
$$;

-- The portal's front page: the client's open invoices, quotes awaiting an answer, active jobs and unread messages.
create function portal_dashboard(p_client_id bigint, p_user_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'openInvoices', (select count(*) from invoices where client_id = p_client_id and status in ('PENDING', 'OVERDUE')),
    'outstanding', (select coalesce(jsonb_agg(jsonb_build_object('currency', t.value -> 'currency',
        'cents', t.value -> 'outstandingCents') order by t.ordinality), '[]')
      from jsonb_array_elements(client_totals_json(p_client_id)) with ordinality t
      where (t.value ->> 'outstandingCents')::bigint > 0),
    'quotesWaiting', (select count(*) from quotes
      where client_id = p_client_id and status = 'PENDING' and valid_until >= business_today()),
    'activeJobs', (select coalesce(jsonb_agg(portal_job_json(j) order by j.created_at desc, j.id desc), '[]') from (
      select * from jobs where client_id = p_client_id and archived_at is null and status not in ('COMPLETED', 'CANCELLED')
       order by created_at desc, id desc limit 20) j),
    'unreadMessages', (select count(*) from user_messages
      where user_id = p_user_id and read_at is null and sender_id is distinct from p_user_id))
$$;

-- A page of the client's own invoices, newest first.
create function portal_invoices(p_client_id bigint, p_status invoice_status, p_limit integer,
                                p_before_created timestamptz, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  wanted text := 'i.client_id = $1';
  page jsonb;
begin
  if p_status is not null then
    wanted := wanted || ' and i.status = $5';
  end if;
  if p_before_id is not null then
    wanted := wanted || ' and (i.created_at, i.id) < ($2, $3)';
  end if;
  execute format('select coalesce(jsonb_agg(jsonb_build_object(''id'', i.id, ''number'', i.number, ''status'', i.status,
      ''issueDate'', i.issue_date, ''dueDate'', i.due_date, ''currency'', i.currency, ''totalCents'', i.total_cents,
      ''paidCents'', i.paid_cents, ''balanceCents'', i.balance_cents, ''payToken'', i.pay_token, ''paidAt'', i.paid_at,
      ''createdAt'', i.created_at) order by i.created_at desc, i.id desc), ''[]'')
    from (select * from invoices i where %s order by i.created_at desc, i.id desc limit $4) i', wanted)
    into page using p_client_id, p_before_created, p_before_id, p_limit, p_status;
  return page;
end
$$;

-- A page of the client's own jobs, newest first.
create function portal_jobs(p_client_id bigint, p_limit integer, p_before_created timestamptz, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  place text := case when p_before_id is null then '' else ' and (j.created_at, j.id) < ($2, $3)' end;
  page jsonb;
begin
  execute format('select coalesce(jsonb_agg(portal_job_json(j) order by j.created_at desc, j.id desc), ''[]'') from (
                    select * from jobs j where j.client_id = $1%s
                     order by j.created_at desc, j.id desc limit $4) j', place)
    into page using p_client_id, p_before_created, p_before_id, p_limit;
  return page;
end
$$;

-- The active materials that a client may choose, without the shop's costs.
create function portal_materials() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'name', m.name, 'densityMgCm3', m.density_mg_cm3,
      'isDefault', m.id is not distinct from s.default_material_id) order by m.name, m.id), '[]')
    from materials m, settings s where m.is_active
$$;

-- Quotes as the shop, their clients and holders of the link read them.

-- Reads one quote. `p_client_id` null reads as the shop, with the price snapshot; a client reads their own, and no
-- DRAFT.
create function get_quote(p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select quote_json(q) || jsonb_build_object('snapshot', case when p_client_id is null then q.snapshot end)
       from quotes q
      where q.id = p_quote_id and (p_client_id is null or (q.client_id = p_client_id and q.status <> 'DRAFT'))),
    quote_not_found_error())
$$;

-- Reads a quote by the token of its public link, with the shop.
create function get_public_quote(p_token text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select quote_json(q) || jsonb_build_object(
        'canBeDecided', q.status = 'PENDING' and q.valid_until >= business_today(), 'business', business_json())
       from quotes q where q.public_token = p_token and q.status <> 'DRAFT'),
    quote_link_not_found_error())
$$;

-- A page of quotes, newest or oldest first, after the row (`p_after_created`, `p_after_id`). The query holds only the
-- conditions asked for, so that each list uses its index.
create function list_quotes(p_client_id bigint, p_status quote_status, p_query text, p_oldest_first boolean,
                            p_limit integer, p_after_created timestamptz, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  direction text := case when p_oldest_first then 'asc' else 'desc' end;
  conditions text := concat_ws(' and ', 'true',
    case when p_client_id is not null then 'q.client_id = $1 and q.status <> ''DRAFT''' end,
    case when p_status is not null then 'q.status = $2' end,
    case when p_query is not null then search_condition('q', '$3', p_query) end,
    case when p_after_id is not null then
      case when p_oldest_first then '(q.created_at, q.id) > ($5, $6)' else '(q.created_at, q.id) < ($5, $6)' end end);
  listed jsonb;
begin
  execute format($q$
    select coalesce(jsonb_agg(quote_summary_json(page.q) || jsonb_build_object('clientName', c.name)
                              order by (page.q).created_at %1$s, (page.q).id %1$s), '[]')
      from (select q from quotes q where %2$s order by q.created_at %1$s, q.id %1$s limit $4) page
      join clients c on c.id = (page.q).client_id $q$, direction, conditions)
    into listed using p_client_id, p_status, p_query, p_limit, p_after_created, p_after_id;
  return listed;
end
$$;

-- The files of one quote. `p_client_id` null reads as the shop.
create function list_quote_files(p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(order_file_json(f) order by f.id) from order_files f where f.quote_id = q.id), '[]')
       from quotes q
      where q.id = p_quote_id and (p_client_id is null or (q.client_id = p_client_id and q.status <> 'DRAFT'))),
    quote_not_found_error())
$$;

-- The shop's dashboard.

-- The column of the ageing report for a debt: by the days past its due date. On the due date it is still CURRENT.
create function ageing_bucket(p_due date, p_today date) returns text
language sql immutable set search_path = public, pg_temp
as $$
  select case when p_today <= p_due then 'CURRENT' when p_today - p_due <= 30 then '1-30 days'
              when p_today - p_due <= 60 then '31-60 days' when p_today - p_due <= 90 then '61-90 days'
              else '90+ days' end
$$;

-- Amounts owed, overdue and in credit by currency, read from the index of open invoices. The ageing bounds equal
-- `ageing_bucket`, which is inlined for speed.
create function receivables_json() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  with owed as materialized (
    select currency, due_date, status, count(*) as invoices, sum(balance_cents)::bigint as cents
      from invoices where status in ('PENDING', 'OVERDUE') and balance_cents > 0
     group by currency, due_date, status
  ), aged as (
    select *, (select business_today()) - due_date as late from owed
  ), credit as (
    select currency, count(*) as invoices, sum(credit_cents) as cents from invoices where credit_cents > 0 group by currency
  )
  select jsonb_build_object(
    'receivables', (select coalesce(jsonb_agg(to_jsonb(r) order by r.currency), '[]') from (
      select currency, sum(invoices)::bigint as "outstandingCount", sum(cents)::bigint as "outstandingCents",
             coalesce(sum(invoices) filter (where status = 'OVERDUE'), 0)::bigint as "overdueCount",
             coalesce(sum(cents) filter (where status = 'OVERDUE'), 0)::bigint as "overdueCents"
        from owed group by currency) r),
    'arAging', (select coalesce(jsonb_agg(to_jsonb(a) order by a.currency), '[]') from (
      select currency, coalesce(sum(cents) filter (where late <= 0), 0)::bigint as "currentCents",
             coalesce(sum(cents) filter (where late between 1 and 30), 0)::bigint as "days1To30Cents",
             coalesce(sum(cents) filter (where late between 31 and 60), 0)::bigint as "days31To60Cents",
             coalesce(sum(cents) filter (where late between 61 and 90), 0)::bigint as "days61To90Cents",
             coalesce(sum(cents) filter (where late > 90), 0)::bigint as "daysOver90Cents"
        from aged group by currency) a),
    'credit', (select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'invoiceCount', invoices,
      'creditCents', cents::bigint) order by currency), '[]') from credit))
$$;

-- Payments less refunds of this month and last month by currency, in the shop's time zone. If all invoices have one
-- currency, as in most shops, the payments' invoices are not looked up.
create function revenue_json() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  with months as materialized (
    select m.this at time zone time_zone as this, (m.this - interval '1 month') at time zone time_zone as last,
           (m.this + interval '1 month') at time zone time_zone as next
      from settings, lateral (select date_trunc('month', now() at time zone time_zone) as this) m
  ), sole as materialized (
    select case when min(currency) = max(currency) then min(currency) end as currency from invoices
  ), received as (
    select coalesce((select currency from sole), (select currency from invoices where id = p.invoice_id)) as currency,
           p.paid_at >= m.this as is_this, p.amount_cents
      from months m join payments p on p.paid_at >= m.last and p.paid_at < m.next
  )
  select coalesce(jsonb_agg(to_jsonb(r) order by r.currency), '[]') from (
    select currency, coalesce(sum(amount_cents) filter (where is_this), 0)::bigint as "thisMonthCents",
           coalesce(sum(amount_cents) filter (where not is_this), 0)::bigint as "lastMonthCents"
      from received group by currency) r
$$;

-- Counts of jobs, printers and slices for the dashboard.
create function workshop_json() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'jobs', (select coalesce(jsonb_agg(jsonb_build_object('status', status, 'count', jobs) order by status), '[]')
      from (select status, count(*) as jobs from jobs where archived_at is null group by status) j),
    'heldJobs', (select count(*) from jobs where archived_at is null and held_reason is not null),
    'printers', (select coalesce(jsonb_agg(jsonb_build_object('status', status, 'count', printers, 'busy', busy)
        order by status), '[]')
      from (select p.status, count(*) as printers, count(*) filter (where exists (
               select from jobs j where j.printer_id = p.id and j.status = 'PRINTING')) as busy
              from printers p group by p.status) p),
    'slices', jsonb_build_object(
      'waiting', (select count(*) from tmp_files where queued_at is not null),
      'running', (select count(*) from tmp_files where status = 'running'),
      'failedLastDay', (select count(*) from tmp_files where status = 'failed' and updated_at > now() - interval '1 day')))
$$;

-- The shop's dashboard.
create function dashboard() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select receivables_json() || workshop_json() || jsonb_build_object(
    'today', business_today(), 'revenue', revenue_json(),
    'quotes', jsonb_build_object(
      'waiting', (select count(*) from quotes where status = 'PENDING'),
      'toReview', (select count(*) from quotes where status = 'DRAFT' and needs_review),
      'toConvert', (select count(*) from quotes where status = 'ACCEPTED')),
    'unreadMessages', (select count(*) from user_messages where read_at is null and sender_id = user_id),
    'stripeEventsToSee', (select count(*) from webhook_events where outcome in ('FLAGGED', 'UNMATCHED')),
    'recentActivity', (select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'action', a.action, 'message', a.message,
        'clientId', a.client_id, 'quoteId', a.quote_id, 'invoiceId', a.invoice_id, 'jobId', a.job_id,
        'printerId', a.printer_id, 'createdAt', a.created_at) order by a.created_at desc, a.id desc), '[]')
      from (select * from activity_logs order by created_at desc, id desc limit 10) a))
$$;

-- Pages of the CSV exports.

-- The answer of every export function: rows in id order, each an array in the order of the file's columns, amounts in
-- minor units. Names are looked up row by row by primary key, so that a page never reads a whole table.
create function export_page(p_rows jsonb, p_last_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('rows', coalesce(p_rows, '[]'), 'lastId', p_last_id, 'today', business_today())
$$;

-- A page of the invoice export; `p_from` and `p_to` are issue dates.
create function export_invoices(p_after_id bigint, p_limit integer, p_from date, p_to date) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select export_page(jsonb_agg(
      jsonb_build_array(i.number, i.status, i.issue_date, i.due_date) ||
      (select jsonb_build_array(id, name, company) from clients where id = i.client_id) ||
      jsonb_build_array(i.currency, i.subtotal_cents, i.discount_cents, i.shipping_cents, i.tax_cents, i.total_cents,
        i.paid_cents, i.balance_cents, i.credit_cents, i.written_off_cents,
        (i.sent_at at time zone s.time_zone)::date, (i.paid_at at time zone s.time_zone)::date) order by i.id), max(i.id))
    from (select * from invoices
           where id > p_after_id and issue_date >= coalesce(p_from, '-infinity') and issue_date <= coalesce(p_to, 'infinity')
           order by id limit p_limit) i, settings s
$$;

-- A page of the payment export; `p_from` and `p_to` are the days of payment in the shop's time zone.
create function export_payments(p_after_id bigint, p_limit integer, p_from date, p_to date) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select export_page(jsonb_agg(
      jsonb_build_array(p.id, (p.paid_at at time zone s.time_zone)::date, p.kind, p.method) ||
      (select jsonb_build_array(i.number) ||
              (select jsonb_build_array(id, name, company) from clients where id = i.client_id) ||
              jsonb_build_array(i.currency)
         from invoices i where i.id = p.invoice_id) ||
      jsonb_build_array(p.amount_cents, p.reference, p.processor_id, p.note, p.is_flagged) order by p.id), max(p.id))
    from settings s, lateral (select * from payments
           where id > p_after_id
             and paid_at >= coalesce(p_from::timestamp at time zone s.time_zone, '-infinity')
             and paid_at < coalesce((p_to + 1)::timestamp at time zone s.time_zone, 'infinity')
           order by id limit p_limit) p
$$;

-- A page of the job export; `p_from` and `p_to` are the days of creation in the shop's time zone.
create function export_jobs(p_after_id bigint, p_limit integer, p_from date, p_to date) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select export_page(jsonb_agg(
      jsonb_build_array(j.id, j.title, (select number from invoices where id = j.invoice_id)) ||
      (select jsonb_build_array(id, name, company) from clients where id = j.client_id) ||
      jsonb_build_array(j.status, j.priority, (select name from printers where id = j.printer_id), j.held_reason,
        j.estimated_seconds, j.printed_seconds, j.estimated_mass_mg,
        (j.created_at at time zone s.time_zone)::date, (j.completed_at at time zone s.time_zone)::date,
        (j.archived_at at time zone s.time_zone)::date) order by j.id), max(j.id))
    from settings s, lateral (select * from jobs
           where id > p_after_id
             and created_at >= coalesce(p_from::timestamp at time zone s.time_zone, '-infinity')
             and created_at < coalesce((p_to + 1)::timestamp at time zone s.time_zone, 'infinity')
           order by id limit p_limit) j
$$;

-- A page of the ageing report: what is owed, by days overdue on `p_today` (null: today, which the answer returns for
-- the next page).
create function export_ar_aging(p_after_id bigint, p_limit integer, p_today date) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select export_page(jsonb_agg(
      jsonb_build_array(i.number) ||
      (select jsonb_build_array(id, name, company) from clients where id = i.client_id) ||
      jsonb_build_array(i.due_date, greatest(0, d.day - i.due_date), ageing_bucket(i.due_date, d.day), i.currency,
        i.balance_cents) order by i.id), max(i.id))
    from (select coalesce(p_today, business_today()) as day) d, lateral (select * from invoices
           where id > p_after_id and status in ('PENDING', 'OVERDUE') and balance_cents > 0
           order by id limit p_limit) i
$$;

-- The slicer worker's side of slice requests: claim, progress, result, failure.

-- A worker takes a slice request. The attempt counts from here, also when the worker is killed; the claim lasts
-- `p_lease_seconds` and is renewed by progress reports. If the result exists by now, from another file of the same
-- content, the request is completed at once.
create function claim_slice(p_file_id bigint, p_request_id uuid, p_lease_seconds integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  r slice_results;
begin
  select * into f from tmp_files where id = p_file_id for update;
  if not found or f.request_id is distinct from p_request_id or f.status in ('completed', 'failed') then
    return jsonb_build_object('outcome', 'done');
  end if;
  if f.status = 'running' and f.lease_until > now() then
    return jsonb_build_object('outcome', 'busy',
      'retryAfterSeconds', ceil(extract(epoch from f.lease_until - now()))::integer);
  end if;
  r := use_cached_slice(f.content_hash, f.settings_hash);
  if r.id is not null then
    perform apply_slice_result(f.id, r);
    return jsonb_build_object('outcome', 'done');
  end if;
  if f.attempts >= 2 then
    perform end_slice_with_fallback(f.id, 'SLICER_LOST', 'the slicer was interrupted twice.', null);
    return jsonb_build_object('outcome', 'done');
  end if;
  update tmp_files set
    status = 'running', queued_at = null, claim_token = gen_random_uuid(), attempts = attempts + 1,
    lease_until = now() + make_interval(secs => p_lease_seconds), progress_percent = 0, progress_stage = '',
    metadata = metadata || jsonb_build_object('attempts', attempts + 1)
  where id = f.id returning * into f;
  return jsonb_build_object(
    'outcome', 'claimed', 'claimToken', f.claim_token, 'attempt', f.attempts, 'fileId', f.id,
    'storageKey', f.storage_key, 'filename', f.filename, 'sizeBytes', f.size_bytes, 'contentHash', f.content_hash,
    'geometry', f.geometry, 'settings', f.metadata -> 'settings', 'profile', f.profile,
    'printer', (select name from printers where id = f.printer_id));
end
$$;

-- Stores a slice's progress and renews the claim. False means that the claim was lost and the worker must stop.
create function report_slice_progress(p_file_id bigint, p_claim_token uuid, p_percent integer, p_stage text,
                                      p_lease_seconds integer) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set progress_percent = greatest(progress_percent, p_percent), progress_stage = left(p_stage, 200),
    lease_until = now() + make_interval(secs => p_lease_seconds)
   where id = p_file_id and claim_token = p_claim_token and status = 'running';
  return found;
end
$$;

-- Stores a slice result and its g-code in the cache and completes the request. The outcome is `late` when the claim
-- was lost, and `surplus` when another worker stored the same result first, so that this g-code must be deleted.
create function complete_slice(p_file_id bigint, p_claim_token uuid, p_result jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  r slice_results;
begin
  select * into f from tmp_files where id = p_file_id and claim_token = p_claim_token and status = 'running' for update;
  if not found then
    return jsonb_build_object('outcome', 'late');
  end if;
  insert into slice_results as known (content_hash, settings_hash, settings, material_id, printer_id, slicer, slicer_version, profile,
                             nozzle_um, mass_mg, volume_mm3, filament_mm, time_sec, notes, gcode_key, gcode_bytes)
  values (f.content_hash, f.settings_hash, f.metadata -> 'settings', f.material_id, f.printer_id,
          p_result ->> 'slicer', p_result ->> 'slicerVersion', p_result ->> 'profile', (f.profile ->> 'nozzleUm')::integer,
          (p_result ->> 'massMg')::bigint, (p_result ->> 'volumeMm3')::bigint, (p_result ->> 'filamentMm')::bigint,
          (p_result ->> 'timeSec')::bigint, coalesce(p_result -> 'notes', '[]'),
          p_result ->> 'gcodeKey', (p_result ->> 'gcodeBytes')::bigint)
  on conflict (content_hash, settings_hash, slicer, slicer_version) do update set
    -- Figures and g-code belong together: both are replaced if the g-code had expired, else both stay.
    mass_mg = case when known.gcode_key is null then excluded.mass_mg else known.mass_mg end,
    volume_mm3 = case when known.gcode_key is null then excluded.volume_mm3 else known.volume_mm3 end,
    filament_mm = case when known.gcode_key is null then excluded.filament_mm else known.filament_mm end,
    time_sec = case when known.gcode_key is null then excluded.time_sec else known.time_sec end,
    notes = case when known.gcode_key is null then excluded.notes else known.notes end,
    gcode_key = coalesce(known.gcode_key, excluded.gcode_key),
    gcode_bytes = coalesce(known.gcode_bytes, excluded.gcode_bytes),
    used_at = now()
  returning * into r;
  perform apply_slice_result(f.id, r);
  return jsonb_build_object('outcome', case when r.gcode_key = p_result ->> 'gcodeKey' then 'stored' else 'surplus' end);
end
$$;

-- After a failed attempt: back into the queue, or the fallback when the failure is final or was the second.
create function fail_slice(p_file_id bigint, p_claim_token uuid, p_code text, p_reason text, p_final boolean,
                           p_log_tail text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
begin
  select * into f from tmp_files where id = p_file_id and claim_token = p_claim_token and status = 'running' for update;
  if not found then
    return jsonb_build_object('outcome', 'late');
  end if;
  if p_final or f.attempts >= 2 then
    perform end_slice_with_fallback(f.id, p_code, p_reason, p_log_tail);
    return jsonb_build_object('outcome', 'failed');
  end if;
  update tmp_files set status = 'idle', queued_at = now(), sent_at = now(), sends = 0, claim_token = null, lease_until = null,
    metadata = metadata || jsonb_build_object('error', p_code || ': ' || p_reason)
  where id = f.id;
  return jsonb_build_object('outcome', 'retry');
end
$$;

-- Returns a slice request to the queue without counting the attempt: the worker is shutting down or cannot reach
-- storage.
create function release_slice(p_file_id bigint, p_claim_token uuid) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set status = 'idle', queued_at = now(), sent_at = now(), sends = 0, claim_token = null,
    lease_until = null, attempts = attempts - 1, metadata = metadata || jsonb_build_object('attempts', attempts - 1)
  where id = p_file_id and claim_token = p_claim_token and status = 'running';
  return found;
end
$$;

-- Inspection of uploaded models by the worker.

-- The uploaded model that a worker is to inspect; null when it was inspected already or was deleted.
create function get_inspection_input(p_file_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('fileId', id, 'storageKey', storage_key, 'filename', filename, 'contentHash', content_hash)
    from tmp_files where id = p_file_id and inspection is null and uploaded_at is not null and parent_id is null
$$;

-- Stores a model's inspection and preview, once. False means that they are no longer wanted and the preview must be
-- deleted.
create function store_inspection(p_file_id bigint, p_inspection jsonb, p_preview_key text) returns boolean
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update tmp_files set inspection = p_inspection, preview_key = p_preview_key
   where id = p_file_id and inspection is null;
  return found or exists (select from tmp_files where id = p_file_id and preview_key = p_preview_key);
end
$$;

-- Slice requests: from the upload to the result. Every step may be delivered twice.

-- What a slice depends on, read at one moment: the file, the material, the printers to choose from and the rates. A
-- missing file or material is null. When no printer is ACTIVE, all printers are offered.
create function slicing_context(p_user_id bigint, p_file text, p_material_id bigint, p_printer_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := own_tmp_file(p_user_id, p_file);
begin
  return jsonb_build_object(
    'file', case when f.id is not null then tmp_file_json(f) end,
    'material', (select material_price_json(m) || jsonb_build_object('profile', m.profile) from materials m
      where m.is_active and m.id = coalesce(p_material_id, (select default_material_id from settings))),
    'printers', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'profile', p.profile,
        'bedMm', jsonb_build_array(p.bed_x_mm, p.bed_y_mm, p.bed_z_mm), 'nozzleUm', p.nozzle_um)
        order by p.bed_x_mm::bigint * p.bed_y_mm * p.bed_z_mm, p.id), '[]')
      from printers p where (p.status = 'ACTIVE' or not exists (select from printers where status = 'ACTIVE'))
        and (p_printer_id is null or p.id = p_printer_id)),
    'rates', shop_rates());
end
$$;

-- The stored result for this model and these settings, made by the slicer (product and version) that reported last;
-- marks it as used now. Null when there is none.
create function use_cached_slice(p_content_hash text, p_settings_hash text) returns slice_results
language sql volatile set search_path = public, pg_temp
as $$
  update slice_results set used_at = now() where id = (
    select r.id from slice_results r, component_health h
     where r.content_hash = p_content_hash and r.settings_hash = p_settings_hash and r.gcode_key is not null
       and h.component = 'slicer' and r.slicer = h.detail ->> 'product' and r.slicer_version = h.detail ->> 'version'
       for update of r)
  returning *
$$;

-- Completes a file's slice request with a stored result: status, figures and a tmp_files row for the g-code.
create function apply_slice_result(p_file_id bigint, r slice_results) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  output_key text;
begin
  select * into f from tmp_files where id = p_file_id;
  output_key := f.user_id || '/' || gen_random_uuid() || '/model.gcode.gz';
  insert into tmp_files (user_id, storage_key, object_key, filename, size_bytes, mime_type, parent_id, settings_hash,
                         slice_result_id, uploaded_at)
  values (f.user_id, output_key, r.gcode_key, left(regexp_replace(f.filename, '\.[^.]*$', ''), 245) || '.gcode.gz',
          r.gcode_bytes, 'application/gzip', f.id, f.settings_hash, r.id, now());
  update tmp_files set
    status = 'completed', queued_at = null, claim_token = null, lease_until = null, slice_result_id = r.id,
    progress_percent = 100, progress_stage = '',
    metadata = metadata || jsonb_build_object(
      'metrics', jsonb_build_object('timeSec', r.time_sec, 'grams', trim_scale(r.mass_mg::numeric / 1000)),
      'fallback', false, 'error', null, 'output', output_key)
  where id = f.id;
end
$$;

-- Queues a file for slicing, or completes it at once from the slice cache. The row is committed before its queue
-- message is sent; the janitor sends what was not. `p_failure` {code, reason} means that no printer can make it: the
-- request then ends with the fallback, as in the worker.
create function request_slice(p_user_id bigint, p_file text, p_settings jsonb, p_settings_hash text, p_profile jsonb,
                              p_material_id bigint, p_printer_id bigint, p_queue slice_queue, p_failure jsonb,
                              p_waiting_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  r slice_results;
begin
  perform from users where id = p_user_id for no key update;  -- the user's requests are counted one at a time
  f := own_tmp_file(p_user_id, p_file);
  if f.id is null then
    return file_not_found_error();
  end if;
  select * into f from tmp_files where id = f.id for update;
  if f.parent_id is not null then
    return api_error(422, 'NOT_A_MODEL', 'This is a slicer''s output; slice the model it was made from.');
  end if;
  if f.uploaded_at is null then
    return api_error(409, 'UPLOAD_INCOMPLETE', 'Upload the file and complete the upload before slicing it.');
  end if;
  if f.geometry is null or f.content_hash is null then
    return api_error(422, 'NOT_A_MODEL', 'This file is no model; upload an STL or a 3MF and slice that.');
  end if;
  if f.queued_at is not null or f.status = 'running' then
    return api_error(409, 'SLICE_RUNNING', 'This file is being sliced; wait for its result before asking again.');
  end if;
  r := use_cached_slice(f.content_hash, p_settings_hash);
  if r.id is null and p_failure is null
     and (select count(*) from tmp_files where user_id = p_user_id and (queued_at is not null or status = 'running'))
         >= p_waiting_limit then
    return api_error(429, 'TOO_MANY_WAITING', format('You have %s slices waiting; wait for one to end.', p_waiting_limit));
  end if;
  update tmp_files set
    status = 'idle', material_id = p_material_id, printer_id = p_printer_id, profile = p_profile, queue = p_queue,
    request_id = gen_random_uuid(), queued_at = now(), sent_at = now(), sends = 0, claim_token = null,
    lease_until = null, attempts = 0, progress_percent = 0, progress_stage = '', slice_result_id = null,
    settings_hash = p_settings_hash,
    metadata = jsonb_build_object('attempts', 0, 'settings', p_settings, 'metrics', null, 'fallback', false,
                                  'error', null, 'output', null)
  where id = f.id;
  if r.id is not null then
    perform apply_slice_result(f.id, r);
  elsif p_failure is not null then
    perform end_slice_with_fallback(f.id, p_failure ->> 'code', p_failure ->> 'reason', null);
  end if;
  select * into f from tmp_files where id = f.id;
  return tmp_file_json(f) || jsonb_build_object('requestId', f.request_id);
end
$$;

-- A file's slice: progress, place in the queue, result and what an estimate is made of. The shop (`p_for_shop`) sees
-- any file, and the slicer's last log lines.
create function slice_status(p_user_id bigint, p_file text, p_for_shop boolean) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  f tmp_files := visible_tmp_file(p_user_id, p_file, p_for_shop);
begin
  if f.id is null then
    return file_not_found_error();
  end if;
  return slicing_context(f.user_id, f.id::text, f.material_id, null) || jsonb_build_object(
    'placeInQueue', case when f.queued_at is not null then
      (select count(*) from tmp_files w
        where w.queue = f.queue and w.queued_at is not null and (w.queued_at, w.id) <= (f.queued_at, f.id)) end,
    'slicerLog', case when p_for_shop then f.metadata -> 'logTail' end,
    'result', (select to_jsonb(s) from (
        select r.mass_mg as "massMg", r.volume_mm3 as "volumeMm3", r.filament_mm as "filamentMm",
               r.time_sec as "timeSec", r.slicer, r.slicer_version as "slicerVersion", r.profile, r.notes
          from slice_results r where r.id = f.slice_result_id) s),
    'outputId', (select o.id from tmp_files o where o.parent_id = f.id and o.settings_hash = f.settings_hash
                  order by o.id desc limit 1));
end
$$;

-- Ends a slice that failed for good: stores the flagged fallback figures, which are never charged, and sends its owner
-- a message.
create function end_slice_with_fallback(p_file_id bigint, p_code text, p_reason text, p_log_tail text) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  notice text;
begin
  update tmp_files set
    status = 'failed', queued_at = null, claim_token = null, lease_until = null, progress_stage = '',
    metadata = metadata || jsonb_build_object(
      'attempts', attempts, 'metrics', jsonb_build_object('timeSec', 3600, 'grams', 80), 'fallback', true,
      'error', p_code || ': ' || p_reason, 'logTail', p_log_tail)
  where id = p_file_id returning * into f;
  notice := left(format(
    'We could not slice %s: %s The figures shown are a rough guess; ask for a review and the shop will quote it by hand.',
    f.filename, p_reason), 5000);
  -- Requested again within the hour, the same message is not sent again.
  insert into user_messages (user_id, body) select f.user_id, notice where not exists (
    select from user_messages where user_id = f.user_id and body = notice and created_at > now() - interval '1 hour');
end
$$;

-- What changes by time alone.

-- Applies what changes by time alone: quotes expire, invoices become overdue, finished jobs are archived, and old
-- idempotency keys, revoked sessions and attempt counts are deleted.
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
  -- By then every attempt is regained.
  delete from login_attempts where counted_at < now() - interval '1 day';
  return jsonb_build_object('quotesExpired', expired, 'invoicesOverdue', overdue, 'jobsArchived', archived,
                            'idempotencyKeysForgotten', keys);
end
$$;

-- Heartbeats and readiness.

-- Records that a component (slicer, pdf, janitor) is alive, with details.
create function record_heartbeat(p_component text, p_detail jsonb) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  insert into component_health (component, detail, reported_at) values (p_component, p_detail, now())
  on conflict (component) do update set detail = excluded.detail, reported_at = excluded.reported_at
  returning jsonb_build_object('component', component, 'reportedAt', reported_at)
$$;

-- Whether the database is migrated and seeded, and how long ago each component reported.
create function readiness() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'migrated', exists (select from settings),
    'components', (select coalesce(jsonb_object_agg(component,
      detail || jsonb_build_object('ageSeconds', floor(extract(epoch from now() - reported_at)))), '{}') from component_health))
$$;

-- The janitor's care for slices and uploads. Each function can be repeated without harm and returns what it did.

-- Whether a queue message that nobody took should be sent again: after 2 minutes, then 4, 8 …, at most 6 hours,
-- because a long queue does not mean a lost message.
create function is_resend_due(p_sent_at timestamptz, p_sends integer) returns boolean
language sql stable set search_path = public, pg_temp
as $$ select p_sent_at < now() - least(interval '2 minutes' * 2 ^ least(p_sends, 10), interval '6 hours') $$;

-- Finds slices whose worker stopped, and slices and inspections whose queue message was never sent or lost. They go
-- back into the queue, or end with the fallback after two attempts. Returns the messages to send.
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
      perform end_slice_with_fallback(f.id, 'SLICER_LOST', 'the slicer was interrupted twice.', null);
      settled := settled + 1;
    else
      update tmp_files set status = 'idle', claim_token = null, lease_until = null, queued_at = now(),
        sent_at = '-infinity', sends = 0 where id = f.id;
    end if;
  end loop;
  with sent as (
    update tmp_files set sent_at = now(), sends = sends + 1 where id in (
      select id from tmp_files where queued_at is not null and is_resend_due(sent_at, sends)
       order by queued_at for update skip locked limit 500)
    returning id, request_id, queue)
  select coalesce(jsonb_agg(jsonb_build_object('fileId', id, 'requestId', request_id, 'queue', queue)), '[]')
    into slices from sent;
  update tmp_files set inspection = '{"error": "INSPECTION_LOST"}'
   where inspection_sent_at is not null and inspection is null and inspection_sends >= 5
     and is_resend_due(inspection_sent_at, inspection_sends);
  with sent as (
    update tmp_files set inspection_sent_at = now(), inspection_sends = inspection_sends + 1 where id in (
      select id from tmp_files
       where inspection_sent_at is not null and inspection is null and is_resend_due(inspection_sent_at, inspection_sends)
       order by inspection_sent_at for update skip locked limit 500)
    returning id, geometry)
  select coalesce(jsonb_agg(jsonb_build_object('fileId', id, 'requestId', null, 'queue',
      case when (geometry -> 'triangles')::bigint > 500000 then 'LARGE' else 'SMALL' end)), '[]') into inspections from sent;
  return jsonb_build_object('settled', settled, 'messages', slices || inspections);
end
$$;

-- Undoes the counting of messages from `requeue_slices` that could not be sent: they are due again at once.
create function undo_slice_sends(p_messages jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  update tmp_files set sent_at = '-infinity', sends = greatest(0, sends - 1)
   where id in (select (m ->> 'fileId')::bigint from jsonb_array_elements(p_messages) m where m ->> 'requestId' is not null)
     and queued_at is not null;
  update tmp_files set inspection_sent_at = '-infinity', inspection_sends = greatest(0, inspection_sends - 1)
   where id in (select (m ->> 'fileId')::bigint from jsonb_array_elements(p_messages) m where m ->> 'requestId' is null)
     and inspection is null;
$$;

-- Ends the slices named by dead-letter messages ([{"fileId", "requestId"}]) with the fallback, if a worker took them
-- or their message died twice. Others may only have met an unreachable database, and are sent once more.
create function fail_dead_letter_slices(p_messages jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  f tmp_files;
  settled integer := 0;
begin
  for f in
    with dead_letters as (
      select (m ->> 'fileId')::bigint as file_id, m ->> 'requestId' as request_id, count(*) as deliveries
        from jsonb_array_elements(p_messages) m group by 1, 2)
    select t.* from tmp_files t, dead_letters l
     where t.id = l.file_id and t.request_id::text = l.request_id
       and (t.queued_at is not null or (t.status = 'running' and t.lease_until < now()))
       and (t.attempts > 0 or l.deliveries > 1) and is_resend_due(t.sent_at, 0)
     order by t.id for update of t skip locked loop
    perform end_slice_with_fallback(f.id, 'SLICER_GAVE_UP', 'the slicer gave up on this model; the shop looks into it.', null);
    settled := settled + 1;
  end loop;
  return jsonb_build_object('settled', settled);
end
$$;

-- Removes cached g-code that no file refers to and nobody used within the retention, and returns the storage keys to
-- delete.
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

-- Deletes models past their retention that nothing uses, with their slicer outputs, and returns the storage keys to
-- delete. The row is deleted first: an object without a row is found later as a stray, while a row without its object
-- would break an order that has just reserved it.
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

-- Objects in storage that no row knows.

-- Whether a storage key of the pdfs bucket belongs to an existing document or to a PDF that was e-mailed.
create function is_known_pdf(p_key text) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_key like 'sent/%' then exists (select from mails where pdf_key = p_key)
    when p_key like 'quote-%' then exists (select from quotes
      where regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g') = regexp_replace(p_key, '^quote-(.*)[.]pdf$', '\1'))
    else exists (select from invoices
      where regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g') = regexp_replace(p_key, '^(invoice|receipt)-(.*)[.]pdf$', '\2')) end
$$;

-- Records which of the listed objects no row knows. Those recorded 48 hours ago or earlier are returned as `ripe`: a
-- tmp object or PDF among them may be deleted.
create function record_stray_objects(p_bucket text, p_keys text[]) returns jsonb
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
     and not (p_bucket = 'pdfs' and is_known_pdf(k))
     and not exists (select from attachments where p_bucket = 'attachments' and storage_key = k);
  select coalesce(jsonb_agg(key), '[]') into ripe from stray_objects
   where bucket = p_bucket and key = any (strays) and first_seen_at < now() - interval '48 hours';
  insert into stray_objects (bucket, key) select p_bucket, unnest(strays)
  on conflict (bucket, key) do update set last_seen_at = now();
  delete from stray_objects where bucket = p_bucket and key = any (p_keys) and not key = any (strays);
  return jsonb_build_object('strays', cardinality(strays), 'ripe', ripe);
end
$$;

-- Removes the record of stray objects after they were deleted.
create function forget_stray_objects(p_bucket text, p_keys text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted integer;
begin
  delete from stray_objects where bucket = p_bucket and key = any (p_keys);
  get diagnostics deleted = row_count;
  return jsonb_build_object('forgotten', deleted);
end
$$;

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

-- The catalogue: printers, materials, product templates and print factors.

-- A printer with its current job.
create function printer_json(p printers) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', p.id, 'name', p.name, 'model', p.model, 'status', p.status, 'bedXMm', p.bed_x_mm, 'bedYMm', p.bed_y_mm,
    'bedZMm', p.bed_z_mm, 'nozzleUm', p.nozzle_um, 'profile', p.profile, 'notes', p.notes,
    'activeJobs', (select count(*) from jobs where printer_id = p.id and status in ('PRINTING', 'PAUSED')),
    'currentJob', (select jsonb_build_object('id', j.id, 'title', j.title, 'status', j.status,
        'estimatedSeconds', j.estimated_seconds, 'printedSeconds', job_printed_seconds(j))
      from jobs j where j.printer_id = p.id and j.status in ('PRINTING', 'PAUSED')
      order by j.printing_since, j.id limit 1),
    'createdAt', p.created_at, 'updatedAt', p.updated_at)
$$;

-- The error for a name that another record of the catalogue has.
create function name_taken_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select api_error(409, 'NAME_TAKEN', 'Another one has this name; choose one of its own.',
                   '[{"field": "name", "problem": "it is taken"}]')
$$;

-- Creates a printer, or replaces the one named. `p_printer` has the fields of the API. A printer with a print on its
-- bed may be set OFFLINE or MAINTENANCE.
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
      return api_error(404, 'PRINTER_NOT_FOUND', 'There is no such printer.');
    end if;
  end if;
  perform log_activity(null, null, null, null, stored.id,
                       case when p_printer_id is null then 'PRINTER_CREATED' else 'PRINTER_CHANGED' end,
                       format('Printer %s was saved', stored.name), p_printer || jsonb_build_object('userId', p_user_id));
  return printer_json(stored);
exception when unique_violation then
  return name_taken_error();
end
$$;

-- Deletes a printer that no unfinished job uses; finished jobs lose the reference.
create function delete_printer(p_printer_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p printers;
  users bigint[];
begin
  select * into p from printers where id = p_printer_id for update;
  if not found then
    return api_error(404, 'PRINTER_NOT_FOUND', 'There is no such printer.');
  end if;
  select array_agg(id order by id) into users from jobs where printer_id = p.id and status not in ('COMPLETED', 'CANCELLED');
  if users is not null then
    return api_error(409, 'PRINTER_IN_USE', 'Jobs are waiting for it or on its bed; give them another printer first.',
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

-- A material as the shop sees it.
create function material_json(m materials) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select material_price_json(m) || jsonb_build_object(
    'profile', m.profile, 'isActive', m.is_active, 'isDefault', exists (select from settings where default_material_id = m.id),
    'createdAt', m.created_at, 'updatedAt', m.updated_at)
$$;

-- Creates a material, or replaces the one named. Locks the settings while a material is deactivated, so that it cannot
-- become the default meanwhile.
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
        return api_error(409, 'DEFAULT_MATERIAL', 'It is the default of the settings; choose another default first.');
      end if;
    end if;
    update materials set name = m.name, cost_per_kg_cents = m."costPerKgCents",
        density_mg_cm3 = m."densityMgCm3", profile = m.profile, is_active = m."isActive"
      where id = p_material_id returning * into stored;
    if not found then
      return api_error(404, 'MATERIAL_NOT_FOUND', 'There is no such material.');
    end if;
  end if;
  perform log_activity(null, null, null, null, null,
                       case when p_material_id is null then 'MATERIAL_CREATED' else 'MATERIAL_CHANGED' end,
                       format('Material %s was saved', stored.name),
                       p_material || jsonb_build_object('userId', p_user_id, 'materialId', stored.id));
  return material_json(stored);
exception when unique_violation then
  return name_taken_error();
end
$$;

-- Deletes a material that nothing uses.
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
    return api_error(404, 'MATERIAL_NOT_FOUND', 'There is no such material.');
  end if;
  uses := array_remove(array[
    case when exists (select from settings where default_material_id = m.id) then 'settings' end,
    case when exists (select from product_templates where material_id = m.id) then 'productTemplates' end,
    case when exists (select from slice_results where material_id = m.id) then 'slices' end,
    case when exists (select from tmp_files where material_id = m.id) then 'uploads' end], null);
  if uses <> '{}' then
    return api_error(409, 'MATERIAL_IN_USE', 'The material is in use; set isActive to false instead.', jsonb_build_object('usedBy', uses));
  end if;
  perform log_activity(null, null, null, null, null, 'MATERIAL_DELETED', format('Material %s was deleted', m.name),
                       jsonb_build_object('userId', p_user_id, 'materialId', m.id));
  delete from materials where id = m.id;
  return jsonb_build_object('deleted', m.id);
end
$$;

-- A product template.
create function product_template_json(t product_templates) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', t.id, 'name', t.name, 'description', t.description, 'pricingType', t.pricing_type,
    'unitPriceCents', t.unit_price_cents, 'materialId', t.material_id, 'isActive', t.is_active,
    'createdAt', t.created_at, 'updatedAt', t.updated_at)
$$;

-- Creates a product template, or replaces the one named.
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
    return api_error(422, 'UNKNOWN_MATERIAL', 'Choose one of the shop''s active materials.',
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
      return api_error(404, 'PRODUCT_TEMPLATE_NOT_FOUND', 'There is no such product template.');
    end if;
  end if;
  perform log_activity(null, null, null, null, null,
                       case when p_template_id is null then 'PRODUCT_TEMPLATE_CREATED' else 'PRODUCT_TEMPLATE_CHANGED' end,
                       format('Product template %s was saved', stored.name),
                       p_template || jsonb_build_object('userId', p_user_id, 'productTemplateId', stored.id));
  return product_template_json(stored);
exception when unique_violation then
  return name_taken_error();
end
$$;

-- Deletes a product template. Lines that were written from it keep their texts and prices.
create function delete_product_template(p_template_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  t product_templates;
begin
  delete from product_templates where id = p_template_id returning * into t;
  if not found then
    return api_error(404, 'PRODUCT_TEMPLATE_NOT_FOUND', 'There is no such product template.');
  end if;
  perform log_activity(null, null, null, null, null, 'PRODUCT_TEMPLATE_DELETED', format('Product template %s was deleted', t.name),
                       jsonb_build_object('userId', p_user_id, 'productTemplateId', t.id));
  return jsonb_build_object('deleted', t.id);
end
$$;

-- A page of the pairs of printer and material with recorded prints: their measured print factors, and how many prints
-- were left out as mistakes.
create function list_print_factors(p_limit integer, p_after_printer_id bigint, p_after_material_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
      'printerId', p.id, 'printer', p.name, 'materialId', m.id, 'material', m.name, 'records', r.records, 'outOfBounds', r.out_of_bounds,
      'time', measured_print_factor(p.id, m.id, 'time'), 'mass', measured_print_factor(p.id, m.id, 'mass')) order by p.id, m.id), '[]')
    from (select printer_id, material_id, count(*) as records,
                 count(*) filter (where time_bps not between 2000 and 50000 or mass_bps not between 2000 and 50000) as out_of_bounds
            from print_records
           where printer_id is not null and material_id is not null
             and (p_after_printer_id is null or (printer_id, material_id) > (p_after_printer_id, p_after_material_id))
           group by printer_id, material_id order by printer_id, material_id limit p_limit) r
    join printers p on p.id = r.printer_id
    join materials m on m.id = r.material_id
$$;

-- A page of printers, materials or product templates, by name or newest first.
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

-- Steps by hand, after.
-- The buckets of Supabase Storage: rows of its table, so no schema file declares them.
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values
  ('attachments', 'attachments', false, 26214400, null),
  ('pdfs', 'pdfs', false, 26214400, array['application/pdf']),
  ('tmp', 'tmp', false, 104857600, null),
  ('order-files', 'order-files', false, 104857600, null)
on conflict (id) do update set public = false, file_size_limit = excluded.file_size_limit,
  allowed_mime_types = excluded.allowed_mime_types;

-- The closing rule (schemas/access.sql).
-- The closing rule, applied last: only the back end, with its service key, reaches anything in schema public. It covers every
-- object, so no other file grants anything, and `make migration` repeats it at the end of each migration. It can be
-- applied any number of times. Hosted projects differ in what they grant on new objects by default (older ones everything,
-- new ones nothing), so it revokes before it grants.

-- Every table: row level security, with one policy that lets service_role through.
do $$
declare
  each record;
begin
  for each in select oid, oid::regclass as name, relrowsecurity from pg_class
               where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by relname loop
    if not each.relrowsecurity then
      execute format('alter table %s enable row level security', each.name);
    end if;
    if not exists (select from pg_policy where polrelid = each.oid and polname = 'service_role_only') then
      execute format('create policy service_role_only on %s to service_role using (true) with check (true)', each.name);
    end if;
  end loop;
end
$$;

revoke all on all tables in schema public from public, anon, authenticated, service_role;
revoke all on all sequences in schema public from public, anon, authenticated, service_role;
revoke all on all routines in schema public from public, anon, authenticated, service_role;
grant usage on schema public to service_role;
grant select, insert, update, delete on all tables in schema public to service_role;
grant execute on all routines in schema public to service_role;

-- What the owner creates later is closed too, until the next migration opens it to service_role.
alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on routines from anon, authenticated, service_role;

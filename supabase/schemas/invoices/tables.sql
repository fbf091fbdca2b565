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

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

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

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

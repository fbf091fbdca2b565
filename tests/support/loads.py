"""A shop with years behind it, loaded by SQL: clients and their logins, messages, quotes, invoices with lines, their
payments and jobs, and what the activity log says of them."""

import psycopg

ITEMS_AN_INVOICE = 3

# Triggers are off while it loads, so what they keep is written as they would: paid_cents, search_text.
_LOAD = """
with made as (
  insert into clients (name, company, email)
  select 'Client ' || n, case when n %% 3 = 0 then 'Company ' || n else '' end, 'client' || n || '@example.com'
    from generate_series(1, greatest(20, %(invoices)s / 50)) n
  returning id, name, company
), numbered as (
  select row_number() over (order by id) - 1 as k, count(*) over () as total, made.* from made
), planned as (
  select n, c.id as client_id, c.name, c.company, (1000 + n * 37 %% 90000)::bigint as cents,
         case when n %% 100 < 94 then 'PAID' when n %% 100 < 97 then 'PENDING' when n %% 100 < 99 then 'OVERDUE'
              else 'VOID' end as status,
         now() - make_interval(mins => (%(invoices)s - n) * 26) as made_at
    from generate_series(1, %(invoices)s) n
    join numbered c on c.k = (n * 7919) %% c.total
), stored as (
  insert into invoices (number, client_id, status, issue_date, due_date, currency, subtotal_cents, tax_rate_bps,
                        tax_cents, total_cents, paid_cents, search_text, created_at, updated_at, sent_at)
  select 'LOAD-' || lpad(n::text, 7, '0'), client_id, status::invoice_status, made_at::date, made_at::date + 14,
         'AUD',
         cents * 3, 1000, cents * 3 / 10, cents * 3 + cents * 3 / 10,
         case when status = 'PAID' then cents * 3 + cents * 3 / 10 else 0 end,
         lower('LOAD-' || lpad(n::text, 7, '0') || ' ' || name || ' ' || company), made_at, made_at, made_at
    from planned
  returning id, client_id, subtotal_cents, total_cents, status, created_at
), lines as (
  insert into invoice_items (invoice_id, position, description, quantity_milli, unit_price_cents, total_cents)
  select id, p, 'Line ' || p, 1000, subtotal_cents / 3, subtotal_cents / 3 from stored, generate_series(1, 3) p
  returning 1
), paid as (
  insert into payments (invoice_id, kind, method, amount_cents, reference, paid_at, created_at)
  select id, 'PAYMENT', 'BANK_TRANSFER', total_cents, '', created_at + interval '3 days', created_at from stored
   where status = 'PAID'
  returning 1
), worked as (
  insert into jobs (invoice_id, client_id, title, status, queue_position, completed_at, archived_at, created_at)
  select id, client_id, 'Loaded job', 'COMPLETED', 0, created_at, created_at, created_at from stored
   where status = 'PAID'
  returning 1
), quoted as (
  insert into quotes (number, client_id, status, issue_date, valid_until, currency, subtotal_cents, tax_rate_bps,
                      tax_cents, total_cents, search_text, created_at, sent_at)
  select 'LOADQ-' || lpad(n::text, 7, '0'), client_id,
         (case when n %% 50 = 0 then 'PENDING' when n %% 3 = 0 then 'EXPIRED' else 'CONVERTED' end)::quote_status,
         made_at::date, made_at::date + 30, 'AUD', cents, 1000, cents / 10, cents + cents / 10,
         lower('LOADQ-' || lpad(n::text, 7, '0') || ' ' || name || ' ' || company), made_at, made_at
    from planned where n %% 2 = 0
  returning 1
), logged as (
  insert into activity_logs (client_id, invoice_id, action, message, created_at)
  select client_id, id, 'INVOICE_CREATED', 'An invoice was written', created_at from stored
  returning 1
), logins as (
  insert into users (email, name, role, client_id)
  select 'login' || k || '@example.com', name, 'CLIENT', id from numbered where k < 200
  returning id
), written as (
  insert into user_messages (user_id, sender_id, body, created_at)
  select l.id, case when m %% 2 = 0 then l.id end, 'Message ' || m, now() - make_interval(hours => m)
    from logins l, generate_series(1, least(50, %(invoices)s / 100)) m
  returning 1
)
select count(*) from stored
"""


def load_invoices(connection: psycopg.Connection, invoices: int) -> None:
    """`invoices` invoices of three lines, 94 % of them paid, over the years before now; fresh statistics."""
    connection.execute("set session_replication_role = replica")
    connection.execute(_LOAD, {"invoices": invoices})
    connection.execute("set session_replication_role = default")
    connection.execute("insert into message_threads select user_id, max(id) from user_messages group by 1")
    connection.execute("vacuum analyze")

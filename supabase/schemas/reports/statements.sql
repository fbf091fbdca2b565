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

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

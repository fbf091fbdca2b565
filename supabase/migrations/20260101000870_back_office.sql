-- The shop's own desk: settings, the dashboard, and the pages of the exports.

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

create function get_settings() returns jsonb
language sql stable set search_path = public, pg_temp
as $$ select settings_json(s) from settings s $$;

-- Logs which fields of the settings changed, never their values: bank details are among them.
create function log_settings(p_before settings, p_after settings, p_user_id bigint) returns void
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

-- Replaces the settings whole; the number sequences are another table's. `p_updated_at`, when given, is that of the
-- settings that the shop was looking at.
create function save_settings(p_user_id bigint, p_settings jsonb, p_updated_at timestamptz) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  before settings;
  after settings;
begin
  select * into before from settings for update;
  if p_updated_at is not null and p_updated_at <> before.updated_at then
    return refusal(409, 'SETTINGS_CHANGED', 'Somebody else saved the settings meanwhile; read them again and repeat your change.');
  end if;
  if p_settings ->> 'timeZone' <> before.time_zone
     and not exists (select from pg_timezone_names where name = p_settings ->> 'timeZone') then
    return refusal(422, 'UNKNOWN_TIME_ZONE', 'Name the time zone as the IANA does, such as Australia/Sydney.',
                   jsonb_build_array(jsonb_build_object('field', 'timeZone')));
  end if;
  if p_settings ->> 'logoDataUrl' is not null and p_settings ->> 'logoDataUrl' is distinct from before.logo_data_url then
    return refusal(422, 'LOGO_NOT_STORED', 'Upload a new logo to settings/logo; here send the stored one, or null to remove it.',
                   jsonb_build_array(jsonb_build_object('field', 'logoDataUrl')));
  end if;
  perform from materials where id = (p_settings ->> 'defaultMaterialId')::bigint and is_active for share;
  if not found and p_settings ->> 'defaultMaterialId' is not null then
    return refusal(422, 'UNKNOWN_MATERIAL', 'Choose the default among the active materials.',
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
  returning * into after;
  perform log_settings(before, after, p_user_id);
  return settings_json(after);
end
$$;

create function save_logo(p_user_id bigint, p_logo_data_url text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  before settings;
  after settings;
begin
  select * into before from settings for update;
  update settings set logo_data_url = p_logo_data_url returning * into after;
  perform log_settings(before, after, p_user_id);
  return settings_json(after);
end
$$;

-- How late a debt is on a day. Not yet due, the due day included, is CURRENT.
create function ageing_bucket(p_due date, p_today date) returns text
language sql immutable set search_path = public, pg_temp
as $$
  select case when p_today <= p_due then 'CURRENT' when p_today - p_due <= 30 then '1-30 days'
              when p_today - p_due <= 60 then '31-60 days' when p_today - p_due <= 90 then '61-90 days'
              else '90+ days' end
$$;

-- What is owed, late and to be given back, by currency. One look at the index of open invoices gives it all; the bounds
-- of the ages are those of ageing_bucket, which would cost more than the sums.
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

-- Payments less refunds of this month and the last, by currency, months being the business's. Where all invoices are of
-- one currency, as in most shops, no payment's invoice is looked up.
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

-- One page of an export: rows in the order of their ids, each an array in the order of the file's columns; amounts in
-- minor units. A row is as it was when its page was read. Names are looked up row by row, on the key, for a page must
-- not read a whole table.
create function export_page(p_rows jsonb, p_last_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('rows', coalesce(p_rows, '[]'), 'lastId', p_last_id, 'today', business_today())
$$;

-- `p_from` and `p_to` are issue dates.
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

-- `p_from` and `p_to` are the business's days on which the money moved.
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

-- `p_from` and `p_to` are the business's days on which the job was made.
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

-- What is owed, by how late it is on `p_today` (null: the business's day, which the answer names for the next page).
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

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'settings_json(settings)', 'get_settings()', 'log_settings(settings, settings, bigint)',
    'save_settings(bigint, jsonb, timestamptz)', 'save_logo(bigint, text)', 'ageing_bucket(date, date)',
    'receivables_json()', 'revenue_json()', 'workshop_json()', 'dashboard()', 'export_page(jsonb, bigint)',
    'export_invoices(bigint, integer, date, date)',
    'export_payments(bigint, integer, date, date)', 'export_jobs(bigint, integer, date, date)',
    'export_ar_aging(bigint, integer, date)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

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

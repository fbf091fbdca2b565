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

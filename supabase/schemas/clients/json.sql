-- Clients in JSON.

-- A client as documents show them: name, contact and address.
create function client_json(c clients) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', c.id, 'name', c.name, 'company', c.company, 'email', c.email, 'phone', c.phone, 'abn', c.abn,
    'address', case when c.address_line1 || c.address_line2 || c.suburb || c.state || c.postcode <> '' then jsonb_build_object(
      'line1', c.address_line1, 'line2', c.address_line2, 'suburb', c.suburb, 'state', c.state,
      'postcode', c.postcode, 'country', c.country) end)
$$;

-- A client's invoice totals per currency: open invoices, outstanding, billed, paid and credit. VOID invoices bill
-- nothing; only PENDING and OVERDUE ones are outstanding.
create function client_totals_json(p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('currency', m.currency, 'openInvoices', m.open,
      'outstandingCents', m.outstanding, 'billedCents', m.billed, 'paidCents', m.paid, 'creditCents', m.credit)
      order by m.currency), '[]')
    from (
      select currency, count(*) filter (where status in ('PENDING', 'OVERDUE')) as open,
        coalesce(sum(balance_cents) filter (where status in ('PENDING', 'OVERDUE')), 0) as outstanding,
        coalesce(sum(total_cents) filter (where status <> 'VOID'), 0) as billed,
        sum(paid_cents) as paid, sum(credit_cents) as credit
      from invoices where client_id = p_client_id group by currency) m
$$;

-- A client as a row of the shop's list.
create function client_summary_json(c clients) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select client_json(c) || jsonb_build_object('paymentTerm', c.payment_term, 'totals', client_totals_json(c.id),
                                              'createdAt', c.created_at, 'updatedAt', c.updated_at)
$$;

-- A note that the shop made about a client.
create function client_note_json(n client_notes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', n.id, 'authorId', n.author_id, 'author', n.author, 'body', n.body, 'createdAt', n.created_at)
$$;

-- A client's print preferences. A preferred material that is no longer active reads as null.
create function client_preferences(p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select c.preferences || jsonb_build_object('materialId', (
      select m.id from materials m where m.id = (c.preferences ->> 'materialId')::bigint and m.is_active))
    from clients c where c.id = p_client_id
$$;

-- A client as the shop sees them: summary, preferences, notes, logins and the latest activity.
create function client_detail_json(c clients) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select client_summary_json(c) || jsonb_build_object(
    'preferences', client_preferences(c.id),
    'notes', (select coalesce(jsonb_agg(client_note_json(n) order by n.id desc), '[]')
      from client_notes n where n.client_id = c.id),
    'users', (select coalesce(jsonb_agg(jsonb_build_object('id', u.id, 'email', u.email, 'name', u.name,
        'mustChangePassword', u.must_change_password, 'createdAt', u.created_at) order by u.id), '[]')
      from users u where u.client_id = c.id),
    'activity', (select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'action', a.action, 'message', a.message,
        'quoteId', a.quote_id, 'invoiceId', a.invoice_id, 'jobId', a.job_id, 'metadata', a.metadata,
        'createdAt', a.created_at) order by a.id desc), '[]')
      from (select * from activity_logs where client_id = c.id order by id desc limit 20) a))
$$;

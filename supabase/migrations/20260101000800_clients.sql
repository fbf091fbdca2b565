-- The shop's clients, and what a client sees of his own in the portal.

-- What a client was billed and owes, a currency each, from one index. A VOID invoice bills nothing; only what can
-- still be paid is outstanding.
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

create function client_summary_json(c clients) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select client_json(c) || jsonb_build_object('paymentTerm', c.payment_term, 'totals', client_totals_json(c.id),
                                              'createdAt', c.created_at, 'updatedAt', c.updated_at)
$$;

create function client_note_json(n client_notes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', n.id, 'authorId', n.author_id, 'author', n.author, 'body', n.body, 'createdAt', n.created_at)
$$;

-- A material that is no longer offered is no longer preferred.
create function client_preferences(p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select c.preferences || jsonb_build_object('materialId', (
      select m.id from materials m where m.id = (c.preferences ->> 'materialId')::bigint and m.is_active))
    from clients c where c.id = p_client_id
$$;

-- As the shop sees a client: with its notes, its preferences, its logins, and what happened last.
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

create function get_client(p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce((select client_detail_json(c) from clients c where c.id = p_client_id),
                  refusal(404, 'CLIENT_NOT_FOUND', 'There is no such client.'))
$$;

-- Keyset by the order's own column and the id; the fragments are fixed, every value is a parameter.
create function list_clients(p_query text, p_sort text, p_limit integer, p_after_created timestamptz,
                             p_after_name text, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  sorted text := case p_sort when 'name' then 'lower(c.name), c.id' when 'createdAt' then 'c.created_at, c.id'
                   else 'c.created_at desc, c.id desc' end;
  place text := case p_sort when 'name' then '(lower(c.name), c.id) > (lower($3), $4)'
                  when 'createdAt' then '(c.created_at, c.id) > ($2, $4)' else '(c.created_at, c.id) < ($2, $4)' end;
  wanted text := 'true';
  page jsonb;
begin
  if p_query is not null then
    wanted := wanted || ' and ' || found_by('c', '$1', p_query);
  end if;
  if p_after_id is not null then
    wanted := wanted || ' and ' || place;
  end if;
  execute format('select coalesce(jsonb_agg(client_summary_json(c) order by %1$s), ''[]'')
                    from (select * from clients c where %2$s order by %1$s limit $5) c', sorted, wanted)
    into page using p_query, p_after_created, p_after_name, p_after_id, p_limit;
  return page;
end
$$;

-- Null when the shop has this payment term, or none is named.
create function payment_term_refusal(p_code text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select refusal(422, 'UNKNOWN_PAYMENT_TERM', 'Choose one of the payment terms of the settings, or leave it out.',
                 '[{"field": "paymentTerm"}]')
   where p_code is not null
     and not exists (select from settings s, jsonb_array_elements(s.payment_terms) t where t.value ->> 'code' = p_code)
$$;

-- `p_client` is the whole client in camelCase.
create function create_client(p_user_id bigint, p_client jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  address jsonb := coalesce(nullif(p_client -> 'address', 'null'), '{}');
  refused jsonb := payment_term_refusal(p_client ->> 'paymentTerm');
  made clients;
begin
  if refused is not null then
    return refused;
  end if;
  insert into clients (name, company, email, phone, abn, address_line1, address_line2, suburb, state, postcode, country,
                       payment_term)
  values (p_client ->> 'name', p_client ->> 'company', p_client ->> 'email', p_client ->> 'phone', p_client ->> 'abn',
          coalesce(address ->> 'line1', ''), coalesce(address ->> 'line2', ''), coalesce(address ->> 'suburb', ''),
          coalesce(address ->> 'state', ''), coalesce(address ->> 'postcode', ''), coalesce(address ->> 'country', 'AU'),
          p_client ->> 'paymentTerm')
  returning * into made;
  perform log_activity(made.id, null, null, null, null, 'CLIENT_CREATED', 'Client ' || made.name || ' was created',
                       jsonb_build_object('userId', p_user_id));
  return client_detail_json(made);
end
$$;

create function change_client(p_user_id bigint, p_client_id bigint, p_client jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  address jsonb := coalesce(nullif(p_client -> 'address', 'null'), '{}');
  refused jsonb := payment_term_refusal(p_client ->> 'paymentTerm');
  before clients;
  after clients;
begin
  select * into before from clients where id = p_client_id for no key update;
  if not found then
    return refusal(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  elsif refused is not null then
    return refused;
  end if;
  update clients set
    name = p_client ->> 'name', company = p_client ->> 'company', email = p_client ->> 'email',
    phone = p_client ->> 'phone', abn = p_client ->> 'abn', payment_term = p_client ->> 'paymentTerm',
    address_line1 = coalesce(address ->> 'line1', ''), address_line2 = coalesce(address ->> 'line2', ''),
    suburb = coalesce(address ->> 'suburb', ''), state = coalesce(address ->> 'state', ''),
    postcode = coalesce(address ->> 'postcode', ''), country = coalesce(address ->> 'country', 'AU')
  where id = p_client_id returning * into after;
  perform log_activity(after.id, null, null, null, null, 'CLIENT_CHANGED', 'Client ' || after.name || ' was changed',
    jsonb_build_object('userId', p_user_id, 'changed', (
      select coalesce(jsonb_agg(n.key order by n.key), '[]') from jsonb_each(to_jsonb(after)) n
       where n.value is distinct from to_jsonb(before) -> n.key and n.key not in ('updated_at', 'search_text'))));
  return client_detail_json(after);
end
$$;

-- Only a client that nothing belongs to; the lock keeps new documents and logins away from it meanwhile.
create function delete_client(p_user_id bigint, p_client_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  gone clients;
  used jsonb;
begin
  select * into gone from clients where id = p_client_id for update;
  if not found then
    return refusal(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  end if;
  select jsonb_object_agg(b.kind, b.number) into used from (
    select 'quotes' as kind, count(*) as number from quotes where client_id = gone.id
    union all select 'invoices', count(*) from invoices where client_id = gone.id
    union all select 'jobs', count(*) from jobs where client_id = gone.id
    union all select 'orderFiles', count(*) from order_files where client_id = gone.id
    union all select 'users', count(*) from users where client_id = gone.id) b where b.number > 0;
  if used is not null then
    return refusal(409, 'CLIENT_IN_USE', case when used - 'users' = '{}'
        then 'This client has logins: delete them under admin/users, then the client.'
        else 'This client has documents, jobs or files, which are kept: keep the client, and delete its logins if nobody may use it.'
      end, used);
  end if;
  perform log_activity(gone.id, null, null, null, null, 'CLIENT_DELETED', 'Client ' || gone.name || ' was deleted',
                       jsonb_build_object('userId', p_user_id, 'clientId', gone.id));
  delete from clients where id = gone.id;
  return jsonb_build_object('id', gone.id);
end
$$;

create function add_client_note(p_user_id bigint, p_client_id bigint, p_body text, p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  added client_notes;
begin
  perform from clients where id = p_client_id for no key update;
  if not found then
    return refusal(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  elsif (select count(*) from client_notes where client_id = p_client_id) >= p_limit then
    return refusal(409, 'NOTES_FULL', 'This client has as many notes as are kept: ' || p_limit || '; write to an invoice or a job instead.');
  end if;
  insert into client_notes (client_id, author_id, author, body)
  select p_client_id, u.id, coalesce(nullif(u.name, ''), u.email), p_body from users u where u.id = p_user_id
  returning * into added;
  perform log_activity(p_client_id, null, null, null, null, 'CLIENT_NOTE_ADDED', 'A note was added to a client',
                       jsonb_build_object('userId', p_user_id, 'noteId', added.id));
  return client_note_json(added);
end
$$;

-- Newest first; `p_reads_as` null reads as the shop, else only this client's own.
create function list_client_order_files(p_reads_as bigint, p_client_id bigint, p_limit integer,
                                        p_before_uploaded timestamptz, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  place text := concat_ws(' ', '', case when p_before_id is not null then 'and (f.uploaded_at, f.id) < ($2, $3)' end,
                          case when p_reads_as is not null then 'and not is_in_the_making(f)' end);
  page jsonb;
begin
  if p_reads_as <> p_client_id or not exists (select from clients where id = p_client_id) then
    return refusal(404, 'CLIENT_NOT_FOUND', 'There is no such client of yours.');
  end if;
  execute format('select coalesce(jsonb_agg(order_file_json(f) order by f.uploaded_at desc, f.id desc), ''[]'') from (
                    select * from order_files f where f.client_id = $1%s
                     order by f.uploaded_at desc, f.id desc limit $4) f', place)
    into page using p_client_id, p_before_uploaded, p_before_id, p_limit;
  return page;
end
$$;

-- The portal: a client's own, without anything that the shop keeps to itself.

create function portal_job_json(j jobs) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', j.id, 'invoiceId', j.invoice_id,
    'invoiceNumber', (select i.number from invoices i where i.id = j.invoice_id),
    'status', j.status, 'priority', j.priority, 'estimatedHours', round(j.estimated_seconds / 3600.0, 2),
    'createdAt', j.created_at, 'updatedAt', j.updated_at, 'completedAt', j.completed_at)
$$;

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

-- What may be chosen for a print; what it costs the shop is the shop's.
create function portal_materials() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'name', m.name, 'densityMgCm3', m.density_mg_cm3,
      'isDefault', m.id is not distinct from s.default_material_id) order by m.name, m.id), '[]')
    from materials m, settings s where m.is_active
$$;

create function save_preferences(p_user_id bigint, p_client_id bigint, p_preferences jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from clients where id = p_client_id for no key update;
  if p_preferences ->> 'materialId' is not null and not exists (
      select from materials where id = (p_preferences ->> 'materialId')::bigint and is_active) then
    return refusal(422, 'UNKNOWN_MATERIAL', 'Choose one of the shop''s materials.', '[{"field": "materialId"}]');
  end if;
  update clients set preferences = p_preferences where id = p_client_id;
  perform log_activity(p_client_id, null, null, null, null, 'PREFERENCES_CHANGED', 'A client changed its preferences',
                       jsonb_build_object('userId', p_user_id));
  return client_preferences(p_client_id);
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'client_totals_json(bigint)', 'client_summary_json(clients)', 'client_note_json(client_notes)',
    'client_detail_json(clients)', 'get_client(bigint)',
    'list_clients(text, text, integer, timestamptz, text, bigint)', 'payment_term_refusal(text)',
    'create_client(bigint, jsonb)', 'change_client(bigint, bigint, jsonb)', 'delete_client(bigint, bigint)',
    'add_client_note(bigint, bigint, text, integer)',
    'list_client_order_files(bigint, bigint, integer, timestamptz, bigint)', 'portal_job_json(jobs)',
    'portal_dashboard(bigint, bigint)', 'portal_invoices(bigint, invoice_status, integer, timestamptz, bigint)',
    'portal_jobs(bigint, integer, timestamptz, bigint)', 'portal_materials()', 'client_preferences(bigint)',
    'save_preferences(bigint, bigint, jsonb)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

-- Changes of clients.

-- An error when the shop has no payment term of this code; null for a known or missing one.
create function payment_term_error(p_code text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select api_error(422, 'UNKNOWN_PAYMENT_TERM', 'Choose one of the payment terms of the settings, or leave it out.',
                   '[{"field": "paymentTerm"}]')
   where p_code is not null
     and not exists (select from settings s, jsonb_array_elements(s.payment_terms) t where t.value ->> 'code' = p_code)
$$;

-- Creates a client. `p_client` is the whole client in camelCase.
create function create_client(p_user_id bigint, p_client jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  address jsonb := coalesce(nullif(p_client -> 'address', 'null'), '{}');
  problem jsonb := payment_term_error(p_client ->> 'paymentTerm');
  created clients;
begin
  if problem is not null then
    return problem;
  end if;
  insert into clients (name, company, email, phone, abn, address_line1, address_line2, suburb, state, postcode, country,
                       payment_term)
  values (p_client ->> 'name', p_client ->> 'company', p_client ->> 'email', p_client ->> 'phone', p_client ->> 'abn',
          coalesce(address ->> 'line1', ''), coalesce(address ->> 'line2', ''), coalesce(address ->> 'suburb', ''),
          coalesce(address ->> 'state', ''), coalesce(address ->> 'postcode', ''), coalesce(address ->> 'country', 'AU'),
          p_client ->> 'paymentTerm')
  returning * into created;
  perform log_activity(created.id, null, null, null, null, 'CLIENT_CREATED', 'Client ' || created.name || ' was created',
                       jsonb_build_object('userId', p_user_id));
  return client_detail_json(created);
end
$$;

-- Replaces a client's fields. `p_client` is the whole client in camelCase.
create function update_client(p_user_id bigint, p_client_id bigint, p_client jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  address jsonb := coalesce(nullif(p_client -> 'address', 'null'), '{}');
  problem jsonb := payment_term_error(p_client ->> 'paymentTerm');
  before clients;
  after clients;
begin
  select * into before from clients where id = p_client_id for no key update;
  if not found then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  elsif problem is not null then
    return problem;
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

-- Deletes a client that has no documents, jobs, files or logins. The row lock keeps new ones from being added
-- meanwhile.
create function delete_client(p_user_id bigint, p_client_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted clients;
  used jsonb;
begin
  select * into deleted from clients where id = p_client_id for update;
  if not found then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  end if;
  select jsonb_object_agg(b.kind, b.number) into used from (
    select 'quotes' as kind, count(*) as number from quotes where client_id = deleted.id
    union all select 'invoices', count(*) from invoices where client_id = deleted.id
    union all select 'jobs', count(*) from jobs where client_id = deleted.id
    union all select 'orderFiles', count(*) from order_files where client_id = deleted.id
    union all select 'users', count(*) from users where client_id = deleted.id) b where b.number > 0;
  if used is not null then
    return api_error(409, 'CLIENT_IN_USE', case when used - 'users' = '{}'
        then 'This client has logins: delete them under admin/users, then the client.'
        else 'This client has documents, jobs or files, which are kept: keep the client, and delete its logins if nobody may use it.'
      end, used);
  end if;
  perform log_activity(deleted.id, null, null, null, null, 'CLIENT_DELETED', 'Client ' || deleted.name || ' was deleted',
                       jsonb_build_object('userId', p_user_id, 'clientId', deleted.id));
  delete from clients where id = deleted.id;
  return jsonb_build_object('id', deleted.id);
end
$$;

-- Adds a note about a client, up to `p_limit` notes.
create function add_client_note(p_user_id bigint, p_client_id bigint, p_body text, p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  added client_notes;
begin
  perform from clients where id = p_client_id for no key update;
  if not found then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client.');
  elsif (select count(*) from client_notes where client_id = p_client_id) >= p_limit then
    return api_error(409, 'NOTES_FULL', 'This client has as many notes as are kept: ' || p_limit || '; write to an invoice or a job instead.');
  end if;
  insert into client_notes (client_id, author_id, author, body)
  select p_client_id, u.id, coalesce(nullif(u.name, ''), u.email), p_body from users u where u.id = p_user_id
  returning * into added;
  perform log_activity(p_client_id, null, null, null, null, 'CLIENT_NOTE_ADDED', 'A note was added to a client',
                       jsonb_build_object('userId', p_user_id, 'noteId', added.id));
  return client_note_json(added);
end
$$;

-- Replaces a client's print preferences.
create function save_preferences(p_user_id bigint, p_client_id bigint, p_preferences jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from clients where id = p_client_id for no key update;
  if p_preferences ->> 'materialId' is not null and not exists (
      select from materials where id = (p_preferences ->> 'materialId')::bigint and is_active) then
    return api_error(422, 'UNKNOWN_MATERIAL', 'Choose one of the shop''s materials.', '[{"field": "materialId"}]');
  end if;
  update clients set preferences = p_preferences where id = p_client_id;
  perform log_activity(p_client_id, null, null, null, null, 'PREFERENCES_CHANGED', 'A client changed its preferences',
                       jsonb_build_object('userId', p_user_id));
  return client_preferences(p_client_id);
end
$$;

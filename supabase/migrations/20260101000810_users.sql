-- Who may log in: the shop's invitations and deletions. The login itself is Supabase Auth's; see accounts/logins.py.

create function login_json(u users) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', u.id, 'email', u.email, 'name', u.name, 'role', u.role, 'clientId', u.client_id,
    'clientName', (select c.name from clients c where c.id = u.client_id),
    'mustChangePassword', u.must_change_password, 'createdAt', u.created_at)
$$;

-- Newest first, keyset by (created_at, id).
create function list_users(p_query text, p_limit integer, p_before_created timestamptz, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  wanted text := 'true';
  page jsonb;
begin
  if p_query is not null then
    wanted := wanted || ' and ' || found_by('u', '$1', p_query);
  end if;
  if p_before_id is not null then
    wanted := wanted || ' and (u.created_at, u.id) < ($2, $3)';
  end if;
  execute format('select coalesce(jsonb_agg(login_json(u) order by u.created_at desc, u.id desc), ''[]'')
                    from (select * from users u where %s order by u.created_at desc, u.id desc limit $4) u', wanted)
    into page using p_query, p_before_created, p_before_id, p_limit;
  return page;
end
$$;

-- The profile of a login that the shop has just made, with a one-time password. Here alone a login is attached to a
-- client that exists already.
create function create_user(p_user_id bigint, p_auth_user_id uuid, p_email text, p_name text, p_role user_role,
                            p_client_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  made users;
begin
  if p_role = 'CLIENT' then
    perform from clients where id = p_client_id for key share;
    if not found then
      return refusal(422, 'UNKNOWN_CLIENT', 'Name the client of this login in clientId.', '[{"field": "clientId"}]');
    end if;
  end if;
  insert into users (auth_user_id, email, name, role, client_id, must_change_password)
  values (p_auth_user_id, p_email, p_name, p_role, p_client_id, true)
  returning * into made;
  perform log_activity(made.client_id, null, null, null, null, 'USER_INVITED',
                       case p_role when 'ADMIN' then 'An admin' else 'A client''s login' end || ' was invited: ' || p_email,
                       jsonb_build_object('userId', p_user_id, 'invitedUserId', made.id, 'role', p_role));
  return login_json(made);
end
$$;

create function has_profile(p_auth_user_id uuid) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('hasProfile', exists (select from users where auth_user_id = p_auth_user_id))
$$;

-- Deletes a user, never the last admin, and answers the login that Supabase Auth has to forget next. Until it has, the
-- login is closed; deleting the same user again answers it again. His own thread of messages goes with him; what he
-- wrote to others stays, without his name.
create function delete_user(p_user_id bigint, p_deleted_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  gone users;
  closed closed_logins;
begin
  -- Admins who delete each other wait here; whoever comes second meets the shop as the first left it.
  perform pg_advisory_xact_lock(hashtextextended('delete_user', 0));
  select * into gone from users where id = p_deleted_id for update;
  if not found then
    select * into closed from closed_logins where user_id = p_deleted_id;
    if not found then
      return refusal(404, 'USER_NOT_FOUND', 'There is no such user.');
    end if;
    return jsonb_build_object('authUserId', closed.auth_user_id);
  elsif gone.role = 'ADMIN' and not exists (select from users where role = 'ADMIN' and id <> gone.id) then
    return refusal(409, 'LAST_ADMIN', 'This is the last admin; invite another one first.');
  elsif not exists (select from users where id = p_user_id and role = 'ADMIN') then
    return refusal(403, 'ADMIN_ONLY', 'Only the shop may do this.');
  end if;
  perform log_activity(gone.client_id, null, null, null, null, 'USER_DELETED', 'The login ' || gone.email || ' was deleted',
                       jsonb_build_object('userId', p_user_id, 'deletedUserId', gone.id, 'role', gone.role));
  delete from users where id = gone.id;
  insert into closed_logins (user_id, auth_user_id) select gone.id, gone.auth_user_id where gone.auth_user_id is not null;
  return jsonb_build_object('authUserId', gone.auth_user_id);
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'login_json(users)', 'list_users(text, integer, timestamptz, bigint)',
    'create_user(bigint, uuid, text, text, user_role, bigint)', 'has_profile(uuid)', 'delete_user(bigint, bigint)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

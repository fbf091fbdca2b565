-- The shop's list of logins: invitations and deletions. The login itself is created and deleted in Supabase Auth.

-- A page of the users, newest first, after the row (`p_before_created`, `p_before_id`).
create function list_users(p_query text, p_limit integer, p_before_created timestamptz, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  wanted text := 'true';
  page jsonb;
begin
  if p_query is not null then
    wanted := wanted || ' and ' || search_condition('u', '$1', p_query);
  end if;
  if p_before_id is not null then
    wanted := wanted || ' and (u.created_at, u.id) < ($2, $3)';
  end if;
  execute format('select coalesce(jsonb_agg(user_account_json(u) order by u.created_at desc, u.id desc), ''[]'')
                    from (select * from users u where %s order by u.created_at desc, u.id desc limit $4) u', wanted)
    into page using p_query, p_before_created, p_before_id, p_limit;
  return page;
end
$$;

-- Creates the profile of a login that the shop has just invited with a one-time password. Only this function attaches
-- a login to an existing client.
create function create_user(p_user_id bigint, p_auth_user_id uuid, p_email text, p_name text, p_role user_role,
                            p_client_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  created users;
begin
  if p_role = 'CLIENT' then
    perform from clients where id = p_client_id for key share;
    if not found then
      return api_error(422, 'UNKNOWN_CLIENT', 'Name the client of this login in clientId.', '[{"field": "clientId"}]');
    end if;
  end if;
  insert into users (auth_user_id, email, name, role, client_id, must_change_password)
  values (p_auth_user_id, p_email, p_name, p_role, p_client_id, true)
  returning * into created;
  perform log_activity(created.client_id, null, null, null, null, 'USER_INVITED',
                       case p_role when 'ADMIN' then 'An admin' else 'A client''s login' end || ' was invited: ' || p_email,
                       jsonb_build_object('userId', p_user_id, 'invitedUserId', created.id, 'role', p_role));
  return user_account_json(created);
end
$$;

-- Whether a login has a profile.
create function has_profile(p_auth_user_id uuid) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('hasProfile', exists (select from users where auth_user_id = p_auth_user_id))
$$;

-- Deletes a user, never the last admin, and returns the login that the caller must delete in Supabase Auth. Until then
-- the login is listed in closed_logins; deleting the same user again returns it again. The user's own message thread
-- is deleted; messages that they wrote in other threads stay, without a sender.
create function delete_user(p_user_id bigint, p_deleted_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted users;
  closed closed_logins;
begin
  -- Two admins who delete each other wait here: the second sees what the first did.
  perform pg_advisory_xact_lock(hashtextextended('delete_user', 0));
  select * into deleted from users where id = p_deleted_id for update;
  if not found then
    select * into closed from closed_logins where user_id = p_deleted_id;
    if not found then
      return api_error(404, 'USER_NOT_FOUND', 'There is no such user.');
    end if;
    return jsonb_build_object('authUserId', closed.auth_user_id);
  elsif deleted.role = 'ADMIN' and not exists (select from users where role = 'ADMIN' and id <> deleted.id) then
    return api_error(409, 'LAST_ADMIN', 'This is the last admin; invite another one first.');
  elsif not exists (select from users where id = p_user_id and role = 'ADMIN') then
    return api_error(403, 'ADMIN_ONLY', 'Only the shop may do this.');
  end if;
  perform log_activity(deleted.client_id, null, null, null, null, 'USER_DELETED', 'The login ' || deleted.email || ' was deleted',
                       jsonb_build_object('userId', p_user_id, 'deletedUserId', deleted.id, 'role', deleted.role));
  delete from users where id = deleted.id;
  insert into closed_logins (user_id, auth_user_id) select deleted.id, deleted.auth_user_id where deleted.auth_user_id is not null;
  return jsonb_build_object('authUserId', deleted.auth_user_id);
end
$$;

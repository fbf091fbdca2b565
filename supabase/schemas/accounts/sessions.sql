-- Sign-up, sessions and the user of a request.

-- The user of a verified access token, or why the token is no longer accepted. The role comes from `users` alone,
-- never from the token.
create function authenticate(p_auth_user_id uuid, p_session_id uuid, p_issued_at timestamptz) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  found_user users;
begin
  select * into found_user from users where auth_user_id = p_auth_user_id;
  if not found then
    return api_error(403, 'NO_PROFILE', 'This login has no account here; sign up, or ask the shop for an invitation.');
  end if;
  if p_issued_at < date_trunc('second', found_user.sessions_valid_from)
     or exists (select from revoked_sessions where session_id = p_session_id) then
    return api_error(401, 'SESSION_ENDED', 'This session has ended; log in again.');
  end if;
  return user_json(found_user);
end
$$;

-- The profile of a login: the existing one, or at the first login a new CLIENT user with a new client. An existing
-- client is never matched by e-mail, because whoever owns an address later must not inherit another person's orders. A
-- closed login, or an invited one (`p_invited`) whose profile was never created, gets an error. `p_attempt` is the
-- counted login attempt.
create function open_account(p_auth_user_id uuid, p_email text, p_name text, p_company text, p_phone text,
                             p_invited boolean default false, p_attempt jsonb default null) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  opened users;
  new_client bigint;
begin
  perform reset_rate_limit(p_attempt);
  perform pg_advisory_xact_lock(hashtextextended(p_auth_user_id::text, 0));
  select * into opened from users where auth_user_id = p_auth_user_id;
  if found then
    return user_json(opened);
  end if;
  if p_invited or exists (select from closed_logins where auth_user_id = p_auth_user_id) then
    return api_error(403, 'NO_PROFILE', 'This login has no account here; ask the shop for an invitation.');
  end if;
  insert into clients (name, company, email, phone)
  -- A name from Supabase's own sign-up may exceed our limits.
  values (left(coalesce(nullif(trim(p_name), ''), split_part(p_email, '@', 1)), 200), left(coalesce(p_company, ''), 200),
          p_email, left(coalesce(p_phone, ''), 50))
  returning id into new_client;
  insert into users (auth_user_id, email, name, role, client_id)
  values (p_auth_user_id, p_email, left(coalesce(p_name, ''), 200), 'CLIENT', new_client)
  returning * into opened;
  perform log_activity(new_client, null, null, null, null, 'CLIENT_SIGNED_UP', 'A new client signed up',
                       jsonb_build_object('userId', opened.id));
  return user_json(opened);
end
$$;

-- Ends one session: its access token is refused from now on, although its signature is still valid.
create function end_session(p_user_id bigint, p_session_id uuid) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  insert into revoked_sessions (session_id, user_id) values (p_session_id, p_user_id) on conflict do nothing;
  return jsonb_build_object('ended', true);
end
$$;

-- After the user chose a new password: ends every session whose token was issued before this second, and the given
-- session whenever it was issued. `p_attempt` is the counted attempt that led here. Returns the user.
create function end_all_sessions(p_auth_user_id uuid, p_session_id uuid, p_attempt jsonb default null) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  ended users;
begin
  perform reset_rate_limit(p_attempt);
  update users set sessions_valid_from = now(), must_change_password = false where auth_user_id = p_auth_user_id returning * into ended;
  if not found then
    return api_error(403, 'NO_PROFILE', 'This login has no account here.');
  end if;
  insert into revoked_sessions (session_id, user_id)
  select p_session_id, ended.id where p_session_id is not null on conflict do nothing;
  perform log_activity(ended.client_id, null, null, null, null, 'SESSIONS_ENDED', 'All sessions of a user were ended',
                       jsonb_build_object('userId', ended.id));
  return user_json(ended);
end
$$;

-- Makes a login an admin; called by `make admin` only, by no route.
create function make_admin(p_auth_user_id uuid, p_email text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  promoted users;
begin
  insert into users (auth_user_id, email, role) values (p_auth_user_id, p_email, 'ADMIN')
  on conflict (auth_user_id) do update set role = 'ADMIN'
  returning * into promoted;
  perform log_activity(null, null, null, null, null, 'ADMIN_MADE', 'A user was made an admin',
                       jsonb_build_object('userId', promoted.id));
  return user_json(promoted);
end
$$;

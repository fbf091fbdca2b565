-- Who is asking. The role comes from `users` alone, never from a token.

create function user_json(u users) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', u.id, 'authUserId', u.auth_user_id, 'email', u.email, 'name', u.name,
                            'role', u.role, 'clientId', u.client_id, 'mustChangePassword', u.must_change_password)
$$;

-- The one look-up of a request: the user, or why the token no longer opens anything. For an admin who is about to
-- price a document, the price book comes with it (`p_pricing`: the slices that his request names); for whoever is about
-- to slice, what decides the slice (`p_slicing`: {file, materialId, printerId}).
create function authenticate(p_auth_user_id uuid, p_session_id uuid, p_issued_at timestamptz,
                             p_pricing jsonb default null, p_slicing jsonb default null) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  found_user users;
begin
  select * into found_user from users where auth_user_id = p_auth_user_id;
  if not found then
    return refusal(403, 'NO_PROFILE', 'This login has no account here; sign up, or ask the shop for an invitation.');
  end if;
  if p_issued_at < date_trunc('second', found_user.sessions_valid_from)
     or exists (select from revoked_sessions where session_id = p_session_id) then
    return refusal(401, 'SESSION_ENDED', 'This session has ended; log in again.');
  end if;
  if p_pricing is not null and found_user.role = 'ADMIN' then
    return user_json(found_user) || jsonb_build_object('priceBook', price_book(found_user.id, p_pricing));
  end if;
  if p_slicing is not null then
    return user_json(found_user) || jsonb_build_object('slicing', slicing_context(
      found_user.id, p_slicing ->> 'file', (p_slicing ->> 'materialId')::bigint, (p_slicing ->> 'printerId')::bigint));
  end if;
  return user_json(found_user);
end
$$;

-- Counts an attempt before it is made, so that a thousand at once are no way round: p_subjects is [{"subject", "attempts",
-- "seconds"}], each the hash of an account or a source, how many attempts it has at once, and in how many seconds it gets
-- one back. Whoever has used his up waits after each further one, twice as long as before, from 30 s to 15 minutes: nobody
-- is locked out for good, and refused attempts make nothing longer. One that succeeds is taken back (forgive_attempt).
create function count_attempt(p_subjects jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  wait double precision;
  present timestamptz;
begin
  insert into login_attempts (subject, level_milli, counted_at)
  select s ->> 'subject', 0, '-infinity' from jsonb_array_elements(p_subjects) s order by 1
  on conflict (subject) do nothing;
  -- In one order, so that no two callers wait for each other.
  perform from login_attempts
   where subject in (select s ->> 'subject' from jsonb_array_elements(p_subjects) s) order by subject for update;
  present := clock_timestamp();
  select max(extract(epoch from a.counted_at - present) + least(900, 30 * 2 ^ least(10, ceil(a.level_milli / 1000.0) - (s ->> 'attempts')::integer)))
    into wait
    from jsonb_array_elements(p_subjects) s join login_attempts a on a.subject = s ->> 'subject'
   where ceil(a.level_milli / 1000.0) >= (s ->> 'attempts')::integer;
  if wait > 0 then
    return refusal(429, 'TOO_MANY_ATTEMPTS', 'Too many attempts; wait as long as Retry-After says, then try again.',
                   jsonb_build_object('retryAfterSeconds', ceil(wait)));
  end if;
  update login_attempts a
     set level_milli = 1000 + greatest(0, a.level_milli - floor(
           1000 * extract(epoch from present - greatest(a.counted_at, present - interval '1 day')) / (s ->> 'seconds')::integer)),
         counted_at = present
    from jsonb_array_elements(p_subjects) s where a.subject = s ->> 'subject';
  return jsonb_build_object('counted', true);
end
$$;

-- The attempt was right: the account starts anew; of the source (p_attempt {"account", "source"}) this one attempt is
-- taken back, for somebody's own account must not clear what he tried on others.
create function forgive_attempt(p_attempt jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from login_attempts where subject in (p_attempt ->> 'account', p_attempt ->> 'source') order by subject for update;
  delete from login_attempts where subject = p_attempt ->> 'account';
  update login_attempts set level_milli = greatest(0, level_milli - 1000) where subject = p_attempt ->> 'source';
end
$$;

-- A login's profile: the one it has, or at its first login a new CLIENT with a client of its own. An existing
-- client is never matched by e-mail: whoever owns an address later must not inherit another's orders. A login that the
-- shop has closed, or whose invitation (`p_invited`) never got its profile, opens nothing. `p_attempt` is the attempt that
-- led here.
create function open_account(p_auth_user_id uuid, p_email text, p_name text, p_company text, p_phone text,
                             p_invited boolean default false, p_attempt jsonb default null) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  opened users;
  new_client bigint;
begin
  perform forgive_attempt(p_attempt);
  perform pg_advisory_xact_lock(hashtextextended(p_auth_user_id::text, 0));
  select * into opened from users where auth_user_id = p_auth_user_id;
  if found then
    return user_json(opened);
  end if;
  if p_invited or exists (select from closed_logins where auth_user_id = p_auth_user_id) then
    return refusal(403, 'NO_PROFILE', 'This login has no account here; ask the shop for an invitation.');
  end if;
  insert into clients (name, company, email, phone)
  -- A name may come from Supabase's own sign-up, past our limits.
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

-- Ends one session; its access token is refused although it verifies.
create function end_session(p_user_id bigint, p_session_id uuid) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  insert into revoked_sessions (session_id, user_id) values (p_session_id, p_user_id) on conflict do nothing;
  return jsonb_build_object('ended', true);
end
$$;

-- Ends every session whose token was issued before this second, and the given one whenever it was issued: the password
-- is a new one of the user's own, which `p_attempt` led to. Answers the user.
create function end_all_sessions(p_auth_user_id uuid, p_session_id uuid, p_attempt jsonb default null) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  ended users;
begin
  perform forgive_attempt(p_attempt);
  update users set sessions_valid_from = now(), must_change_password = false where auth_user_id = p_auth_user_id returning * into ended;
  if not found then
    return refusal(403, 'NO_PROFILE', 'This login has no account here.');
  end if;
  insert into revoked_sessions (session_id, user_id)
  select p_session_id, ended.id where p_session_id is not null on conflict do nothing;
  perform log_activity(ended.client_id, null, null, null, null, 'SESSIONS_ENDED', 'All sessions of a user were ended',
                       jsonb_build_object('userId', ended.id));
  return user_json(ended);
end
$$;

-- For `make admin`: no route leads here.
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

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'user_json(users)', 'authenticate(uuid, uuid, timestamptz, jsonb, jsonb)', 'open_account(uuid, text, text, text, text, boolean, jsonb)',
    'count_attempt(jsonb)', 'forgive_attempt(jsonb)', 'end_session(bigint, uuid)', 'end_all_sessions(uuid, uuid, jsonb)', 'make_admin(uuid, text)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

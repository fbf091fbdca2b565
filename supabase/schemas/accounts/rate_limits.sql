-- Limits on login attempts.

-- Counts a login attempt before it is made, so that many at once cannot get round the limit. `p_subjects` is
-- [{"subject", "attempts", "seconds"}]: the hash of an account or of a source, how many attempts it has at once, and
-- in how many seconds it regains one. When they are used up, each further attempt waits twice as long as the one
-- before, from 30 seconds to 15 minutes; nobody is locked out for good, and refused attempts do not lengthen the wait.
-- `reset_rate_limit` takes a successful attempt back.
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
  -- In subject order, so that concurrent callers do not deadlock.
  perform from login_attempts
   where subject in (select s ->> 'subject' from jsonb_array_elements(p_subjects) s) order by subject for update;
  present := clock_timestamp();
  select max(extract(epoch from a.counted_at - present) + least(900, 30 * 2 ^ least(10, ceil(a.level_milli / 1000.0) - (s ->> 'attempts')::integer)))
    into wait
    from jsonb_array_elements(p_subjects) s join login_attempts a on a.subject = s ->> 'subject'
   where ceil(a.level_milli / 1000.0) >= (s ->> 'attempts')::integer;
  if wait > 0 then
    return api_error(429, 'TOO_MANY_ATTEMPTS', 'Too many attempts; wait as long as Retry-After says, then try again.',
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

-- After a successful login: resets the account's count, and takes this one attempt back from its source (`p_attempt`
-- {"account", "source"}). The source keeps its other attempts, because a login to one's own account must not clear
-- guesses at others.
create function reset_rate_limit(p_attempt jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from login_attempts where subject in (p_attempt ->> 'account', p_attempt ->> 'source') order by subject for update;
  delete from login_attempts where subject = p_attempt ->> 'account';
  update login_attempts set level_milli = greatest(0, level_milli - 1000) where subject = p_attempt ->> 'source';
end
$$;

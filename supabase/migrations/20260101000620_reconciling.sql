-- What the reconciler asks of Stripe again: pages whose end is not known, and events and pages that never came here.

-- The pages whose end Stripe has to be asked for, the longest unasked first: those to close at once, an open one the more
-- seldom the older it is, and so one that is past its time. Asked for, they count as checked.
create function sessions_to_check(p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  found_sessions jsonb;
begin
  with chosen as (
    select session_id from checkout_sessions
     where state in ('OPEN', 'RETIRED', 'COMPLETE')
       and checked_at < now() - greatest(interval '1 minute', case when state = 'RETIRED' and expires_at > now() then interval '1 minute' else (now() - created_at) / 4 end)
     order by checked_at for update skip locked limit p_limit), checked as (
    update checkout_sessions s set checked_at = now() from chosen c where s.session_id = c.session_id
    returning s.session_id, s.state)
  select coalesce(jsonb_agg(jsonb_build_object('sessionId', session_id, 'state', state)), '[]') into found_sessions from checked;
  return found_sessions;
end
$$;

-- The end of a page that Stripe does not know, once its time is up: until then a key of another account may be why, and the
-- page be open there.
create function end_unknown_session(p_session_id text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  page checkout_sessions;
begin
  select * into page from checkout_sessions where session_id = p_session_id and expires_at <= now();
  if not found then
    return jsonb_build_object('ended', false);
  end if;
  perform from invoices where id = page.invoice_id for no key update;
  perform retire_session(id) from invoices where id = page.invoice_id and stripe_session_id = p_session_id;
  perform note_session(p_session_id, case page.state when 'COMPLETE' then 'FAILED' else 'EXPIRED' end);
  return jsonb_build_object('ended', true);
end
$$;

create function unknown_stripe_events(p_event_ids text[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(event_id), '[]') from unnest(p_event_ids) as e(event_id)
   where not exists (select from webhook_events known where stripe_event_id = e.event_id and not waits_for_its_mode(known))
$$;

create function unknown_sessions(p_session_ids text[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(made.id), '[]') from unnest(p_session_ids) as made(id)
   where not exists (select from checkout_sessions where session_id = made.id)
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'sessions_to_check(integer)', 'end_unknown_session(text)', 'unknown_stripe_events(text[])', 'unknown_sessions(text[])'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

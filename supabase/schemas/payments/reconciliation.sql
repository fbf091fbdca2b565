-- What the reconciler asks Stripe for: sessions whose end is not known, and events and sessions that never arrived.

-- The Checkout sessions whose state the reconciler should ask Stripe for, the longest unchecked first, and marks them
-- as checked. Sessions to be closed are checked every minute, open ones less often the older they are.
create function checkout_sessions_to_check(p_limit integer) returns jsonb
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

-- Ends a session that Stripe does not know, once it has expired. Before that, the key of another account may be the
-- reason, and the session may still be open there.
create function end_unknown_checkout_session(p_session_id text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  known checkout_sessions;
begin
  select * into known from checkout_sessions where session_id = p_session_id and expires_at <= now();
  if not found then
    return jsonb_build_object('ended', false);
  end if;
  perform from invoices where id = known.invoice_id for no key update;
  perform retire_checkout_session(id) from invoices where id = known.invoice_id and stripe_session_id = p_session_id;
  perform advance_checkout_session(p_session_id, case known.state when 'COMPLETE' then 'FAILED' else 'EXPIRED' end);
  return jsonb_build_object('ended', true);
end
$$;

-- Those of the given event ids that were never applied here.
create function unknown_stripe_events(p_event_ids text[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(event_id), '[]') from unnest(p_event_ids) as e(event_id)
   where not exists (select from webhook_events known where stripe_event_id = e.event_id and not is_livemode_mismatch(known))
$$;

-- Those of the given Checkout session ids that are not stored here.
create function unknown_checkout_sessions(p_session_ids text[]) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(created.id), '[]') from unnest(p_session_ids) as created(id)
   where not exists (select from checkout_sessions where session_id = created.id)
$$;

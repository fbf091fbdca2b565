-- The pay link and its Checkout sessions: at most one open session of an invoice, and none for an amount that is not
-- owed. A session that was taken out of use is RETIRED until Stripe confirms that nobody can pay it any more.

-- Moves a Checkout session on to a later state; a state never goes back.
create function advance_checkout_session(p_session_id text, p_state text) returns void
language sql volatile set search_path = public, pg_temp
as $$
  update checkout_sessions set state = p_state
   where session_id = p_session_id
     and array_position(array['OPEN', 'RETIRED', 'EXPIRED', 'COMPLETE', 'FAILED', 'PAID'], p_state)
       > array_position(array['OPEN', 'RETIRED', 'EXPIRED', 'COMPLETE', 'FAILED', 'PAID'], state)
$$;

-- Takes the invoice's open Checkout session out of use and returns its id. The next session gets a new idempotency
-- key, because Stripe would answer the old session to the old key.
create function retire_checkout_session(p_invoice_id bigint) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  retired text;
begin
  select stripe_session_id into retired from invoices where id = p_invoice_id;
  update invoices set stripe_attempt = stripe_attempt + 1, stripe_session_id = null, stripe_checkout_url = null,
    stripe_session_cents = null, stripe_session_expires_at = null where id = p_invoice_id;
  perform advance_checkout_session(retired, 'RETIRED');
  return retired;
end
$$;

-- The retired Checkout sessions of an invoice that are still to be expired at Stripe.
create function checkout_sessions_to_close(p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(session_id order by created_at), '[]') from checkout_sessions
   where invoice_id = p_invoice_id and state = 'RETIRED' and expires_at > now()
$$;

-- Finds the Checkout session to pay an invoice at: the open one if its amount still equals the balance, else (`url`
-- null) what the caller needs to create one, after expiring the sessions in `retire`. The attempt is stored before
-- Stripe is called, because Stripe replays its first answer to the same `key`; the key is unique to this row of this
-- database.
create function open_checkout(p_pay_token text, p_invoice_id bigint, p_client_id bigint, p_refresh boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  problem jsonb;
begin
  if p_pay_token is not null then
    select * into i from invoices where pay_token = p_pay_token for no key update;
  else
    select * into i from invoices
     where id = p_invoice_id and (p_client_id is null or client_id = p_client_id) for no key update;
  end if;
  if not found then
    return api_error(404, 'INVOICE_NOT_FOUND', 'This link belongs to no invoice; ask the shop for a new one.');
  end if;
  problem := coalesce(invoice_not_payable_error(i), case
    when exists (select from checkout_sessions where invoice_id = i.id and state = 'COMPLETE') then
      api_error(409, 'PAYMENT_UNDER_WAY', format('A payment of invoice %s is on its way; wait for the bank''s answer.', i.number)) end);
  if problem is not null then
    return problem;
  end if;
  if not p_refresh and i.stripe_session_id is not null and i.stripe_session_cents = i.balance_cents
     and i.stripe_session_expires_at > now() + interval '2 minutes' then
    return jsonb_build_object('url', i.stripe_checkout_url, 'sessionId', i.stripe_session_id);
  end if;
  if i.stripe_session_id is not null or i.stripe_attempt = 0 then
    perform retire_checkout_session(i.id);
    i.stripe_attempt := i.stripe_attempt + 1;
  end if;
  return jsonb_build_object('url', null, 'invoiceId', i.id, 'number', i.number, 'currency', i.currency,
    'balanceCents', i.balance_cents, 'attempt', i.stripe_attempt, 'retire', checkout_sessions_to_close(i.id),
    'key', format('invoice-%s-%s-%s', i.id, i.stripe_attempt, (extract(epoch from i.created_at) * 1000000)::bigint),
    'clientName', (select coalesce(nullif(company, ''), name) from clients where id = i.client_id),
    'clientEmail', (select nullif(email, '') from clients where id = i.client_id));
end
$$;

-- Stores the Checkout session that Stripe created for this attempt, and marks `p_closed` as expired. `stored` false
-- means that the invoice has changed meanwhile, so that this session must be expired too.
create function store_checkout(p_invoice_id bigint, p_attempt integer, p_session_id text, p_url text,
                               p_cents bigint, p_expires_at timestamptz, p_closed text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  fits boolean;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  perform advance_checkout_session(closed, 'EXPIRED') from unnest(p_closed) closed;
  fits := i.id is not null and i.stripe_attempt = p_attempt and i.balance_cents = p_cents and invoice_not_payable_error(i) is null
    and p_expires_at > now() + interval '2 minutes';
  insert into checkout_sessions (session_id, invoice_id, state, amount_cents, expires_at)
  values (p_session_id, i.id, case when fits then 'OPEN' else 'RETIRED' end, p_cents, p_expires_at)
  on conflict (session_id) do nothing;
  fits := fits and exists (select from checkout_sessions where session_id = p_session_id and state = 'OPEN');
  if not fits then
    perform advance_checkout_session(p_session_id, 'RETIRED');
    return jsonb_build_object('stored', false);
  end if;
  update invoices set stripe_session_id = p_session_id, stripe_checkout_url = p_url, stripe_session_cents = p_cents,
    stripe_session_expires_at = p_expires_at where id = i.id;
  if i.stripe_session_id is distinct from p_session_id then
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'CHECKOUT_OPENED',
                         'A payment page was opened for invoice ' || i.number,
                         jsonb_build_object('sessionId', p_session_id, 'amountCents', p_cents));
  end if;
  return jsonb_build_object('stored', true);
end
$$;

-- After a final error that Stripe replays for this attempt's key: the next attempt gets a new key.
create function retire_checkout_attempt(p_invoice_id bigint, p_attempt integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update invoices set stripe_attempt = stripe_attempt + 1
   where id = p_invoice_id and stripe_attempt = p_attempt and stripe_session_id is null;
  return jsonb_build_object('retired', found);
end
$$;

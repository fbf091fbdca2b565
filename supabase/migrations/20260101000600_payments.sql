-- The pay link and the pages that it leads to: at most one open page of an invoice, and none that asks for what is not
-- owed. A page that was taken out of use is RETIRED until Stripe has confirmed that nobody can pay it any more.

create function not_payable(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when i.status = 'PAID' or (i.status in ('PENDING', 'OVERDUE') and i.balance_cents = 0) then
      refusal(409, 'ALREADY_PAID', format('Invoice %s is paid; nothing is left to pay.', i.number))
    when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
      refusal(409, 'NOT_PAYABLE', format('Invoice %s can no longer be paid; ask the shop if you think it should be.', i.number))
    end
$$;

-- Notes how far a page has come; a state never goes back.
create function note_session(p_session_id text, p_state text) returns void
language sql volatile set search_path = public, pg_temp
as $$
  update checkout_sessions set state = p_state
   where session_id = p_session_id
     and array_position(array['OPEN', 'RETIRED', 'EXPIRED', 'COMPLETE', 'FAILED', 'PAID'], p_state)
       > array_position(array['OPEN', 'RETIRED', 'EXPIRED', 'COMPLETE', 'FAILED', 'PAID'], state)
$$;

-- No page that is open, or being made, is paid any more: the next one gets a key of its own, for Stripe would answer the
-- old page to the old key. Answers the one that was open.
create function retire_session(p_invoice_id bigint) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  retired text;
begin
  select stripe_session_id into retired from invoices where id = p_invoice_id;
  update invoices set stripe_attempt = stripe_attempt + 1, stripe_session_id = null, stripe_checkout_url = null,
    stripe_session_cents = null, stripe_session_expires_at = null where id = p_invoice_id;
  perform note_session(retired, 'RETIRED');
  return retired;
end
$$;

-- The pages of an invoice that Stripe is yet to close.
create function sessions_to_close(p_invoice_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(session_id order by created_at), '[]') from checkout_sessions
   where invoice_id = p_invoice_id and state = 'RETIRED' and expires_at > now()
$$;

-- Looks for a page to pay at: the open one when its amount still equals the balance, else leave to make one, once the
-- pages in `retire` are closed. The attempt is stored before Stripe is asked, for Stripe replays its first answer to a
-- `key`, which is of this row of this database alone.
create function open_checkout(p_pay_token text, p_invoice_id bigint, p_client_id bigint, p_refresh boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  refused jsonb;
begin
  if p_pay_token is not null then
    select * into i from invoices where pay_token = p_pay_token for no key update;
  else
    select * into i from invoices
     where id = p_invoice_id and (p_client_id is null or client_id = p_client_id) for no key update;
  end if;
  if not found then
    return refusal(404, 'INVOICE_NOT_FOUND', 'This link belongs to no invoice; ask the shop for a new one.');
  end if;
  refused := coalesce(not_payable(i), case
    when exists (select from checkout_sessions where invoice_id = i.id and state = 'COMPLETE') then
      refusal(409, 'PAYMENT_UNDER_WAY', format('A payment of invoice %s is on its way; wait for the bank''s answer.', i.number)) end);
  if refused is not null then
    return refused;
  end if;
  if not p_refresh and i.stripe_session_id is not null and i.stripe_session_cents = i.balance_cents
     and i.stripe_session_expires_at > now() + interval '2 minutes' then
    return jsonb_build_object('url', i.stripe_checkout_url, 'sessionId', i.stripe_session_id);
  end if;
  if i.stripe_session_id is not null or i.stripe_attempt = 0 then
    perform retire_session(i.id);
    i.stripe_attempt := i.stripe_attempt + 1;
  end if;
  return jsonb_build_object('url', null, 'invoiceId', i.id, 'number', i.number, 'currency', i.currency,
    'balanceCents', i.balance_cents, 'attempt', i.stripe_attempt, 'retire', sessions_to_close(i.id),
    'key', format('invoice-%s-%s-%s', i.id, i.stripe_attempt, (extract(epoch from i.created_at) * 1000000)::bigint),
    'clientName', (select coalesce(nullif(company, ''), name) from clients where id = i.client_id),
    'clientEmail', (select nullif(email, '') from clients where id = i.client_id));
end
$$;

-- Keeps the page that Stripe made for this attempt, and forgets those that Stripe has closed for it. `stored` false: the
-- invoice moved on, so this one is to be closed as well.
create function store_checkout(p_invoice_id bigint, p_attempt integer, p_session_id text, p_url text,
                               p_cents bigint, p_expires_at timestamptz, p_closed text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  fits boolean;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  perform note_session(closed, 'EXPIRED') from unnest(p_closed) closed;
  fits := i.id is not null and i.stripe_attempt = p_attempt and i.balance_cents = p_cents and not_payable(i) is null
    and p_expires_at > now() + interval '2 minutes';
  insert into checkout_sessions (session_id, invoice_id, state, amount_cents, expires_at)
  values (p_session_id, i.id, case when fits then 'OPEN' else 'RETIRED' end, p_cents, p_expires_at)
  on conflict (session_id) do nothing;
  fits := fits and exists (select from checkout_sessions where session_id = p_session_id and state = 'OPEN');
  if not fits then
    perform note_session(p_session_id, 'RETIRED');
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

-- Stripe saved a final error for this attempt's key: the next try needs a key of its own.
create function retire_attempt(p_invoice_id bigint, p_attempt integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update invoices set stripe_attempt = stripe_attempt + 1
   where id = p_invoice_id and stripe_attempt = p_attempt and stripe_session_id is null;
  return jsonb_build_object('retired', found);
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'not_payable(invoices)', 'note_session(text, text)', 'retire_session(bigint)', 'sessions_to_close(bigint)',
    'open_checkout(text, bigint, bigint, boolean)',
    'store_checkout(bigint, integer, text, text, bigint, timestamptz, text[])', 'retire_attempt(bigint, integer)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

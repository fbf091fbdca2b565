-- The pay link, the one live Checkout session of an invoice, and Stripe's events.

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

-- Looks for a session to pay with: the live one when its amount still equals the balance, else leave to make one.
-- The attempt is stored before Stripe is asked, for Stripe replays the first answer to an idempotency key.
create function open_checkout(p_pay_token text, p_invoice_id bigint, p_client_id bigint, p_refresh boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  refused jsonb;
  retired text;
begin
  select * into i from invoices
   where case when p_pay_token is not null then pay_token = p_pay_token
              else id = p_invoice_id and (p_client_id is null or client_id = p_client_id) end
   for no key update;
  if not found then
    return refusal(404, 'INVOICE_NOT_FOUND', 'This link belongs to no invoice; ask the shop for a new one.');
  end if;
  refused := not_payable(i);
  if refused is not null then
    return refused;
  end if;
  if not p_refresh and i.stripe_session_id is not null and i.stripe_session_cents = i.balance_cents
     and i.stripe_session_expires_at > now() + interval '2 minutes' then
    return jsonb_build_object('url', i.stripe_checkout_url, 'sessionId', i.stripe_session_id);
  end if;
  retired := i.stripe_session_id;
  if retired is not null or i.stripe_attempt = 0 then
    update invoices set stripe_attempt = stripe_attempt + 1, stripe_session_id = null, stripe_checkout_url = null,
      stripe_session_cents = null, stripe_session_expires_at = null
    where id = i.id;
    i.stripe_attempt := i.stripe_attempt + 1;
  end if;
  return jsonb_build_object('url', null, 'invoiceId', i.id, 'number', i.number, 'currency', i.currency,
    'balanceCents', i.balance_cents, 'attempt', i.stripe_attempt, 'retire', retired,
    'clientName', (select coalesce(nullif(company, ''), name) from clients where id = i.client_id),
    'clientEmail', (select nullif(email, '') from clients where id = i.client_id));
end
$$;

-- Keeps the session that Stripe made for this attempt. `stored` false: the invoice moved on, expire it again.
create function store_checkout(p_invoice_id bigint, p_attempt integer, p_session_id text, p_url text,
                               p_cents bigint, p_expires_at timestamptz) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if i.id is null or i.stripe_attempt <> p_attempt or i.balance_cents <> p_cents or not_payable(i) is not null then
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

-- The whole effect of one Stripe event, once. A concurrent twin waits at the insert and answers duplicate. A paid
-- session is always recorded: what it exceeds the balance by becomes credit, and is flagged.
create function apply_stripe_event(p_event jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  session jsonb := p_event #> '{data,object}';
  i invoices;
  recorded bigint;
  amount bigint := (session ->> 'amount_total')::bigint;
  named text := session #>> '{metadata,invoiceId}';
  flags text[] := '{}';
  actor jsonb;
begin
  insert into webhook_events (stripe_event_id, event_type, metadata)
  values (p_event ->> 'id', p_event ->> 'type', jsonb_build_object('sessionId', session ->> 'id'))
  on conflict (stripe_event_id) do nothing returning id into recorded;
  if recorded is null then
    return jsonb_build_object('outcome', 'DUPLICATE');
  end if;
  if p_event ->> 'type' not in ('checkout.session.completed', 'checkout.session.async_payment_succeeded')
     or session ->> 'payment_status' is distinct from 'paid' then
    return jsonb_build_object('outcome', 'RECORDED');
  end if;
  if named ~ '^[0-9]{1,18}$' then
    select * into i from invoices where id = named::bigint for no key update;
  end if;
  if i.id is null then
    update webhook_events set outcome = 'UNMATCHED',
      metadata = metadata || jsonb_build_object('amount', amount, 'currency', session ->> 'currency')
    where id = recorded;
    return jsonb_build_object('outcome', 'UNMATCHED');
  end if;
  if upper(session ->> 'currency') <> i.currency then
    -- Another currency's minor units are not this invoice's: a person must look, nothing is added up.
    update webhook_events set outcome = 'FLAGGED', invoice_id = i.id, metadata = metadata || jsonb_build_object(
      'invoiceId', i.id, 'amount', amount, 'flags', jsonb_build_array('CURRENCY')) where id = recorded;
    return jsonb_build_object('outcome', 'FLAGGED', 'invoiceId', i.id);
  end if;
  if amount > i.balance_cents then flags := flags || 'EXCESS'::text; end if;
  if amount < i.balance_cents then flags := flags || 'SHORT'::text; end if;
  if i.status not in ('PENDING', 'OVERDUE') then flags := flags || ('STATUS_' || i.status)::text; end if;
  insert into payments (invoice_id, kind, method, amount_cents, processor_id, reference, is_flagged, paid_at)
  values (i.id, 'PAYMENT', 'STRIPE', amount, coalesce(session ->> 'payment_intent', session ->> 'id'), session ->> 'id', flags <> '{}',
          to_timestamp((p_event ->> 'created')::bigint))
  on conflict (processor_id) do nothing;
  if not found then
    return jsonb_build_object('outcome', 'RECORDED', 'invoiceId', i.id);
  end if;
  actor := jsonb_build_object('stripeEventId', p_event ->> 'id', 'amountCents', amount, 'flags', to_jsonb(flags));
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAYMENT_RECEIVED',
                       'A card payment arrived for invoice ' || i.number, actor);
  perform settle_invoice(i.id, actor);
  update webhook_events set outcome = case when flags = '{}' then 'APPLIED' else 'FLAGGED' end, invoice_id = i.id,
    metadata = metadata || jsonb_build_object('invoiceId', i.id, 'amount', amount, 'flags', to_jsonb(flags))
  where id = recorded;
  return jsonb_build_object('outcome', case when flags = '{}' then 'APPLIED' else 'FLAGGED' end, 'invoiceId', i.id);
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'not_payable(invoices)', 'open_checkout(text, bigint, bigint, boolean)',
    'store_checkout(bigint, integer, text, text, bigint, timestamptz)', 'retire_attempt(bigint, integer)',
    'apply_stripe_event(jsonb)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

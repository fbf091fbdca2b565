-- What every document shares: refusals, numbers, the activity log, the business date, and the ledger rule.

-- An expected refusal before any write is a value; `Database.call` turns it into the API's error.
create function refusal(p_status integer, p_code text, p_message text, p_details jsonb default null) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select jsonb_build_object('error', jsonb_build_object(
    'status', p_status, 'code', p_code, 'message', p_message, 'details', p_details))
$$;

create function business_today() returns date
language sql stable set search_path = public, pg_temp
as $$ select (now() at time zone settings.time_zone)::date from settings $$;

-- Draws the next number inside the caller's transaction: the row lock makes twins wait, a rollback gives the
-- number back. Call it last, for the lock is held until commit.
create function next_document_number(kind text, default_prefix text) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  drawn bigint;
  prefix text;
begin
  insert into number_sequences as s (kind, last_number) values (next_document_number.kind, 1)
  on conflict on constraint number_sequences_pkey do update set last_number = s.last_number + 1
  returning s.last_number into drawn;
  select case next_document_number.kind when 'quote' then quote_prefix when 'invoice' then invoice_prefix end
    into prefix from settings;
  return coalesce(prefix, default_prefix) || lpad(drawn::text, greatest(4, length(drawn::text)), '0');
end
$$;

-- Records a change in the transaction that makes it. `metadata` carries the acting user as userId.
create function log_activity(
  client bigint, quote bigint, invoice bigint, job bigint, printer bigint,
  action text, message text, metadata jsonb default '{}'
) returns void
language sql volatile set search_path = public, pg_temp
as $$
  insert into activity_logs (client_id, quote_id, invoice_id, job_id, printer_id, action, message, metadata)
  values (client, quote, invoice, job, printer, action, message, coalesce(metadata, '{}'))
$$;

-- The ledger: paid_cents is the sum of payments less refunds. The first trigger keeps it, the deferred ones hold
-- it at commit, whoever wrote.
create function keep_ledger() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  if tg_op <> 'INSERT' then
    update invoices set paid_cents = paid_cents - old.amount_cents where id = old.invoice_id;
  end if;
  if tg_op <> 'DELETE' then
    update invoices set paid_cents = paid_cents + new.amount_cents where id = new.invoice_id;
  end if;
  return null;
end
$$;
create trigger keep_ledger after insert or update of amount_cents, invoice_id or delete on payments
  for each row execute function keep_ledger();

create function hold_ledger() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
declare
  parent text := case tg_table_name when 'invoices' then 'id' else 'invoice_id' end;
  held invoices;
  ledger bigint;
begin
  for held in select * from invoices
               where id in ((to_jsonb(new) ->> parent)::bigint, (to_jsonb(old) ->> parent)::bigint) loop
    select coalesce(sum(amount_cents), 0) into ledger from payments where invoice_id = held.id;
    if held.paid_cents <> ledger then
      raise exception 'invoice %: paid_cents is %, its payments sum to %', held.number, held.paid_cents, ledger
        using errcode = 'check_violation';
    end if;
    if held.status = 'PAID' and held.paid_cents < held.total_cents
       and not exists (select from payments where invoice_id = held.id and kind = 'REFUND') then
      raise exception 'invoice % is PAID with % of % paid', held.number, held.paid_cents, held.total_cents
        using errcode = 'check_violation';
    end if;
  end loop;
  return null;
end
$$;
-- Of these columns alone: a deferred trigger runs at the end of whoever's transaction, and Supabase Auth, which clears
-- `created_by` as it forgets a login, may not read the ledger.
create constraint trigger hold_ledger after insert or update of total_cents, paid_cents, status on invoices
  deferrable initially deferred for each row execute function hold_ledger();
create constraint trigger hold_ledger after insert or update of amount_cents, invoice_id, kind or delete on payments
  deferrable initially deferred for each row execute function hold_ledger();

-- A document's lines sum to its subtotal, at commit.
create function hold_subtotal() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
declare
  kind text := split_part(rtrim(tg_table_name, 's'), '_', 1);
  parent text := case when tg_table_name like '%items' then kind || '_id' else 'id' end;
  changed bigint[] := array[(to_jsonb(new) ->> parent)::bigint, (to_jsonb(old) ->> parent)::bigint];
  wrong record;
begin
  if kind = 'invoice' then
    select d.number, d.subtotal_cents, sums.total into wrong from invoices d,
      lateral (select coalesce(sum(i.total_cents), 0) as total from invoice_items i where i.invoice_id = d.id) sums
     where d.id = any (changed) and d.subtotal_cents <> sums.total;
  else
    select d.number, d.subtotal_cents, sums.total into wrong from quotes d,
      lateral (select coalesce(sum(i.total_cents), 0) as total from quote_items i where i.quote_id = d.id) sums
     where d.id = any (changed) and d.subtotal_cents <> sums.total;
  end if;
  if found then
    raise exception '% %: subtotal is %, its lines sum to %', kind, wrong.number, wrong.subtotal_cents, wrong.total
      using errcode = 'check_violation';
  end if;
  return null;
end
$$;
create constraint trigger hold_subtotal after insert or update of subtotal_cents on invoices
  deferrable initially deferred for each row execute function hold_subtotal();
create constraint trigger hold_subtotal after insert or update or delete on invoice_items
  deferrable initially deferred for each row execute function hold_subtotal();
create constraint trigger hold_subtotal after insert or update of subtotal_cents on quotes
  deferrable initially deferred for each row execute function hold_subtotal();
create constraint trigger hold_subtotal after insert or update or delete on quote_items
  deferrable initially deferred for each row execute function hold_subtotal();

-- The answer that this user's key got before on this route, a refusal if it came with another body, null for a new
-- key. Twins wait here for each other. Call it first; `keep_answer` ends the same transaction.
create function replayed(p_user_id bigint, p_route text, p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  answered idempotency_keys;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_route || ':' || p_user_id || ':' || p_key, 0));
  select * into answered from idempotency_keys where user_id = p_user_id and route = p_route and key = p_key;
  if not found then
    return null;
  elsif answered.body_hash <> p_body_hash then
    return refusal(422, 'IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body; send a new key.');
  end if;
  return answered.response;
end
$$;

create function keep_answer(p_user_id bigint, p_route text, p_key text, p_body_hash text, p_response jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  insert into idempotency_keys (user_id, route, key, body_hash, response)
  values (p_user_id, p_route, p_key, p_body_hash, p_response)
$$;

-- Text to find, as a LIKE pattern that means it literally.
create function containing(p_text text) returns text
language sql immutable set search_path = public, pg_temp
as $$ select '%' || replace(replace(replace(lower(p_text), '\', '\\'), '%', '\%'), '_', '\_') || '%' $$;

-- The condition that a row's search_text holds the text of a parameter, literally, in the form that an index serves.
create function found_by(p_row text, p_parameter text, p_query text) returns text
language sql immutable set search_path = public, pg_temp
as $$
  select format('%1$s.search_text like containing(%2$s)', p_row, p_parameter)
    || case when p_query !~ '[[:alnum:]]{3}'
         then format(' and search_marks(%1$s.search_text) @> search_marks(lower(%2$s))', p_row, p_parameter) else '' end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'refusal(integer, text, text, jsonb)', 'business_today()', 'next_document_number(text, text)',
    'log_activity(bigint, bigint, bigint, bigint, bigint, text, text, jsonb)', 'keep_ledger()', 'hold_ledger()',
    'hold_subtotal()', 'replayed(bigint, text, text, text)', 'keep_answer(bigint, text, text, text, jsonb)',
    'containing(text)', 'found_by(text, text, text)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

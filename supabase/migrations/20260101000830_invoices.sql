-- Invoices as the shop writes them and moves them on. Each change takes the invoice's row lock first, its job's next, so
-- of two at once the second sees what the first did. What takes a live payment page out of use answers its session as
-- `retired`, for whoever called to expire at Stripe after the commit.

create function invoice_closed(i invoices) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
    refusal(409, 'INVOICE_CLOSED', format('Invoice %s is %s, which is the end of it; write a new one.', i.number, i.status),
            jsonb_build_object('status', i.status)) end
$$;

create function has_payments(i invoices, p_instead text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when exists (select from payments where invoice_id = i.id) then
    refusal(409, 'HAS_PAYMENTS', format('Invoice %s has payments; %s', i.number, p_instead),
            jsonb_build_object('paidCents', i.paid_cents)) end
$$;

create function changed_invoice(p_invoice_id bigint, p_retired text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$ select jsonb_build_object('invoice', invoice_json(i), 'retired', p_retired) from invoices i where i.id = p_invoice_id $$;

-- A job that nobody has printed at is cancelled with its invoice; one that is under way is held for a person to see.
create function stop_job(p_invoice_id bigint, p_reason text, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
begin
  select * into j from jobs
   where invoice_id = p_invoice_id and status not in ('COMPLETED', 'CANCELLED') and archived_at is null for no key update;
  if j.id is null then
    return;
  elsif j.status < 'PRINTING' and j.printed_seconds = 0 then
    update jobs set status = 'CANCELLED', printer_id = null where id = j.id;
    perform log_activity(j.client_id, null, j.invoice_id, j.id, j.printer_id, 'JOB_MOVED',
                         format('Job %s went from %s to CANCELLED: %s', j.title, j.status, p_reason),
                         p_actor || jsonb_build_object('from', j.status, 'to', 'CANCELLED'));
  else
    perform hold_job(p_invoice_id, p_reason, p_actor);
  end if;
end
$$;

-- Keeps a job from the printers until the shop clears it; a reason that it has already stays.
create function hold_job(p_invoice_id bigint, p_reason text, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  j jobs;
begin
  update jobs set held_reason = p_reason
   where invoice_id = p_invoice_id and held_reason is null and status not in ('COMPLETED', 'CANCELLED')
     and archived_at is null
  returning * into j;
  if found then
    perform log_activity(j.client_id, null, j.invoice_id, j.id, j.printer_id, 'JOB_HELD',
                         format('Job %s is held: %s', j.title, p_reason), p_actor);
  end if;
end
$$;

-- The job follows the lines that an edit left: what it will take, unless they ask for the same as before, for then the
-- estimate may be the shop's own; and whoever pays for the fast track from now on is on it.
create function follow_lines(p_invoice_id bigint, p_seconds_before bigint, p_mass_mg_before bigint, p_actor jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  prints record;
  j jobs;
  seconds bigint;
  mass_mg bigint;
  urgency job_priority;
begin
  select * into j from jobs
   where invoice_id = p_invoice_id and archived_at is null and status not in ('COMPLETED', 'CANCELLED') for no key update;
  if not found then
    return;
  end if;
  select * into prints from invoice_prints(p_invoice_id);
  seconds := case when prints.seconds = p_seconds_before then j.estimated_seconds else prints.seconds end;
  mass_mg := case when prints.mass_mg = p_mass_mg_before then j.estimated_mass_mg else prints.mass_mg end;
  urgency := case when prints.is_fast_track and j.priority = 'NORMAL' then 'FAST_TRACK' else j.priority end;
  if (seconds, mass_mg, urgency) is distinct from (j.estimated_seconds, j.estimated_mass_mg, j.priority) then
    update jobs set estimated_seconds = seconds, estimated_mass_mg = mass_mg, priority = urgency where id = j.id;
    perform log_activity(j.client_id, null, j.invoice_id, j.id, j.printer_id, 'JOB_CHANGED',
                         format('Job %s follows the new lines of its invoice', j.title), p_actor || jsonb_build_object(
                           'changes', jsonb_build_object('estimatedSeconds', seconds, 'estimatedMassMg', mass_mg, 'priority', urgency)));
  end if;
end
$$;

-- The day to pay by: as given, else by the named term, else by the client's. Null for a term that the shop has not.
create function due_day(p_client_id bigint, p_issued date, p_due_date date, p_payment_term text) returns date
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_due_date is not null then p_due_date
    when p_payment_term is not null then
      (select p_issued + (t.value ->> 'days')::integer from settings s, jsonb_array_elements(s.payment_terms) t
        where t.value ->> 'code' = p_payment_term)
    else p_issued + payment_term_days(p_client_id) end
$$;

create function due_day_refused(p_issued date, p_due date) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_due is null then
      refusal(422, 'UNKNOWN_PAYMENT_TERM', 'Name one of the payment terms in the shop''s settings, or a dueDate.',
              jsonb_build_array(jsonb_build_object('field', 'paymentTerm')))
    when p_due < p_issued then
      refusal(422, 'DUE_BEFORE_ISSUE', format('Let the invoice be due on its issue date, %s, or later.', p_issued),
              jsonb_build_array(jsonb_build_object('field', 'dueDate'))) end
$$;

-- `p_document` has the columns in camelCase; the amounts are the pricing module's, and the constraints hold them together.
create function create_invoice(p_user_id bigint, p_client_id bigint, p_due_date date, p_payment_term text,
                               p_document jsonb, p_items jsonb, p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  today date := business_today();
  due date := due_day(p_client_id, today, p_due_date, p_payment_term);
  refused jsonb;
  i invoices;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  perform from clients where id = p_client_id for key share;
  if not found then
    return refusal(422, 'UNKNOWN_CLIENT', 'Name one of the shop''s clients in clientId.',
                   jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  refused := due_day_refused(today, due);
  if refused is not null then
    return refused;
  end if;
  insert into invoices (number, client_id, issue_date, due_date, currency, discount_type, discount_bps,
                        discount_fixed_cents, subtotal_cents, discount_cents, shipping_cents, shipping_label,
                        tax_rate_bps, tax_cents, total_cents, notes, terms, created_by)
  values (next_document_number('invoice', 'INV-'), p_client_id, today, due, p_document ->> 'currency',
          (p_document ->> 'discountType')::discount_type, (p_document ->> 'discountBps')::integer,
          (p_document ->> 'discountFixedCents')::bigint, (p_document ->> 'subtotalCents')::bigint,
          (p_document ->> 'discountCents')::bigint, (p_document ->> 'shippingCents')::bigint,
          p_document ->> 'shippingLabel', (p_document ->> 'taxRateBps')::integer, (p_document ->> 'taxCents')::bigint,
          (p_document ->> 'totalCents')::bigint, p_document ->> 'notes', p_document ->> 'terms', p_user_id)
  returning * into i;
  perform write_invoice_items(i.id, p_items);
  perform save_order_files(p_files, i.id, null, i.client_id, p_user_id);
  perform log_activity(i.client_id, null, i.id, null, null, 'INVOICE_CREATED', 'Invoice ' || i.number || ' was written',
                       actor || jsonb_build_object('totalCents', i.total_cents));
  if (select job_policy from settings) = 'ON_INVOICE' then
    perform ensure_job(i.id, actor);
  end if;
  perform settle_invoice(i.id, actor);
  return (select invoice_json(made) from invoices made where made.id = i.id);
end
$$;

-- Lines that come back as they stood, but without what priced them, keep it: the print's figures are its job's.
create function with_kept_details(p_invoice_id bigint, p_items jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_agg(n.value || case when coalesce(n.value -> 'details', '{}') = '{}' then jsonb_build_object('details', coalesce(
      (select l.details from invoice_items l
        where l.invoice_id = p_invoice_id and l.description = n.value ->> 'description'
          and l.quantity_milli = (n.value ->> 'quantityMilli')::bigint
          and l.unit_price_cents = (n.value ->> 'unitPriceCents')::bigint
        order by l.position limit 1), '{}')) else '{}' end order by n.ordinality)
    from jsonb_array_elements(p_items) with ordinality n
$$;

create function not_editable(i invoices, p_client_id bigint, p_document jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case
    when i.status in ('VOID', 'WRITTEN_OFF', 'REFUNDED') then
      refusal(409, 'NOT_EDITABLE', format('Invoice %s is %s and stays as it is; write a new one.', i.number, i.status),
              jsonb_build_object('status', i.status))
    when p_client_id <> i.client_id then
      refusal(409, 'CLIENT_FIXED', format('Invoice %s stays its client''s; void it and write one for the other.', i.number),
              jsonb_build_array(jsonb_build_object('field', 'clientId')))
    when p_document ->> 'currency' <> i.currency and exists (select from payments where invoice_id = i.id) then
      refusal(409, 'CURRENCY_FIXED', format('Invoice %s was paid in %s and stays in it; write a new one in %s.',
              i.number, i.currency, p_document ->> 'currency'), jsonb_build_object('currency', i.currency))
    when (p_document ->> 'totalCents')::bigint > i.total_cents
         and exists (select from payments where invoice_id = i.id and kind = 'REFUND') then
      refusal(409, 'HAS_REFUNDS', format('Invoice %s has a refund, so nothing more is owed on it; write a new one for what comes on top.',
              i.number), jsonb_build_object('totalCents', i.total_cents)) end
$$;

-- Replaces everything that the shop wrote; payments stay, and the status follows the ledger. Files that the new lines
-- bring again (same model, same slice) replace the old copies, whose keys are answered.
create function update_invoice(p_user_id bigint, p_invoice_id bigint, p_client_id bigint, p_due_date date,
                               p_payment_term text, p_document jsonb, p_items jsonb, p_files jsonb) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  due date;
  refused jsonb;
  items jsonb;
  before record;
  replaced jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  due := due_day(i.client_id, i.issue_date, p_due_date, p_payment_term);
  refused := coalesce(not_editable(i, p_client_id, p_document), due_day_refused(i.issue_date, due));
  if refused is not null then
    return refused;
  end if;
  items := with_kept_details(i.id, p_items);
  select * into before from invoice_prints(i.id);
  update invoices set due_date = due, currency = p_document ->> 'currency',
    discount_type = (p_document ->> 'discountType')::discount_type, discount_bps = (p_document ->> 'discountBps')::integer,
    discount_fixed_cents = (p_document ->> 'discountFixedCents')::bigint,
    subtotal_cents = (p_document ->> 'subtotalCents')::bigint, discount_cents = (p_document ->> 'discountCents')::bigint,
    shipping_cents = (p_document ->> 'shippingCents')::bigint, shipping_label = p_document ->> 'shippingLabel',
    tax_rate_bps = (p_document ->> 'taxRateBps')::integer, tax_cents = (p_document ->> 'taxCents')::bigint,
    total_cents = (p_document ->> 'totalCents')::bigint, notes = p_document ->> 'notes', terms = p_document ->> 'terms',
    status = case when invoices.status = 'OVERDUE' and due + s.overdue_grace_days >= business_today()
                  then 'PENDING' else invoices.status end
    from settings s where invoices.id = i.id;
  perform write_invoice_items(i.id, items);
  perform follow_lines(i.id, before.seconds, before.mass_mg, actor);
  with gone as (
    delete from order_files f using jsonb_array_elements(p_files) n
     where f.invoice_id = i.id and f.filename = n.value ->> 'filename'
       and f.file_type = (n.value ->> 'fileType')::order_file_type
       and f.metadata -> 'settingsHash' = n.value #> '{metadata,settingsHash}'
    returning f.storage_key)
  select coalesce(jsonb_agg(distinct storage_key), '[]') into replaced from gone;
  perform save_order_files(p_files, i.id, null, i.client_id, p_user_id);
  retired := retire_session(i.id);
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_EDITED', 'Invoice ' || i.number || ' was edited',
                       actor || jsonb_build_object('totalCents', p_document -> 'totalCents', 'formerTotalCents', i.total_cents));
  perform settle_invoice(i.id, actor);
  return changed_invoice(i.id, retired) || jsonb_build_object('storageKeys', replaced);
end
$$;

-- Deletes what was never sent and never paid, with its rows of files; answers the keys whose objects must follow. The
-- number stays retired and in the activity log. An unstarted job goes with it.
create function delete_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  j jobs;
  refused jsonb;
  attached jsonb;
  ordered jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  elsif i.quote_id is not null then
    return refusal(409, 'USE_REVERT', format('Invoice %s came from a quote; revert it instead.', i.number));
  elsif i.sent_at is not null then
    return refusal(409, 'ALREADY_SENT', format('Invoice %s was sent; void it instead.', i.number));
  end if;
  refused := coalesce(has_payments(i, 'it stays in the books.'), case when exists (
      select from activity_logs where invoice_id = i.id and action in ('PAYMENT_RECORDED', 'PAYMENT_RECEIVED')) then
    refusal(409, 'HAS_PAYMENTS', format('Invoice %s was paid once and stays in the books; void it instead.', i.number)) end);
  select * into j from jobs where invoice_id = i.id for update;
  if refused is null and j.id is not null and j.status <> 'CANCELLED' and (j.status >= 'PRINTING' or j.printed_seconds > 0) then
    refused := refusal(409, 'JOB_STARTED', format('The job of invoice %s is %s; void the invoice instead.', i.number, j.status),
                       jsonb_build_object('jobId', j.id, 'status', j.status));
  end if;
  if refused is not null then
    return refused;
  end if;
  perform log_activity(i.client_id, null, i.id, j.id, null, 'INVOICE_DELETED', 'Invoice ' || i.number || ' was deleted',
                       actor || jsonb_build_object('invoiceId', i.id, 'number', i.number, 'totalCents', i.total_cents));
  delete from jobs where id = j.id;
  with gone as (delete from attachments where invoice_id = i.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into attached from gone;
  with gone as (delete from order_files where invoice_id = i.id returning storage_key)
  select coalesce(jsonb_agg(storage_key), '[]') into ordered from gone;
  retired := retire_session(i.id);
  delete from invoices where id = i.id;
  return jsonb_build_object('number', i.number, 'attachmentKeys', attached, 'orderFileKeys', ordered, 'retired', retired);
end
$$;

create function void_unpaid(i invoices, p_reason text, p_actor jsonb) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  retired text := retire_session(i.id);
begin
  update invoices set status = 'VOID' where id = i.id;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_VOIDED',
                       format('Invoice %s is void: %s', i.number, p_reason), p_actor);
  perform stop_job(i.id, 'its invoice is void', p_actor);
  return retired;
end
$$;

create function void_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  refused jsonb;
  retired text;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  refused := coalesce(invoice_closed(i), has_payments(i, 'refund or delete them before it is void.'));
  if refused is not null then
    return refused;
  end if;
  retired := void_unpaid(i, 'it was taken back', jsonb_build_object('userId', p_user_id));
  return changed_invoice(i.id, retired);
end
$$;

-- Gives up what is still owed; `written_off_cents` keeps it.
create function write_off_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  refused jsonb;
  retired text;
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  refused := coalesce(invoice_closed(i), not_payable(i));
  if refused is not null then
    return refused;
  end if;
  retired := retire_session(i.id);
  update invoices set status = 'WRITTEN_OFF', written_off_cents = i.balance_cents, written_off_at = now() where id = i.id;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_WRITTEN_OFF',
                       'Invoice ' || i.number || ' was written off',
                       jsonb_build_object('userId', p_user_id, 'writtenOffCents', i.balance_cents));
  return changed_invoice(i.id, retired);
end
$$;

-- Takes a conversion back: the invoice is void, the quote ACCEPTED, and converts again.
create function revert_invoice(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
  q quotes;
  refused jsonb;
  retired text;
  actor jsonb := jsonb_build_object('userId', p_user_id);
begin
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  elsif i.quote_id is null then
    return refusal(409, 'NOT_FROM_A_QUOTE', format('Invoice %s came from no quote; void it instead.', i.number));
  end if;
  refused := coalesce(invoice_closed(i), has_payments(i, 'its quote cannot be converted again.'));
  if refused is not null then
    return refused;
  end if;
  retired := void_unpaid(i, 'its quote was opened again', actor);
  update quotes set status = 'ACCEPTED', converted_invoice_id = null
   where id = i.quote_id and converted_invoice_id = i.id returning * into q;
  if found then
    perform log_activity(i.client_id, q.id, i.id, null, null, 'INVOICE_REVERTED',
                         format('Invoice %s was taken back; quote %s may be converted again', i.number, q.number), actor);
  end if;
  return changed_invoice(i.id, retired);
end
$$;

-- Sent, for the first time or again. `p_email` queues the mail in the same transaction.
create function send_invoice(p_user_id bigint, p_invoice_id bigint, p_key text, p_body_hash text, p_email boolean,
                             p_to text, p_message text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  answered jsonb := replayed(p_user_id, 'invoices/send', p_key, p_body_hash);
  i invoices;
  refused jsonb;
  recipient text;
  mail bigint;
  response jsonb;
begin
  if answered is not null then
    return answered;
  end if;
  select * into i from invoices where id = p_invoice_id for no key update;
  if not found then
    return no_such_invoice();
  end if;
  select coalesce(nullif(p_to, ''), email) into recipient from clients where id = i.client_id;
  refused := coalesce(invoice_closed(i), case when p_email and length(recipient) < 3 then
    refusal(422, 'NO_EMAIL', 'This client has no e-mail address; name one in to.',
            jsonb_build_array(jsonb_build_object('field', 'to'))) end);
  if refused is not null then
    return refused;
  end if;
  update invoices set sent_at = coalesce(sent_at, now()) where id = i.id returning * into i;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_SENT', 'Invoice ' || i.number || ' was sent',
                       jsonb_build_object('userId', p_user_id));
  mail := queue_mail('INVOICE', i.id, case when p_email then recipient end, p_message, p_user_id);
  response := invoice_json(i) || jsonb_build_object(
    'mailId', mail, 'mail', case when p_email then jsonb_build_object('id', mail, 'status', 'QUEUED') end);
  perform keep_answer(p_user_id, 'invoices/send', p_key, p_body_hash, response);
  return response;
end
$$;

-- The old link opens nothing any more; a payment page that is open already stays.
create function rotate_pay_token(p_user_id bigint, p_invoice_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  i invoices;
begin
  update invoices set pay_token = unguessable_token() where id = p_invoice_id returning * into i;
  if not found then
    return no_such_invoice();
  end if;
  perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'PAY_LINK_CHANGED',
                       'Invoice ' || i.number || ' got a new pay link', jsonb_build_object('userId', p_user_id));
  return invoice_json(i);
end
$$;

-- What a client may read of an invoice's activity: what happened to it and to its money, not the shop's own work.
create function client_reads(p_action text) returns boolean
language sql immutable set search_path = public, pg_temp
as $$
  select p_action = any ('{INVOICE_CREATED, INVOICE_EDITED, INVOICE_SENT, INVOICE_MAILED, INVOICE_PAID, INVOICE_UNPAID,
    INVOICE_OVERDUE, INVOICE_VOIDED, INVOICE_WRITTEN_OFF, INVOICE_REFUNDED, QUOTE_CONVERTED, CHECKOUT_OPENED,
    PAYMENT_RECEIVED, PAYMENT_RECORDED, PAYMENT_DELETED, ATTACHMENT_SAVED, ATTACHMENT_REPLACED, ATTACHMENT_DELETED}'::text[])
$$;

-- Newest first, keyset by id. Its client reads what happened, not who did it nor with what.
create function list_invoice_activity(p_client_id bigint, p_invoice_id bigint, p_limit integer, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  listed jsonb;
begin
  perform from invoices where id = p_invoice_id and (p_client_id is null or client_id = p_client_id);
  if not found then
    return no_such_invoice();
  end if;
  execute format($q$
    select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'action', a.action, 'message', a.message,
        'createdAt', a.created_at, 'metadata', case when $2 is null then a.metadata end) order by a.id desc), '[]')
      from (select * from activity_logs where invoice_id = $1 %s order by id desc limit $3) a $q$,
    concat_ws(' ', case when p_before_id is not null then 'and id < $4' end,
              case when p_client_id is not null then 'and client_reads(action)' end))
    into listed using p_invoice_id, p_client_id, p_limit, p_before_id;
  return listed;
end
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'invoice_closed(invoices)', 'has_payments(invoices, text)', 'changed_invoice(bigint, text)',
    'stop_job(bigint, text, jsonb)', 'hold_job(bigint, text, jsonb)',
    'follow_lines(bigint, bigint, bigint, jsonb)', 'due_day(bigint, date, date, text)', 'due_day_refused(date, date)',
    'create_invoice(bigint, bigint, date, text, jsonb, jsonb, jsonb)', 'with_kept_details(bigint, jsonb)',
    'not_editable(invoices, bigint, jsonb)',
    'update_invoice(bigint, bigint, bigint, date, text, jsonb, jsonb, jsonb)', 'delete_invoice(bigint, bigint)',
    'void_unpaid(invoices, text, jsonb)', 'void_invoice(bigint, bigint)', 'write_off_invoice(bigint, bigint)',
    'revert_invoice(bigint, bigint)', 'send_invoice(bigint, bigint, text, text, boolean, text, text)',
    'rotate_pay_token(bigint, bigint)', 'client_reads(text)', 'list_invoice_activity(bigint, bigint, integer, bigint)'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

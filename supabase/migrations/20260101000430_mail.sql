-- Mail: a document and a message to an address. Queued in the transaction of whoever sends it, claimed by one mailer
-- at a time, and told of in the document's activity. A worker that comes late, its claim taken over, writes nothing.
-- Without an address there is nothing to tell: the document is put on paper as it was sent, and kept.

create function log_mail(m mails, p_action text, p_said text, p_metadata jsonb) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  metadata jsonb := jsonb_build_object('mailId', m.id, 'to', m.to_address) || p_metadata;
begin
  if m.to_address is null then
    return;
  elsif m.kind = 'QUOTE' then
    perform log_activity(q.client_id, q.id, null, null, null, 'QUOTE_' || p_action,
                         'Quote ' || q.number || ' ' || p_said, metadata)
      from quotes q where q.id = m.quote_id;
  else
    perform log_activity(i.client_id, i.quote_id, i.id, null, null, 'INVOICE_' || p_action,
                         'Invoice ' || i.number || ' ' || p_said, metadata)
      from invoices i where i.id = m.invoice_id;
  end if;
end
$$;

-- Answers the mail's id: its message goes into the queue after the commit, or with the janitor's next round.
create function queue_mail(p_kind mail_kind, p_document_id bigint, p_to text, p_message text, p_user_id bigint) returns bigint
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  made mails;
begin
  insert into mails (kind, quote_id, invoice_id, to_address, message, created_by)
  values (p_kind, case p_kind when 'QUOTE' then p_document_id end, case p_kind when 'INVOICE' then p_document_id end,
          p_to, coalesce(p_message, ''), p_user_id)
  returning * into made;
  perform log_mail(made, 'MAIL_QUEUED', 'is on its way by e-mail', jsonb_build_object('userId', p_user_id));
  return made.id;
end
$$;

create function give_up_mail(m mails, p_reason text) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update mails set status = 'FAILED', error = p_reason, claim_token = null, lease_until = null where id = m.id;
  perform log_mail(m, 'MAIL_FAILED', 'could not be e-mailed: ' || p_reason,
                   jsonb_build_object('userId', m.created_by, 'by', 'mailer', 'reason', p_reason));
end
$$;

-- Answers `state`: claimed (with everything to send), busy (another mailer has it), or done (nothing is left to do).
-- The fifth attempt is the last.
create function claim_mail(p_mail_id bigint, p_lease_seconds integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m mails;
  token uuid := gen_random_uuid();
  found jsonb;
begin
  select * into m from mails where id = p_mail_id for update;
  if m.id is null or m.status in ('SENT', 'FAILED') then
    return '{"state": "done"}';
  end if;
  if m.status = 'SENDING' and m.lease_until > now() then
    return '{"state": "busy"}';
  end if;
  if m.attempts >= 5 then
    perform give_up_mail(m, coalesce(m.error, 'The mailer was interrupted five times; send it again.'));
    return '{"state": "done"}';
  end if;
  found := get_document(lower(m.kind::text), coalesce(m.quote_id, m.invoice_id), null);
  if found #>> '{document,status}' = 'VOID' then
    perform give_up_mail(m, 'The invoice was voided before it was sent.');
    return '{"state": "done"}';
  end if;
  update mails set status = 'SENDING', attempts = attempts + 1, claim_token = token,
    lease_until = now() + make_interval(secs => p_lease_seconds)
  where id = m.id;
  return found || jsonb_build_object('state', 'claimed', 'claimToken', token, 'attempt', m.attempts + 1,
                                     'to', m.to_address, 'message', m.message);
end
$$;

-- Before it is sent: which PDF goes with it. `written` false: another mailer has taken it over, and this one must not send.
create function note_mail_pdf(p_mail_id bigint, p_claim_token uuid, p_pdf_key text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update mails set pdf_key = p_pdf_key where id = p_mail_id and status = 'SENDING' and claim_token = p_claim_token;
  return jsonb_build_object('written', found);
end
$$;

-- The PDF that last went to the customer; `p_client_id` null reads as the shop, else only what is this client's.
create function get_sent_pdf(p_kind text, p_id bigint, p_client_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  found_number text;
  key text;
begin
  if p_kind = 'invoice' then
    select number into found_number from invoices where id = p_id and (p_client_id is null or client_id = p_client_id);
    if not found then
      return no_such_invoice();
    end if;
    select pdf_key into key from mails where invoice_id = p_id and status = 'SENT' order by id desc limit 1;
  else
    select number into found_number from quotes
     where id = p_id and (p_client_id is null or (client_id = p_client_id and status <> 'DRAFT'));
    if not found then
      return refusal(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.');
    end if;
    select pdf_key into key from mails where quote_id = p_id and status = 'SENT' order by id desc limit 1;
  end if;
  if key is null then
    return refusal(409, 'NOT_SENT', format(
      '%s is not kept as sent yet: if it was sent just now, ask again in a minute; leave `sent` away to read it as it stands now.',
      found_number));
  end if;
  return jsonb_build_object('number', found_number, 'storageKey', key);
end
$$;

create function finish_mail(p_mail_id bigint, p_claim_token uuid, p_provider_id text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m mails;
begin
  update mails set status = 'SENT', sent_at = now(), provider_id = p_provider_id, error = null, claim_token = null,
    lease_until = null
  where id = p_mail_id and status = 'SENDING' and claim_token = p_claim_token
  returning * into m;
  if m.id is null then
    return '{"written": false}';
  end if;
  perform log_mail(m, 'MAILED', 'was e-mailed', jsonb_build_object('userId', m.created_by, 'by', 'mailer'));
  return '{"written": true}';
end
$$;

-- Back into the queue, or given up when the failure is final or the attempt was the last.
create function fail_mail(p_mail_id bigint, p_claim_token uuid, p_reason text, p_final boolean) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m mails;
begin
  select * into m from mails
   where id = p_mail_id and status = 'SENDING' and claim_token = p_claim_token for update;
  if m.id is null then
    return '{"written": false, "status": null}';
  end if;
  if p_final or m.attempts >= 5 then
    perform give_up_mail(m, p_reason);
    return '{"written": true, "status": "FAILED"}';
  end if;
  update mails set status = 'QUEUED', queued_at = now(), error = p_reason, claim_token = null, lease_until = null
  where id = m.id;
  return '{"written": true, "status": "QUEUED"}';
end
$$;

-- Mails whose message never left or was lost, and mails whose mailer is gone: the ids to put into the queue again.
create function requeue_mails() returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  with sent as (
    update mails set queued_at = now() where id in (
      select id from mails
       where status in ('QUEUED', 'SENDING') and queued_at < now() - interval '2 minutes'
         and (status = 'QUEUED' or lease_until < now())
       order by queued_at for update skip locked limit 500)
    returning id)
  select jsonb_build_object('mailIds', coalesce(jsonb_agg(id order by id), '[]')) from sent
$$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'log_mail(mails, text, text, jsonb)', 'queue_mail(mail_kind, bigint, text, text, bigint)',
    'give_up_mail(mails, text)', 'claim_mail(bigint, integer)', 'note_mail_pdf(bigint, uuid, text)',
    'get_sent_pdf(text, bigint, bigint)', 'finish_mail(bigint, uuid, text)',
    'fail_mail(bigint, uuid, text, boolean)', 'requeue_mails()'] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end
$$;

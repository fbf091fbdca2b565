-- E-mails: a document and a message to an address. Queued in the transaction of the sender, claimed by one mailer at a
-- time, logged in the document's activity. A mailer whose claim was taken over writes nothing.

-- Logs an e-mail's event in its document's activity. Without an address nothing was e-mailed, and nothing is logged.
create function log_mail_activity(m mails, p_action text, p_said text, p_metadata jsonb) returns void
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

-- Queues a document's e-mail and returns its id. The caller puts the id into the mail queue after the commit; the
-- janitor does so later for ids that were lost. A null address sends nothing, but stores the PDF as it was sent.
create function queue_mail(p_kind mail_kind, p_document_id bigint, p_to text, p_message text, p_user_id bigint) returns bigint
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  created mails;
begin
  insert into mails (kind, quote_id, invoice_id, to_address, message, created_by)
  values (p_kind, case p_kind when 'QUOTE' then p_document_id end, case p_kind when 'INVOICE' then p_document_id end,
          p_to, coalesce(p_message, ''), p_user_id)
  returning * into created;
  perform log_mail_activity(created, 'MAIL_QUEUED', 'is on its way by e-mail', jsonb_build_object('userId', p_user_id));
  return created.id;
end
$$;

-- Marks a mail as failed for good.
create function mark_mail_failed(m mails, p_reason text) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update mails set status = 'FAILED', error = p_reason, claim_token = null, lease_until = null where id = m.id;
  perform log_mail_activity(m, 'MAIL_FAILED', 'could not be e-mailed: ' || p_reason,
                            jsonb_build_object('userId', m.created_by, 'by', 'mailer', 'reason', p_reason));
end
$$;

-- A mailer takes a mail. `state` is `claimed` (with all that is to be sent), `busy` (another mailer has it) or `done`
-- (nothing to do). The fifth attempt is the last.
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
    perform mark_mail_failed(m, coalesce(m.error, 'The mailer was interrupted five times; send it again.'));
    return '{"state": "done"}';
  end if;
  found := get_document(lower(m.kind::text), coalesce(m.quote_id, m.invoice_id), null);
  if found #>> '{document,status}' = 'VOID' then
    perform mark_mail_failed(m, 'The invoice was voided before it was sent.');
    return '{"state": "done"}';
  end if;
  update mails set status = 'SENDING', attempts = attempts + 1, claim_token = token,
    lease_until = now() + make_interval(secs => p_lease_seconds)
  where id = m.id;
  return found || jsonb_build_object('state', 'claimed', 'claimToken', token, 'attempt', m.attempts + 1,
                                     'to', m.to_address, 'message', m.message);
end
$$;

-- Records which PDF goes with a mail, before it is sent. `written` false means that the claim was lost and this mailer
-- must not send.
create function set_mail_pdf(p_mail_id bigint, p_claim_token uuid, p_pdf_key text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update mails set pdf_key = p_pdf_key where id = p_mail_id and status = 'SENDING' and claim_token = p_claim_token;
  return jsonb_build_object('written', found);
end
$$;

-- The storage key of the PDF that was last sent to the customer. `p_client_id` null reads as the shop.
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
      return invoice_not_found_error();
    end if;
    select pdf_key into key from mails where invoice_id = p_id and status = 'SENT' order by id desc limit 1;
  else
    select number into found_number from quotes
     where id = p_id and (p_client_id is null or (client_id = p_client_id and status <> 'DRAFT'));
    if not found then
      return api_error(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.');
    end if;
    select pdf_key into key from mails where quote_id = p_id and status = 'SENT' order by id desc limit 1;
  end if;
  if key is null then
    return api_error(409, 'NOT_SENT', format(
      '%s is not kept as sent yet: if it was sent just now, ask again in a minute; leave `sent` away to read it as it stands now.',
      found_number));
  end if;
  return jsonb_build_object('number', found_number, 'storageKey', key);
end
$$;

-- Marks a claimed mail as sent. `written` false means that the claim was lost.
create function mark_mail_sent(p_mail_id bigint, p_claim_token uuid, p_provider_id text) returns jsonb
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
  perform log_mail_activity(m, 'MAILED', 'was e-mailed', jsonb_build_object('userId', m.created_by, 'by', 'mailer'));
  return '{"written": true}';
end
$$;

-- After a failed attempt: back into the queue, or failed for good when the failure is final or it was the fifth.
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
    perform mark_mail_failed(m, p_reason);
    return '{"written": true, "status": "FAILED"}';
  end if;
  update mails set status = 'QUEUED', queued_at = now(), error = p_reason, claim_token = null, lease_until = null
  where id = m.id;
  return '{"written": true, "status": "QUEUED"}';
end
$$;

-- Finds mails that were never sent or whose mailer stopped, and returns the ids to put into the mail queue again.
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

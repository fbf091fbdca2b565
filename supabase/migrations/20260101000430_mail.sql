-- The outbox: a mail is committed with the change that it tells of.

create function queue_mail(p_kind mail_kind, p_document_id bigint, p_to text, p_message text, p_user_id bigint) returns bigint
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  queued bigint;
begin
  insert into mails (kind, quote_id, invoice_id, to_address, message, created_by)
  values (p_kind, case when p_kind = 'QUOTE' then p_document_id end, case when p_kind = 'INVOICE' then p_document_id end,
          p_to, p_message, p_user_id)
  returning id into queued;
  return queued;
end
$$;

revoke all on function queue_mail(mail_kind, bigint, text, text, bigint) from public, anon, authenticated, service_role;
grant execute on function queue_mail(mail_kind, bigint, text, text, bigint) to service_role;

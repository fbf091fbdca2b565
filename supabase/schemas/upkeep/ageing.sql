-- What changes by time alone.

-- Applies what changes by time alone: quotes expire, invoices become overdue, finished jobs are archived, and old
-- idempotency keys, revoked sessions and attempt counts are deleted.
create function age_documents() returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  s settings;
  today date := business_today();
  actor jsonb := '{"userId": null, "by": "janitor"}';
  expired integer;
  overdue integer;
  archived integer;
  keys integer;
begin
  select * into s from settings;
  with changed as (
    update quotes set status = 'EXPIRED' where status = 'PENDING' and valid_until < today returning *)
  select count(*) into expired from (
    select log_activity(client_id, id, null, null, null, 'QUOTE_EXPIRED', 'Quote ' || number || ' expired', actor) from changed) l;
  with changed as (
    update invoices set status = 'OVERDUE'
     where status = 'PENDING' and due_date + s.overdue_grace_days < today and balance_cents > 0 returning *)
  select count(*) into overdue from (
    select log_activity(client_id, quote_id, id, null, null, 'INVOICE_OVERDUE', 'Invoice ' || number || ' is overdue', actor) from changed) l;
  with changed as (
    update jobs set archived_at = now() where id in (
      select id from jobs
       where archived_at is null
         and coalesce(completed_at, cancelled_at) < now() - make_interval(days => s.archive_jobs_after_days)
         for no key update skip locked) returning *)
  select count(*) into archived from (
    select log_activity(client_id, null, invoice_id, id, null, 'JOB_ARCHIVED', 'Job ' || title || ' was archived', actor) from changed) l;
  delete from idempotency_keys where created_at < now() - interval '7 days';
  get diagnostics keys = row_count;
  delete from revoked_sessions where revoked_at < now() - interval '30 days';
  -- By then every attempt is regained.
  delete from login_attempts where counted_at < now() - interval '1 day';
  return jsonb_build_object('quotesExpired', expired, 'invoicesOverdue', overdue, 'jobsArchived', archived,
                            'idempotencyKeysForgotten', keys);
end
$$;

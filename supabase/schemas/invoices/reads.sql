-- Invoices as the shop and their clients read them.

-- Reads one invoice. `p_client_id` null reads as the shop, else only that client's.
create function get_invoice(p_invoice_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select hide_credit_from_client(invoice_json(i), p_client_id) from invoices i
      where i.id = p_invoice_id and (p_client_id is null or i.client_id = p_client_id)),
    invoice_not_found_error())
$$;

-- A page of invoices, sorted by created_at or due_date, after the row (`p_after`, `p_after_id`). The query holds only
-- the conditions asked for, so that each list uses its index. `p_query` finds text in number and client name.
create function list_invoices(p_client_id bigint, p_status invoice_status, p_query text, p_sort text, p_limit integer,
                              p_after text, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  key text := case p_sort when 'dueDate' then 'due_date' else 'created_at' end;
  direction text := case p_sort when '-createdAt' then 'desc' else 'asc' end;
  place text := case p_sort when 'dueDate' then '($5::date, $6)' else '($5::timestamptz, $6)' end;
  conditions text := concat_ws(' and ', 'true',
    case when p_client_id is not null then 'i.client_id = $1' end,
    case when p_status is not null then 'i.status = $2' end,
    case when p_query is not null then search_condition('i', '$3', p_query) end,
    case when p_after_id is not null then
      format('(i.%s, i.id) %s %s', key, case direction when 'desc' then '<' else '>' end, place) end);
  listed jsonb;
begin
  execute format($q$
    select coalesce(jsonb_agg(hide_credit_from_client(invoice_summary_json(page.i), $1) || jsonb_build_object('clientName', c.name)
                              order by (page.i).%1$s %2$s, (page.i).id %2$s), '[]')
      from (select i from invoices i where %3$s order by i.%1$s %2$s, i.id %2$s limit $4) page
      join clients c on c.id = (page.i).client_id $q$, key, direction, conditions)
    into listed using p_client_id, p_status, p_query, p_limit, p_after, p_after_id;
  return listed;
end
$$;

-- Whether a client may see this action in an invoice's activity: what happened to the invoice and its money, not the
-- shop's internal work.
create function is_client_visible_action(p_action text) returns boolean
language sql immutable set search_path = public, pg_temp
as $$
  select p_action = any ('{INVOICE_CREATED, INVOICE_EDITED, INVOICE_SENT, INVOICE_MAILED, INVOICE_PAID, INVOICE_UNPAID,
    INVOICE_OVERDUE, INVOICE_VOIDED, INVOICE_WRITTEN_OFF, INVOICE_REFUNDED, QUOTE_CONVERTED, CHECKOUT_OPENED,
    PAYMENT_RECEIVED, PAYMENT_RECORDED, PAYMENT_DELETED, ATTACHMENT_SAVED, ATTACHMENT_REPLACED, ATTACHMENT_DELETED}'::text[])
$$;

-- A page of an invoice's activity, newest first. Its client sees neither who acted nor internal actions.
create function list_invoice_activity(p_client_id bigint, p_invoice_id bigint, p_limit integer, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  listed jsonb;
begin
  perform from invoices where id = p_invoice_id and (p_client_id is null or client_id = p_client_id);
  if not found then
    return invoice_not_found_error();
  end if;
  execute format($q$
    select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'action', a.action, 'message', a.message,
        'createdAt', a.created_at, 'metadata', case when $2 is null then a.metadata end) order by a.id desc), '[]')
      from (select * from activity_logs where invoice_id = $1 %s order by id desc limit $3) a $q$,
    concat_ws(' ', case when p_before_id is not null then 'and id < $4' end,
              case when p_client_id is not null then 'and is_client_visible_action(action)' end))
    into listed using p_invoice_id, p_client_id, p_limit, p_before_id;
  return listed;
end
$$;

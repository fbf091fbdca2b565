-- Messages: one thread per client login, written by the client, the shop or the system (no sender). A message is
-- unread until it was part of an answer to the other side: reading and marking are one call.

-- A message with its sender as the reader may see them.
create function message_json(m user_messages) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', m.id, 'userId', m.user_id, 'invoiceId', m.invoice_id,
    'invoiceNumber', (select number from invoices where id = m.invoice_id), 'body', m.body,
    'sender', (select jsonb_build_object(
        'id', u.id, 'role', case when u.id = m.user_id then 'CLIENT' else 'ADMIN' end,
        -- Staff without a name appear as the shop: clients do not see their e-mail addresses.
        'name', coalesce(nullif(u.name, ''), case when u.id = m.user_id then u.email else s.business_name end))
      from users u, settings s where u.id = m.sender_id),
    'readAt', m.read_at, 'createdAt', m.created_at)
$$;

-- Marks the messages of a page as read by this side, and returns the page as it was before. The extra row after
-- `p_limit`, which only shows that there is a next page, is not marked.
create function mark_messages_read(p_page user_messages[], p_by_shop boolean, p_limit integer) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  update user_messages set read_at = now()
   where id in (select m.id from unnest(p_page[:p_limit]) m
                 where m.read_at is null and (m.sender_id is not distinct from m.user_id) = p_by_shop)
     and read_at is null;
  return coalesce((select jsonb_agg(message_json(m) order by m.id desc) from unnest(p_page) m), '[]');
end
$$;

-- A page of a user's thread, newest first, plus one row if there is a next page. Marks the page as read.
create function list_messages(p_user_id bigint, p_by_shop boolean, p_limit integer, p_before_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  page user_messages[];
begin
  if not exists (select from users where id = p_user_id) then
    return api_error(404, 'USER_NOT_FOUND', 'There is no such login; pick one from the list of users.');
  end if;
  page := array(select m from user_messages m where m.user_id = p_user_id and m.id < coalesce(p_before_id, 9223372036854775807)
                 order by m.id desc limit p_limit + 1);
  return mark_messages_read(page, p_by_shop, p_limit);
end
$$;

-- A page of the messages about an invoice: all for the shop, those of their own thread for a client. Marks the page as
-- read.
create function list_invoice_messages(p_invoice_id bigint, p_user_id bigint, p_client_id bigint, p_limit integer,
                                      p_before_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  page user_messages[];
begin
  if not exists (select from invoices where id = p_invoice_id and (p_client_id is null or client_id = p_client_id)) then
    return api_error(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.');
  end if;
  page := array(select m from user_messages m
                 where m.invoice_id = p_invoice_id and (p_client_id is null or m.user_id = p_user_id)
                   and m.id < coalesce(p_before_id, 9223372036854775807)
                 order by m.id desc limit p_limit + 1);
  return mark_messages_read(page, p_client_id is null, p_limit);
end
$$;

-- A page of the shop's threads, latest message first. Marks nothing as read.
create function list_threads(p_limit integer, p_before_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
      'userId', u.id, 'userName', u.name, 'userEmail', u.email, 'clientId', u.client_id,
      'clientName', (select coalesce(nullif(company, ''), name) from clients where id = u.client_id),
      'unread', (select count(*) from user_messages w
                  where w.user_id = u.id and w.read_at is null and w.sender_id = w.user_id),
      'latest', (select message_json(m) from user_messages m where m.id = t.latest_id)) order by t.latest_id desc), '[]')
    from (select * from message_threads where latest_id < coalesce(p_before_id, 9223372036854775807)
           order by latest_id desc limit p_limit) t
    join users u on u.id = t.user_id
$$;

-- Writes a message into the thread of `p_user_id`, sent by that user or by one of the shop (`p_sender_id`).
create function write_message(p_sender_id bigint, p_user_id bigint, p_invoice_id bigint, p_body text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  owner users;
  i invoices;
  written user_messages;
begin
  select * into owner from users where id = p_user_id and role = 'CLIENT' for key share;
  if not found then
    return api_error(404, 'USER_NOT_FOUND', 'There is no client with this login; pick one from the list of users.');
  end if;
  if p_invoice_id is not null then
    select * into i from invoices where id = p_invoice_id and (p_sender_id <> p_user_id or client_id = owner.client_id)
       for key share;
    if not found then
      return api_error(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.');
    elsif i.client_id <> owner.client_id then
      return api_error(422, 'INVOICE_OF_ANOTHER_CLIENT', 'Name an invoice of the client to whom you write.',
                       jsonb_build_array(jsonb_build_object('field', 'invoiceId')));
    end if;
  end if;
  insert into user_messages (user_id, sender_id, invoice_id, body)
  values (owner.id, p_sender_id, i.id, p_body) returning * into written;
  perform log_activity(owner.client_id, i.quote_id, i.id, null, null, 'MESSAGE_WRITTEN',
    case when p_sender_id = owner.id then 'A client wrote a message' else 'The shop wrote a message' end
      || coalesce(' about invoice ' || i.number, ''),
    jsonb_build_object('userId', p_sender_id, 'messageId', written.id, 'threadUserId', owner.id));
  return message_json(written);
end
$$;

-- Writes a message about an invoice: a client into their own thread; the shop to the client's login that wrote last,
-- or to the client's first login.
create function write_invoice_message(p_sender_id bigint, p_client_id bigint, p_invoice_id bigint, p_body text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  owner bigint;
  recipient bigint := p_sender_id;
begin
  select client_id into owner from invoices where id = p_invoice_id and (p_client_id is null or client_id = p_client_id);
  if not found then
    return api_error(404, 'INVOICE_NOT_FOUND', 'There is no such invoice of yours.');
  end if;
  if p_client_id is null then
    select u.id into recipient from users u where u.client_id = owner and u.role = 'CLIENT'
     order by (select max(m.id) from user_messages m where m.sender_id = u.id) desc nulls last, u.id limit 1;
    if not found then
      return api_error(409, 'NO_LOGIN', 'This client has no login to read it; invite one first, or send the invoice by e-mail.');
    end if;
  end if;
  return write_message(p_sender_id, recipient, p_invoice_id, p_body);
end
$$;

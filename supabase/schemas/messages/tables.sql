-- Messages between the shop and its clients.

create table user_messages (
  id bigint generated always as identity primary key,
  user_id bigint not null references users (id) on delete cascade,
  sender_id bigint references users (id) on delete set null,
  invoice_id bigint references invoices (id) on delete set null,
  body text not null check (length(body) between 1 and 5000),
  read_at timestamptz,
  created_at timestamptz not null default now()
);
comment on column user_messages.user_id is 'The client login whose thread it is; sender_id null is a message of the system.';
create index user_messages_by_thread on user_messages (user_id, id desc);
create index user_messages_by_sender on user_messages (sender_id, id desc);
create index user_messages_by_invoice on user_messages (invoice_id, id desc);
create index user_messages_for_shop on user_messages (user_id) where read_at is null and sender_id = user_id;
create index user_messages_for_client on user_messages (user_id)
  where read_at is null and sender_id is distinct from user_id;

create table message_threads (
  user_id bigint primary key references users (id) on delete cascade,
  latest_id bigint not null
);
comment on table message_threads is 'One row per thread, so that an index lists threads by their latest message; kept by a trigger.';
create index message_threads_by_latest on message_threads (latest_id desc);

-- Trigger: keeps the latest message of each thread.
create function update_message_thread() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  insert into message_threads as t (user_id, latest_id) values (new.user_id, new.id)
  on conflict (user_id) do update set latest_id = greatest(t.latest_id, excluded.latest_id);
  return null;
end
$$;
create trigger update_message_thread after insert on user_messages for each row execute function update_message_thread();

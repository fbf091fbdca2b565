-- Idempotency keys: the same request again gets the same answer.

create table idempotency_keys (
  user_id bigint not null references users (id) on delete cascade,
  route text not null,
  key text not null check (length(key) between 1 and 255),
  body_hash text not null,
  response jsonb not null,
  created_at timestamptz not null default now(),
  primary key (user_id, route, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

-- The answer that this user's Idempotency-Key got before on this route; an error if the key came with another body;
-- null for a new key. Concurrent requests with the same key wait here for each other. Call it first: `idempotency_put`
-- ends the same transaction.
create function idempotency_get(p_user_id bigint, p_route text, p_key text, p_body_hash text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  earlier_answer idempotency_keys;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_route || ':' || p_user_id || ':' || p_key, 0));
  select * into earlier_answer from idempotency_keys where user_id = p_user_id and route = p_route and key = p_key;
  if not found then
    return null;
  elsif earlier_answer.body_hash <> p_body_hash then
    return api_error(422, 'IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body; send a new key.');
  end if;
  return earlier_answer.response;
end
$$;

-- Stores the answer to an Idempotency-Key, to be returned by `idempotency_get` when the request is repeated.
create function idempotency_put(p_user_id bigint, p_route text, p_key text, p_body_hash text, p_response jsonb) returns void
language sql volatile set search_path = public, pg_temp
as $$
  insert into idempotency_keys (user_id, route, key, body_hash, response)
  values (p_user_id, p_route, p_key, p_body_hash, p_response)
$$;

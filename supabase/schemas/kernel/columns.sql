-- Column defaults and triggers that every table shares.

-- A token of 244 random bits in hex, for links that work without a login.
create function unguessable_token() returns text
language sql volatile set search_path = public, pg_temp
as $$ select replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') $$;

-- Trigger: sets updated_at on every update of a row.
create function set_updated_at() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  new.updated_at := now();
  return new;
end
$$;

-- Clients: the customers in the shop's books.

create table clients (
  id bigint generated always as identity primary key,
  name text not null check (length(name) between 1 and 200),
  company text not null default '' check (length(company) <= 200),
  email text not null default '' check (length(email) <= 254),
  phone text not null default '' check (length(phone) <= 50),
  abn text check (abn ~ '^[0-9]{11}$'),
  address_line1 text not null default '',
  address_line2 text not null default '',
  suburb text not null default '',
  state text not null default '',
  postcode text not null default '',
  country text not null default 'AU',
  payment_term text,
  preferences jsonb not null default '{}',
  search_text text not null generated always as (lower(name || ' ' || company || ' ' || email || ' ' || phone)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index clients_by_name on clients (lower(name), id);
create index clients_by_text on clients using gin (search_text extensions.gin_trgm_ops);
create index clients_by_ngrams on clients using gin (search_ngrams(search_text));
create index clients_by_created on clients (created_at desc, id desc);

-- Trigger: copies a client's changed names into the search text of their quotes, invoices and jobs.
create function propagate_client_name() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  update quotes set search_text = lower(number || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  update invoices set search_text = lower(number || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  perform from jobs where client_id = new.id order by id for no key update;  -- in the lock order of reorder_jobs
  update jobs set search_text = lower(title || ' ' || new.name || ' ' || new.company) where client_id = new.id;
  return null;
end
$$;
create trigger propagate_client_name after update of name, company on clients
  for each row when ((old.name, old.company) is distinct from (new.name, new.company)) execute function propagate_client_name();
create trigger set_updated_at before update on clients for each row execute function set_updated_at();

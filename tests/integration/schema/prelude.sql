-- What stands for a hosted Supabase project on a bare PostgreSQL: the API's roles, and of the Auth and Storage schemas
-- what the migrations touch. Roles belong to the server, so a second database finds them made.
do $$
begin
  if to_regrole('service_role') is null then
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit;
    create role postgres login createrole createdb bypassrls;
    grant anon, authenticated, service_role to authenticator;
  end if;
end
$$;

grant usage on schema public to anon, authenticated, service_role;
grant all on schema public to postgres;

create schema auth;
create table auth.users (
  id uuid primary key default gen_random_uuid(),
  email text,
  created_at timestamptz default now()
);
create schema storage;
create table storage.buckets (
  id text primary key,
  name text not null unique,
  owner uuid,
  public boolean default false,
  file_size_limit bigint,
  allowed_mime_types text[],
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
grant usage on schema auth, storage to postgres, anon, authenticated, service_role;
grant all on auth.users, storage.buckets to postgres;

create schema extensions;
grant usage on schema extensions to postgres, anon, authenticated, service_role;
grant create on schema extensions to postgres;
do $$
begin
  execute format('grant create on database %I to postgres', current_database());
end
$$;

-- The closing rule, applied last: only the back end, with its service key, reaches anything in schema public. It covers every
-- object, so no other file grants anything, and `make migration` repeats it at the end of each migration. It can be
-- applied any number of times. Hosted projects differ in what they grant on new objects by default (older ones everything,
-- new ones nothing), so it revokes before it grants.

-- Every table: row level security, with one policy that lets service_role through.
do $$
declare
  each record;
begin
  for each in select oid, oid::regclass as name, relrowsecurity from pg_class
               where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by relname loop
    if not each.relrowsecurity then
      execute format('alter table %s enable row level security', each.name);
    end if;
    if not exists (select from pg_policy where polrelid = each.oid and polname = 'service_role_only') then
      execute format('create policy service_role_only on %s to service_role using (true) with check (true)', each.name);
    end if;
  end loop;
end
$$;

revoke all on all tables in schema public from public, anon, authenticated, service_role;
revoke all on all sequences in schema public from public, anon, authenticated, service_role;
revoke all on all routines in schema public from public, anon, authenticated, service_role;
grant usage on schema public to service_role;
grant select, insert, update, delete on all tables in schema public to service_role;
grant execute on all routines in schema public to service_role;

-- What the owner creates later is closed too, until the next migration opens it to service_role.
alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on routines from anon, authenticated, service_role;

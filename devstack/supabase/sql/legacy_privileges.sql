-- Projects made before hosted Supabase stopped to expose new objects by default: the API roles may do everything
-- with whatever `postgres` creates in schema public. Run after hosted.sql, before the first migration.
alter default privileges for role postgres in schema public
  grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to anon, authenticated, service_role;

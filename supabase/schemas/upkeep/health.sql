-- Heartbeats and readiness.

-- Records that a component (slicer, pdf, janitor) is alive, with details.
create function record_heartbeat(p_component text, p_detail jsonb) returns jsonb
language sql volatile set search_path = public, pg_temp
as $$
  insert into component_health (component, detail, reported_at) values (p_component, p_detail, now())
  on conflict (component) do update set detail = excluded.detail, reported_at = excluded.reported_at
  returning jsonb_build_object('component', component, 'reportedAt', reported_at)
$$;

-- Whether the database is migrated and seeded, and how long ago each component reported.
create function readiness() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'migrated', exists (select from settings),
    'components', (select coalesce(jsonb_object_agg(component,
      detail || jsonb_build_object('ageSeconds', floor(extract(epoch from now() - reported_at)))), '{}') from component_health))
$$;

-- Heartbeats, and objects in storage that no row knows.

create table component_health (
  component text primary key check (component in ('slicer', 'pdf', 'janitor')),
  detail jsonb not null default '{}',
  reported_at timestamptz not null default now()
);

create table stray_objects (
  bucket text not null,
  key text not null,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  primary key (bucket, key)
);
comment on table stray_objects is 'Stored objects without a row: in tmp and pdfs they are deleted after 48 hours, in other buckets only counted.';

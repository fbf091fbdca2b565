-- The slice cache.

create table slice_results (
  id bigint generated always as identity primary key,
  content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
  settings_hash text not null check (settings_hash ~ '^[0-9a-f]{64}$'),
  settings jsonb not null,
  material_id bigint not null references materials (id),
  printer_id bigint references printers (id) on delete set null,
  slicer text not null,
  slicer_version text not null,
  profile text not null,
  nozzle_um integer check (nozzle_um between 100 and 2000),
  mass_mg bigint not null check (mass_mg >= 0),
  volume_mm3 bigint not null check (volume_mm3 >= 0),
  filament_mm bigint not null check (filament_mm >= 0),
  time_sec bigint not null check (time_sec > 0),
  notes jsonb not null default '[]',
  gcode_key text unique,
  gcode_bytes bigint check (gcode_bytes > 0),
  created_at timestamptz not null default now(),
  used_at timestamptz not null default now(),
  unique (content_hash, settings_hash, slicer, slicer_version),
  constraint slice_results_gcode_has_size check ((gcode_key is null) = (gcode_bytes is null))
);
comment on table slice_results is 'The slicer''s results by file content, settings and slicer version; prices are computed from these only.';
comment on column slice_results.gcode_key is 'Its g-code in the tmp bucket, owned by no user; null after it expired.';
create index slice_results_to_age on slice_results (used_at) where gcode_key is not null;
create index slice_results_by_material on slice_results (material_id);
create index slice_results_by_printer on slice_results (printer_id);

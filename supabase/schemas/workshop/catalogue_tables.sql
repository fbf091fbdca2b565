-- The shop's catalogue: materials, product templates and printers.

create type pricing_type as enum ('FIXED', 'CALCULATED');
create type printer_status as enum ('ACTIVE', 'MAINTENANCE', 'OFFLINE');

create table materials (
  id bigint generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 100),
  cost_per_kg_cents bigint not null check (cost_per_kg_cents >= 0),
  density_mg_cm3 integer not null check (density_mg_cm3 between 100 and 20000),
  profile text not null default 'pla' check (profile ~ '^[a-z0-9-]{1,40}$'),
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table product_templates (
  id bigint generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 200),
  description text not null default '' check (length(description) <= 2000),
  pricing_type pricing_type not null default 'FIXED',
  unit_price_cents bigint check (unit_price_cents >= 0),
  material_id bigint references materials (id),
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint product_templates_fixed_has_price check ((pricing_type = 'FIXED') = (unit_price_cents is not null)),
  constraint product_templates_fixed_has_no_material check (pricing_type = 'CALCULATED' or material_id is null)
);
create index product_templates_by_material on product_templates (material_id);

create table printers (
  id bigint generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 100),
  model text not null default '' check (length(model) <= 100),
  status printer_status not null default 'ACTIVE',
  bed_x_mm integer not null check (bed_x_mm between 1 and 5000),
  bed_y_mm integer not null check (bed_y_mm between 1 and 5000),
  bed_z_mm integer not null check (bed_z_mm between 1 and 5000),
  nozzle_um integer not null default 400 check (nozzle_um between 100 and 2000),
  profile text not null default 'generic' check (profile ~ '^[a-z0-9-]{1,40}$'),
  notes text not null default '' check (length(notes) <= 2000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger set_updated_at before update on materials for each row execute function set_updated_at();
create trigger set_updated_at before update on product_templates for each row execute function set_updated_at();
create trigger set_updated_at before update on printers for each row execute function set_updated_at();

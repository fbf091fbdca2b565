-- What a new shop starts with. Harmless twice.
insert into settings (business_name, shipping_regions) values ('3D Print Bureau', '[
  {"id": 1, "code": "regional", "label": "Regional delivery", "states": [], "postcodePrefixes": [], "baseCents": 2500, "surchargeCents": 0, "isDefault": true},
  {"id": 2, "code": "metro", "label": "Metro delivery", "states": ["NSW"], "postcodePrefixes": [], "baseCents": 1250, "surchargeCents": 0, "isDefault": false},
  {"id": 3, "code": "remote", "label": "Remote delivery", "states": ["TAS", "WA", "NT"], "postcodePrefixes": [], "baseCents": 4500, "surchargeCents": 1500, "isDefault": false}
]') on conflict (id) do nothing;

insert into materials (name, cost_per_kg_cents, density_mg_cm3, profile) values
  ('PLA', 3500, 1240, 'pla'),
  ('PETG', 4200, 1270, 'petg')
on conflict (name) do nothing;
update settings set default_material_id = (select id from materials where name = 'PLA') where default_material_id is null;

insert into printers (name, model, bed_x_mm, bed_y_mm, bed_z_mm, profile) values
  ('Prusa MK4', 'Original Prusa MK4', 250, 210, 220, 'bed-slinger'),
  ('Prusa XL', 'Original Prusa XL', 360, 360, 360, 'core-xy')
on conflict (name) do nothing;

insert into product_templates (name, description, pricing_type, unit_price_cents, material_id) values
  ('Design hour', 'An hour of design work', 'FIXED', 9000, null),
  ('Post-processing', 'Sanding and finishing, an hour', 'FIXED', 6000, null),
  ('PLA print', 'A print in PLA, priced by weight and time', 'CALCULATED', null, (select id from materials where name = 'PLA')),
  ('PETG print', 'A print in PETG, priced by weight and time', 'CALCULATED', null, (select id from materials where name = 'PETG'))
on conflict (name) do nothing;

insert into number_sequences (kind) values ('quote'), ('invoice') on conflict (kind) do nothing;

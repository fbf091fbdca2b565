-- The catalogue: printers, materials, product templates and print factors.

-- A printer with its current job.
create function printer_json(p printers) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', p.id, 'name', p.name, 'model', p.model, 'status', p.status, 'bedXMm', p.bed_x_mm, 'bedYMm', p.bed_y_mm,
    'bedZMm', p.bed_z_mm, 'nozzleUm', p.nozzle_um, 'profile', p.profile, 'notes', p.notes,
    'activeJobs', (select count(*) from jobs where printer_id = p.id and status in ('PRINTING', 'PAUSED')),
    'currentJob', (select jsonb_build_object('id', j.id, 'title', j.title, 'status', j.status,
        'estimatedSeconds', j.estimated_seconds, 'printedSeconds', job_printed_seconds(j))
      from jobs j where j.printer_id = p.id and j.status in ('PRINTING', 'PAUSED')
      order by j.printing_since, j.id limit 1),
    'createdAt', p.created_at, 'updatedAt', p.updated_at)
$$;

-- The error for a name that another record of the catalogue has.
create function name_taken_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select api_error(409, 'NAME_TAKEN', 'Another one has this name; choose one of its own.',
                   '[{"field": "name", "problem": "it is taken"}]')
$$;

-- Creates a printer, or replaces the one named. `p_printer` has the fields of the API. A printer with a print on its
-- bed may be set OFFLINE or MAINTENANCE.
create function save_printer(p_printer_id bigint, p_printer jsonb, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p record;
  stored printers;
begin
  select * into p from jsonb_to_record(p_printer) as fields (name text, model text, status printer_status,
    "bedXMm" integer, "bedYMm" integer, "bedZMm" integer, "nozzleUm" integer, profile text, notes text);
  if p_printer_id is null then
    insert into printers (name, model, status, bed_x_mm, bed_y_mm, bed_z_mm, nozzle_um, profile, notes)
    values (p.name, p.model, p.status, p."bedXMm", p."bedYMm", p."bedZMm", p."nozzleUm", p.profile, p.notes)
    returning * into stored;
  else
    update printers set name = p.name, model = p.model, status = p.status, bed_x_mm = p."bedXMm",
        bed_y_mm = p."bedYMm", bed_z_mm = p."bedZMm", nozzle_um = p."nozzleUm", profile = p.profile, notes = p.notes
      where id = p_printer_id returning * into stored;
    if not found then
      return api_error(404, 'PRINTER_NOT_FOUND', 'There is no such printer.');
    end if;
  end if;
  perform log_activity(null, null, null, null, stored.id,
                       case when p_printer_id is null then 'PRINTER_CREATED' else 'PRINTER_CHANGED' end,
                       format('Printer %s was saved', stored.name), p_printer || jsonb_build_object('userId', p_user_id));
  return printer_json(stored);
exception when unique_violation then
  return name_taken_error();
end
$$;

-- Deletes a printer that no unfinished job uses; finished jobs lose the reference.
create function delete_printer(p_printer_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  p printers;
  users bigint[];
begin
  select * into p from printers where id = p_printer_id for update;
  if not found then
    return api_error(404, 'PRINTER_NOT_FOUND', 'There is no such printer.');
  end if;
  select array_agg(id order by id) into users from jobs where printer_id = p.id and status not in ('COMPLETED', 'CANCELLED');
  if users is not null then
    return api_error(409, 'PRINTER_IN_USE', 'Jobs are waiting for it or on its bed; give them another printer first.',
                     jsonb_build_object('jobIds', users));
  end if;
  perform log_activity(null, null, null, null, p.id, 'PRINTER_DELETED', format('Printer %s was deleted', p.name),
                       jsonb_build_object('userId', p_user_id, 'printerId', p.id));
  perform from jobs where printer_id = p.id order by id for no key update;
  update jobs set printer_id = null where printer_id = p.id;
  delete from printers where id = p.id;
  return jsonb_build_object('deleted', p.id);
end
$$;

-- A material as the shop sees it.
create function material_json(m materials) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select material_price_json(m) || jsonb_build_object(
    'profile', m.profile, 'isActive', m.is_active, 'isDefault', exists (select from settings where default_material_id = m.id),
    'createdAt', m.created_at, 'updatedAt', m.updated_at)
$$;

-- Creates a material, or replaces the one named. Locks the settings while a material is deactivated, so that it cannot
-- become the default meanwhile.
create function save_material(p_material_id bigint, p_material jsonb, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m record;
  stored materials;
begin
  select * into m from jsonb_to_record(p_material) as fields (name text, "costPerKgCents" bigint, "densityMgCm3" integer,
    profile text, "isActive" boolean);
  if p_material_id is null then
    insert into materials (name, cost_per_kg_cents, density_mg_cm3, profile, is_active)
    values (m.name, m."costPerKgCents", m."densityMgCm3", m.profile, m."isActive") returning * into stored;
  else
    if not m."isActive" then
      perform from settings for share;
      if exists (select from settings where default_material_id = p_material_id) then
        return api_error(409, 'DEFAULT_MATERIAL', 'It is the default of the settings; choose another default first.');
      end if;
    end if;
    update materials set name = m.name, cost_per_kg_cents = m."costPerKgCents",
        density_mg_cm3 = m."densityMgCm3", profile = m.profile, is_active = m."isActive"
      where id = p_material_id returning * into stored;
    if not found then
      return api_error(404, 'MATERIAL_NOT_FOUND', 'There is no such material.');
    end if;
  end if;
  perform log_activity(null, null, null, null, null,
                       case when p_material_id is null then 'MATERIAL_CREATED' else 'MATERIAL_CHANGED' end,
                       format('Material %s was saved', stored.name),
                       p_material || jsonb_build_object('userId', p_user_id, 'materialId', stored.id));
  return material_json(stored);
exception when unique_violation then
  return name_taken_error();
end
$$;

-- Deletes a material that nothing uses.
create function delete_material(p_material_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  m materials;
  uses text[];
begin
  perform from settings for share;
  select * into m from materials where id = p_material_id for update;
  if not found then
    return api_error(404, 'MATERIAL_NOT_FOUND', 'There is no such material.');
  end if;
  uses := array_remove(array[
    case when exists (select from settings where default_material_id = m.id) then 'settings' end,
    case when exists (select from product_templates where material_id = m.id) then 'productTemplates' end,
    case when exists (select from slice_results where material_id = m.id) then 'slices' end,
    case when exists (select from tmp_files where material_id = m.id) then 'uploads' end], null);
  if uses <> '{}' then
    return api_error(409, 'MATERIAL_IN_USE', 'The material is in use; set isActive to false instead.', jsonb_build_object('usedBy', uses));
  end if;
  perform log_activity(null, null, null, null, null, 'MATERIAL_DELETED', format('Material %s was deleted', m.name),
                       jsonb_build_object('userId', p_user_id, 'materialId', m.id));
  delete from materials where id = m.id;
  return jsonb_build_object('deleted', m.id);
end
$$;

-- A product template.
create function product_template_json(t product_templates) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'id', t.id, 'name', t.name, 'description', t.description, 'pricingType', t.pricing_type,
    'unitPriceCents', t.unit_price_cents, 'materialId', t.material_id, 'isActive', t.is_active,
    'createdAt', t.created_at, 'updatedAt', t.updated_at)
$$;

-- Creates a product template, or replaces the one named.
create function save_product_template(p_template_id bigint, p_template jsonb, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  t record;
  stored product_templates;
begin
  select * into t from jsonb_to_record(p_template) as fields (name text, description text, "pricingType" pricing_type,
    "unitPriceCents" bigint, "materialId" bigint, "isActive" boolean);
  perform from materials where id = t."materialId" and (is_active or not t."isActive") for key share;
  if t."materialId" is not null and not found then
    return api_error(422, 'UNKNOWN_MATERIAL', 'Choose one of the shop''s active materials.',
                     '[{"field": "materialId", "problem": "there is no such active material"}]');
  end if;
  if p_template_id is null then
    insert into product_templates (name, description, pricing_type, unit_price_cents, material_id, is_active)
    values (t.name, t.description, t."pricingType", t."unitPriceCents", t."materialId", t."isActive") returning * into stored;
  else
    update product_templates set name = t.name, description = t.description, pricing_type = t."pricingType",
        unit_price_cents = t."unitPriceCents", material_id = t."materialId", is_active = t."isActive"
      where id = p_template_id returning * into stored;
    if not found then
      return api_error(404, 'PRODUCT_TEMPLATE_NOT_FOUND', 'There is no such product template.');
    end if;
  end if;
  perform log_activity(null, null, null, null, null,
                       case when p_template_id is null then 'PRODUCT_TEMPLATE_CREATED' else 'PRODUCT_TEMPLATE_CHANGED' end,
                       format('Product template %s was saved', stored.name),
                       p_template || jsonb_build_object('userId', p_user_id, 'productTemplateId', stored.id));
  return product_template_json(stored);
exception when unique_violation then
  return name_taken_error();
end
$$;

-- Deletes a product template. Lines that were written from it keep their texts and prices.
create function delete_product_template(p_template_id bigint, p_user_id bigint) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  t product_templates;
begin
  delete from product_templates where id = p_template_id returning * into t;
  if not found then
    return api_error(404, 'PRODUCT_TEMPLATE_NOT_FOUND', 'There is no such product template.');
  end if;
  perform log_activity(null, null, null, null, null, 'PRODUCT_TEMPLATE_DELETED', format('Product template %s was deleted', t.name),
                       jsonb_build_object('userId', p_user_id, 'productTemplateId', t.id));
  return jsonb_build_object('deleted', t.id);
end
$$;

-- A page of the pairs of printer and material with recorded prints: their measured print factors, and how many prints
-- were left out as mistakes.
create function list_print_factors(p_limit integer, p_after_printer_id bigint, p_after_material_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
      'printerId', p.id, 'printer', p.name, 'materialId', m.id, 'material', m.name, 'records', r.records, 'outOfBounds', r.out_of_bounds,
      'time', measured_print_factor(p.id, m.id, 'time'), 'mass', measured_print_factor(p.id, m.id, 'mass')) order by p.id, m.id), '[]')
    from (select printer_id, material_id, count(*) as records,
                 count(*) filter (where time_bps not between 2000 and 50000 or mass_bps not between 2000 and 50000) as out_of_bounds
            from print_records
           where printer_id is not null and material_id is not null
             and (p_after_printer_id is null or (printer_id, material_id) > (p_after_printer_id, p_after_material_id))
           group by printer_id, material_id order by printer_id, material_id limit p_limit) r
    join printers p on p.id = r.printer_id
    join materials m on m.id = r.material_id
$$;

-- A page of printers, materials or product templates, by name or newest first.
create function list_catalogue(p_kind text, p_query text, p_sort text, p_limit integer, p_after_name text,
                               p_after_created timestamptz, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  shape text := case p_kind when 'printers' then 'printer_json' when 'materials' then 'material_json'
    when 'product_templates' then 'product_template_json' end;
  sorting text := case p_sort when 'name' then 'lower(r.name), r.id' else 'r.created_at desc, r.id desc' end;
  conditions text := 'true';
  page jsonb;
begin
  if p_query is not null then conditions := conditions || ' and position(lower($1) in lower(r.name)) > 0'; end if;
  if p_after_id is not null then
    conditions := conditions || case p_sort
      when 'name' then ' and (lower(r.name), r.id) > (lower($3), $5)' else ' and (r.created_at, r.id) < ($4, $5)' end;
  end if;
  execute format('select coalesce(jsonb_agg(%1$I(r) order by %2$s), ''[]'')
                    from (select * from %3$I r where %4$s order by %2$s limit $2) r', shape, sorting, p_kind, conditions)
    into page using p_query, p_limit, p_after_name, p_after_created, p_after_id;
  return page;
end
$$;

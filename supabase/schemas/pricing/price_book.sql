-- What prices are computed from, read at one moment: the shop's rates, catalogue and stored slices.

-- The shop's rates, taxes and shipping regions that prices are computed from.
create function shop_rates() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('currency', currency, 'taxRateBps', tax_rate_bps,
      'hourlyRateCents', hourly_rate_cents, 'setupCents', setup_cents, 'minimumCents', minimum_cents,
      'fastTrackSurchargeBps', fast_track_surcharge_bps, 'shippingRegions', shipping_regions)
    from settings
$$;

-- A material with what its price is computed from; null for none.
create function material_price_json(m materials) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select case when m.id is not null then jsonb_build_object('id', m.id, 'name', m.name,
    'costPerKgCents', m.cost_per_kg_cents, 'densityMgCm3', m.density_mg_cm3) end
$$;

-- How a printer's real prints in a material compare with the slicer's figures: the median of printed / sliced in basis
-- points, its interquartile range, and the number of prints. `p_of` is `time` or `mass`. Takes the last 50 prints;
-- ratios below a fifth or above five are taken for mistakes and left out.
create function measured_print_factor(p_printer_id bigint, p_material_id bigint, p_of text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('prints', r.prints, 'factorBps', floor(r.quartiles[2] + 0.5)::bigint,
                            'spreadBps', floor(r.quartiles[3] - r.quartiles[1] + 0.5)::bigint)
    from (select count(*) as prints, percentile_cont(array[0.25, 0.5, 0.75]) within group (order by bps) as quartiles
            from (select case p_of when 'time' then time_bps else mass_bps end as bps from print_records
                   where printer_id = p_printer_id and material_id = p_material_id
                     and case p_of when 'time' then time_bps else mass_bps end between 2000 and 50000
                   order by completed_at desc, job_id desc limit 50) latest) r
$$;

-- A measured print factor of at least 5 prints; null for fewer.
create function reliable_print_factor(p_ratio jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select case when (p_ratio ->> 'prints')::integer >= 5 then p_ratio end $$;

-- The print factors that correct prices for this printer and material; null when the shop does not use them, the
-- printer is unknown, or there are too few prints.
create function applied_print_factor(p_printer_id bigint, p_material_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('printerId', p.id, 'printer', p.name, 'time', r.time, 'mass', r.mass)
    from settings s, printers p, lateral (
      select reliable_print_factor(measured_print_factor(p.id, p_material_id, 'time')) as time,
             reliable_print_factor(measured_print_factor(p.id, p_material_id, 'mass')) as mass) r
   where s.use_print_factors and p.id = p_printer_id and coalesce(r.time, r.mass) is not null
$$;

-- The user's files named in `p_items` ([{"file", "settingsHash"}]), in that order, each with its slice result,
-- material and g-code; null for a file that is not theirs.
create function models_with_slices(p_user_id bigint, p_items jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_agg(case when f.id is null then null else jsonb_build_object(
      'fileId', f.id, 'storageKey', f.storage_key, 'filename', f.filename, 'sizeBytes', f.size_bytes,
      'mimeType', f.mime_type, 'contentHash', f.content_hash, 'settingsHash', g.value ->> 'settingsHash',
      'status', f.status, 'busy', f.queued_at is not null or f.status = 'running',
      'uploaded', f.uploaded_at is not null, 'isOutput', f.parent_id is not null,
      'isCurrent', f.settings_hash is not distinct from g.value ->> 'settingsHash',
      'fallback', coalesce((f.metadata ->> 'fallback')::boolean, false)
        and f.settings_hash is not distinct from g.value ->> 'settingsHash',
      'error', f.metadata -> 'error',
      'settings', coalesce(r.settings, f.metadata -> 'settings'),
      'slice', case when r.id is not null then jsonb_build_object('massMg', r.mass_mg, 'volumeMm3', r.volume_mm3,
        'filamentMm', r.filament_mm, 'timeSec', r.time_sec, 'slicer', r.slicer, 'slicerVersion', r.slicer_version,
        'profile', r.profile, 'nozzleUm', r.nozzle_um) end,
      'material', material_price_json(m),
      'printFactor', applied_print_factor(r.printer_id, m.id),
      'logTail', f.metadata -> 'logTail',
      'preview', case when f.preview_key is not null then jsonb_build_object('storageKey', f.preview_key,
        'filename', left(regexp_replace(f.filename, '\.[^.]*$', ''), 251) || '.png',
        'sizeBytes', f.inspection -> 'previewBytes', 'mimeType', 'image/png') end,
      -- The cache's g-code: the customer may have deleted their copy.
      'output', case when r.gcode_key is not null then jsonb_build_object('storageKey', r.gcode_key,
        'filename', left(regexp_replace(f.filename, '\.[^.]*$', ''), 245) || '.gcode.gz',
        'sizeBytes', r.gcode_bytes, 'mimeType', 'application/gzip') end) end order by g.ordinality)
    from jsonb_array_elements(p_items) with ordinality g
    left join lateral own_tmp_file(p_user_id, g.value ->> 'file') f on true
    left join lateral (
      select * from slice_results s where s.content_hash = f.content_hash and s.settings_hash = g.value ->> 'settingsHash'
       order by (s.id is not distinct from f.slice_result_id) desc, s.id desc limit 1) r on true
    left join materials m on m.id = coalesce(r.material_id, f.material_id)
$$;

-- All that prices a document: rates, active catalogue, and the slices that the request names.
create function price_book(p_user_id bigint, p_items jsonb) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select shop_rates() || jsonb_build_object(
    'defaultMaterialId', (select default_material_id from settings),
    'materials', (select coalesce(jsonb_agg(material_price_json(m) order by m.id), '[]') from materials m where m.is_active),
    'templates', (select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'description', t.description,
        'pricingType', t.pricing_type, 'unitPriceCents', t.unit_price_cents, 'materialId', t.material_id) order by t.id), '[]')
      from product_templates t where t.is_active),
    'models', coalesce(models_with_slices(p_user_id, p_items), '[]'))
$$;

-- Objects in storage that no row knows.

-- Whether a storage key of the pdfs bucket belongs to an existing document or to a PDF that was e-mailed.
create function is_known_pdf(p_key text) returns boolean
language sql stable set search_path = public, pg_temp
as $$
  select case
    when p_key like 'sent/%' then exists (select from mails where pdf_key = p_key)
    when p_key like 'quote-%' then exists (select from quotes
      where regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g') = regexp_replace(p_key, '^quote-(.*)[.]pdf$', '\1'))
    else exists (select from invoices
      where regexp_replace(number, '[^A-Za-z0-9._-]', '_', 'g') = regexp_replace(p_key, '^(invoice|receipt)-(.*)[.]pdf$', '\2')) end
$$;

-- Records which of the listed objects no row knows. Those recorded 48 hours ago or earlier are returned as `ripe`: a
-- tmp object or PDF among them may be deleted.
create function record_stray_objects(p_bucket text, p_keys text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  strays text[];
  ripe jsonb;
begin
  select coalesce(array_agg(k), '{}') into strays from unnest(p_keys) k
   where not exists (select from tmp_files where p_bucket = 'tmp' and storage_key = k)
     and not exists (select from tmp_files where p_bucket = 'tmp' and preview_key = k)
     and not exists (select from slice_results where p_bucket = 'tmp' and gcode_key = k)
     and not exists (select from order_files where p_bucket = 'order-files' and storage_key = k)
     and not (p_bucket = 'pdfs' and is_known_pdf(k))
     and not exists (select from attachments where p_bucket = 'attachments' and storage_key = k);
  select coalesce(jsonb_agg(key), '[]') into ripe from stray_objects
   where bucket = p_bucket and key = any (strays) and first_seen_at < now() - interval '48 hours';
  insert into stray_objects (bucket, key) select p_bucket, unnest(strays)
  on conflict (bucket, key) do update set last_seen_at = now();
  delete from stray_objects where bucket = p_bucket and key = any (p_keys) and not key = any (strays);
  return jsonb_build_object('strays', cardinality(strays), 'ripe', ripe);
end
$$;

-- Removes the record of stray objects after they were deleted.
create function forget_stray_objects(p_bucket text, p_keys text[]) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  deleted integer;
begin
  delete from stray_objects where bucket = p_bucket and key = any (p_keys);
  get diagnostics deleted = row_count;
  return jsonb_build_object('forgotten', deleted);
end
$$;

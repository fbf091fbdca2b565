-- The shop's settings.

-- Today's date in the shop's time zone.
create function business_today() returns date
language sql stable set search_path = public, pg_temp
as $$ select (now() at time zone settings.time_zone)::date from settings $$;

-- The settings as the API shows them to the shop.
create function settings_json(s settings) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object(
    'businessName', s.business_name, 'businessAddress', s.business_address, 'businessPhone', s.business_phone,
    'businessEmail', s.business_email, 'abn', s.abn, 'logoDataUrl', s.logo_data_url, 'bankDetails', s.bank_details,
    'timeZone', s.time_zone, 'currency', s.currency, 'taxRateBps', s.tax_rate_bps, 'quotePrefix', s.quote_prefix,
    'invoicePrefix', s.invoice_prefix, 'paymentTerms', s.payment_terms, 'defaultPaymentTerm', s.default_payment_term,
    'overdueGraceDays', s.overdue_grace_days, 'quoteValidityDays', s.quote_validity_days,
    'hourlyRateCents', s.hourly_rate_cents, 'setupCents', s.setup_cents, 'minimumCents', s.minimum_cents,
    'fastTrackSurchargeBps', s.fast_track_surcharge_bps, 'defaultMaterialId', s.default_material_id,
    'shippingRegions', s.shipping_regions, 'jobPolicy', s.job_policy,
    'guardOfflinePrinters', s.guard_offline_printers, 'guardMaintenancePrinters', s.guard_maintenance_printers,
    'maxActivePrintsPerPrinter', s.max_active_prints_per_printer, 'autoDetachOnComplete', s.auto_detach_on_complete,
    'archiveJobsAfterDays', s.archive_jobs_after_days, 'usePrintFactors', s.use_print_factors, 'updatedAt', s.updated_at)
$$;

-- Reads the settings.
create function get_settings() returns jsonb
language sql stable set search_path = public, pg_temp
as $$ select settings_json(s) from settings s $$;

-- Logs which fields of the settings changed, never their values: bank details are among them.
create function log_settings_change(p_before settings, p_after settings, p_user_id bigint) returns void
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  old jsonb := settings_json(p_before);
  fields text[];
begin
  select array_agg(n.key order by n.key) into fields from jsonb_each(settings_json(p_after) - 'updatedAt') n
   where n.value is distinct from old -> n.key;
  if fields is not null then
    perform log_activity(null, null, null, null, null, 'SETTINGS_CHANGED',
                         'The settings were changed: ' || array_to_string(fields, ', '),
                         jsonb_build_object('userId', p_user_id, 'fields', to_jsonb(fields)));
  end if;
end
$$;

-- Replaces all settings. `p_updated_at`, when given, is the updated_at that the caller last read: another one means
-- that somebody saved in between, and is an error.
create function save_settings(p_user_id bigint, p_settings jsonb, p_updated_at timestamptz) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  before settings;
  after settings;
begin
  select * into before from settings for update;
  if p_updated_at is not null and p_updated_at <> before.updated_at then
    return api_error(409, 'SETTINGS_CHANGED', 'Somebody else saved the settings meanwhile; read them again and repeat your change.');
  end if;
  if p_settings ->> 'timeZone' <> before.time_zone
     and not exists (select from pg_timezone_names where name = p_settings ->> 'timeZone') then
    return api_error(422, 'UNKNOWN_TIME_ZONE', 'Name the time zone as the IANA does, such as Australia/Sydney.',
                     jsonb_build_array(jsonb_build_object('field', 'timeZone')));
  end if;
  if p_settings ->> 'logoDataUrl' is not null and p_settings ->> 'logoDataUrl' is distinct from before.logo_data_url then
    return api_error(422, 'LOGO_NOT_STORED', 'Upload a new logo to settings/logo; here send the stored one, or null to remove it.',
                     jsonb_build_array(jsonb_build_object('field', 'logoDataUrl')));
  end if;
  perform from materials where id = (p_settings ->> 'defaultMaterialId')::bigint and is_active for share;
  if not found and p_settings ->> 'defaultMaterialId' is not null then
    return api_error(422, 'UNKNOWN_MATERIAL', 'Choose the default among the active materials.',
                     jsonb_build_array(jsonb_build_object('field', 'defaultMaterialId')));
  end if;
  update settings set
    business_name = p_settings ->> 'businessName', business_address = p_settings ->> 'businessAddress',
    business_phone = p_settings ->> 'businessPhone', business_email = p_settings ->> 'businessEmail',
    abn = p_settings ->> 'abn', logo_data_url = p_settings ->> 'logoDataUrl', bank_details = p_settings ->> 'bankDetails',
    time_zone = p_settings ->> 'timeZone', currency = p_settings ->> 'currency',
    tax_rate_bps = (p_settings ->> 'taxRateBps')::integer, quote_prefix = p_settings ->> 'quotePrefix',
    invoice_prefix = p_settings ->> 'invoicePrefix', payment_terms = p_settings -> 'paymentTerms',
    default_payment_term = p_settings ->> 'defaultPaymentTerm',
    overdue_grace_days = (p_settings ->> 'overdueGraceDays')::integer,
    quote_validity_days = (p_settings ->> 'quoteValidityDays')::integer,
    hourly_rate_cents = (p_settings ->> 'hourlyRateCents')::bigint, setup_cents = (p_settings ->> 'setupCents')::bigint,
    minimum_cents = (p_settings ->> 'minimumCents')::bigint,
    fast_track_surcharge_bps = (p_settings ->> 'fastTrackSurchargeBps')::integer,
    default_material_id = (p_settings ->> 'defaultMaterialId')::bigint,
    shipping_regions = p_settings -> 'shippingRegions', job_policy = (p_settings ->> 'jobPolicy')::job_policy,
    guard_offline_printers = (p_settings ->> 'guardOfflinePrinters')::boolean,
    guard_maintenance_printers = (p_settings ->> 'guardMaintenancePrinters')::boolean,
    max_active_prints_per_printer = (p_settings ->> 'maxActivePrintsPerPrinter')::integer,
    auto_detach_on_complete = (p_settings ->> 'autoDetachOnComplete')::boolean,
    archive_jobs_after_days = (p_settings ->> 'archiveJobsAfterDays')::integer,
    use_print_factors = (p_settings ->> 'usePrintFactors')::boolean
  where id returning * into after;
  perform log_settings_change(before, after, p_user_id);
  return settings_json(after);
end
$$;

-- Stores the logo, or removes it (null).
create function save_logo(p_user_id bigint, p_logo_data_url text) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  before settings;
  after settings;
begin
  select * into before from settings for update;
  update settings set logo_data_url = p_logo_data_url where id returning * into after;
  perform log_settings_change(before, after, p_user_id);
  return settings_json(after);
end
$$;

-- The shop as its documents show it: name, address, bank details, logo.
create function business_json() returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('name', business_name, 'address', business_address, 'phone', business_phone,
    'email', business_email, 'abn', abn, 'bankDetails', bank_details, 'logoDataUrl', logo_data_url,
    'timeZone', time_zone, 'locale', 'en-AU')
  from settings
$$;

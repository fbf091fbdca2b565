-- Errors of the API that functions return as values.

-- The value that a function returns instead of its answer when it refuses a request before writing anything.
-- `Database.call` in Python raises it as the API's error with this status, code and sentence.
create function api_error(p_status integer, p_code text, p_message text, p_details jsonb default null) returns jsonb
language sql immutable set search_path = public, pg_temp
as $$
  select jsonb_build_object('error', jsonb_build_object(
    'status', p_status, 'code', p_code, 'message', p_message, 'details', p_details))
$$;

-- The one look-up that a request begins with.

-- The user of a verified access token (or the error of `authenticate`), with what the request is about to need, read at the
-- same moment: for an admin who prices a document, the price book (`p_pricing`: the slices that the request names); for
-- a slice request, the slicing context (`p_slicing`: {file, materialId, printerId}).
create function get_request_context(p_auth_user_id uuid, p_session_id uuid, p_issued_at timestamptz,
                                    p_pricing jsonb default null, p_slicing jsonb default null) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  caller jsonb := authenticate(p_auth_user_id, p_session_id, p_issued_at);
begin
  if caller ? 'error' then
    return caller;
  elsif p_pricing is not null and caller ->> 'role' = 'ADMIN' then
    return caller || jsonb_build_object('priceBook', price_book((caller ->> 'id')::bigint, p_pricing));
  elsif p_slicing is not null then
    return caller || jsonb_build_object('slicing', slicing_context((caller ->> 'id')::bigint, p_slicing ->> 'file',
      (p_slicing ->> 'materialId')::bigint, (p_slicing ->> 'printerId')::bigint));
  end if;
  return caller;
end
$$;

-- Errors of acts on quotes.

-- The error for a quote that does not exist or belongs to another client.
create function quote_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'QUOTE_NOT_FOUND', 'There is no such quote of yours.') $$;

-- The error for a quote link that is unknown or was replaced.
create function quote_link_not_found_error() returns jsonb
language sql immutable set search_path = public, pg_temp
as $$ select api_error(404, 'QUOTE_NOT_FOUND', 'This link belongs to no quote; ask the shop for a new one.') $$;

-- The error for an act that the quote's status does not allow; the details list the statuses it can change to.
create function quote_status_error(q quotes, p_code text, p_message text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select api_error(409, p_code, format('Quote %s is %s; ', q.number, q.status) || p_message, jsonb_build_object(
    'status', q.status, 'legal', case q.status
      when 'DRAFT' then '["PENDING"]'::jsonb
      when 'PENDING' then '["ACCEPTED", "DECLINED", "EXPIRED", "CONVERTED"]'
      when 'ACCEPTED' then '["CONVERTED"]'
      else '[]' end))
$$;

-- The error for a quote whose valid-until date has passed.
create function quote_expired_error(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select api_error(409, 'QUOTE_EXPIRED', format(
      case q.status when 'DRAFT' then 'Quote %s was valid until %s; give it a later validUntil first.'
                    else 'Quote %s was valid until %s; ask for a new one, or duplicate it.' end, q.number, q.valid_until),
    jsonb_build_object('status', q.status, 'validUntil', q.valid_until))
$$;

-- An error when the quote does not exist or is not a DRAFT; null otherwise.
create function quote_not_draft_error(q quotes) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select case when q.id is null then quote_not_found_error() when q.status <> 'DRAFT' then
    quote_status_error(q, 'NOT_A_DRAFT', 'only a DRAFT is edited or deleted: duplicate it to write another version.') end
$$;

-- An error when the client is unknown or the valid-until date has passed; null otherwise. Locks the client's row
-- against deletion.
create function quote_input_error(p_client_id bigint, p_valid_until date) returns jsonb
language plpgsql volatile set search_path = public, pg_temp
as $$
begin
  perform from clients where id = p_client_id for key share;
  if not found then
    return api_error(422, 'UNKNOWN_CLIENT', 'Name one of the shop''s clients in clientId.',
                     jsonb_build_array(jsonb_build_object('field', 'clientId')));
  end if;
  if p_valid_until < business_today() then
    return api_error(422, 'VALID_UNTIL_PAST', 'Let the quote be valid today at least, by the business''s own day.',
                     jsonb_build_array(jsonb_build_object('field', 'validUntil')));
  end if;
  return null;
end
$$;

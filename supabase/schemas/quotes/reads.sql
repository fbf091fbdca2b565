-- Quotes as the shop, their clients and holders of the link read them.

-- Reads one quote. `p_client_id` null reads as the shop, with the price snapshot; a client reads their own, and no
-- DRAFT.
create function get_quote(p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select quote_json(q) || jsonb_build_object('snapshot', case when p_client_id is null then q.snapshot end)
       from quotes q
      where q.id = p_quote_id and (p_client_id is null or (q.client_id = p_client_id and q.status <> 'DRAFT'))),
    quote_not_found_error())
$$;

-- Reads a quote by the token of its public link, with the shop.
create function get_public_quote(p_token text) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select quote_json(q) || jsonb_build_object(
        'canBeDecided', q.status = 'PENDING' and q.valid_until >= business_today(), 'business', business_json())
       from quotes q where q.public_token = p_token and q.status <> 'DRAFT'),
    quote_link_not_found_error())
$$;

-- A page of quotes, newest or oldest first, after the row (`p_after_created`, `p_after_id`). The query holds only the
-- conditions asked for, so that each list uses its index.
create function list_quotes(p_client_id bigint, p_status quote_status, p_query text, p_oldest_first boolean,
                            p_limit integer, p_after_created timestamptz, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  direction text := case when p_oldest_first then 'asc' else 'desc' end;
  conditions text := concat_ws(' and ', 'true',
    case when p_client_id is not null then 'q.client_id = $1 and q.status <> ''DRAFT''' end,
    case when p_status is not null then 'q.status = $2' end,
    case when p_query is not null then search_condition('q', '$3', p_query) end,
    case when p_after_id is not null then
      case when p_oldest_first then '(q.created_at, q.id) > ($5, $6)' else '(q.created_at, q.id) < ($5, $6)' end end);
  listed jsonb;
begin
  execute format($q$
    select coalesce(jsonb_agg(quote_summary_json(page.q) || jsonb_build_object('clientName', c.name)
                              order by (page.q).created_at %1$s, (page.q).id %1$s), '[]')
      from (select q from quotes q where %2$s order by q.created_at %1$s, q.id %1$s limit $4) page
      join clients c on c.id = (page.q).client_id $q$, direction, conditions)
    into listed using p_client_id, p_status, p_query, p_limit, p_after_created, p_after_id;
  return listed;
end
$$;

-- The files of one quote. `p_client_id` null reads as the shop.
create function list_quote_files(p_quote_id bigint, p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce(
    (select coalesce((select jsonb_agg(order_file_json(f) order by f.id) from order_files f where f.quote_id = q.id), '[]')
       from quotes q
      where q.id = p_quote_id and (p_client_id is null or (q.client_id = p_client_id and q.status <> 'DRAFT'))),
    quote_not_found_error())
$$;

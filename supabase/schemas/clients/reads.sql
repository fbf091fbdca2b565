-- Clients as the shop reads them.

-- Reads one client for the shop.
create function get_client(p_client_id bigint) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select coalesce((select client_detail_json(c) from clients c where c.id = p_client_id),
                  api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client.'))
$$;

-- A page of the clients, sorted by name or creation, after the row that `p_after_…` names. The query is assembled from
-- fixed fragments; every value is a parameter.
create function list_clients(p_query text, p_sort text, p_limit integer, p_after_created timestamptz,
                             p_after_name text, p_after_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  sorted text := case p_sort when 'name' then 'lower(c.name), c.id' when 'createdAt' then 'c.created_at, c.id'
                   else 'c.created_at desc, c.id desc' end;
  place text := case p_sort when 'name' then '(lower(c.name), c.id) > (lower($3), $4)'
                  when 'createdAt' then '(c.created_at, c.id) > ($2, $4)' else '(c.created_at, c.id) < ($2, $4)' end;
  wanted text := 'true';
  page jsonb;
begin
  if p_query is not null then
    wanted := wanted || ' and ' || search_condition('c', '$1', p_query);
  end if;
  if p_after_id is not null then
    wanted := wanted || ' and ' || place;
  end if;
  execute format('select coalesce(jsonb_agg(client_summary_json(c) order by %1$s), ''[]'')
                    from (select * from clients c where %2$s order by %1$s limit $5) c', sorted, wanted)
    into page using p_query, p_after_created, p_after_name, p_after_id, p_limit;
  return page;
end
$$;

-- A page of a client's order files, newest first. `p_client_scope` null reads as the shop, else only that client's
-- files.
create function list_client_order_files(p_client_scope bigint, p_client_id bigint, p_limit integer,
                                        p_before_uploaded timestamptz, p_before_id bigint) returns jsonb
language plpgsql stable set search_path = public, pg_temp
as $$
declare
  place text := concat_ws(' ', '', case when p_before_id is not null then 'and (f.uploaded_at, f.id) < ($2, $3)' end,
                          case when p_client_scope is not null then 'and not is_in_draft_quote(f)' end);
  page jsonb;
begin
  if p_client_scope <> p_client_id or not exists (select from clients where id = p_client_id) then
    return api_error(404, 'CLIENT_NOT_FOUND', 'There is no such client of yours.');
  end if;
  execute format('select coalesce(jsonb_agg(order_file_json(f) order by f.uploaded_at desc, f.id desc), ''[]'') from (
                    select * from order_files f where f.client_id = $1%s
                     order by f.uploaded_at desc, f.id desc limit $4) f', place)
    into page using p_client_id, p_before_uploaded, p_before_id, p_limit;
  return page;
end
$$;

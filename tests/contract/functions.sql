-- What the suite calls by rpc. Nothing here belongs to the product.
create table public.contract_parent (
  id bigint generated always as identity primary key,
  name text not null unique,
  weight numeric(12, 4) not null default 1.5,
  made_at timestamptz not null default '2026-01-02 03:04:05.678+00',
  local_time timestamp not null default '2026-01-02 03:04:05',
  due date not null default '2026-01-31'
);
create table public.contract_child (
  id bigint generated always as identity primary key,
  parent_id bigint not null references public.contract_parent,
  amount integer not null check (amount > 0)
);
alter table public.contract_parent enable row level security;
alter table public.contract_child enable row level security;

create function public.contract_whoami() returns jsonb language sql as $$
  select jsonb_build_object(
    'role', current_user, 'login', session_user, 'sub', auth.uid(),
    'statement_timeout', current_setting('statement_timeout'), 'lock_timeout', current_setting('lock_timeout'))
$$;

create function public.contract_raise(p_state text) returns jsonb language plpgsql as $$
begin
  raise exception 'a sentence' using errcode = p_state, detail = 'a detail', hint = 'a hint';
end
$$;

create function public.contract_add_parent(p_name text, p_amount integer default null) returns jsonb
language plpgsql as $$
declare v_id bigint;
begin
  insert into public.contract_parent (name) values (p_name) returning id into v_id;
  if p_amount is not null then
    insert into public.contract_child (parent_id, amount) values (v_id, p_amount);
  end if;
  return jsonb_build_object('id', v_id, 'at', timestamptz '2026-01-02 03:04:05.678+00', 'weight', 1.50);
end
$$;

create function public.contract_orphan() returns void language sql as $$
  insert into public.contract_child (parent_id, amount) values (-1, 1)
$$;

create function public.contract_parents() returns setof public.contract_parent language sql stable as $$
  select * from public.contract_parent order by id
$$;

create function public.contract_echo(p_json jsonb, p_numbers integer[], p_text text default 'none') returns jsonb
language sql immutable as $$
  select jsonb_build_object('json', p_json, 'numbers', p_numbers, 'text', p_text)
$$;

create function public.contract_null() returns jsonb language sql as $$ select null::jsonb $$;
create function public.contract_void() returns void language sql as $$ select $$;
create function public.contract_true() returns boolean language sql as $$ select true $$;

create function public.contract_sleep(p_seconds double precision) returns void language sql as $$
  select pg_sleep(p_seconds)
$$;

create function public.contract_refuse_at_commit() returns trigger language plpgsql as $$
begin
  if new.name like 'refused%' then
    raise exception 'The books do not balance' using errcode = 'PT422';
  end if;
  return null;
end
$$;
create constraint trigger contract_balance after insert on public.contract_parent
  deferrable initially deferred for each row execute function public.contract_refuse_at_commit();

create function public.contract_ungranted() returns jsonb language sql as $$ select '{}'::jsonb $$;

create schema contract_private;
create table contract_private.secret (id integer);
create function public.contract_peek() returns bigint language sql as $$ select count(*) from contract_private.secret $$;

revoke all on public.contract_parent, public.contract_child from anon, authenticated, service_role;
grant select, insert on public.contract_parent, public.contract_child to service_role;

do $$
declare v_function regprocedure;
begin
  for v_function in select oid from pg_proc
    where proname like 'contract\_%' and pronamespace = 'public'::regnamespace
  loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', v_function);
    if v_function::text not like '%ungranted%' then
      execute format('grant execute on function %s to service_role', v_function);
    end if;
  end loop;
end
$$;
grant execute on function public.contract_whoami() to anon, authenticated;
grant execute on function public.contract_sleep(double precision) to anon;

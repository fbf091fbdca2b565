"""What a database is made of, read from PostgreSQL's catalogue: two schemas are the same when these sets are equal.

    missing = read_catalogue(declared_url) - read_catalogue(migrated_url)

The order of columns does not count: a migration can only add a column at the end.
"""

from typing import NamedTuple

import psycopg

__all__ = ["GRANTS", "Entry", "read_catalogue"]


class Entry(NamedTuple):
    """One fact: what kind of object, which one, and its definition."""

    kind: str
    name: str
    definition: str


COLUMNS = """
select 'column', attrelid::regclass || '.' || attname,
       concat_ws(' ', format_type(atttypid, atttypmod), case when attnotnull then 'not null' end,
                 nullif(attidentity::text, ''), nullif(attgenerated::text, ''), pg_get_expr(adbin, adrelid),
                 nullif(attcollation, (select typcollation from pg_type where oid = atttypid))::regcollation::text)
  from pg_attribute join pg_class on pg_class.oid = attrelid
  left join pg_attrdef on adrelid = attrelid and adnum = attnum
 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm') and attnum > 0 and not attisdropped
"""

TABLES = """
select 'table', oid::regclass::text,
       concat_ws(' ', relkind, relpersistence, relowner::regrole, 'rls', relrowsecurity, relforcerowsecurity,
                 reloptions::text)
  from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
"""

CONSTRAINTS = """
select 'constraint', coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text) || ' ' || conname,
       pg_get_constraintdef(oid) || case when convalidated then '' else ' not valid' end
  from pg_constraint where connamespace = 'public'::regnamespace
"""

INDEXES = """
select 'index', indexrelid::regclass::text,
       pg_get_indexdef(indexrelid) || case when indisvalid then '' else ' invalid' end
  from pg_index join pg_class on pg_class.oid = indexrelid where relnamespace = 'public'::regnamespace
"""

FUNCTIONS = """
select 'function', oid::regprocedure::text, pg_get_functiondef(oid) || ' owner ' || proowner::regrole
  from pg_proc where pronamespace = 'public'::regnamespace and prokind <> 'a'
"""

TRIGGERS = """
select 'trigger', tgrelid::regclass || ' ' || tgname, pg_get_triggerdef(t.oid) || ' ' || tgenabled::text
  from pg_trigger t join pg_class on pg_class.oid = tgrelid
 where relnamespace = 'public'::regnamespace and not tgisinternal
"""

POLICIES = """
select 'policy', polrelid::regclass || ' ' || polname,
       concat_ws(' ', polcmd, polpermissive, (select array_agg(r::regrole::text order by r) from unnest(polroles) r),
                 pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
  from pg_policy join pg_class on pg_class.oid = polrelid where relnamespace = 'public'::regnamespace
"""

TYPES = """
select 'type', oid::regtype::text,
       concat_ws(' ', typtype, typowner::regrole,
                 (select array_agg(enumlabel order by enumsortorder) from pg_enum where enumtypid = t.oid),
                 format_type(nullif(typbasetype, 0), typtypmod), typdefault)
  from pg_type t where typnamespace = 'public'::regnamespace and typtype in ('e', 'd', 'r')
"""

COMMENTS = """
select 'comment', concat_ws(' ', i.type, i.identity), description
  from pg_description, pg_identify_object(classoid, objoid, objsubid) i
 where i.schema = 'public' or i.identity like 'public.%'
"""

EXTENSIONS = "select 'extension', extname, extnamespace::regnamespace::text from pg_extension"

DEFAULT_PRIVILEGES = """
select 'default privilege',
       concat_ws(' ', defaclrole::regrole, nullif(defaclnamespace, 0)::regnamespace, defaclobjtype),
       (select string_agg(a::text, ' ' order by a::text) from unnest(defaclacl) a)
  from pg_default_acl where defaclrole = 'postgres'::regrole and cardinality(defaclacl) > 0
"""

# An absent list means PostgreSQL's own default, which gives functions and types to everybody.
GRANTS = """
with owned as (
  select oid::regclass::text as object, case relkind when 'S' then 'sequence' else 'table' end as kind,
         relowner as owner,
         coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)) as acl
    from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
  union all
  select oid::regclass::text || '.' || attname, 'column', relowner, attacl
    from pg_attribute join pg_class on pg_class.oid = attrelid
   where relnamespace = 'public'::regnamespace and attacl is not null
  union all
  select oid::regprocedure::text, 'function', proowner, coalesce(proacl, acldefault('f', proowner))
    from pg_proc where pronamespace = 'public'::regnamespace
  union all
  select oid::regtype::text, 'type', typowner, coalesce(typacl, acldefault('T', typowner))
    from pg_type where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
)
select object, kind, case grantee when 0 then 'public' else grantee::regrole::text end, privilege_type
  from owned, aclexplode(acl) where grantee <> owner
"""

QUERIES = (
    TABLES, COLUMNS, CONSTRAINTS, INDEXES, FUNCTIONS, TRIGGERS, POLICIES, TYPES, COMMENTS, EXTENSIONS,
    DEFAULT_PRIVILEGES,
)  # fmt: skip


def read_catalogue(url: str) -> set[Entry]:
    """Every object of schema public, its definition and its rights; the superuser's URL sees all of them."""
    with psycopg.connect(url, autocommit=True) as connection:
        # Without schema public in the search path every name comes out qualified.
        connection.execute("set search_path = pg_catalog")
        entries = {Entry(*row) for query in QUERIES for row in connection.execute(query.encode()).fetchall()}
        for name, kind, grantee, privilege in connection.execute(GRANTS.encode()).fetchall():
            entries.add(Entry("grant", f"{kind} {name}", f"{grantee} {privilege}"))
        return entries

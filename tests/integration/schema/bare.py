"""The schema on a bare PostgreSQL, and the grants that it ends in.

`python -m tests.integration.schema.bare` writes grants.tsv anew; read its diff before you commit it.
"""

import tempfile
from pathlib import Path

import psycopg

from devstack.database import Postgres
from devstack.supabase import as_role

HERE = Path(__file__).parent
PROJECT = HERE.parents[2] / "supabase"
GOLDEN = HERE / "grants.tsv"

type Grant = tuple[str, str, str, str]
"""object, kind, grantee, privilege"""

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


def replay(server_url: str, name: str, *, legacy: bool) -> str:
    """Make the database `name`, replay every migration as `postgres`, seed it twice; its superuser's URL."""
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f'create database "{name}"'.encode())
    url = server_url.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(url) as superuser:
        superuser.execute((HERE / "prelude.sql").read_bytes())
        if legacy:
            superuser.execute((HERE / "legacy_privileges.sql").read_bytes())
    with psycopg.connect(as_database_role(url, name), autocommit=True) as owner:
        for path in [*sorted((PROJECT / "migrations").glob("*.sql")), *[PROJECT / "seed.sql"] * 2]:
            with owner.transaction():
                owner.execute(path.read_bytes())
    return url


def as_database_role(url: str, name: str) -> str:
    """The database `name` as the role that `supabase db push` uses."""
    return as_role(url, "postgres").rpartition("/")[0] + f"/{name}"


def read_grants(url: str) -> set[Grant]:
    with psycopg.connect(url) as connection:
        return set(connection.execute(GRANTS.encode()).fetchall())


def golden() -> set[Grant]:
    rows = [line.split("\t") for line in GOLDEN.read_text().splitlines()[1:]]
    return {(row[0], row[1], row[2], row[3]) for row in rows}


def write_golden() -> None:
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder) / "postgres")
        postgres.start()
        try:
            grants = read_grants(replay(postgres.url, "golden", legacy=False))
        finally:
            postgres.stop()
    lines = ["object\tkind\tgrantee\tprivilege", *("\t".join(grant) for grant in sorted(grants))]
    GOLDEN.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_golden()

"""The schema on a bare PostgreSQL, and the grants that it ends in.

`python -m tests.integration.schema.bare` writes grants.tsv anew; read its diff before you commit it.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import psycopg

from devstack.database import Postgres
from devstack.schema import GRANTS, migrations
from devstack.supabase import as_role

HERE = Path(__file__).parent
PROJECT = HERE.parents[2] / "supabase"
GOLDEN = HERE / "grants.tsv"

type Grant = tuple[str, str, str, str]
"""object, kind, grantee, privilege"""


def make_project(server_url: str, name: str, *, legacy: bool) -> str:
    """Make the database `name` as a hosted project is before its first migration; its superuser's URL."""
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f'create database "{name}"'.encode())
    url = server_url.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(url) as superuser:
        superuser.execute((HERE / "prelude.sql").read_bytes())
        if legacy:
            superuser.execute((HERE / "legacy_privileges.sql").read_bytes())
    return url


def run_files(url: str, name: str, paths: Iterable[Path]) -> None:
    """Run SQL files as `postgres`, each in a transaction of its own, as `supabase db push` does."""
    with psycopg.connect(as_database_role(url, name), autocommit=True) as owner:
        for path in paths:
            with owner.transaction():
                owner.execute(path.read_bytes())


def replay(server_url: str, name: str, *, legacy: bool) -> str:
    """Make the database `name`, replay every migration as `postgres`, seed it twice; its superuser's URL."""
    url = make_project(server_url, name, legacy=legacy)
    run_files(url, name, [*migrations(PROJECT), *[PROJECT / "seed.sql"] * 2])
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

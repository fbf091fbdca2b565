"""Migrations, seed and configuration of a project, applied as `supabase db push` does."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from devstack.database import Postgres
from devstack.processes import wait_for
from devstack.supabase import Supabase
from devstack.testing.supabase import target_of
from devstack.tests.supabase.conftest import count


def test_migrations_and_seed_are_applied_once(tmp_path: Path, project: Path, http: httpx.Client) -> None:
    database = Postgres(tmp_path / "run" / "postgres")
    database.start()
    supabase = Supabase(tmp_path / "run", database.url, project_dir=project, legacy_privileges=True)
    supabase.start()
    assert count(supabase, http).json() == 2
    supabase.stop()
    database.stop()

    (project / "migrations" / "20260102000000_more.sql").write_text(
        "insert into public.contract_orders values (3)"
    )
    database.start()
    again = Supabase(tmp_path / "run", database.url, project_dir=project)
    again.start()
    assert (again.url, again.secret_key, again.jwt_secret) == (
        supabase.url,
        supabase.secret_key,
        supabase.jwt_secret,
    )
    assert count(again, http).json() == 3
    with psycopg.connect(again.database_url) as connection:
        rows = connection.execute(
            "select version, name from supabase_migrations.schema_migrations order by 1"
        )
        assert rows.fetchall() == [("20260101000000", "orders"), ("20260102000000", "more")]
    again.stop()
    database.stop()


def test_a_migration_that_fails_names_its_file_and_line_and_leaves_nothing(
    start_supabase: Callable[..., Supabase], project: Path
) -> None:
    (project / "migrations" / "20260103000000_bad.sql").write_text(
        "create table public.half (id integer);\nselect no_such_column;\n"
    )
    with pytest.raises(RuntimeError, match=r"20260103000000_bad\.sql failed: line 2: .*no_such_column"):
        start_supabase(project_dir=project)


@pytest.mark.parametrize(("legacy", "status"), [(True, 200), (False, 403)])
def test_the_api_may_use_new_objects_only_in_older_projects(
    start_supabase: Callable[..., Supabase], project: Path, http: httpx.Client, legacy: bool, status: int
) -> None:
    supabase = start_supabase(project_dir=project, legacy_privileges=legacy)
    assert count(supabase, http).status_code == status


def test_a_migration_on_the_running_project_is_seen(
    start_supabase: Callable[..., Supabase], project: Path, http: httpx.Client
) -> None:
    supabase = start_supabase(project_dir=project, legacy_privileges=True)
    with psycopg.connect(supabase.database_url) as connection:
        connection.execute("create function public.contract_new() returns integer language sql as 'select 7'")
    target = target_of(supabase)
    url = f"{target.url}/rest/v1/rpc/contract_new"

    def answer() -> httpx.Response:
        return http.post(url, headers=target.headers(), json={})

    wait_for(lambda: answer().status_code == 200, 5, "the new function")
    assert answer().json() == 7


def test_the_role_postgres_has_no_more_rights_than_on_hosted(database: psycopg.Connection) -> None:
    for statement in (
        "alter table auth.users add column extra text",
        "create table auth.extra (id integer)",
        "delete from storage.objects",
        "create role boss superuser",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(statement.encode())


def test_settings_come_from_the_projects_config(
    start_supabase: Callable[..., Supabase], project: Path, http: httpx.Client
) -> None:
    (project / "config.toml").write_text(
        '[auth]\nminimum_password_length = 12\njwt_expiry = 600\n[storage]\nfile_size_limit = "1KiB"\n'
    )
    target = target_of(start_supabase(project_dir=project))
    email = f"contract-{secrets.token_hex(6)}@example.com"
    url = f"{target.url}/auth/v1/signup"
    short: Any = http.post(url, headers=target.headers(), json={"email": email, "password": "eleven chrs"})
    assert short.json()["error_code"] == "weak_password"
    good = http.post(url, headers=target.headers(), json={"email": email, "password": "twelve chars"})
    assert good.json()["expires_in"] == 600
    http.post(f"{target.url}/storage/v1/bucket", headers=target.headers(), json={"id": "b", "name": "b"})
    large = http.post(
        f"{target.url}/storage/v1/object/b/a.stl", headers=target.headers(), content=b"x" * 1025
    )
    assert large.json()["statusCode"] == "413"

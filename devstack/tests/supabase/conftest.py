"""Supabase stand-ins for these tests: one that they share, and others with options of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from devstack.supabase import Supabase
from devstack.testing.supabase import Target, starting_supabase, target_of

COUNT = """
create function public.contract_count() returns bigint language sql
  as 'select count(*) from public.contract_orders';
"""
MIGRATION = "create table public.contract_orders (id integer primary key);" + COUNT


@pytest.fixture(scope="session")
def start_supabase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Supabase]]:
    with starting_supabase(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def supabase(start_supabase: Callable[..., Supabase]) -> Supabase:
    """A project without migrations, shared."""
    return start_supabase()


@pytest.fixture(scope="session")
def target(supabase: Supabase) -> Target:
    return target_of(supabase)


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


@pytest.fixture
def database(target: Target) -> Iterator[psycopg.Connection]:
    """The shared project's database, as the role `postgres`."""
    with psycopg.connect(target.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with one migration and a seed of two rows."""
    folder = tmp_path / "project"
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "20260101000000_orders.sql").write_text(MIGRATION)
    (folder / "seed.sql").write_text("insert into public.contract_orders values (1), (2);")
    return folder


def count(supabase: Supabase, http: httpx.Client, key: str | None = None) -> httpx.Response:
    """The answer of the function that the project's migration makes."""
    target = target_of(supabase)
    return http.post(f"{target.url}/rest/v1/rpc/contract_count", headers=target.headers(key), json={})

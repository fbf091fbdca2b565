"""The Supabase under test: one started here, or, by environment, any hosted project.

SUPABASE_CONTRACT_URL, SUPABASE_CONTRACT_SECRET_KEY, SUPABASE_CONTRACT_PUBLISHABLE_KEY and
SUPABASE_CONTRACT_DATABASE_URL (the role `postgres`) name a project. What the suite makes there begins with
`contract`, and goes again. Tests marked `local` look behind the wire, or send mail: they run here only.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from postgrest import SyncPostgrestClient
from storage3 import SyncStorageClient

from devstack import wait_for
from devstack.supabase import Supabase
from devstack.testing.supabase import Target, starting_supabase, target_of

Wire = Callable[..., httpx.Response]
HOSTED = "SUPABASE_CONTRACT_URL" in os.environ


@dataclass(frozen=True)
class User:
    id: str
    email: str
    password: str


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "local: needs the Supabase of this machine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if HOSTED:
        local = [item for item in items if item.get_closest_marker("local")]
        config.hook.pytest_deselected(items=local)
        items[:] = [item for item in items if item not in local]


@pytest.fixture(scope="session")
def start_supabase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Supabase]]:
    """Start a local Supabase with the given options on a PostgreSQL of its own."""
    with starting_supabase(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def supabase(start_supabase: Callable[..., Supabase]) -> Supabase:
    """The local one; `local` tests only."""
    return start_supabase()


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    if HOSTED:
        return Target(
            os.environ["SUPABASE_CONTRACT_URL"].rstrip("/"),
            os.environ["SUPABASE_CONTRACT_SECRET_KEY"],
            os.environ["SUPABASE_CONTRACT_PUBLISHABLE_KEY"],
            os.environ["SUPABASE_CONTRACT_DATABASE_URL"],
        )
    return target_of(request.getfixturevalue("supabase"))


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def database(target: Target) -> Iterator[psycopg.Connection]:
    with psycopg.connect(target.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def functions(target: Target, database: psycopg.Connection, http: httpx.Client) -> Iterator[None]:
    """The tables and functions of functions.sql, for as long as the suite runs."""
    database.execute(Path(__file__).with_name("functions.sql").read_bytes())
    database.execute("notify pgrst, 'reload schema'")
    probe = f"{target.url}/rest/v1/rpc/contract_whoami"

    def is_known() -> bool:
        return http.post(probe, headers=target.headers(), json={}).status_code == 200

    wait_for(is_known, 30, "the schema cache")
    yield
    database.execute("drop schema contract_private cascade")
    names = database.execute(
        "select oid::regprocedure::text from pg_proc where proname like 'contract\\_%'"
        " and pronamespace = 'public'::regnamespace"
    ).fetchall()
    for (name,) in names:
        database.execute(f"drop routine {name} cascade".encode())
    database.execute("drop table public.contract_child, public.contract_parent cascade")


@pytest.fixture(scope="session")
def rest(target: Target, functions: None, http: httpx.Client) -> SyncPostgrestClient:
    return SyncPostgrestClient(f"{target.url}/rest/v1", headers=target.headers(), http_client=http)


@pytest.fixture(scope="session")
def storage(target: Target) -> Iterator[SyncStorageClient]:
    with httpx.Client(timeout=120) as client:
        yield SyncStorageClient(f"{target.url}/storage/v1/", target.headers(), http_client=client)


@pytest.fixture(scope="session")
def new_bucket(storage: SyncStorageClient) -> Iterator[Callable[..., str]]:
    """Make a private bucket with the given limits; answers its id."""
    made: list[str] = []

    def make(**options: object) -> str:
        name = f"contract-{secrets.token_hex(6)}"
        storage.create_bucket(name, options=options)  # type: ignore[arg-type]
        made.append(name)
        return name

    yield make
    for name in made:
        storage.empty_bucket(name)
        storage.delete_bucket(name)


@pytest.fixture(scope="session")
def bucket(new_bucket: Callable[..., str]) -> str:
    return new_bucket()


@pytest.fixture
def new_user(target: Target, http: httpx.Client) -> Iterator[Callable[..., User]]:
    """Make a confirmed user by the admin API; the test's users go at its end."""
    made: list[str] = []

    def make(**attributes: object) -> User:
        email, password = f"contract-{secrets.token_hex(6)}@example.com", secrets.token_hex(8)
        body = {"email": email, "password": password, "email_confirm": True, **attributes}
        answer = http.post(f"{target.url}/auth/v1/admin/users", headers=target.headers(), json=body)
        answer.raise_for_status()
        made.append(answer.json()["id"])
        return User(made[-1], email, password)

    yield make
    for user_id in made:
        http.delete(f"{target.url}/auth/v1/admin/users/{user_id}", headers=target.headers())


@pytest.fixture
def user(new_user: Callable[..., User]) -> User:
    return new_user()


@pytest.fixture(scope="session")
def wire(target: Target, http: httpx.Client) -> Wire:
    """Call Storage by bare HTTP, with the secret key unless other headers say so."""

    def call(method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        url = f"{target.url}/storage/v1{path}"
        return http.request(method, url, headers={**target.headers(), **(headers or {})}, **more)

    return call


@pytest.fixture
def key() -> str:
    return f"{secrets.token_hex(4)}/part one.stl"

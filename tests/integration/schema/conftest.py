"""One PostgreSQL for the folder; the schema replayed under both of hosted Supabase's default privileges."""

from collections.abc import Iterator

import psycopg
import pytest

from devstack.database import Postgres
from tests.integration.schema.bare import replay
from tests.integration.schema.shop import Shop


@pytest.fixture(scope="session")
def schema_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The superuser's URL of an empty server."""
    postgres = Postgres(tmp_path_factory.mktemp("schema") / "postgres")
    postgres.start()
    yield postgres.url
    postgres.stop()


@pytest.fixture(scope="session")
def replayed(schema_server: str) -> dict[str, str]:
    """Database URLs by regime."""
    return {
        "older": replay(schema_server, "older", legacy=True),
        "new": replay(schema_server, "new", legacy=False),
    }


@pytest.fixture(scope="session", params=["older", "new"])
def regime_url(request: pytest.FixtureRequest, replayed: dict[str, str]) -> str:
    return replayed[request.param]


@pytest.fixture(scope="session")
def catalog(replayed: dict[str, str]) -> Iterator[psycopg.Connection]:
    """To read what the migrations made."""
    with psycopg.connect(replayed["new"], autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def shop_url(schema_server: str) -> str:
    return replay(schema_server, "shop", legacy=False)


@pytest.fixture
def shop(shop_url: str) -> Iterator[Shop]:
    """The seeded shop: its functions as service_role, its rows as the superuser."""
    with Shop(shop_url) as opened:
        yield opened

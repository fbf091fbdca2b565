"""The product's storage on a real local Supabase, and one shop's customers in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import psycopg
import pytest

from devstack.database import Postgres
from devstack.supabase import Supabase
from printshop.adapters.database import Database
from printshop.adapters.storage.objects import Storage
from printshop.adapters.supabase import http_client
from printshop.config.settings import Settings, load_settings


@dataclass(frozen=True)
class Customer:
    user_id: int
    client_id: int


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supabase]:
    folder = tmp_path_factory.mktemp("storage")
    postgres = Postgres(folder / "postgres")
    postgres.start()
    supabase = Supabase(folder, postgres.url)
    supabase.start()
    yield supabase
    supabase.stop()
    postgres.stop()


@pytest.fixture(scope="session")
def settings(project: Supabase) -> Settings:
    return load_settings(
        {
            "NEXT_PUBLIC_SUPABASE_URL": project.url,
            "NEXT_PUBLIC_SUPABASE_ANON_KEY": project.publishable_key,
            "SUPABASE_SERVICE_ROLE_KEY": project.secret_key,
        }
    )


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[httpx.Client]:
    with http_client(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def storage(settings: Settings, client: httpx.Client) -> Storage:
    return Storage(settings, client)


@pytest.fixture(scope="session")
def database(settings: Settings, client: httpx.Client) -> Database:
    return Database(settings, client)


@pytest.fixture(scope="session")
def rows(project: Supabase) -> Iterator[psycopg.Connection]:
    """The tables, past the API."""
    with psycopg.connect(project.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def new_customer(database: Database, rows: psycopg.Connection) -> Callable[[], Customer]:
    def make() -> Customer:
        login, email = uuid4(), f"{uuid4().hex[:12]}@example.com"
        rows.execute("insert into auth.users (id, email) values (%s, %s)", (login, email))
        user = database.call(
            "open_account", p_auth_user_id=str(login), p_email=email, p_name="Clara", p_company="", p_phone=""
        )
        return Customer(user["id"], user["clientId"])

    return make


@pytest.fixture
def customer(new_customer: Callable[[], Customer]) -> Customer:
    return new_customer()


@pytest.fixture
def new_invoice(database: Database) -> Callable[[Customer], int]:
    """Make an invoice of nothing but shipping; its id."""

    def make(customer: Customer) -> int:
        document = {
            "currency": "AUD", "subtotalCents": 0, "discountCents": 0, "shippingCents": 1000,
            "shippingLabel": "Metro", "taxRateBps": 1000, "taxCents": 100, "totalCents": 1100, "notes": "",
        }  # fmt: skip
        made = database.call(
            "checkout_quick_order", p_user_id=customer.user_id, p_client_id=customer.client_id, p_key=str(uuid4()),
            p_body_hash="a", p_document=document, p_items=[], p_files=[], p_review=False,
        )  # fmt: skip
        return int(made["id"])

    return make

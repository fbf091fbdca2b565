"""The settings through the gateway: replaced whole, within bounds, with a trace of what changed and of no value."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.conftest import Client

ABN = "51824753556"


@pytest.fixture
def settings(shop: Client) -> Iterator[dict[str, Any]]:
    """As they are; put back afterwards, for other tests price by them."""
    before: dict[str, Any] = shop.data("GET", "settings")
    yield before
    shop.data("PUT", "settings", {**before, "updatedAt": None})


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def last_change(database: psycopg.Connection) -> Any:
    row = database.execute(
        "select message, metadata from activity_logs where action = 'SETTINGS_CHANGED' order by id desc limit 1"
    ).fetchone()
    assert row is not None
    return row


def test_what_is_read_may_be_sent_back_and_changes_nothing(
    shop: Client, settings: dict[str, Any], database: psycopg.Connection
) -> None:
    count = "select count(*) from activity_logs where action = 'SETTINGS_CHANGED'"
    before = database.execute(count).fetchone()
    saved = shop.data("PUT", "settings", settings)
    assert {**saved, "updatedAt": None} == {**settings, "updatedAt": None}
    assert database.execute(count).fetchone() == before


def test_every_setting_is_replaced_and_kept(
    shop: Client, settings: dict[str, Any], database: psycopg.Connection
) -> None:
    changed = {
        "businessName": "Layer & Sons",
        "businessAddress": "1 George St\nSydney NSW 2000",
        "businessPhone": "02 9000 0000",
        "businessEmail": "shop@example.com",
        "abn": ABN,
        "logoDataUrl": None,
        "bankDetails": "BSB 062-000, account 1234 5678",
        "timeZone": "Pacific/Auckland",
        "currency": "NZD",
        "taxRateBps": 1500,
        "quotePrefix": "Q/",
        "invoicePrefix": "",
        "paymentTerms": [{"code": "NET14", "days": 14}, {"code": "NET60", "days": 60}],
        "defaultPaymentTerm": "NET60",
        "overdueGraceDays": 3,
        "quoteValidityDays": 14,
        "hourlyRateCents": 5000,
        "setupCents": 0,
        "minimumCents": 1,
        "fastTrackSurchargeBps": 2500,
        "defaultMaterialId": None,
        "shippingRegions": [
            {
                "id": 7,
                "code": "north",
                "label": "North",
                "states": ["NT"],
                "postcodePrefixes": ["08"],
                "baseCents": 1,
                "surchargeCents": 2,
                "isDefault": True,
            }
        ],
        "jobPolicy": "ON_INVOICE",
        "guardOfflinePrinters": False,
        "guardMaintenancePrinters": False,
        "maxActivePrintsPerPrinter": 2,
        "autoDetachOnComplete": False,
        "archiveJobsAfterDays": 30,
        "usePrintFactors": True,
    }
    assert changed.keys() == settings.keys() - {"updatedAt"}
    saved = shop.data("PUT", "settings", {**changed, "abn": "51 824 753 556"})
    assert {name: saved[name] for name in changed} == changed
    assert shop.data("GET", "settings") == saved
    message, metadata = last_change(database)
    assert set(metadata["fields"]) == {name for name, value in changed.items() if settings[name] != value}
    assert metadata["userId"]
    assert "062-000" not in f"{message}{metadata}"


def test_the_numbers_go_on_whatever_the_prefix(
    shop: Client, settings: dict[str, Any], database: psycopg.Connection
) -> None:
    query = "select kind, last_number, updated_at from number_sequences order by kind"
    before = database.execute(query).fetchall()
    shop.data("PUT", "settings", {**settings, "invoicePrefix": "R-", "quotePrefix": "O-"})
    assert database.execute(query).fetchall() == before


def test_a_save_over_another_admins_save_is_refused(shop: Client, settings: dict[str, Any]) -> None:
    shop.data("PUT", "settings", {**settings, "setupCents": 1})
    late = shop.request("PUT", "settings", json={**settings, "setupCents": 2})
    assert code(late) == (409, "SETTINGS_CHANGED")
    assert shop.data("GET", "settings")["setupCents"] == 1
    assert shop.data("PUT", "settings", {**settings, "setupCents": 3, "updatedAt": None})["setupCents"] == 3


def test_a_value_beyond_its_bounds_is_refused_and_changes_nothing(
    shop: Client, settings: dict[str, Any]
) -> None:
    for change in ({"abn": "51824753557"}, {"timeZone": "Mars/Olympus"}, {"bankDetails": "nul\0"}):
        refused = shop.request("PUT", "settings", json={**settings, **change})
        assert code(refused) == (422, "INVALID_REQUEST")
        assert refused.json()["error"]["details"]
    assert shop.data("GET", "settings") == settings


def test_what_only_the_database_knows_is_checked_there(
    shop: Client, settings: dict[str, Any], database: psycopg.Connection
) -> None:
    retired = database.execute(
        "insert into materials (name, cost_per_kg_cents, density_mg_cm3, is_active) values (%s, 1, 1000, false)"
        " returning id",
        (f"Retired {uuid4().hex[:6]}",),
    ).fetchone()
    assert retired is not None
    for change, refusal in (
        ({"defaultMaterialId": retired[0]}, "UNKNOWN_MATERIAL"),
        ({"defaultMaterialId": 999_999}, "UNKNOWN_MATERIAL"),
        ({"logoDataUrl": "data:image/png;base64,AAAA"}, "LOGO_NOT_STORED"),
    ):
        response = shop.request("PUT", "settings", json={**settings, **change})
        assert code(response) == (422, refusal)


def test_the_settings_are_the_shops_alone(nobody: Client, customer: Client) -> None:
    for method, path in (("GET", "settings"), ("PUT", "settings"), ("POST", "settings/logo")):
        assert nobody.request(method, path, json={}).status_code == 401
        assert code(customer.request(method, path, json={})) == (403, "ADMIN_ONLY")

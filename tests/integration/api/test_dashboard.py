"""The dashboard through the gateway: the shop's alone, and in step with what happens."""

from typing import Any

import psycopg

from tests.conftest import Client
from tests.integration.api.test_messages import invoice_of


def test_the_dashboard_moves_with_what_happens(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    def owed() -> int:
        rows = shop.data("GET", "dashboard")["receivables"]
        return sum(row["outstandingCents"] for row in rows if row["currency"] == "AUD")

    before = shop.data("GET", "dashboard")
    cents = owed()
    invoice_of(database, customer.user["clientId"])
    customer.data("POST", "messages", {"body": "Hello"})
    after = shop.data("GET", "dashboard")
    assert owed() == cents + 110
    assert after["unreadMessages"] == before["unreadMessages"] + 1
    assert after["recentActivity"][0]["action"] == "MESSAGE_WRITTEN"
    assert len(after["recentActivity"]) <= 10
    printers = "select count(*) from printers where status = 'ACTIVE'"
    assert {"status": "ACTIVE", "count": value(database, printers), "busy": 0} in after["printers"]
    assert after["today"] == value(database, "select business_today()::text")


def value(database: psycopg.Connection, query: str) -> Any:
    row = database.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_the_dashboard_is_the_shops_alone(nobody: Client, customer: Client) -> None:
    assert nobody.get("dashboard").status_code == 401
    assert customer.get("dashboard").json()["error"]["code"] == "ADMIN_ONLY"

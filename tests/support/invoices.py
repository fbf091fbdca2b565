"""Invoices as the shop writes them, as far as a test needs it."""

from typing import Any
from uuid import uuid4

import psycopg

from tests.conftest import Client


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


def new_client(
    database: psycopg.Connection, name: str = "Clara Client", email: str = "clara@example.com"
) -> int:
    row = database.execute(
        "insert into clients (name, email) values (%s, %s) returning id", (name, email)
    ).fetchone()
    assert row is not None
    return int(row[0])


def invoice_request(client_id: int, *prices: int, **changes: Any) -> dict[str, Any]:
    """A line of each price, by default one of A$100; with 10 % tax."""
    items = [
        {"description": f"Part {n}", "unitPriceCents": price} for n, price in enumerate(prices or (10_000,))
    ]
    return {"clientId": client_id, "items": items, "taxRateBps": 1000, **changes}


def written(shop: Client, client_id: int, *prices: int, **changes: Any) -> dict[str, Any]:
    """An invoice of A$110.00 by default."""
    made: dict[str, Any] = shop.data("POST", "invoices", invoice_request(client_id, *prices, **changes))
    return made


def book(shop: Client, invoice: dict[str, Any], cents: int, **changes: Any) -> dict[str, Any]:
    """Record a payment by hand; the invoice after it."""
    body = {"amountCents": cents, "method": "CASH", **changes}
    after: dict[str, Any] = shop.data("POST", f"invoices/{invoice['id']}/payments", body, headers=keyed())
    return after


def refused(response: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status_code, response.json()["error"]["code"]


def actions(database: psycopg.Connection, invoice_id: int) -> list[str]:
    """What the activity log says of an invoice, oldest first."""
    rows = database.execute(
        "select action from activity_logs where invoice_id = %s order by id", (invoice_id,)
    ).fetchall()
    return [action for (action,) in rows]

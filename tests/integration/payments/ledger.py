"""What the shop's books say of an invoice, and the passing of time in them."""

from typing import Any

import psycopg

from tests.conftest import Client

UNHELD = ("QUEUED", None)


def books(shop: Client, invoice: dict[str, Any]) -> tuple[str, int, int]:
    """Status, what was paid and what is owed."""
    found = shop.data("GET", f"invoices/{invoice['id']}")
    return found["status"], found["paidCents"], found["balanceCents"]


def amounts(shop: Client, invoice: dict[str, Any]) -> list[int]:
    """The ledger's rows, the smallest first."""
    return sorted(row["amountCents"] for row in shop.data("GET", f"invoices/{invoice['id']}/payments"))


def job_of(database: psycopg.Connection, invoice: dict[str, Any]) -> tuple[str, str | None] | None:
    """Status of the invoice's job, and why it is held."""
    return database.execute(
        "select status::text, held_reason from jobs where invoice_id = %s", (invoice["id"],)
    ).fetchone()


def page_state(database: psycopg.Connection, session_id: str) -> str | None:
    """What is known here of a payment page."""
    row = database.execute(
        "select state from checkout_sessions where session_id = %s", (session_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def everything_of(database: psycopg.Connection, invoices: list[dict[str, Any]]) -> list[Any]:
    """All that the books hold about some invoices, to be compared with itself later."""
    ids = [invoice["id"] for invoice in invoices]
    return [
        database.execute(statement, (ids,)).fetchall()
        for statement in (
            "select id, status, paid_cents, balance_cents, credit_cents, paid_at from invoices where id = any (%s)"
            " order by id",
            "select * from payments where invoice_id = any (%s) order by id",
            "select id, status, held_reason, payment_hold from jobs where invoice_id = any (%s) order by id",
            "select id, action, metadata from activity_logs where invoice_id = any (%s) order by id",
            "select session_id, state from checkout_sessions where invoice_id = any (%s) order by session_id",
        )
    ]


def let_pages_age(database: psycopg.Connection, *invoices: dict[str, Any]) -> None:
    """As if Stripe had last been asked about the pages of these invoices a day ago."""
    database.execute(
        "update checkout_sessions set checked_at = now() - interval '1 day' where invoice_id = any (%s)",
        ([invoice["id"] for invoice in invoices],),
    )


def let_refunds_age(database: psycopg.Connection, *invoices: dict[str, Any], hours: int = 1) -> None:
    """As if the refunds of these invoices had been asked for hours ago."""
    with database.transaction():
        # Past the trigger that keeps `updated_at`.
        database.execute("set local session_replication_role = replica")
        database.execute(
            "update refund_requests set updated_at = updated_at - age, created_at = created_at - age"
            " from make_interval(hours => %s) age where invoice_id = any (%s)",
            (hours, [invoice["id"] for invoice in invoices]),
        )

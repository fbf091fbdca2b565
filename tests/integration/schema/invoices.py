"""Invoices by the functions that the API calls, in the database alone."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg

from tests.integration.schema.shop import Customer, Shop, call

type Caller = Callable[..., Any]


def document(total: int, currency: str = "AUD") -> dict[str, Any]:
    """A document of one untaxed line."""
    return {
        "p_document": {
            "currency": currency, "discountType": "NONE", "discountBps": 0, "discountFixedCents": 0,
            "subtotalCents": total, "discountCents": 0, "shippingCents": 0, "shippingLabel": "", "taxRateBps": 0,
            "taxCents": 0, "totalCents": total, "notes": "", "terms": "",
        },
        "p_items": [
            {"description": "Part", "quantityMilli": 1000, "unitPriceCents": total, "totalCents": total}
        ],
        "p_files": [],
    }  # fmt: skip


def create(shop: Shop, customer: Customer, total: int = 10_000, **changes: Any) -> Any:
    params = {"p_due_date": None, "p_payment_term": None, **document(total), **changes}
    return shop.call("create_invoice", p_user_id=customer.user_id, p_client_id=customer.client_id, **params)


def edit(
    on: psycopg.Connection, customer: Customer, invoice_id: int, total: int, currency: str = "AUD"
) -> Any:
    return call(
        on, "update_invoice", p_user_id=customer.user_id, p_invoice_id=invoice_id, p_client_id=customer.client_id,
        p_due_date=None, p_payment_term=None, **document(total, currency),
    )  # fmt: skip


def record(
    on: psycopg.Connection, customer: Customer, invoice_id: int, cents: int | None, key: str | None = None
) -> Any:
    """A payment in cash, of the balance when `cents` is None."""
    return call(
        on, "record_payment", p_user_id=customer.user_id, p_invoice_id=invoice_id, p_amount_cents=cents,
        p_method="CASH", p_reference="", p_note="", p_paid_at=None, p_route="invoices/payments",
        p_key=key or str(uuid4()), p_body_hash="a",
    )  # fmt: skip


def act(on: psycopg.Connection, customer: Customer, function: str, invoice_id: int, **more: Any) -> Any:
    return call(on, function, p_user_id=customer.user_id, p_invoice_id=invoice_id, **more)


def code_of(answer: Any) -> str | None:
    """The code of a refusal, or None."""
    return answer["error"]["code"] if "error" in answer else None


def refund(shop: Shop, payment_id: int, cents: int) -> None:
    """What Stripe's word of a refund brings: its row, and the invoice settled, in one transaction."""
    with shop.rows.transaction():
        row = shop.rows.execute(
            "insert into payments (invoice_id, kind, method, amount_cents, parent_payment_id, processor_id)"
            " select invoice_id, 'REFUND', method, -%s::bigint, id, %s from payments where id = %s"
            " returning invoice_id",
            (cents, f"re_{uuid4().hex}", payment_id),
        ).fetchone()
        assert row is not None
        shop.rows.execute("select update_invoice_status(%s, '{}')", (row[0],))

"""Payments that the shop records manually (bank transfer, cash) and takes back. Each is one transaction.

Recording happens once per idempotency key.
"""

from typing import Any

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings
from printshop.invoices.requests import PaidRequest, PaymentRequest
from printshop.invoices.schemas import Invoice, invoice_of
from printshop.kernel.idempotency import body_hash
from printshop.payments.events import StripeProvider, close_retired_page


def record_payment(
    database: Database,
    settings: Settings,
    stripe: StripeProvider,
    user: User,
    invoice_id: int,
    request: PaymentRequest,
    key: str,
) -> Invoice:
    """Record a payment of at most the balance. Raises NotFound, Conflict ALREADY_PAID, NOT_PAYABLE, EXCEEDS_BALANCE,
    Unprocessable PAID_IN_FUTURE."""
    booked = _record(database, user, invoice_id, request, "invoices/payments", key, request.amount_cents)
    close_retired_page(stripe, booked["retired"])
    return invoice_of(booked["invoice"], settings)


def mark_paid(
    database: Database,
    settings: Settings,
    stripe: StripeProvider,
    user: User,
    invoice_id: int,
    request: PaidRequest,
    key: str,
) -> Invoice:
    """Record one payment of the whole balance. Raises as `record_payment`."""
    booked = _record(database, user, invoice_id, request, "invoices/mark-paid", key, None)
    close_retired_page(stripe, booked["retired"])
    return invoice_of(booked["invoice"], settings)


def _record(
    database: Database,
    user: User,
    invoice_id: int,
    request: PaidRequest,
    route: str,
    key: str,
    amount_cents: int | None,
) -> dict[str, Any]:
    booked: dict[str, Any] = database.call(
        "record_payment",
        p_user_id=user.id,
        p_invoice_id=invoice_id,
        p_amount_cents=amount_cents,
        p_method=request.method,
        p_reference=request.reference,
        p_note=request.note,
        p_paid_at=request.paid_at.isoformat() if request.paid_at else None,
        p_route=route,
        p_key=key,
        p_body_hash=body_hash(invoice_id, request),
    )
    return booked


def mark_unpaid(
    database: Database, settings: Settings, stripe: StripeProvider, user: User, invoice_id: int
) -> Invoice:
    """Delete every payment that was recorded manually; the job is held. Raises NotFound, Conflict USE_REFUND,
    HAS_REFUNDS, INVOICE_CLOSED, NOT_PAID."""
    taken = database.call("mark_invoice_unpaid", p_user_id=user.id, p_invoice_id=invoice_id)
    close_retired_page(stripe, taken["retired"])
    return invoice_of(taken["invoice"], settings)


def delete_payment(
    database: Database, stripe: StripeProvider, user: User, invoice_id: int, payment_id: int
) -> None:
    """Delete one payment that was recorded manually; its amount is owed again.

    Raises NotFound, Conflict USE_REFUND, HAS_REFUNDS, INVOICE_CLOSED.
    """
    taken = database.call(
        "delete_payment", p_user_id=user.id, p_invoice_id=invoice_id, p_payment_id=payment_id
    )
    close_retired_page(stripe, taken["retired"])

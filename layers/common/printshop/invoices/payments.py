"""Payments by hand: recorded and taken back by the shop alone. Each is one transaction, once per key."""

from printshop.accounts.users import User
from printshop.invoices.requests import PaidRequest, PaymentRequest
from printshop.invoices.retired_pages import expire_page
from printshop.invoices.schemas import Invoice, invoice_of
from printshop.kernel.idempotency import body_hash
from printshop.services import Services


def record_payment(
    services: Services, user: User, invoice_id: int, request: PaymentRequest, key: str
) -> Invoice:
    """Book a payment of at most the balance. Raises NotFound, Conflict ALREADY_PAID, NOT_PAYABLE, EXCEEDS_BALANCE,
    Unprocessable PAID_IN_FUTURE."""
    return _book(services, user, invoice_id, request, "invoices/payments", key, request.amount_cents)


def mark_paid(services: Services, user: User, invoice_id: int, request: PaidRequest, key: str) -> Invoice:
    """Book one payment of the balance. Raises as `record_payment`."""
    return _book(services, user, invoice_id, request, "invoices/mark-paid", key, None)


def _book(
    services: Services,
    user: User,
    invoice_id: int,
    request: PaidRequest,
    route: str,
    key: str,
    amount_cents: int | None,
) -> Invoice:
    booked = services.database.call(
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
    expire_page(services, booked["retired"])
    return invoice_of(booked["invoice"], services.settings)


def mark_unpaid(services: Services, user: User, invoice_id: int) -> Invoice:
    """Take back every payment that was booked by hand; the job is held. Raises NotFound, Conflict USE_REFUND,
    HAS_REFUNDS, INVOICE_CLOSED, NOT_PAID."""
    taken = services.database.call("mark_invoice_unpaid", p_user_id=user.id, p_invoice_id=invoice_id)
    expire_page(services, taken["retired"])
    return invoice_of(taken["invoice"], services.settings)


def delete_payment(services: Services, user: User, invoice_id: int, payment_id: int) -> None:
    """Take back one payment that was booked by hand. Raises NotFound, Conflict USE_REFUND, HAS_REFUNDS,
    INVOICE_CLOSED."""
    taken = services.database.call(
        "delete_payment", p_user_id=user.id, p_invoice_id=invoice_id, p_payment_id=payment_id
    )
    expire_page(services, taken["retired"])

"""Payments of an invoice: read by whose it is, booked by hand by the shop."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from ids import NOT_FOUND, Id

from printshop.http.dependencies import AdminUser, ClientOrAdmin, IdempotencyKey
from printshop.http.errors import refusals
from printshop.http.services import Provided
from printshop.invoices import payments
from printshop.invoices import reads as reading
from printshop.invoices.requests import PaidRequest, PaymentRequest
from printshop.invoices.schemas import Invoice, Payment
from printshop.kernel.base_model import Data

router = APIRouter(tags=["Payments"])

Paid = Annotated[PaidRequest, Body(default_factory=PaidRequest)]
UNPAYABLE = (
    NOT_FOUND,
    "409 ALREADY_PAID",
    "409 NOT_PAYABLE",
    "422 PAID_IN_FUTURE",
    "422 IDEMPOTENCY_KEY_REUSED",
)
KEPT = (NOT_FOUND, "409 USE_REFUND", "409 HAS_REFUNDS", "409 INVOICE_CLOSED")


@router.get("/api/invoices/{id}/payments", responses=refusals(NOT_FOUND))
def list_payments(id: Id, user: ClientOrAdmin, services: Provided) -> Data[list[Payment]]:
    """Payments and refunds, in the order in which they came."""
    return Data(data=reading.list_payments(services.database, user, id))


@router.post(
    "/api/invoices/{id}/payments",
    status_code=201,
    responses=refusals(*UNPAYABLE, "409 EXCEEDS_BALANCE"),
)
def record_payment(
    id: Id, body: PaymentRequest, key: IdempotencyKey, user: AdminUser, services: Provided
) -> Data[Invoice]:
    """Book a payment of at most the balance, once per key."""
    return Data(data=payments.record_payment(services, user, id, body, key))


@router.delete(
    "/api/invoices/{id}/payments/{pid}",
    status_code=204,
    responses=refusals(*KEPT, "404 PAYMENT_NOT_FOUND", "409 PAYMENT_DELETED"),
)
def delete_payment(id: Id, pid: Id, user: AdminUser, services: Provided) -> Response:
    """Take back a payment that was booked by hand; what it paid is owed again."""
    payments.delete_payment(services, user, id, pid)
    return Response(status_code=204)


@router.post("/api/invoices/{id}/mark-paid", responses=refusals(*UNPAYABLE))
def mark_paid(id: Id, body: Paid, key: IdempotencyKey, user: AdminUser, services: Provided) -> Data[Invoice]:
    """Book one payment of the balance, once per key."""
    return Data(data=payments.mark_paid(services, user, id, body, key))


@router.post("/api/invoices/{id}/mark-unpaid", responses=refusals(*KEPT, "409 NOT_PAID"))
def mark_unpaid(id: Id, user: AdminUser, services: Provided) -> Data[Invoice]:
    """Take back every payment that was booked by hand, and hold the job."""
    return Data(data=payments.mark_unpaid(services, user, id))

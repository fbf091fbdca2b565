"""Payments of an invoice: read by whoever may read the invoice, recorded manually by the shop."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from printshop.http.dependencies import AdminUser, ClientOrAdmin, IdempotencyKey, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.invoices import manual_payments, reads
from printshop.invoices.requests import PaidRequest, PaymentRequest
from printshop.invoices.schemas import Invoice, Payment
from printshop.kernel.base_model import Data

router = APIRouter(prefix="/api/invoices/{id}", tags=["Payments"])

PaidBody = Annotated[PaidRequest, Body(default_factory=PaidRequest)]
NOT_FOUND = "404 INVOICE_NOT_FOUND"
NOT_RECORDED = (
    NOT_FOUND,
    "409 ALREADY_PAID",
    "409 NOT_PAYABLE",
    "422 PAID_IN_FUTURE",
    "422 IDEMPOTENCY_KEY_REUSED",
)
NOT_DELETED = (NOT_FOUND, "409 USE_REFUND", "409 HAS_REFUNDS", "409 INVOICE_CLOSED")


@router.get("/payments", responses=error_responses(NOT_FOUND))
def list_payments(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[list[Payment]]:
    """Payments and refunds, in the order in which they came."""
    return Data(data=reads.list_payments(services.database, user, id))


@router.post("/payments", status_code=201, responses=error_responses(*NOT_RECORDED, "409 EXCEEDS_BALANCE"))
def record_payment(
    id: RowId, body: PaymentRequest, key: IdempotencyKey, user: AdminUser, services: ServicesDep
) -> Data[Invoice]:
    """Record a payment of at most the balance, once per key."""
    paid = manual_payments.record_payment(
        services.database, services.settings, lambda: services.stripe, user, id, body, key
    )
    return Data(data=paid)


@router.delete(
    "/payments/{pid}",
    status_code=204,
    responses=error_responses(*NOT_DELETED, "404 PAYMENT_NOT_FOUND", "409 PAYMENT_DELETED"),
)
def delete_payment(id: RowId, pid: RowId, user: AdminUser, services: ServicesDep) -> Response:
    """Delete a payment that was recorded manually; its amount is owed again."""
    manual_payments.delete_payment(services.database, lambda: services.stripe, user, id, pid)
    return Response(status_code=204)


@router.post("/mark-paid", responses=error_responses(*NOT_RECORDED))
def mark_paid(
    id: RowId, body: PaidBody, key: IdempotencyKey, user: AdminUser, services: ServicesDep
) -> Data[Invoice]:
    """Record one payment of the whole balance, once per key."""
    paid = manual_payments.mark_paid(
        services.database, services.settings, lambda: services.stripe, user, id, body, key
    )
    return Data(data=paid)


@router.post("/mark-unpaid", responses=error_responses(*NOT_DELETED, "409 NOT_PAID"))
def mark_unpaid(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Invoice]:
    """Delete every payment that was recorded manually, and hold the job."""
    unpaid = manual_payments.mark_unpaid(
        services.database, services.settings, lambda: services.stripe, user, id
    )
    return Data(data=unpaid)

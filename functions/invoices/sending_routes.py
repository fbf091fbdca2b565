"""Sending an invoice, and renewing the link that it is paid by."""

from typing import Annotated

from fastapi import APIRouter, Body

from printshop.http.dependencies import AdminUser, IdempotencyKey, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.invoices import sending
from printshop.invoices.requests import SendRequest
from printshop.invoices.schemas import Invoice, SentInvoice
from printshop.kernel.base_model import Data

router = APIRouter(prefix="/api/invoices/{id}", tags=["Invoices"])

SendBody = Annotated[SendRequest, Body(default_factory=SendRequest)]
NOT_FOUND = "404 INVOICE_NOT_FOUND"


@router.post(
    "/send",
    responses=error_responses(NOT_FOUND, "409 INVOICE_CLOSED", "422 NO_EMAIL", "422 IDEMPOTENCY_KEY_REUSED"),
)
def send_invoice(
    id: RowId, body: SendBody, key: IdempotencyKey, user: AdminUser, services: ServicesDep
) -> Data[SentInvoice]:
    """Send an invoice, by e-mail where the shop sends e-mail; again with another key."""
    sent = sending.send_invoice(
        services.database, services.settings, services.mail_queue, user, id, body, key
    )
    return Data(data=sent)


@router.post("/rotate-token", responses=error_responses(NOT_FOUND))
def rotate_token(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Invoice]:
    """Give an invoice a new `payUrl`; the old link no longer opens anything."""
    return Data(data=sending.rotate_pay_token(services.database, services.settings, user, id))

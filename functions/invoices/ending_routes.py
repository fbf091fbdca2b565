"""What moves an invoice on beside its money: sent, void, written off, reverted, given a new link."""

from typing import Annotated

from fastapi import APIRouter, Body
from ids import NOT_FOUND, Id

from printshop.http.dependencies import AdminUser, IdempotencyKey
from printshop.http.errors import refusals
from printshop.http.services import Provided
from printshop.invoices import status
from printshop.invoices.requests import SendRequest
from printshop.invoices.schemas import Invoice, SentInvoice
from printshop.kernel.base_model import Data

router = APIRouter(tags=["Invoices"])

Sending = Annotated[SendRequest, Body(default_factory=SendRequest)]
CLOSED = "409 INVOICE_CLOSED"


@router.post(
    "/api/invoices/{id}/send",
    responses=refusals(NOT_FOUND, CLOSED, "422 NO_EMAIL", "422 IDEMPOTENCY_KEY_REUSED"),
)
def send_invoice(
    id: Id, body: Sending, key: IdempotencyKey, user: AdminUser, services: Provided
) -> Data[SentInvoice]:
    """Send an invoice, by e-mail where the shop sends e-mail; again with another key."""
    return Data(data=status.send_invoice(services, user, id, body, key))


@router.post("/api/invoices/{id}/void", responses=refusals(NOT_FOUND, CLOSED, "409 HAS_PAYMENTS"))
def void_invoice(id: Id, user: AdminUser, services: Provided) -> Data[Invoice]:
    """Take an unpaid invoice back; its number stays, its job is cancelled or, once started, held."""
    return Data(data=status.void_invoice(services, user, id))


@router.post("/api/invoices/{id}/write-off", responses=refusals(NOT_FOUND, CLOSED, "409 ALREADY_PAID"))
def write_off_invoice(id: Id, user: AdminUser, services: Provided) -> Data[Invoice]:
    """Give up what is still owed; `writtenOffCents` keeps it."""
    return Data(data=status.write_off_invoice(services, user, id))


@router.post(
    "/api/invoices/{id}/revert",
    responses=refusals(NOT_FOUND, "409 NOT_FROM_A_QUOTE", CLOSED, "409 HAS_PAYMENTS"),
)
def revert_invoice(id: Id, user: AdminUser, services: Provided) -> Data[Invoice]:
    """Take a conversion back: the invoice is void, and its quote ACCEPTED, to be converted again."""
    return Data(data=status.revert_invoice(services, user, id))


@router.post("/api/invoices/{id}/rotate-token", responses=refusals(NOT_FOUND))
def rotate_token(id: Id, user: AdminUser, services: Provided) -> Data[Invoice]:
    """Give an invoice a new `payUrl`; the old link opens nothing any more."""
    return Data(data=status.rotate_token(services, user, id))

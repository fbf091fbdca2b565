"""Closing an invoice other than by payment: void, write off, revert."""

from fastapi import APIRouter

from printshop.http.dependencies import AdminUser, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.invoices import closing
from printshop.invoices.schemas import Invoice
from printshop.kernel.base_model import Data

router = APIRouter(prefix="/api/invoices/{id}", tags=["Invoices"])

NOT_FOUND = "404 INVOICE_NOT_FOUND"
CLOSED = "409 INVOICE_CLOSED"


@router.post("/void", responses=error_responses(NOT_FOUND, CLOSED, "409 HAS_PAYMENTS"))
def void_invoice(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Invoice]:
    """Void an unpaid invoice; its number stays, its job is cancelled or, once started, held."""
    voided = closing.void_invoice(services.database, services.settings, lambda: services.stripe, user, id)
    return Data(data=voided)


@router.post("/write-off", responses=error_responses(NOT_FOUND, CLOSED, "409 ALREADY_PAID"))
def write_off_invoice(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Invoice]:
    """Give up what is still owed; `writtenOffCents` keeps it."""
    written_off = closing.write_off_invoice(
        services.database, services.settings, lambda: services.stripe, user, id
    )
    return Data(data=written_off)


@router.post(
    "/revert",
    responses=error_responses(NOT_FOUND, "409 NOT_FROM_A_QUOTE", CLOSED, "409 HAS_PAYMENTS"),
)
def revert_invoice(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Invoice]:
    """Undo a conversion: the invoice is void, and its quote ACCEPTED, to be converted again."""
    reverted = closing.revert_invoice(services.database, services.settings, lambda: services.stripe, user, id)
    return Data(data=reverted)

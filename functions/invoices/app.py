"""Invoices: written and ended by the shop, read by whose they are. Payments and files have modules of their own."""

from typing import Annotated

import attachment_routes
import ending_routes
import file_routes
import payment_routes
from fastapi import Query, Response
from ids import NOT_FOUND, Id

from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ClientOrAdmin, DocumentAdmin
from printshop.http.errors import refusals
from printshop.http.services import Provided
from printshop.invoices import reads as reading
from printshop.invoices import writes as writing
from printshop.invoices.requests import InvoiceRequest
from printshop.invoices.schemas import Activity, Invoice, InvoiceSort, InvoiceStatus, InvoiceSummary
from printshop.kernel.base_model import Data, Page
from printshop.kernel.paging import Cursor, Limit, Search

app = create_app("Invoices")
handler = lambda_handler(app)

UNPRICED = (
    "404 FILE_NOT_FOUND",
    "409 NEEDS_REVIEW",
    "409 NOT_SLICED",
    "409 FILE_EXPIRED",
    "422 UNKNOWN_CLIENT",
    "422 UNKNOWN_PAYMENT_TERM",
    "422 DUE_BEFORE_ISSUE",
    "422 UNKNOWN_TEMPLATE",
    "422 UNKNOWN_MATERIAL",
    "422 LINE_WITHOUT_PRICE",
    "422 LOT_HAS_ITS_PRICE",
    "422 AMOUNT_TOO_LARGE",
)


@app.get("/api/invoices", tags=["Invoices"], responses=refusals("400 CURSOR_INVALID"))
def list_invoices(
    user: ClientOrAdmin,
    services: Provided,
    status: InvoiceStatus | None = None,
    q: Search = None,
    sort: Annotated[InvoiceSort, Query(description="Newest, oldest, or first due first")] = "-createdAt",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InvoiceSummary]:
    """All invoices to the shop, his own to a client."""
    page, more = reading.list_invoices(
        services.database, user, status=status, query=q, sort=sort, limit=limit, cursor=cursor
    )
    return Page(data=page, next_cursor=more)


@app.post("/api/invoices", status_code=201, tags=["Invoices"], responses=refusals(*UNPRICED))
def create_invoice(body: InvoiceRequest, admin: DocumentAdmin, services: Provided) -> Data[Invoice]:
    """Write an invoice, issued today, priced by today's rates. A printed line brings its model and g-code along."""
    return Data(data=writing.create_invoice(services, admin, body))


@app.get("/api/invoices/{id}", tags=["Invoices"], responses=refusals(NOT_FOUND))
def read_invoice(id: Id, user: ClientOrAdmin, services: Provided) -> Data[Invoice]:
    """An invoice with its lines, payments and job."""
    return Data(data=reading.get_invoice(services.database, services.settings, user, id))


@app.put(
    "/api/invoices/{id}",
    tags=["Invoices"],
    responses=refusals(
        NOT_FOUND,
        "409 NOT_EDITABLE",
        "409 CLIENT_FIXED",
        "409 CURRENCY_FIXED",
        "409 HAS_REFUNDS",
        *UNPRICED,
    ),
)
def update_invoice(id: Id, body: InvoiceRequest, admin: DocumentAdmin, services: Provided) -> Data[Invoice]:
    """Write an invoice anew, at today's rates. Its number, issue date and payments stay; the balance follows."""
    return Data(data=writing.update_invoice(services, admin, id, body))


@app.delete(
    "/api/invoices/{id}",
    status_code=204,
    tags=["Invoices"],
    responses=refusals(
        NOT_FOUND, "409 USE_REVERT", "409 ALREADY_SENT", "409 HAS_PAYMENTS", "409 JOB_STARTED"
    ),
)
def delete_invoice(id: Id, user: AdminUser, services: Provided) -> Response:
    """Delete an invoice that was never sent and never paid, with its files; its number stays retired."""
    writing.delete_invoice(services, user, id)
    return Response(status_code=204)


@app.get(
    "/api/invoices/{id}/activity", tags=["Invoices"], responses=refusals(NOT_FOUND, "400 CURSOR_INVALID")
)
def list_activity(
    id: Id, user: ClientOrAdmin, services: Provided, limit: Limit = 50, cursor: Cursor = None
) -> Page[Activity]:
    """What happened to an invoice, newest first; to the shop with who did it."""
    page, more = reading.list_activity(services.database, user, id, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


for module in (ending_routes, payment_routes, attachment_routes, file_routes):
    app.include_router(module.router)

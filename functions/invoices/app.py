"""Invoices: written by the shop, read by whoever they belong to. Closing, sending, payments and files have route
modules of their own."""

from typing import Annotated

import attachment_routes
import closing_routes
import file_routes
import payment_routes
import sending_routes
from fastapi import Query, Response

from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ClientOrAdmin, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import Cursor, Limit, RowId, Search
from printshop.http.pricing_admin import PricingAdminDep
from printshop.invoices import reads, writes
from printshop.invoices.requests import InvoiceRequest
from printshop.invoices.schemas import Activity, Invoice, InvoiceSort, InvoiceStatus, InvoiceSummary
from printshop.kernel.base_model import Data, Page

app = create_app("Invoices")
handler = lambda_handler(app)

NOT_FOUND = "404 INVOICE_NOT_FOUND"
NOT_PRICED = (
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


@app.get("/api/invoices", tags=["Invoices"], responses=error_responses("400 CURSOR_INVALID"))
def list_invoices(
    user: ClientOrAdmin,
    services: ServicesDep,
    status: InvoiceStatus | None = None,
    q: Search = None,
    sort: Annotated[InvoiceSort, Query(description="Newest, oldest, or first due first")] = "-createdAt",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InvoiceSummary]:
    """All invoices to the shop; to a client their own."""
    page, more = reads.list_invoices(
        services.database, user, status=status, query=q, sort=sort, limit=limit, cursor=cursor
    )
    return Page(data=page, next_cursor=more)


@app.post("/api/invoices", status_code=201, tags=["Invoices"], responses=error_responses(*NOT_PRICED))
def create_invoice(body: InvoiceRequest, admin: PricingAdminDep, services: ServicesDep) -> Data[Invoice]:
    """Write an invoice, issued today, priced by today's rates. A printed line brings its model and g-code along."""
    made = writes.create_invoice(
        services.storage, services.database, services.settings, admin.user, admin.book, body
    )
    return Data(data=made)


@app.get("/api/invoices/{id}", tags=["Invoices"], responses=error_responses(NOT_FOUND))
def read_invoice(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[Invoice]:
    """An invoice with its lines, payments and job."""
    return Data(data=reads.get_invoice(services.database, services.settings, user, id))


@app.put(
    "/api/invoices/{id}",
    tags=["Invoices"],
    responses=error_responses(
        NOT_FOUND,
        "409 NOT_EDITABLE",
        "409 CLIENT_FIXED",
        "409 CURRENCY_FIXED",
        "409 HAS_REFUNDS",
        *NOT_PRICED,
    ),
)
def update_invoice(
    id: RowId, body: InvoiceRequest, admin: PricingAdminDep, services: ServicesDep
) -> Data[Invoice]:
    """Replace an invoice's contents, at today's rates. Number, issue date and payments stay; the balance follows."""
    updated = writes.update_invoice(
        services.storage,
        services.database,
        services.settings,
        lambda: services.stripe,
        admin.user,
        admin.book,
        id,
        body,
    )
    return Data(data=updated)


@app.delete(
    "/api/invoices/{id}",
    status_code=204,
    tags=["Invoices"],
    responses=error_responses(
        NOT_FOUND, "409 USE_REVERT", "409 ALREADY_SENT", "409 HAS_PAYMENTS", "409 JOB_STARTED"
    ),
)
def delete_invoice(id: RowId, user: AdminUser, services: ServicesDep) -> Response:
    """Delete an invoice that was never sent and never paid, with its files; its number stays retired."""
    writes.delete_invoice(
        services.storage, services.database, services.settings, lambda: services.stripe, user, id
    )
    return Response(status_code=204)


@app.get(
    "/api/invoices/{id}/activity",
    tags=["Invoices"],
    responses=error_responses(NOT_FOUND, "400 CURSOR_INVALID"),
)
def list_activity(
    id: RowId, user: ClientOrAdmin, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[Activity]:
    """What happened to an invoice, newest first; to the shop with who did it."""
    page, more = reads.list_activity(services.database, user, id, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


for module in (closing_routes, sending_routes, payment_routes, attachment_routes, file_routes):
    app.include_router(module.router)

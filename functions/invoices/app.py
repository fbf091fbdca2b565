"""Invoices: the list and the single one, each to whom it belongs."""

from typing import Annotated

from fastapi import Path

from printshop.http import ClientOrAdmin, Data, Page, Provided, create_app, lambda_handler, refusals
from printshop.invoices import Invoice, InvoiceStatus, InvoiceSummary, get_invoice, list_invoices
from printshop.paging import Cursor, Limit, Search

app = create_app("Invoices")
handler = lambda_handler(app)


@app.get("/api/invoices", tags=["Invoices"])
def invoices(
    user: ClientOrAdmin,
    services: Provided,
    status: InvoiceStatus | None = None,
    q: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InvoiceSummary]:
    """The caller's invoices, newest first; the shop sees all."""
    page, more = list_invoices(services.database, user, status=status, query=q, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.get("/api/invoices/{id}", tags=["Invoices"], responses=refusals("404 INVOICE_NOT_FOUND"))
def invoice(
    id: Annotated[int, Path(ge=1, le=2**53)], user: ClientOrAdmin, services: Provided
) -> Data[Invoice]:
    """An invoice with its lines, payments and job."""
    return Data(data=get_invoice(services.database, services.settings, user, id))

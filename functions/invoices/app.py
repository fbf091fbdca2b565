"""Invoices: the list and the single one, each to whom it belongs."""

from typing import Annotated

from fastapi import Path

from printshop.http import ClientOrAdmin, Data, Page, Provided, create_app, lambda_handler
from printshop.invoices import Invoice, InvoiceStatus, InvoiceSummary, get_invoice, list_invoices
from printshop.paging import Cursor, Limit, Search

app = create_app("Invoices")
handler = lambda_handler(app)


@app.get("/api/invoices")
def invoices(
    user: ClientOrAdmin,
    services: Provided,
    status: InvoiceStatus | None = None,
    q: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InvoiceSummary]:
    page, more = list_invoices(services.database, user, status=status, query=q, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.get("/api/invoices/{id}")
def invoice(
    id: Annotated[int, Path(ge=1, le=2**53)], user: ClientOrAdmin, services: Provided
) -> Data[Invoice]:
    return Data(data=get_invoice(services.database, services.settings, user, id))

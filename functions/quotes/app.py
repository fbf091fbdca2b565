"""Quotes: written by the shop, read by whoever they belong to. Sending, decisions and the public link have route
modules of their own."""

from typing import Annotated

import decision_routes
import public_routes
import sending_routes
from fastapi import Query, Response

from printshop.files.order_files import OrderFile
from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ClientOrAdmin, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import Cursor, Limit, RowId, Search
from printshop.http.pricing_admin import PricingAdminDep
from printshop.kernel.base_model import Data, Page
from printshop.quotes import duplication, reads, writes
from printshop.quotes.schemas import Quote, QuoteDetail, QuoteRequest, QuoteSort, QuoteStatus, QuoteSummary

app = create_app("Quotes")
handler = lambda_handler(app)

NOT_FOUND = "404 QUOTE_NOT_FOUND"
NOT_PRICED = (
    "404 FILE_NOT_FOUND",
    "409 NEEDS_REVIEW",
    "409 NOT_SLICED",
    "409 FILE_EXPIRED",
    "422 UNKNOWN_CLIENT",
    "422 VALID_UNTIL_PAST",
    "422 UNKNOWN_TEMPLATE",
    "422 UNKNOWN_MATERIAL",
    "422 LINE_WITHOUT_PRICE",
    "422 LOT_HAS_ITS_PRICE",
    "422 AMOUNT_TOO_LARGE",
)


@app.get("/api/quotes", tags=["Quotes"], responses=error_responses("400 CURSOR_INVALID"))
def list_quotes(
    user: ClientOrAdmin,
    services: ServicesDep,
    status: QuoteStatus | None = None,
    q: Search = None,
    sort: Annotated[QuoteSort, Query(description="Newest or oldest first")] = "-createdAt",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[QuoteSummary]:
    """All quotes to the shop; to a client their own that were sent."""
    page, more = reads.list_quotes(
        services.database, user, status=status, query=q, sort=sort, limit=limit, cursor=cursor
    )
    return Page(data=page, next_cursor=more)


@app.post("/api/quotes", status_code=201, tags=["Quotes"], responses=error_responses(*NOT_PRICED))
def create_quote(body: QuoteRequest, admin: PricingAdminDep, services: ServicesDep) -> Data[Quote]:
    """Draft a quote, priced by today's rates. A printed line brings its model and g-code along."""
    made = writes.create_quote(
        services.storage, services.database, services.settings, admin.user, admin.book, body
    )
    return Data(data=made)


@app.get("/api/quotes/{id}", tags=["Quotes"], responses=error_responses(NOT_FOUND))
def read_quote(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[QuoteDetail]:
    """A quote with its lines; to the shop with the snapshot that priced it."""
    return Data(data=reads.get_quote(services.database, services.settings, user, id))


@app.put(
    "/api/quotes/{id}",
    tags=["Quotes"],
    responses=error_responses(NOT_FOUND, "409 NOT_A_DRAFT", "409 FILES_OF_CLIENT", *NOT_PRICED),
)
def update_quote(id: RowId, body: QuoteRequest, admin: PricingAdminDep, services: ServicesDep) -> Data[Quote]:
    """Replace a DRAFT's contents, at today's rates. Its number, link and kept files stay."""
    updated = writes.update_quote(
        services.storage, services.database, services.settings, admin.user, admin.book, id, body
    )
    return Data(data=updated)


@app.delete(
    "/api/quotes/{id}",
    status_code=204,
    tags=["Quotes"],
    responses=error_responses(NOT_FOUND, "409 NOT_A_DRAFT"),
)
def delete_quote(id: RowId, user: AdminUser, services: ServicesDep) -> Response:
    """Delete a DRAFT with its files; its number stays retired."""
    writes.delete_quote(services.storage, services.database, services.settings, user, id)
    return Response(status_code=204)


@app.post(
    "/api/quotes/{id}/duplicate",
    status_code=201,
    tags=["Quotes"],
    responses=error_responses(NOT_FOUND, "409 FILES_CHANGED"),
)
def duplicate_quote(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Quote]:
    """A new DRAFT of the same lines, amounts and files, dated today."""
    duplicate = duplication.duplicate_quote(services.storage, services.database, services.settings, user, id)
    return Data(data=duplicate)


@app.get("/api/quotes/{id}/files", tags=["Quotes"], responses=error_responses(NOT_FOUND))
def quote_files(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[list[OrderFile]]:
    """The models, g-codes and settings kept with a quote; GET /api/order-files/{id} downloads one."""
    return Data(data=reads.quote_files(services.database, user, id))


for module in (sending_routes, decision_routes, public_routes):
    app.include_router(module.router)

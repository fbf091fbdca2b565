"""Quotes: written, sent, decided and converted by the shop; read and decided by their clients, or by their link."""

from typing import Annotated, Any

from fastapi import Body, Header, Path, Query, Response
from fastapi.responses import HTMLResponse

from printshop.files.order_files import OrderFile
from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ClientOrAdmin, DocumentAdmin, IdempotencyKey
from printshop.http.errors import refusals
from printshop.http.services import Provided
from printshop.invoices.schemas import Invoice
from printshop.kernel.base_model import Data, Page
from printshop.kernel.errors import ApiError
from printshop.kernel.paging import Cursor, Limit, Search
from printshop.quotes import decisions
from printshop.quotes import reads as reading
from printshop.quotes import writes as writing
from printshop.quotes.pages import PAGE_HEADERS, prefers_page, quote_page, refusal_page
from printshop.quotes.schemas import (
    DecisionRequest,
    PublicQuote,
    Quote,
    QuoteDetail,
    QuoteRequest,
    QuoteSort,
    QuoteStatus,
    QuoteSummary,
    SendRequest,
    SentQuote,
)

app = create_app("Quotes")
handler = lambda_handler(app)

Id = Annotated[int, Path(ge=1, le=2**53)]
Token = Annotated[str, Path(min_length=1, max_length=100, description="Of the quote's link")]
Sending = Annotated[SendRequest, Body(default_factory=SendRequest)]
Decision = Annotated[DecisionRequest, Body(default_factory=DecisionRequest)]

NOT_FOUND = "404 QUOTE_NOT_FOUND"
UNPRICED = (
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
UNDECIDABLE = (NOT_FOUND, "409 NOT_PENDING", "409 QUOTE_EXPIRED")


@app.get("/api/quotes", tags=["Quotes"], responses=refusals("400 CURSOR_INVALID"))
def list_quotes(
    user: ClientOrAdmin,
    services: Provided,
    status: QuoteStatus | None = None,
    q: Search = None,
    sort: Annotated[QuoteSort, Query(description="Newest or oldest first")] = "-createdAt",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[QuoteSummary]:
    """All quotes to the shop; to a client his own that were sent."""
    page, more = reading.list_quotes(
        services.database, user, status=status, query=q, sort=sort, limit=limit, cursor=cursor
    )
    return Page(data=page, next_cursor=more)


@app.post("/api/quotes", status_code=201, tags=["Quotes"], responses=refusals(*UNPRICED))
def create_quote(body: QuoteRequest, admin: DocumentAdmin, services: Provided) -> Data[Quote]:
    """Draft a quote, priced by today's rates. A printed line brings its model and g-code along."""
    return Data(
        data=writing.create_quote(services.storage, services.database, services.settings, admin, body)
    )


@app.get("/api/quotes/{id}", tags=["Quotes"], responses=refusals(NOT_FOUND))
def read_quote(id: Id, user: ClientOrAdmin, services: Provided) -> Data[QuoteDetail]:
    """A quote with its lines; to the shop with the snapshot that priced it."""
    return Data(data=reading.get_quote(services.database, services.settings, user, id))


@app.put(
    "/api/quotes/{id}",
    tags=["Quotes"],
    responses=refusals(NOT_FOUND, "409 NOT_A_DRAFT", "409 FILES_OF_CLIENT", *UNPRICED),
)
def update_quote(id: Id, body: QuoteRequest, admin: DocumentAdmin, services: Provided) -> Data[Quote]:
    """Write a DRAFT anew, at today's rates. Its number, link and kept files stay."""
    return Data(
        data=writing.update_quote(services.storage, services.database, services.settings, admin, id, body)
    )


@app.delete(
    "/api/quotes/{id}", status_code=204, tags=["Quotes"], responses=refusals(NOT_FOUND, "409 NOT_A_DRAFT")
)
def delete_quote(id: Id, user: AdminUser, services: Provided) -> Response:
    """Delete a DRAFT with its files; its number stays retired."""
    writing.delete_quote(services.storage, services.database, services.settings, user, id)
    return Response(status_code=204)


@app.post(
    "/api/quotes/{id}/send",
    tags=["Quotes"],
    responses=refusals(
        NOT_FOUND,
        "409 NOT_SENDABLE",
        "409 QUOTE_EXPIRED",
        "409 NEEDS_PRICE",
        "422 NO_EMAIL",
        "422 IDEMPOTENCY_KEY_REUSED",
    ),
)
def send_quote(
    id: Id, body: Sending, key: IdempotencyKey, user: AdminUser, services: Provided
) -> Data[SentQuote]:
    """Send a DRAFT, or a PENDING quote once more; by e-mail where the shop sends e-mail."""
    return Data(data=decisions.send_quote(services, user, id, body, key))


@app.post(
    "/api/quotes/{id}/convert",
    status_code=201,
    tags=["Quotes"],
    responses=refusals(NOT_FOUND, "409 ALREADY_CONVERTED", "409 NOT_CONVERTIBLE", "409 QUOTE_EXPIRED"),
)
def convert_quote(id: Id, user: AdminUser, services: Provided) -> Data[Invoice]:
    """Make the invoice of a PENDING or ACCEPTED quote, once, due by the client's payment terms."""
    return Data(data=decisions.convert_quote(services, user, id))


@app.post(
    "/api/quotes/{id}/duplicate",
    status_code=201,
    tags=["Quotes"],
    responses=refusals(NOT_FOUND, "409 FILES_CHANGED"),
)
def duplicate_quote(id: Id, user: AdminUser, services: Provided) -> Data[Quote]:
    """A new DRAFT of the same lines, amounts and files, dated today."""
    return Data(
        data=writing.duplicate_quote(services.storage, services.database, services.settings, user, id)
    )


@app.post("/api/quotes/{id}/accept", tags=["Quotes"], responses=refusals(*UNDECIDABLE))
def accept_quote(id: Id, body: Decision, user: ClientOrAdmin, services: Provided) -> Data[Quote]:
    """Accept a PENDING quote that is still valid."""
    return Data(data=decisions.decide(services, user, id, body, accept=True))


@app.post("/api/quotes/{id}/decline", tags=["Quotes"], responses=refusals(*UNDECIDABLE))
def decline_quote(id: Id, body: Decision, user: ClientOrAdmin, services: Provided) -> Data[Quote]:
    """Decline a PENDING quote that is still valid."""
    return Data(data=decisions.decide(services, user, id, body, accept=False))


@app.post("/api/quotes/{id}/rotate-token", tags=["Quotes"], responses=refusals(NOT_FOUND))
def rotate_token(id: Id, user: AdminUser, services: Provided) -> Data[Quote]:
    """Give a quote a new link; the old one opens nothing any more."""
    return Data(data=writing.rotate_token(services.database, services.settings, user, id))


@app.get("/api/quotes/{id}/files", tags=["Quotes"], responses=refusals(NOT_FOUND))
def quote_files(id: Id, user: ClientOrAdmin, services: Provided) -> Data[list[OrderFile]]:
    """The models, g-codes and settings kept with a quote; GET /api/order-files/{id} downloads one."""
    return Data(data=reading.quote_files(services.database, user, id))


@app.get(
    "/api/public/quotes/{token}",
    tags=["Quotes"],
    response_model=Data[PublicQuote],
    responses={200: {"content": {"text/html": {}}}, **refusals(NOT_FOUND)},
)
def public_quote(
    token: Token, services: Provided, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Any:
    """What a quote's link opens: JSON, or a page for a browser."""
    if not prefers_page(accept):
        return Data(data=reading.get_public_quote(services.database, services.settings, token))
    try:
        page = quote_page(reading.get_public_quote(services.database, services.settings, token))
    except ApiError as error:
        return HTMLResponse(refusal_page(error), error.status, PAGE_HEADERS)
    return HTMLResponse(page, headers=PAGE_HEADERS)


@app.post("/api/public/quotes/{token}/accept", tags=["Quotes"], responses=refusals(*UNDECIDABLE))
def accept_by_link(token: Token, body: Decision, services: Provided) -> Data[Quote]:
    """Accept the quote of a link."""
    return Data(data=decisions.decide_by_link(services, token, body, accept=True))


@app.post("/api/public/quotes/{token}/decline", tags=["Quotes"], responses=refusals(*UNDECIDABLE))
def decline_by_link(token: Token, body: Decision, services: Provided) -> Data[Quote]:
    """Decline the quote of a link."""
    return Data(data=decisions.decide_by_link(services, token, body, accept=False))

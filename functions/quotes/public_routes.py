"""The quote that a link opens, without a login: as JSON or as a page, and the answer to it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path
from fastapi.responses import HTMLResponse
from pages import PAGE_HEADERS, error_page, prefers_page, quote_page

from printshop.http.dependencies import ServicesDep
from printshop.http.errors import error_responses
from printshop.kernel.base_model import Data
from printshop.kernel.errors import ApiError
from printshop.quotes import decisions, reads
from printshop.quotes.schemas import DecisionRequest, PublicQuote, Quote

router = APIRouter(prefix="/api/public/quotes/{token}", tags=["Quotes"])

Token = Annotated[str, Path(min_length=1, max_length=100, description="Of the quote's link")]
DecisionBody = Annotated[DecisionRequest, Body(default_factory=DecisionRequest)]
NOT_FOUND = "404 QUOTE_NOT_FOUND"
NOT_DECIDED = (NOT_FOUND, "409 NOT_PENDING", "409 QUOTE_EXPIRED")


@router.get(
    "",
    response_model=Data[PublicQuote],
    responses={200: {"content": {"text/html": {}}}, **error_responses(NOT_FOUND)},
)
def public_quote(
    token: Token, services: ServicesDep, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Any:
    """What a quote's link opens: JSON, or a page for a browser."""
    if not prefers_page(accept):
        return Data(data=reads.get_public_quote(services.database, services.settings, token))
    try:
        page = quote_page(reads.get_public_quote(services.database, services.settings, token))
    except ApiError as error:
        return HTMLResponse(error_page(error), error.status, PAGE_HEADERS)
    return HTMLResponse(page, headers=PAGE_HEADERS)


@router.post("/accept", responses=error_responses(*NOT_DECIDED))
def accept_by_link(token: Token, body: DecisionBody, services: ServicesDep) -> Data[Quote]:
    """Accept the quote of a link."""
    accepted = decisions.decide_quote_by_link(services.database, services.settings, token, body, accept=True)
    return Data(data=accepted)


@router.post("/decline", responses=error_responses(*NOT_DECIDED))
def decline_by_link(token: Token, body: DecisionBody, services: ServicesDep) -> Data[Quote]:
    """Decline the quote of a link."""
    declined = decisions.decide_quote_by_link(services.database, services.settings, token, body, accept=False)
    return Data(data=declined)

"""Accepting and declining a quote by a login, and converting it to an invoice."""

from typing import Annotated

from fastapi import APIRouter, Body

from printshop.http.dependencies import AdminUser, ClientOrAdmin, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.invoices.schemas import Invoice
from printshop.kernel.base_model import Data
from printshop.quotes import decisions
from printshop.quotes.schemas import DecisionRequest, Quote

router = APIRouter(prefix="/api/quotes/{id}", tags=["Quotes"])

DecisionBody = Annotated[DecisionRequest, Body(default_factory=DecisionRequest)]
NOT_FOUND = "404 QUOTE_NOT_FOUND"
NOT_DECIDED = (NOT_FOUND, "409 NOT_PENDING", "409 QUOTE_EXPIRED")


@router.post("/accept", responses=error_responses(*NOT_DECIDED))
def accept_quote(id: RowId, body: DecisionBody, user: ClientOrAdmin, services: ServicesDep) -> Data[Quote]:
    """Accept a PENDING quote that is still valid."""
    accepted = decisions.decide_quote(services.database, services.settings, user, id, body, accept=True)
    return Data(data=accepted)


@router.post("/decline", responses=error_responses(*NOT_DECIDED))
def decline_quote(id: RowId, body: DecisionBody, user: ClientOrAdmin, services: ServicesDep) -> Data[Quote]:
    """Decline a PENDING quote that is still valid."""
    declined = decisions.decide_quote(services.database, services.settings, user, id, body, accept=False)
    return Data(data=declined)


@router.post(
    "/convert",
    status_code=201,
    responses=error_responses(NOT_FOUND, "409 ALREADY_CONVERTED", "409 NOT_CONVERTIBLE", "409 QUOTE_EXPIRED"),
)
def convert_quote(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Invoice]:
    """Make the invoice of a PENDING or ACCEPTED quote, once, due by the client's payment terms."""
    return Data(data=decisions.convert_quote(services.database, services.settings, user, id))

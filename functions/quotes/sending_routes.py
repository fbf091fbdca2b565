"""Sending a quote, and renewing the link that opens it."""

from typing import Annotated

from fastapi import APIRouter, Body

from printshop.http.dependencies import AdminUser, IdempotencyKey, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.kernel.base_model import Data
from printshop.quotes import sending
from printshop.quotes.schemas import Quote, SendRequest, SentQuote

router = APIRouter(prefix="/api/quotes/{id}", tags=["Quotes"])

SendBody = Annotated[SendRequest, Body(default_factory=SendRequest)]
NOT_FOUND = "404 QUOTE_NOT_FOUND"


@router.post(
    "/send",
    responses=error_responses(
        NOT_FOUND,
        "409 NOT_SENDABLE",
        "409 QUOTE_EXPIRED",
        "409 NEEDS_PRICE",
        "422 NO_EMAIL",
        "422 IDEMPOTENCY_KEY_REUSED",
    ),
)
def send_quote(
    id: RowId, body: SendBody, key: IdempotencyKey, user: AdminUser, services: ServicesDep
) -> Data[SentQuote]:
    """Send a DRAFT, or a PENDING quote once more; by e-mail where the shop sends e-mail."""
    sent = sending.send_quote(services.database, services.settings, services.mail_queue, user, id, body, key)
    return Data(data=sent)


@router.post("/rotate-token", responses=error_responses(NOT_FOUND))
def rotate_token(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Quote]:
    """Give a quote a new link; the old one no longer opens anything."""
    return Data(data=sending.rotate_quote_token(services.database, services.settings, user, id))

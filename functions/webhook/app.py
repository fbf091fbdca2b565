"""Stripe's webhook: the raw body, its signature, one transaction; and what of it a person has to look at."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Request

from printshop.config.settings_provider import current
from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import Cursor, Limit
from printshop.kernel.base_model import Data, Page, StrictModel
from printshop.kernel.errors import BadRequest, NotFound
from printshop.payments.unmatched import UnmatchedEvent, list_unmatched
from printshop.payments.webhook import receive
from printshop.services import get_services

app = create_app("Webhook")
handler = lambda_handler(app)

SECRET_MAY_BE_NEWER = ("WEBHOOK_SIGNATURE_INVALID", "ROUTE_NOT_FOUND")


class Received(StrictModel):
    """What became of the event. FLAGGED and UNMATCHED ones wait for the shop's look."""

    outcome: Literal["APPLIED", "DUPLICATE", "RECORDED", "FLAGGED", "UNMATCHED"]


RAW_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The event as Stripe sent it; its bytes are signed.",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {"id": "evt_1", "object": "event", "type": "checkout.session.completed"},
            }
        },
    }
}


async def raw_body(request: Request) -> bytes:
    """The bytes as Stripe signed them: parsed and written again they would no longer fit the signature."""
    return await request.body()


@app.post(
    "/api/stripe/webhook",
    tags=["Stripe"],
    openapi_extra=RAW_BODY,
    responses=error_responses(
        "400 WEBHOOK_SIGNATURE_INVALID", "400 WEBHOOK_BODY_INVALID", "404 ROUTE_NOT_FOUND"
    ),
)
def stripe_webhook(
    body: Annotated[bytes, Depends(raw_body)],
    services: ServicesDep,
    stripe_signature: Annotated[
        str | None, Header(description="Stripe's `t=…,v1=…`", examples=["t=1783071000,v1=5257a8…"])
    ] = None,
) -> Data[Received]:
    """Stripe's events, each applied once however often it comes."""
    try:
        outcome = receive(services.database, services.stripe, body, stripe_signature)
    except (BadRequest, NotFound) as refusal:
        # Stripe may sign with a secret that came after this process read its own.
        if refusal.code not in SECRET_MAY_BE_NEWER or not current.renew():
            raise
        services = get_services()
        outcome = receive(services.database, services.stripe, body, stripe_signature)
    return Data(data=Received.model_validate({"outcome": outcome}))


@app.get("/api/stripe/unmatched", tags=["Stripe"], responses=error_responses("400 CURSOR_INVALID"))
def stripe_unmatched(
    _: AdminUser, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[UnmatchedEvent]:
    """Events that a person has to look at: payments of no invoice, and what was not as asked for. Newest first."""
    events, more = list_unmatched(services.database, limit=limit, cursor=cursor)
    return Page(data=events, next_cursor=more)

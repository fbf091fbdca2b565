"""Stripe's webhook: the raw body, its signature, one transaction."""

from typing import Annotated

from fastapi import Depends, Header, Request

from printshop.http import Data, Model, Provided, create_app, lambda_handler
from printshop.payments.webhook import receive

app = create_app("Webhook")
handler = lambda_handler(app)


class Received(Model):
    outcome: str


async def raw_body(request: Request) -> bytes:
    """The bytes as Stripe signed them: parsed and written again they would no longer fit the signature."""
    return await request.body()


@app.post("/api/stripe/webhook")
def stripe_webhook(
    body: Annotated[bytes, Depends(raw_body)],
    services: Provided,
    stripe_signature: Annotated[str | None, Header()] = None,
) -> Data[Received]:
    return Data(data=Received(outcome=receive(services.database, services.stripe, body, stripe_signature)))

"""Stripe's events: verified, then applied by one function in one transaction."""

from typing import Any

from printshop.database import Database
from printshop.log import get_logger
from printshop.payments.stripe_gateway import StripeGateway

log = get_logger()


def receive(database: Database, stripe: StripeGateway, body: bytes, signature: str | None) -> str:
    """Apply a delivery and answer its outcome: APPLIED, DUPLICATE, RECORDED, FLAGGED or UNMATCHED.

    Raises BadRequest for a body or signature that is not Stripe's, NotFound without a secret, Unavailable when the
    database does not answer, so that Stripe delivers again.
    """
    event = stripe.read_event(body, signature)
    answer: dict[str, Any] = database.call("apply_stripe_event", p_event=event)
    log.info(
        scope="stripe.webhook",
        message=f"{event['type']}: {answer['outcome']}",
        data={"eventId": event["id"], "invoiceId": answer.get("invoiceId")},
    )
    return str(answer["outcome"])

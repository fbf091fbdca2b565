"""Stripe's deliveries: nothing is believed before its signature is."""

from printshop.adapters.database import Database
from printshop.adapters.stripe import StripeGateway
from printshop.payments.events import apply_event


def receive(database: Database, stripe: StripeGateway, body: bytes, signature: str | None) -> str:
    """Apply a delivery and answer its outcome, as `apply_event`.

    Raises BadRequest for a body or signature that is not Stripe's, NotFound without a secret, Unavailable when the
    database does not answer, so that Stripe delivers again.
    """
    return apply_event(database, stripe, stripe.read_event(body, signature))

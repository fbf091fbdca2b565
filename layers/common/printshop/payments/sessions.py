"""What became of a Checkout session, as Stripe tells it when asked, applied as its event would be."""

import time
from typing import Any

from printshop.adapters.database import Database
from printshop.adapters.stripe import StripeGateway
from printshop.kernel.errors import Unavailable
from printshop.payments.events import apply_event


def close_session(database: Database, stripe: StripeGateway, session_id: str) -> bool:
    """Make sure that nobody pays a page any more. False: somebody has, and it is booked.

    Raises Unavailable, also for a page that the key does not reach and that may be open for another one.
    """
    session = stripe.end_session(session_id)
    if session is None:
        if stripe.livemode and not stripe.is_of_mode(session_id):
            # A test page moves no money: whoever wants to pay gets a live one beside it.
            return True
        # It may be open in another account, as may a live one beside a test key: no second page until its time is up.
        raise Unavailable(
            "CHECKOUT_UNAVAILABLE",
            "An earlier payment page of this invoice may still be open; use that one, or try again tomorrow.",
            retry_after=3600,
        )
    if session["status"] == "expired":
        return True
    apply_session(database, stripe, session)
    return False


def apply_session(database: Database, stripe: StripeGateway, session: dict[str, Any]) -> str:
    """Apply a session that is no longer open, and answer the outcome; its real event then finds it done."""
    kind, state = _news(session)
    intent = session.get("payment_intent")
    happened = int(time.time())
    if isinstance(intent, dict):
        # Near to when it was paid: what came before a refund has to stay before it.
        happened = intent["created"]
        session = {**session, "payment_intent": intent["id"]}
    return apply_event(
        database,
        stripe,
        {
            "id": f"{session['id']}:{state}",
            "type": f"checkout.session.{kind}",
            "created": happened,
            "livemode": session["livemode"],
            "api_version": stripe.api_version,
            "data": {"object": session},
        },
    )


def _news(session: dict[str, Any]) -> tuple[str, str]:
    """The kind of the event that tells of it, and a word for its own id."""
    if session["status"] == "expired":
        return "expired", "expired"
    if session["payment_status"] == "paid":
        return "completed", "paid"
    intent = session.get("payment_intent")
    if isinstance(intent, dict) and intent["status"] in ("requires_payment_method", "canceled"):
        return "async_payment_failed", "failed"
    return "completed", "unpaid"

"""Stripe's events: each applied once, by one function in one transaction, whoever brought it."""

from typing import TYPE_CHECKING, Any

from printshop.database import Database
from printshop.errors import ApiError
from printshop.log import get_logger

if TYPE_CHECKING:
    from printshop.payments.stripe_gateway import StripeGateway

log = get_logger()


def apply_event(database: Database, stripe: "StripeGateway", event: dict[str, Any]) -> str:
    """Apply an event in Stripe's form and answer its outcome: APPLIED, DUPLICATE, RECORDED, FLAGGED or UNMATCHED.

    Raises Unavailable when the database does not answer.
    """
    answer: dict[str, Any] = database.call(
        "apply_stripe_event", p_event=event, p_livemode=stripe.livemode, p_api_version=stripe.api_version
    )
    log.info(
        scope="stripe.event",
        message=f"{event['type']}: {answer['outcome']}",
        data={"eventId": event["id"], "invoiceId": answer.get("invoiceId")},
    )
    close_pages(stripe, answer.get("retire", []))
    return str(answer["outcome"])


def close_pages(stripe: "StripeGateway", session_ids: list[str]) -> None:
    """Have Stripe close pages that a committed change took out of use. A Stripe that does not answer is only logged:
    they stay noted as RETIRED, and the reconciler comes for them."""
    for session_id in session_ids:
        try:
            stripe.end_session(session_id)
        except ApiError as error:
            log.warn(scope="stripe.page_left_open", error=error, data={"sessionId": session_id})

"""Stripe's events: each applied once, by one function in one transaction, whoever brought it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from printshop.adapters.database import Database
from printshop.kernel.errors import ApiError
from printshop.kernel.log import get_logger

if TYPE_CHECKING:
    from printshop.adapters.stripe import StripeGateway

log = get_logger()


type StripeProvider = Callable[[], "StripeGateway"]
"""Makes the gateway when it is first needed: importing Stripe takes a tenth of a second."""

READ = "id object status created currency amount amount_total amount_refunded payment_status payment_intent".split()
READ_OF_METADATA = "invoiceId invoiceNumber refundRequestId".split()


def apply_event(
    database: Database, stripe: "StripeGateway", event: dict[str, Any], *, any_version: bool = False
) -> str:
    """Apply an event in Stripe's form and answer its outcome: APPLIED, DUPLICATE, RECORDED, FLAGGED or UNMATCHED.

    `any_version` is for events that were listed, which come in the account's own API version. Raises Unavailable when
    the database does not answer.
    """
    version = event.get("api_version") if any_version else stripe.api_version
    answer: dict[str, Any] = database.call(
        "apply_stripe_event", p_event=_facts(stripe, event), p_livemode=stripe.livemode, p_api_version=version
    )
    log.info(
        scope="stripe.webhook",
        message=f"{event['type']}: {answer['outcome']}",
        data={"eventId": event["id"], "invoiceId": answer.get("invoiceId")},
    )
    close_pages(stripe, answer.get("retire", []))
    return str(answer["outcome"])


def _facts(stripe: "StripeGateway", event: dict[str, Any]) -> dict[str, Any]:
    """What the database reads of an event: nobody's name or address goes there, nor text that it could not store."""
    subject = event["data"]["object"]
    metadata = subject.get("metadata") or {}
    facts = {name: subject[name] for name in READ if name in subject}
    facts["isOurs"] = event["type"].startswith("checkout.session.") and stripe.is_ours(subject)
    facts["metadata"] = {
        name: metadata[name].replace("\0", "") for name in READ_OF_METADATA if name in metadata
    }
    envelope = {name: event.get(name) for name in ("id", "type", "created", "livemode", "api_version")}
    return {**envelope, "data": {"object": facts}}


def close_retired_page(stripe: StripeProvider, session_id: str | None) -> None:
    """Have Stripe close the page, if any, that a committed change of its invoice has retired.

    A payment that comes all the same is booked and flagged. `stripe` is called only where there is a page.
    """
    if session_id is not None:
        close_pages(stripe(), [session_id])


def close_pages(stripe: "StripeGateway", session_ids: list[str]) -> None:
    """Have Stripe close pages that a committed change took out of use. A Stripe that does not answer is only logged:
    they stay noted as RETIRED, and the reconciler comes for them."""
    for session_id in session_ids:
        try:
            stripe.end_session(session_id)
        except ApiError as error:
            log.warn(scope="stripe.page_left_open", error=error, data={"sessionId": session_id})

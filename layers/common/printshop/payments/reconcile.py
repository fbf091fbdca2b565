"""The reconciler: what Stripe did and could not tell, read again there and applied by the function of its events.

Harmless twice, and in any number of janitor's rounds; each part goes on where the last one stopped.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched
from typing import Any

from printshop.database import Database, DatabaseError
from printshop.errors import Unavailable, Unprocessable
from printshop.log import get_logger
from printshop.payments.events import apply_event
from printshop.payments.refunds import send
from printshop.payments.sessions import apply_session, close_session
from printshop.payments.stripe_gateway import PAGE, StripeGateway

EVENTS_KEPT = timedelta(days=30)
"""How long Stripe keeps events."""

SESSIONS_LIVE = timedelta(hours=25)
JUST_MADE = timedelta(minutes=2)
"""How long the page of a running request may be unknown here."""

BATCH = 200

log = get_logger()


def reconcile(database: Database, stripe: StripeGateway, deadline: float) -> dict[str, Any]:
    """One round until `deadline` (monotonic); what it healed, in counts. A part for which Stripe or the database does
    not answer says so and leaves the others be."""
    report: dict[str, Any] = {}
    for name, part in (
        ("refunds", finish_refunds),
        ("sessions", check_sessions),
        ("strayPages", close_stray_pages),
        ("events", read_events),
    ):
        try:
            report[name] = part(database, stripe, deadline)
        except Unavailable as error:
            log.error(scope=f"stripe.{name}", error=error)
            report[name] = {"failed": error.code}
    return report


def read_events(database: Database, stripe: StripeGateway, deadline: float) -> int:
    """Apply the events that no delivery has brought, in any order; how many were news."""
    applied = 0
    for events in batched(stripe.undelivered_events(datetime.now(UTC) - EVENTS_KEPT), PAGE, strict=False):
        unknown = set(database.call("unknown_stripe_events", p_event_ids=[event["id"] for event in events]))
        for event in _until(deadline, (event for event in events if event["id"] in unknown)):
            applied += _healed(event["id"], partial(apply_event, database, stripe, event))
    return applied


def check_sessions(database: Database, stripe: StripeGateway, deadline: float) -> int:
    """Ask for the end of every page whose end is not known, and close those that are retired; how many had ended."""
    ended = 0
    for page in _until(deadline, database.call("sessions_to_check", p_limit=BATCH)):
        session = stripe.read_session(page["sessionId"])
        if session and session["status"] == "open" and page["state"] == "RETIRED":
            session = stripe.end_session(page["sessionId"])
        if session and session["status"] != "open":
            ended += _healed(session["id"], partial(apply_session, database, stripe, session))
    return ended


def close_stray_pages(database: Database, stripe: StripeGateway, deadline: float) -> int:
    """Close pages that a crash between Stripe's answer and our note of it left open; how many there were."""
    closed = 0
    made_before = (datetime.now(UTC) - JUST_MADE).timestamp()
    pages = stripe.open_sessions(datetime.now(UTC) - SESSIONS_LIVE)
    for batch in batched((page["id"] for page in pages if page["created"] < made_before), PAGE, strict=False):
        for session_id in _until(deadline, database.call("unknown_sessions", p_session_ids=list(batch))):
            close_session(database, stripe, session_id)
            closed += 1
    if closed:
        log.warn(
            scope="stripe.stray_pages",
            message="Pages that nobody remembers were closed",
            data={"pages": closed},
        )
    return closed


def finish_refunds(database: Database, stripe: StripeGateway, deadline: float) -> int:
    """Send refunds that were asked for and never sent, and read those again that were never heard of; how many."""
    finished = 0
    for asked in _until(deadline, database.call("refunds_to_check", p_limit=BATCH)):
        refund_id = asked["refundId"] or send(database, stripe, asked)["refundId"]
        if refund_id:
            event = _as_event(stripe, stripe.read_refund(refund_id))
            finished += _healed(refund_id, partial(apply_event, database, stripe, event))
    return finished


def _as_event(stripe: StripeGateway, refund: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{refund['id']}:{refund['status']}",
        "type": "refund.updated",
        "created": int(time.time()),
        "livemode": stripe.livemode,  # a refund does not say
        "api_version": stripe.api_version,
        "data": {"object": refund},
    }


def _healed(what: str, apply: Callable[[], str]) -> bool:
    """Whether that was news. One that the database cannot take is logged, and the others go on."""
    try:
        return apply() != "DUPLICATE"
    except (DatabaseError, Unprocessable) as error:
        log.error(scope="stripe.reconcile", error=error, data={"about": what})
        return False


def _until[T](deadline: float, things: Iterable[T]) -> Iterable[T]:
    for thing in things:
        if time.monotonic() > deadline:
            return
        yield thing

"""The reconciler: what Stripe did and could not tell, read again there and applied by the function of its events.

Harmless twice, and in any number of janitor's rounds. One thing that cannot be healed costs the others nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched
from typing import Any

from printshop.adapters.database import Database, DatabaseError
from printshop.adapters.stripe import PAGE, StripeGateway
from printshop.kernel.errors import ApiError, Unavailable
from printshop.kernel.log import get_logger
from printshop.payments.events import apply_event
from printshop.payments.refunds import read_again
from printshop.payments.sessions import apply_session

EVENTS_KEPT = timedelta(days=30)
"""How long Stripe keeps events."""

SESSIONS_LIVE = timedelta(hours=25)
JUST_MADE = timedelta(minutes=2)
"""How long the page of a running request may be unknown here."""

BATCH = 100
OUTAGES = 3
"""So many in a row, and a part leaves the rest to the next round."""

log = get_logger()


class Reconciler:
    """One round, which ends at `deadline` (monotonic)."""

    def __init__(self, database: Database, stripe: StripeGateway, deadline: float) -> None:
        self._database = database
        self._stripe = stripe
        self._deadline = deadline
        self._outages = 0

    def run(self) -> dict[str, Any]:
        """What was news, in counts; a part that Stripe or the database did not answer says so."""
        report: dict[str, Any] = {}
        for name, part in (
            ("refunds", self.finish_refunds),
            ("sessions", self.check_sessions),
            ("strayPages", self.close_stray_pages),
            ("events", self.read_events),
        ):
            self._outages = 0
            try:
                report[name] = part()
            except Unavailable as error:
                log.error(scope=f"stripe.{name}", error=error)
                report[name] = {"failed": error.code}
        return report

    def finish_refunds(self) -> int:
        """Send refunds that were asked for and never sent, and read those again that were never heard of."""
        asked = self._database.call("refunds_to_check", p_limit=BATCH)
        return sum(
            self._heals(one["id"], partial(read_again, self._database, self._stripe, one))
            for one in self._in_time(asked)
        )

    def check_sessions(self) -> int:
        """Ask for the end of every page whose end is not known, and close those that are retired."""
        pages = self._database.call("checkout_sessions_to_check", p_limit=BATCH)
        return sum(
            self._heals(page["sessionId"], partial(self._check, page["sessionId"], page["state"]))
            for page in self._in_time(pages)
        )

    def close_stray_pages(self) -> int:
        """Close pages that a crash between Stripe's answer and our note of it left open."""
        closed = 0
        made_before = (datetime.now(UTC) - JUST_MADE).timestamp()
        pages = self._stripe.open_sessions(datetime.now(UTC) - SESSIONS_LIVE)
        older = (page["id"] for page in pages if page["created"] < made_before)
        for batch in batched(self._in_time(older), PAGE, strict=False):
            strays = self._database.call("unknown_checkout_sessions", p_session_ids=list(batch))
            closed += sum(
                self._heals(stray, partial(self._check, stray, "RETIRED")) for stray in self._in_time(strays)
            )
        return closed

    def read_events(self) -> int:
        """Apply the events that no delivery has brought, in any order."""
        applied = 0
        undelivered = self._in_time(self._stripe.undelivered_events(datetime.now(UTC) - EVENTS_KEPT))
        for events in batched(undelivered, PAGE, strict=False):
            ids = [event["id"] for event in events]
            unknown = set(self._database.call("unknown_stripe_events", p_event_ids=ids))
            applied += sum(
                self._heals(
                    event["id"],
                    partial(apply_event, self._database, self._stripe, event, any_version=True),
                )
                for event in self._in_time(event for event in events if event["id"] in unknown)
            )
        return applied

    def _check(self, session_id: str, state: str) -> str:
        """What became of a page; one that is to be closed is closed first. One that Stripe does not know is over when
        its time is up and the key is of its mode; else it is left alone, for it may be open for another key."""
        if state == "RETIRED":
            session = self._stripe.end_session(session_id)
        else:
            session = self._stripe.read_session(session_id)
        if session is None:
            if self._stripe.is_of_mode(session_id):
                ended = self._database.call("end_unknown_checkout_session", p_session_id=session_id)["ended"]
                return "EXPIRED" if ended else "UNKNOWN"
            return "UNKNOWN"
        if session["status"] == "open":
            return "OPEN"
        return apply_session(self._database, self._stripe, session)

    def _heals(self, what: str | int, heal: Callable[[], str]) -> bool:
        """Whether that was news. What cannot be done now is logged."""
        try:
            outcome = heal()
        except (ApiError, DatabaseError) as error:
            self._outages = self._outages + 1 if isinstance(error, Unavailable) else 0
            log.error(scope="stripe.reconcile", error=error, data={"about": what})
            return False
        self._outages = 0
        return outcome not in {"DUPLICATE", "OPEN", "UNKNOWN"}

    def _in_time[T](self, things: Iterable[T]) -> Iterator[T]:
        for thing in things:
            if time.monotonic() > self._deadline or self._outages >= OUTAGES:
                return
            yield thing


def reconcile(database: Database, stripe: StripeGateway, deadline: float) -> dict[str, Any]:
    """One round until `deadline` (monotonic); what it healed, in counts."""
    return Reconciler(database, stripe, deadline).run()

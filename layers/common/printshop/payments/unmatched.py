"""Stripe's events that a person has to look at."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from printshop.adapters.database import Database
from printshop.kernel.base_model import CamelModel
from printshop.kernel.paging import decode_cursor, encode_cursor

FLAGS = (
    "EXCESS: more than the balance, the rest is credit; SHORT: less than it; AMOUNT, SESSION: not the payment page "
    "that was made for it; STATUS_…: the invoice was not to be paid; CURRENCY: not the invoice's, nothing booked; "
    "LIVEMODE: of the other mode than the key, nothing was booked; API_VERSION: not the version spoken here"
)


class UnmatchedEvent(CamelModel):
    """UNMATCHED: a payment that names no invoice here, booked nowhere. FLAGGED: one that was not as asked for."""

    id: int
    stripe_event_id: str
    type: Annotated[str, Field(examples=["checkout.session.completed"])]
    outcome: Literal["FLAGGED", "UNMATCHED"]
    flags: Annotated[list[str], Field(description=FLAGS, examples=[["EXCESS"]])]
    amount_cents: int | None
    currency: str | None
    session_id: str | None
    payment_intent: str | None
    invoice_id: int | None
    invoice_number: str | None
    received_at: datetime


def list_unmatched(
    database: Database, *, limit: int, cursor: str | None
) -> tuple[list[UnmatchedEvent], str | None]:
    """A page, newest first, and the cursor of the next one."""
    (before,) = decode_cursor(cursor, (int,))
    rows = database.call("list_unmatched_stripe_events", p_limit=limit + 1, p_before=before)
    events = [UnmatchedEvent.model_validate(row) for row in rows[:limit]]
    return events, encode_cursor(events[-1].id) if len(rows) > limit else None

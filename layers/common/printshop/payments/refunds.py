"""Refunds of card payments: asked for by the shop, made by Stripe, booked by Stripe's event."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.stripe import (
    RefundOrder,
    StripeBusyError,
    StripeFinalError,
    StripeGateway,
    unavailable,
)
from printshop.kernel.base_model import StrictModel
from printshop.kernel.errors import Conflict
from printshop.kernel.idempotency import body_hash
from printshop.payments.events import apply_event

ROUTE = "invoices/refunds"
KEY_LIVES = timedelta(hours=20)
"""Stripe forgets an idempotency key after a day: what is older is looked for before it is sent again."""


class RefundRequest(StrictModel):
    """How much of which card payment goes back: all that is left, of the newest one, where nothing is said."""

    amount_cents: (
        Annotated[int, Field(ge=1, le=10**12, description="Minor units of the invoice's currency")] | None
    ) = None
    payment_id: Annotated[int, Field(ge=1, le=2**53)] | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None
    note: Annotated[str, Field(max_length=2000)] = ""


class Refund(StrictModel):
    """A refund as far as it has come: PENDING until the money has gone, FAILED when it came back."""

    id: int
    invoice_id: int
    payment_id: int
    amount_cents: int
    currency: str
    reason: str | None
    note: str
    status: Literal["PENDING", "SUCCEEDED", "FAILED"]
    created_at: datetime


_SHOWN = [field.alias or name for name, field in Refund.model_fields.items()]


def refund(
    database: Database, stripe: StripeGateway, user: User, invoice_id: int, request: RefundRequest, key: str
) -> Refund:
    """Give money of an invoice back, once per key.

    Raises NotFound INVOICE_NOT_FOUND, PAYMENT_NOT_FOUND; Conflict NOT_PAID, NOT_PAID_BY_CARD, ALREADY_REFUNDED,
    EXCEEDS_REFUNDABLE, REFUND_REFUSED (by Stripe, in its words), STRIPE_NOT_CONFIGURED; Unprocessable NO_CARD_AMOUNT;
    Unavailable, after which the same key, or else the janitor, goes on with the same refund.
    """
    stripe.client  # noqa: B018  (refused before anything is written)
    asked = database.call(
        "request_refund",
        p_user_id=user.id,
        p_invoice_id=invoice_id,
        p_payment_id=request.payment_id,
        p_amount_cents=request.amount_cents,
        p_reason=request.reason,
        p_note=request.note,
        p_route=ROUTE,
        p_key=key,
        p_body_hash=body_hash(invoice_id, request),
    )
    sent = asked if asked["refundId"] or asked["status"] == "REFUSED" else send(database, stripe, asked)
    if sent["status"] == "REFUSED":
        raise Conflict(
            "REFUND_REFUSED", f"Stripe refuses this refund: {sent['refusal']} Nothing was given back."
        )
    return Refund.model_validate({name: sent[name] for name in _SHOWN}, strict=False)


def send(
    database: Database, stripe: StripeGateway, asked: dict[str, Any], *, again: bool = False
) -> dict[str, Any]:
    """Have Stripe make a refund that was asked for, and note its answer. Harmless twice: one key, one refund.

    `again`: minutes later, so that it is looked for first; only then does a failure of Stripe's own, which it replays
    to the key for a day, have the next try take another key. Raises Unavailable.
    """
    order = RefundOrder(
        request_id=asked["id"],
        invoice_id=asked["invoiceId"],
        payment_intent=asked["paymentIntent"],
        amount_cents=asked["amountCents"],
        currency=asked["currency"],
        reason=asked["reason"],
        key=asked["key"],
    )
    is_old = datetime.now(UTC) - datetime.fromisoformat(asked["createdAt"]) > KEY_LIVES
    refund_id = stripe.find_refund(order) if again or is_old else None
    refusal: str | None = None
    try:
        refund_id = refund_id or stripe.create_refund(order)
    except StripeBusyError as error:
        raise unavailable(error) from error
    except StripeFinalError as error:
        if error.is_outage:
            if again:
                database.call(
                    "start_next_refund_attempt", p_request_id=asked["id"], p_attempt=asked["attempt"]
                )
            raise unavailable(error) from error
        refusal = str(error)
    return _note(database, asked, refund_id, refusal)


def read_again(database: Database, stripe: StripeGateway, asked: dict[str, Any]) -> str:
    """A request that no event has settled: sent, if it never was, and its refund applied as its event would be.

    Answers the event's outcome, REFUSED, or UNKNOWN for a refund that only a key of another account or mode can read,
    since Stripe forgets none: it stays as it is. Raises Unavailable.
    """
    sent = asked if asked["refundId"] else send(database, stripe, asked, again=True)
    if sent["refundId"] is None:
        return "REFUSED"
    made = stripe.read_refund(sent["refundId"])
    if made is None:
        return "UNKNOWN"
    event = {
        "id": f"{made['id']}:{made['status']}",
        "type": "refund.updated",
        "created": made["created"],
        "livemode": stripe.livemode,  # a refund does not say
        "api_version": stripe.api_version,
        "data": {"object": made},
    }
    return apply_event(database, stripe, event)


def _note(
    database: Database, asked: dict[str, Any], refund_id: str | None, refusal: str | None
) -> dict[str, Any]:
    noted: dict[str, Any] = database.call(
        "record_refund_answer", p_request_id=asked["id"], p_refund_id=refund_id, p_refusal=refusal
    )
    return noted

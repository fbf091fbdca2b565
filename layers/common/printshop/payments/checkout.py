"""Paying an invoice: at most one live payment page per invoice and balance, made when somebody wants to pay."""

import time
from dataclasses import dataclass
from typing import Any

from printshop.auth.users import User
from printshop.database import Database
from printshop.errors import Conflict, Unavailable
from printshop.payments.stripe_gateway import (
    CheckoutInvoice,
    StripeBusyError,
    StripeFinalError,
    StripeGateway,
    unavailable,
)

TRIES = 5
BUSY_SECONDS = 0.3
"""How long to leave a twin that is making the same session."""


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """Where to pay."""

    url: str
    session_id: str


def page_for_token(database: Database, stripe: StripeGateway, pay_token: str) -> PaymentPage:
    """The page behind an invoice's pay link: whoever holds the link may pay."""
    return _open(database, stripe, pay_token=pay_token)


def page_for_invoice(
    database: Database,
    stripe: StripeGateway,
    user: User,
    invoice_id: int,
    *,
    refresh: bool,
) -> PaymentPage:
    """The page of an invoice for its owner or the shop; `refresh` retires the live one first."""
    return _open(database, stripe, invoice_id=invoice_id, client_id=user.reads_as, refresh=refresh)


def _open(
    database: Database,
    stripe: StripeGateway,
    *,
    pay_token: str | None = None,
    invoice_id: int | None = None,
    client_id: int | None = None,
    refresh: bool = False,
) -> PaymentPage:
    for _ in range(TRIES):
        state = database.call(
            "open_checkout",
            p_pay_token=pay_token,
            p_invoice_id=invoice_id,
            p_client_id=client_id,
            p_refresh=refresh,
        )
        refresh = False
        if state["url"]:
            return PaymentPage(state["url"], state["sessionId"])
        if state["retire"]:
            stripe.expire_session(state["retire"])
        page = _make(database, stripe, state)
        if page:
            return page
    raise Unavailable(
        "CHECKOUT_UNAVAILABLE", "The payment page could not be made; try again in a moment.", retry_after=5
    )


def _make(database: Database, stripe: StripeGateway, state: dict[str, Any]) -> PaymentPage | None:
    """One attempt at a page for the invoice's balance; None when the state has to be looked at again."""
    invoice = CheckoutInvoice(
        invoice_id=state["invoiceId"],
        number=state["number"],
        client_name=state["clientName"],
        client_email=state["clientEmail"],
        currency=state["currency"],
        amount_cents=state["balanceCents"],
        attempt=state["attempt"],
    )
    this = {"p_invoice_id": invoice.invoice_id, "p_attempt": invoice.attempt}
    if invoice.amount_cents < stripe.minimum_cents(invoice.currency):
        raise Conflict(
            "BELOW_MINIMUM",
            f"The balance of invoice {invoice.number} is below what can be paid by card; pay the shop directly.",
        )
    try:
        session = stripe.create_session(invoice)
    except StripeBusyError:
        time.sleep(BUSY_SECONDS)
        return None
    except StripeFinalError as error:
        # Stripe replays this answer for a day; the next try gets a key of its own.
        database.call("retire_attempt", **this)
        if error.is_outage:
            raise unavailable(error) from error
        return None
    stored = database.call(
        "store_checkout",
        **this,
        p_session_id=session.id,
        p_url=session.url,
        p_cents=session.amount_cents,
        p_expires_at=session.expires_at.isoformat(),
    )
    if not stored["stored"]:
        # The invoice moved on meanwhile; this attempt's key would bring the expired session back.
        stripe.expire_session(session.id)
        database.call("retire_attempt", **this)
        return None
    return PaymentPage(session.url, session.id)

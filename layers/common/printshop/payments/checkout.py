"""Paying an invoice: at most one open payment page per invoice and balance, made when somebody wants to pay."""

import time
from typing import Any

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.stripe import (
    CheckoutInvoice,
    CheckoutSession,
    StripeBusyError,
    StripeFinalError,
    StripeGateway,
    unavailable,
)
from printshop.kernel.currency import BELOW_MINIMUM, CardObstacle, card_obstacle
from printshop.kernel.errors import Conflict, Unavailable
from printshop.payments.sessions import close_session

TRIES = 5
BUSY_SECONDS = 0.3
"""How long to leave a twin that is making the same session."""


def page_for_token(database: Database, stripe: StripeGateway, pay_token: str) -> CheckoutSession:
    """The page behind an invoice's pay link: whoever holds the link may pay.

    Raises NotFound INVOICE_NOT_FOUND; Conflict ALREADY_PAID, NOT_PAYABLE, PAYMENT_UNDER_WAY, BELOW_MINIMUM,
    ABOVE_MAXIMUM, NO_CARD_AMOUNT, CHECKOUT_REFUSED, STRIPE_NOT_CONFIGURED; Unavailable when Stripe does not answer.
    """
    return _open(database, stripe, pay_token=pay_token)


def page_for_invoice(
    database: Database,
    stripe: StripeGateway,
    user: User,
    invoice_id: int,
    *,
    refresh: bool,
) -> CheckoutSession:
    """The page of an invoice for its owner or the shop; `refresh` retires the open one first. Raises as above."""
    return _open(database, stripe, invoice_id=invoice_id, client_id=user.client_scope, refresh=refresh)


def _open(
    database: Database,
    stripe: StripeGateway,
    *,
    pay_token: str | None = None,
    invoice_id: int | None = None,
    client_id: int | None = None,
    refresh: bool = False,
) -> CheckoutSession:
    refused = False
    with_email = True
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
            return CheckoutSession(state["sessionId"], state["url"])
        closed = [close_session(database, stripe, session_id) for session_id in state["retire"]]
        if not all(closed):
            continue  # it was paid after all
        try:
            if page := _make(database, stripe, state, with_email=with_email):
                return page
        except StripeBusyError:
            time.sleep(BUSY_SECONDS)
        except StripeFinalError as error:
            _retire_attempt(database, state)
            if error.is_about_email and with_email:
                with_email = False
            elif refused:
                raise _refusal(state, error) from error
            else:
                refused = True
    raise Unavailable("CHECKOUT_UNAVAILABLE", retry_after=5)


def _make(
    database: Database, stripe: StripeGateway, state: dict[str, Any], *, with_email: bool
) -> CheckoutSession | None:
    """One attempt at a page for the invoice's balance; None when the state has to be looked at again."""
    invoice = CheckoutInvoice(
        invoice_id=state["invoiceId"],
        number=state["number"],
        client_name=state["clientName"],
        client_email=state["clientEmail"] if with_email else None,
        currency=state["currency"],
        amount_cents=state["balanceCents"],
        key=state["key"],
    )
    if obstacle := card_obstacle(invoice.amount_cents, invoice.currency):
        raise _not_by_card(invoice.number, obstacle)
    session = stripe.create_session(invoice)
    stored = database.call(
        "store_checkout",
        p_invoice_id=invoice.invoice_id,
        p_attempt=state["attempt"],
        p_session_id=session.id,
        p_url=session.url,
        p_cents=invoice.amount_cents,
        p_expires_at=session.expires_at,
        # A page of the other mode was not closed, it only does not matter.
        p_closed=[session_id for session_id in state["retire"] if stripe.is_of_mode(session_id)],
    )
    if stored["stored"]:
        return session
    # The invoice moved on meanwhile; this attempt's key would bring the same page back.
    close_session(database, stripe, session.id)
    _retire_attempt(database, state)
    return None


def _retire_attempt(database: Database, state: dict[str, Any]) -> None:
    """Stripe replays its answer for a day; the next try gets a key of its own."""
    database.call("retire_checkout_attempt", p_invoice_id=state["invoiceId"], p_attempt=state["attempt"])


def _refusal(state: dict[str, Any], error: StripeFinalError) -> Exception:
    if error.is_outage:
        return unavailable(error)
    if error.is_too_small:
        return _not_by_card(state["number"], BELOW_MINIMUM)
    return Conflict(
        "CHECKOUT_REFUSED",
        f"Stripe makes no payment page for invoice {state['number']}: {error} Pay the shop directly.",
    )


def _not_by_card(number: str, obstacle: CardObstacle) -> Conflict:
    return Conflict(
        obstacle.code, f"The balance of invoice {number} {obstacle.reason}; pay the shop directly."
    )

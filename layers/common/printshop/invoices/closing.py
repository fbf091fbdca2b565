"""Closing an invoice other than by payment: void, written off, or reverted to the quote that it came from."""

from typing import Literal

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings
from printshop.invoices.schemas import Invoice, invoice_of
from printshop.payments.events import StripeProvider, close_retired_page


def void_invoice(
    database: Database, settings: Settings, stripe: StripeProvider, user: User, invoice_id: int
) -> Invoice:
    """Void an unpaid invoice; its number stays. Raises NotFound, Conflict INVOICE_CLOSED, HAS_PAYMENTS."""
    return _close("void_invoice", database, settings, stripe, user, invoice_id)


def write_off_invoice(
    database: Database, settings: Settings, stripe: StripeProvider, user: User, invoice_id: int
) -> Invoice:
    """Give up what is owed. Raises NotFound, Conflict INVOICE_CLOSED, ALREADY_PAID."""
    return _close("write_off_invoice", database, settings, stripe, user, invoice_id)


def revert_invoice(
    database: Database, settings: Settings, stripe: StripeProvider, user: User, invoice_id: int
) -> Invoice:
    """Void an invoice that a quote was converted to; the quote can be converted again. Raises NotFound, Conflict
    NOT_FROM_A_QUOTE, INVOICE_CLOSED, HAS_PAYMENTS."""
    return _close("revert_invoice", database, settings, stripe, user, invoice_id)


def _close(
    function: Literal["void_invoice", "write_off_invoice", "revert_invoice"],
    database: Database,
    settings: Settings,
    stripe: StripeProvider,
    user: User,
    invoice_id: int,
) -> Invoice:
    closed = database.call(function, p_user_id=user.id, p_invoice_id=invoice_id)
    close_retired_page(stripe, closed["retired"])
    return invoice_of(closed["invoice"], settings)

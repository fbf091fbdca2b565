"""The links on papers and in mails."""

from typing import Any, TypedDict

from printshop.config.settings import Settings
from printshop.kernel.currency import card_obstacle

OWED = frozenset({"PENDING", "OVERDUE"})
NO_CARD_PAYMENTS = "Card payments are not available right now. Please pay by bank transfer, or ask us."


class CardPayment(TypedDict):
    """How an invoice is paid by card: its link, or in words why it has none; neither once nothing is owed."""

    payUrl: str | None
    payNote: str | None


def card_payment(settings: Settings, invoice: dict[str, Any]) -> CardPayment:
    """Of an invoice as the database answers it: `status`, `balanceCents`, `currency`, `payToken`."""
    cents = invoice["balanceCents"]
    if invoice["status"] not in OWED or cents <= 0:
        return CardPayment(payUrl=None, payNote=None)
    if not settings.stripe_key:
        return CardPayment(payUrl=None, payNote=NO_CARD_PAYMENTS)
    if obstacle := card_obstacle(cents, invoice["currency"]):
        note = f"The balance {obstacle.reason}. Please pay by bank transfer, or ask us."
        return CardPayment(payUrl=None, payNote=note)
    return CardPayment(payUrl=pay_link(settings, invoice["payToken"]), payNote=None)


def pay_link(settings: Settings, pay_token: str) -> str:
    """Lives as long as the invoice; a Checkout session's own link dies in a day."""
    return f"{settings.next_public_app_url}/api/pay/{pay_token}"


def accept_link(settings: Settings, public_token: str) -> str:
    """Where the holder of a quote views, accepts or declines it."""
    return f"{settings.next_public_app_url}/api/public/quotes/{public_token}"

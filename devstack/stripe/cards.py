"""Stripe's published test cards and what each one does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    number: str
    brand: str = "visa"
    decline_code: str | None = None
    message: str = ""
    disputed: bool = False
    refund_status: str = "succeeded"

    @property
    def last4(self) -> str:
        return self.number[-4:]


GOOD = "4242424242424242"
DECLINED = "4000000000000002"
WITHOUT_FUNDS = "4000000000009995"
DISPUTED = "4000000000000259"
REFUND_PENDING = "4000000000007726"
"""A refund of it starts as pending; `Control.settle_refund` settles it."""

_CARDS = {
    card.number: card
    for card in (
        Card(GOOD),
        Card("5555555555554444", brand="mastercard"),
        Card(DECLINED, decline_code="generic_decline", message="Your card was declined."),
        Card(WITHOUT_FUNDS, decline_code="insufficient_funds", message="Your card has insufficient funds."),
        Card(DISPUTED, disputed=True),
        Card(REFUND_PENDING, refund_status="pending"),
    )
}


def find(number: str) -> Card | None:
    """The test card with this number, written with or without spaces."""
    return _CARDS.get(number.replace(" ", "").replace("-", ""))

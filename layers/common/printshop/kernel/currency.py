"""Amounts as Stripe takes them, and why some cannot be taken by card at all. Pure.

Invoices count in ISO 4217's minor units. Stripe's differ in a few currencies, it wants round amounts in others, and
it charges neither too little nor more than eight digits (https://docs.stripe.com/currencies). The way back is
`iso_cents` in the database.
"""

from dataclasses import dataclass

PADDED = frozenset({"ISK", "UGX"})
"""No decimals in ISO 4217, two at Stripe, which must be 00."""

WITHOUT_DECIMALS = frozenset({"MGA"})
"""Two decimals in ISO 4217, none at Stripe."""

THREE_DECIMALS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Three decimals, of which the card networks carry two."""

MINIMUM = {
    "AED": 200, "AUD": 50, "BGN": 100, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50,
    "GBP": 30, "HKD": 400, "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50,
    "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000, "USD": 50,
}  # fmt: skip
"""Stripe's published minimum per charge. In others it is the settlement currency's, which only Stripe can tell."""

MAXIMUM = 99_999_999
MAXIMUM_IDR = 999_999_999_999


@dataclass(frozen=True, slots=True)
class CardObstacle:
    """Why an amount cannot be paid by card: a stable code, and the end of a sentence about the amount."""

    code: str
    reason: str


BELOW_MINIMUM = CardObstacle("BELOW_MINIMUM", "is below what can be paid by card")
ABOVE_MAXIMUM = CardObstacle("ABOVE_MAXIMUM", "is above what can be paid by card at once")
NO_CARD_AMOUNT = CardObstacle("NO_CARD_AMOUNT", "has more decimals than cards carry in this currency")


def card_obstacle(cents: int, currency: str) -> CardObstacle | None:
    """Why `cents` (ISO minor units) cannot be paid by card; None if they can."""
    amount, rest = _at_stripe(cents, currency)
    if rest:
        return NO_CARD_AMOUNT
    if amount < MINIMUM.get(currency, 1):
        return BELOW_MINIMUM
    return ABOVE_MAXIMUM if amount > (MAXIMUM_IDR if currency == "IDR" else MAXIMUM) else None


def stripe_amount(cents: int, currency: str) -> int:
    """ISO minor units in Stripe's. Raises ValueError for an amount that Stripe has no number for."""
    amount, rest = _at_stripe(cents, currency)
    if rest:
        raise ValueError(f"Stripe has no amount for {cents} in {currency}")
    return amount


def _at_stripe(cents: int, currency: str) -> tuple[int, int]:
    """Stripe's amount, and what it cannot hold."""
    if currency in PADDED:
        return cents * 100, 0
    if currency in WITHOUT_DECIMALS:
        return divmod(cents, 100)
    return cents, cents % 10 if currency in THREE_DECIMALS else 0

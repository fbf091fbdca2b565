"""The table of currencies: ISO 4217's decimals, Stripe's units and limits, and why an amount cannot be paid by card.

We count in ISO 4217's minor units ("cents"). Stripe counts otherwise in a few currencies, wants round amounts in
others, and charges neither too little nor more than eight digits (https://docs.stripe.com/currencies). In the
database `stripe_amount_to_cents` turns Stripe's amounts back; a test compares it with this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAXIMUM: Final = 99_999_999
"""The largest charge in Stripe's units, where a currency names no other."""


@dataclass(frozen=True, slots=True)
class Currency:
    """How a currency is counted, here and at Stripe. The defaults are those of most currencies."""

    decimals: int = 2
    """Digits after the point in ISO 4217."""
    stripe_decimals: int = 2
    """Digits after the point of Stripe's amounts."""
    stripe_step: int = 1
    """Stripe's amounts are multiples of this: the card networks carry no finer ones."""
    card_minimum: int = 1
    """Stripe's published minimum of a charge, in its units. Where it publishes none, the settlement currency's
    minimum holds, which only Stripe can tell."""
    card_maximum: int = MAXIMUM


_NO_DECIMALS: Final = Currency(0, 0)
_PADDED: Final = Currency(0, 2, stripe_step=100)
"""No decimals in ISO 4217, two at Stripe, which must be 00."""
_THREE_DECIMALS: Final = Currency(3, 3, stripe_step=10)
"""Three decimals, of which the card networks carry two."""
_USUAL: Final = Currency()

CURRENCIES: Final[Mapping[str, Currency]] = {
    **dict.fromkeys("BIF CLP DJF GNF KMF KRW PYG RWF UYI VND VUV XAF XOF XPF".split(), _NO_DECIMALS),
    **dict.fromkeys("ISK UGX".split(), _PADDED),
    **dict.fromkeys("BHD JOD KWD OMR TND".split(), _THREE_DECIMALS),
    **dict.fromkeys("IQD LYD".split(), Currency(3, 3)),
    "JPY": Currency(0, 0, card_minimum=50),
    "MGA": Currency(2, 0),
    "IDR": Currency(card_maximum=999_999_999_999),
    **{
        code: Currency(card_minimum=minimum)
        for code, minimum in {
            "AED": 200, "AUD": 50, "BGN": 100, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50,
            "GBP": 30, "HKD": 400, "HUF": 17500, "INR": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50,
            "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000, "USD": 50,
        }.items()
    },
}  # fmt: skip
"""By ISO code, those that differ from most or have a published minimum."""


@dataclass(frozen=True, slots=True)
class CardObstacle:
    """Why an amount cannot be paid by card: a stable code, and the end of a sentence about the amount."""

    code: str
    reason: str


BELOW_MINIMUM: Final = CardObstacle("BELOW_MINIMUM", "is below what can be paid by card")
ABOVE_MAXIMUM: Final = CardObstacle("ABOVE_MAXIMUM", "is above what can be paid by card at once")
NO_CARD_AMOUNT: Final = CardObstacle("NO_CARD_AMOUNT", "has more decimals than cards carry in this currency")


def currency_of(code: str) -> Currency:
    """The currency of an ISO code, in upper or lower case; one that is not in the table is like most."""
    return CURRENCIES.get(code.upper(), _USUAL)


def card_obstacle(cents: int, code: str) -> CardObstacle | None:
    """Why `cents` (ISO minor units) cannot be paid by card; None if they can."""
    currency = currency_of(code)
    amount, rest = _at_stripe(cents, currency)
    if rest:
        return NO_CARD_AMOUNT
    if amount < currency.card_minimum:
        return BELOW_MINIMUM
    return ABOVE_MAXIMUM if amount > currency.card_maximum else None


def stripe_amount(cents: int, code: str) -> int:
    """ISO minor units in Stripe's. Raises ValueError for an amount that Stripe has no number for."""
    amount, rest = _at_stripe(cents, currency_of(code))
    if rest:
        raise ValueError(f"Stripe has no amount for {cents} in {code}")
    return amount


def _at_stripe(cents: int, currency: Currency) -> tuple[int, int]:
    """Stripe's amount, and the remainder that it cannot hold."""
    amount, rest = divmod(cents * 10**currency.stripe_decimals, 10**currency.decimals)
    return amount, rest or amount % currency.stripe_step

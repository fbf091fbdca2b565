"""Exact amounts: integers in a currency's ISO 4217 minor units, rounded half-up once, and how they are written.

No float and no decimal type anywhere: quantities are thousandths, rates are basis points, and every product is
an exact fraction until its one rounding.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Final

from printshop.kernel.currency import currency_of

QUANTITY_SCALE: Final = 1000
"""Thousandths in one piece, kilometre or hour."""

BASIS_POINTS: Final = 10_000
"""Basis points in the whole: 1000 bps = 10 %."""

MINUS: Final = "−"
NO_BREAK_SPACE: Final = "\u00a0"

_SYMBOLS: Final = {"AUD": "$", "SCR": "Rs", "XCG": "Cg.", "XPF": "CFP"}
"""What Australian English (CLDR's en_AU) writes for a currency; the ISO code for all others."""


def decimals(currency: str) -> int:
    """Digits after the point in ISO 4217: 2 for most currencies."""
    return currency_of(currency).decimals


def round_half_up(value: Fraction) -> int:
    """The nearest integer; a half goes away from zero."""
    magnitude = (abs(value) * 2 + 1) // 2
    return int(magnitude if value >= 0 else -magnitude)


@dataclass(frozen=True, slots=True)
class MoneyFormat:
    """How a locale writes amounts of a currency: what stands around the digits, and between them."""

    before: str
    after: str
    before_negative: str
    after_negative: str
    group: str
    point: str
    grouping: tuple[int, int]
    places: int

    def write(self, minor: int) -> str:
        """An amount in minor units: `$1,234.50`."""
        units, rest = divmod(abs(minor), 10**self.places)
        digits = self.group.join(self._groups(str(units)))
        if self.places:
            digits += f"{self.point}{rest:0{self.places}d}"
        if minor < 0:
            return f"{self.before_negative}{digits}{self.after_negative}"
        return f"{self.before}{digits}{self.after}"

    def _groups(self, digits: str) -> list[str]:
        first, further = self.grouping
        groups = []
        size = first
        while digits:
            groups.append(digits[-size:])
            digits, size = digits[:-size], further
        return groups[::-1]


@cache
def australian_format(currency: str) -> MoneyFormat:
    """A currency as Australian English writes it: `$1.00` is Australian, `USD 1.00` names another currency."""
    symbol = _SYMBOLS.get(currency, currency)
    before = symbol if symbol == "$" else symbol + NO_BREAK_SPACE
    return MoneyFormat(before, "", MINUS + before, "", ",", ".", (3, 3), decimals(currency))


def format_money(minor: int, currency: str) -> str:
    """An amount as documents, mails and pages show it: `$1,234.50` for AUD, `JPY 1,235`."""
    return australian_format(currency.upper()).write(minor)


def currency_note(currency: str) -> str:
    """`AUD`, to stand beside a total whose amount says `$`; nothing where the amount itself names its currency."""
    return "" if currency in format_money(0, currency) else currency


def decimal_text(minor: int, currency: str) -> str:
    """An amount for spreadsheets, in the currency's own digits: `decimal_text(-5, "AUD")` is "-0.05"."""
    places = decimals(currency)
    units, rest = divmod(abs(minor), 10**places)
    sign = "-" if minor < 0 else ""
    return f"{sign}{units}.{rest:0{places}d}" if places else f"{sign}{units}"

"""Amounts, days, quantities and rates as a business's locale writes them. The forms are Babel's, the digits ours.

figures = Figures(locale_named("en-AU"), "AUD")
figures.money(123450)        # "$1,234.50"
figures.day(date(2026, 7, 3))  # "3 July 2026"

Babel formats an amount in a tenth of a millisecond, and a document of 200 lines has 600 of them: so it is asked for
the form once a currency, and the integers are set into that, exact as they are.
"""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import get_currency_symbol, get_decimal_symbol, get_group_symbol

from printshop.kernel.money import decimals

DEFAULT_LOCALE: Final = "en_AU"
"""Of a business whose locale is unknown, or in another language than that of the papers, which speak English."""

MINUS: Final = "−"
_KILOGRAM_FROM: Final = Decimal("999.95")
"""Grams: from here on a tenth of a gram would round to a thousand."""

_LEAST_GRAMS: Final = Decimal("0.01")
_NO_BREAK: Final = "\u00a0"


@dataclass(frozen=True, slots=True)
class MoneyForm:
    """How a locale writes a currency: what stands around the digits, and between them."""

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


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a document: `locale` is Babel's name of it, `currency` the ISO code, or empty where each amount
    names its own."""

    locale: str
    currency: str

    def money(self, minor: int, currency: str | None = None) -> str:
        """Minor units of the document's currency, or of the one that is named."""
        return money_form(self.locale, currency or self.currency).write(minor)

    def day(self, day: date) -> str:
        """`3 July 2026`."""
        return format_day(day, self.locale)

    def quantity(self, quantity: Decimal) -> str:
        """At most three decimals, none that say nothing: `1.5`, `1,200`."""
        units, point, rest = f"{quantity.normalize():,f}".partition(".")
        group, decimal = get_group_symbol(self.locale), get_decimal_symbol(self.locale)
        return units.replace(",", group) + (decimal + rest if point else "")

    def weight(self, grams: float) -> str:
        """`83.4 g`, `12.35 kg`; never less than a hundredth of a gram."""
        exact = Decimal(str(grams))
        if exact >= _KILOGRAM_FROM:
            return f"{self.quantity(_rounded(exact / 1000, 2))} kg"
        return f"{self.quantity(max(_rounded(exact, 1 if exact >= 10 else 2), _LEAST_GRAMS))} g"

    def percent(self, bps: int) -> str:
        """Basis points as percent: 1000 is `10%`, 1250 is `12.5%`."""
        return format_percent(bps).replace(".", get_decimal_symbol(self.locale))

    @property
    def currency_note(self) -> str:
        """`AUD`, for beside a total whose amount says `$`; nothing where the amount itself says it."""
        return "" if self.currency in self.money(0) else self.currency


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


@lru_cache(maxsize=64)
def locale_named(name: str) -> str:
    """Babel's name of a locale such as `en-AU`; DEFAULT_LOCALE for one that is unknown or not English."""
    try:
        locale = Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return DEFAULT_LOCALE
    return str(locale) if locale.language == "en" else DEFAULT_LOCALE


@cache
def money_form(locale: str, currency: str) -> MoneyForm:
    """The form of a currency in a locale of Babel's, with the currency's ISO minor units."""
    pattern = Locale.parse(locale).currency_formats["standard"]
    symbol = get_currency_symbol(currency, locale=locale)
    (before, before_negative), (after, after_negative) = (
        [_around(part, symbol) for part in parts] for parts in (pattern.prefix, pattern.suffix)
    )
    return MoneyForm(
        before=before,
        after=after,
        before_negative=before_negative,
        after_negative=after_negative,
        group=get_group_symbol(locale),
        point=get_decimal_symbol(locale),
        grouping=pattern.grouping,
        places=decimals(currency),
    )


def _around(part: str, symbol: str) -> str:
    """What stands before or after the digits; a symbol of letters keeps a space's distance from them."""
    written = part.replace("¤", symbol).replace("-", MINUS)
    if part.endswith("¤") and symbol[-1].isalpha():
        return written + _NO_BREAK
    if part.startswith("¤") and symbol[0].isalpha():
        return _NO_BREAK + written
    return written


@lru_cache(maxsize=1024)
def format_day(day: date, locale: str = DEFAULT_LOCALE) -> str:
    """`3 July 2026`."""
    return format_date(day, "long", locale=locale)


def format_quantity(quantity: Decimal) -> str:
    """At most three decimals, none that say nothing: `1.5`, `12`."""
    return f"{quantity.normalize():f}"


def format_percent(bps: int) -> str:
    """Basis points as percent: 1000 is `10%`, 1250 is `12.5%`."""
    return f"{format_quantity(Decimal(bps) / 100)}%"


def format_duration(seconds: int) -> str:
    """`3 h 20 min`; never less than a minute."""
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return " ".join(_named(hours, "h") + _named(minutes, "min"))


def _named(number: int, unit: str) -> list[str]:
    return [f"{number} {unit}"] if number else []


def format_abn(abn: str) -> str:
    """Eleven digits as the register writes them: `51 824 753 556`."""
    digits = "".join(abn.split())
    return f"{digits[:2]} {digits[2:5]} {digits[5:8]} {digits[8:]}" if len(digits) == 11 else abn

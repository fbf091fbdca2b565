"""Amounts, days, quantities and rates as a business's locale writes them.

Amounts are written by `printshop.kernel.money`, for documents as for pages; Babel tells how a locale other than the
Australian one writes them.

figures = Figures(locale_named("en-AU"), "AUD")
figures.money(123450)        # "$1,234.50"
figures.day(date(2026, 7, 3))  # "3 July 2026"

Babel formats an amount in a tenth of a millisecond, and a document of 200 lines has 600 of them: so Babel is asked
for the format once a currency, and the integers are set into it, exact as they are.
"""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import get_currency_symbol, get_decimal_symbol, get_group_symbol

from printshop.kernel.money import MINUS, NO_BREAK_SPACE, MoneyFormat, australian_format, decimals

DEFAULT_LOCALE: Final = "en_AU"
"""For a business whose locale is unknown or not English, which is the language of the documents."""

_SIGNS: Final = "$€£¥₹₦₩₪₫₱¤₵"
"""Currency signs stand against the digits; symbols of letters keep a space from them."""

_KILOGRAM_FROM: Final = Decimal("999.95")
"""Grams: from here on a tenth of a gram would round to a thousand."""

_LEAST_GRAMS: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a document: `locale` is Babel's name of it, `currency` the ISO code, or empty where each amount
    names its own."""

    locale: str
    currency: str

    def money(self, minor: int, currency: str | None = None) -> str:
        """Minor units of the document's currency, or of the one that is named."""
        return money_format(self.locale, currency or self.currency).write(minor)

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
        """`AUD`, to stand beside a total whose amount says `$`; nothing where the amount names its currency."""
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
def money_format(locale: str, currency: str) -> MoneyFormat:
    """How a locale of Babel's writes a currency, with the currency's ISO minor units."""
    if locale == DEFAULT_LOCALE:
        return australian_format(currency)
    pattern = Locale.parse(locale).currency_formats["standard"]
    symbol = get_currency_symbol(currency, locale=locale)
    before, before_negative = (_before_digits(part, symbol) for part in pattern.prefix)
    after, after_negative = (_after_digits(part, symbol) for part in pattern.suffix)
    return MoneyFormat(
        before=before,
        after=after,
        before_negative=before_negative,
        after_negative=after_negative,
        group=get_group_symbol(locale),
        point=get_decimal_symbol(locale),
        grouping=pattern.grouping,
        places=decimals(currency),
    )


def _before_digits(part: str, symbol: str) -> str:
    spaced = symbol if symbol[-1] in _SIGNS else symbol + NO_BREAK_SPACE
    return part.replace("¤", spaced if part.endswith("¤") else symbol).replace("-", MINUS)


def _after_digits(part: str, symbol: str) -> str:
    spaced = symbol if symbol[0] in _SIGNS else NO_BREAK_SPACE + symbol
    return part.replace("¤", spaced if part.startswith("¤") else symbol).replace("-", MINUS)


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

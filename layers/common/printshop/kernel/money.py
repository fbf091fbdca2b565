"""Exact amounts: integers in a currency's ISO 4217 minor units, rounded half-up once.

No float and no decimal type anywhere: quantities are thousandths, rates are basis points, and every product is
an exact fraction until its one rounding.
"""

from fractions import Fraction

QUANTITY_SCALE = 1000
"""Thousandths in one piece, kilometre or hour."""

BASIS_POINTS = 10_000
"""Basis points in the whole: 1000 bps = 10 %."""

_DECIMALS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
_SYMBOLS = {"AUD": "A$", "NZD": "NZ$", "USD": "US$", "CAD": "C$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def decimals(currency: str) -> int:
    """Digits after the point in ISO 4217: 2 unless the currency is one of the few others."""
    return _DECIMALS.get(currency.upper(), 2)


def round_half_up(value: Fraction) -> int:
    """The nearest integer; a half goes away from zero."""
    magnitude = (abs(value) * 2 + 1) // 2
    return int(magnitude if value >= 0 else -magnitude)


def format_amount(minor: int, currency: str) -> str:
    """An amount for people: `format_amount(123450, "AUD")` is "A$1,234.50"; JPY has no decimals."""
    places = decimals(currency)
    units, rest = divmod(abs(minor), 10**places)
    fraction = f".{rest:0{places}d}" if places else ""
    sign = "-" if minor < 0 else ""
    return f"{sign}{_SYMBOLS.get(currency.upper(), currency.upper() + ' ')}{units:,}{fraction}"


def decimal_text(minor: int, currency: str) -> str:
    """An amount for spreadsheets, in the currency's own digits: `decimal_text(-5, "AUD")` is "-0.05"."""
    places = decimals(currency)
    units, rest = divmod(abs(minor), 10**places)
    sign = "-" if minor < 0 else ""
    return f"{sign}{units}.{rest:0{places}d}" if places else f"{sign}{units}"

"""Stripe's minor units and amount limits, which are not ISO 4217's in every currency."""

from devstack.stripe.errors import ApiError

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
"""Stripe wants the last digit of these to be 0: its networks carry two decimals."""

PADDED = frozenset(("isk", "ugx"))
"""Without decimals in ISO 4217, but Stripe keeps two, which must be 00."""

SUPPORTED = (
    ZERO_DECIMAL
    | THREE_DECIMAL
    | PADDED
    | frozenset(
        "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny "
        "cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl hrk htg huf idr ils inr "
        "jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio "
        "nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs "
        "top try ttd twd tzs uah usd uyu uzs wst xcd yer zar zmw".split()
    )
)

_MINIMUM = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50,
    "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
    "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
_SYMBOLS = {"usd": "$", "aud": "A$", "nzd": "NZ$", "cad": "CA$", "eur": "€", "gbp": "£", "jpy": "¥"}


def minimum(currency: str) -> int:
    """The least chargeable amount in minor units.

    In a currency for which Stripe states none, the rule is the settlement currency's minimum after conversion;
    the stand-in knows no rates and asks for one unit that can be represented.
    """
    return _MINIMUM.get(currency, 10 if currency in THREE_DECIMAL else 100 if currency in PADDED else 1)


def maximum(currency: str) -> int:
    """The most that can be charged in minor units: eight digits, twelve in rupiah."""
    return 999_999_999_999 if currency == "idr" else 99_999_999


def display(amount: int, currency: str) -> str:
    """An amount as Stripe's messages print it: `display(50, "aud")` is "A$0.50"."""
    places = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    units, rest = divmod(amount, 10**places)
    fraction = f".{rest:0{places}d}" if places else ""
    return f"{_SYMBOLS.get(currency, currency.upper() + ' ')}{units:,}{fraction}"


def check_unit_amount(amount: int, currency: str, param: str) -> None:
    """Raise ApiError for an amount that the currency cannot represent."""
    step = 10 if currency in THREE_DECIMAL else 100 if currency in PADDED else 1
    if amount % step:
        raise ApiError(
            f"Invalid amount: {amount}. Amounts in {currency} must be divisible by {step}.",
            code="parameter_invalid_integer",
            param=param,
        )


def check_total(amount: int, currency: str) -> None:
    """Raise ApiError for a Checkout total that Stripe would not charge."""
    least, most = minimum(currency), maximum(currency)
    if amount < least:
        raise ApiError(
            "The Checkout Session's total amount due must add up to at least "
            f"{display(least, currency)} {currency}",
            code="amount_too_small",
        )
    if amount > most:
        raise ApiError(
            "The Checkout Session's total amount due must be no more than "
            f"{display(most, currency)} {currency}",
            code="amount_too_large",
        )

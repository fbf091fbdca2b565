from datetime import date
from decimal import Decimal
from itertools import product

import pytest
from babel import Locale
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from printshop.documents.formats import DEFAULT_LOCALE, Figures, format_day, locale_named, money_format
from printshop.kernel.money import MINUS, australian_format, decimals, format_money

AMOUNTS = st.integers(-(10**15), 10**15)
LOCALES = ("en_AU", "en_NZ", "en_US", "en_GB", "en_IN", "en_CH", "en_ZA", "en_DE", "en_001")
CURRENCIES = ("AUD", "NZD", "USD", "EUR", "JPY", "KWD", "CHF", "INR")


@given(AMOUNTS, st.sampled_from(LOCALES), st.sampled_from(CURRENCIES))
def test_an_amount_is_written_as_babel_writes_it_but_for_minus_and_space(
    minor: int, locale: str, currency: str
) -> None:
    ours = money_format(locale, currency).write(minor)
    babels = format_currency(Decimal(minor).scaleb(-decimals(currency)), currency, locale=locale)
    assert "".join(ours.split()).replace(MINUS, "-") == "".join(babels.split())


def test_pages_name_every_currency_as_babels_australian_english_does() -> None:
    currencies = set(Locale("en").currencies) - {"XXX"}
    for currency, amount in product(sorted(currencies), (1, -1)):
        babels = format_currency(amount, currency, locale="en_AU").partition("1")[0]
        ours = australian_format(currency).write(amount * 10 ** decimals(currency)).partition("1")[0]
        assert ours.replace(MINUS, "-").strip() == babels.strip()


@given(AMOUNTS, st.sampled_from(CURRENCIES))
def test_documents_mails_and_pages_write_the_same_amount(minor: int, currency: str) -> None:
    assert Figures(locale_named("en-AU"), currency).money(minor) == format_money(minor, currency)


@given(AMOUNTS, st.sampled_from(CURRENCIES))
def test_no_digit_of_an_amount_is_lost(minor: int, currency: str) -> None:
    written = Figures("en_AU", currency).money(minor)
    assert int("".join(character for character in written if character.isdigit())) == abs(minor)
    assert (MINUS in written) is (minor < 0)


@pytest.mark.parametrize(
    ("currency", "written"),
    [
        ("AUD", "$1,234,567.89"),
        ("USD", "USD\u00a01,234,567.89"),
        ("JPY", "JPY\u00a0123,456,789"),
        ("KWD", "KWD\u00a0123,456.789"),
        ("UGX", "UGX\u00a0123,456,789"),
    ],
)
def test_a_foreign_currency_is_named_and_has_its_own_minor_units(currency: str, written: str) -> None:
    assert Figures("en_AU", currency).money(123_456_789) == written


def test_lakhs_are_grouped_as_in_india() -> None:
    assert Figures("en_IN", "INR").money(123_456_789) == "₹12,34,567.89"


@pytest.mark.parametrize("name", ["", "xx-YY", "de-DE", "zh", "en-AU\x00", "../en", "en-AU"])
def test_a_locale_that_is_unknown_or_of_another_language_is_australias(name: str) -> None:
    assert locale_named(name) == DEFAULT_LOCALE


def test_an_english_locale_is_kept() -> None:
    assert [locale_named(name) for name in ("en-NZ", "en_US", "en")] == ["en_NZ", "en_US", "en"]


def test_a_day_reads_as_in_its_locale() -> None:
    assert format_day(date(2026, 7, 3)) == "3 July 2026"
    assert Figures("en_US", "USD").day(date(2026, 7, 3)) == "July 3, 2026"


@pytest.mark.parametrize(
    ("quantity", "written"), [("1.500", "1.5"), ("12", "12"), ("12000.125", "12,000.125"), ("0.125", "0.125")]
)
def test_a_quantity_is_grouped_and_has_no_empty_decimals(quantity: str, written: str) -> None:
    assert Figures("en_AU", "AUD").quantity(Decimal(quantity)) == written


@pytest.mark.parametrize(
    ("grams", "written"),
    [
        (83.4, "83.4 g"), (83.42, "83.4 g"), (9.876, "9.88 g"), (0.001, "0.01 g"), (120, "120 g"),
        (999.94, "999.9 g"), (999.95, "1 kg"), (1000, "1 kg"), (12_345, "12.35 kg"), (1_234_567.8, "1,234.57 kg"),
    ],
)  # fmt: skip
def test_a_weight_is_grouped_and_in_kilograms_from_a_thousand_grams(grams: float, written: str) -> None:
    assert Figures("en_AU", "AUD").weight(grams) == written


def test_rates_and_quantities_have_the_locales_decimal_sign() -> None:
    figures = Figures("en_ZA", "ZAR")
    sign = Locale.parse("en_ZA").number_symbols["latn"]["decimal"]
    assert figures.percent(1250) == f"12{sign}5%"
    assert figures.quantity(Decimal("1.5")) == f"1{sign}5"
    assert figures.weight(1500) == f"1{sign}5 kg"


def test_the_currency_is_noted_where_its_sign_leaves_it_open() -> None:
    assert Figures("en_AU", "AUD").currency_note == "AUD"
    assert Figures("en_AU", "USD").currency_note == ""

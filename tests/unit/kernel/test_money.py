"""Amounts: minor units by currency, one rounding, half-up."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printshop.kernel.money import currency_note, decimals, format_money, round_half_up


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (Fraction(1, 2), 1),
        (Fraction(3, 2), 2),
        (Fraction(5, 2), 3),
        (Fraction(49, 100), 0),
        (Fraction(-1, 2), -1),
        (Fraction(-5, 2), -3),
        (Fraction(-49, 100), 0),
        (Fraction(0), 0),
    ],
)
def test_a_half_goes_away_from_zero(value: Fraction, rounded: int) -> None:
    assert round_half_up(value) == rounded


@given(st.decimals(min_value=-(10**15), max_value=10**15, places=4))
def test_rounding_agrees_with_the_decimal_module(value: Decimal) -> None:
    assert round_half_up(Fraction(value)) == int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@given(st.fractions(min_value=-(10**12), max_value=10**12))
def test_rounding_moves_by_at_most_a_half_and_is_symmetric(value: Fraction) -> None:
    assert abs(round_half_up(value) - value) <= Fraction(1, 2)
    assert round_half_up(-value) == -round_half_up(value)


@pytest.mark.parametrize(("currency", "places"), [("AUD", 2), ("aud", 2), ("JPY", 0), ("KWD", 3), ("XAF", 0)])
def test_a_currency_has_its_own_decimals(currency: str, places: int) -> None:
    assert decimals(currency) == places


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123450, "AUD", "$1,234.50"),
        (5, "AUD", "$0.05"),
        (-5, "AUD", "−$0.05"),
        (0, "EUR", "EUR\u00a00.00"),
        (1234567, "JPY", "JPY\u00a01,234,567"),
        (-1234567, "KWD", "−KWD\u00a01,234.567"),
        (100, "aud", "$1.00"),
        (99999999999999, "USD", "USD\u00a0999,999,999,999.99"),
    ],
)
def test_an_amount_is_written_in_australian_english(minor: int, currency: str, text: str) -> None:
    assert format_money(minor, currency) == text


@pytest.mark.parametrize(("currency", "note"), [("AUD", "AUD"), ("USD", ""), ("JPY", "")])
def test_a_total_names_its_currency_where_the_amount_does_not(currency: str, note: str) -> None:
    assert currency_note(currency) == note

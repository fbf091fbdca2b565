"""Document arithmetic against an independent computation in fractions."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printshop.pricing.totals import Discount, Line, balance_cents, totals

cents = st.integers(0, 10**10)
rates = st.integers(0, 10_000)
discounts = st.one_of(
    st.just(Discount()),
    rates.map(lambda bps: Discount("PERCENT", bps=bps)),
    cents.map(lambda amount: Discount("FIXED", cents=amount)),
)
line_totals = st.lists(cents, max_size=12)


def half_up(value: Fraction) -> int:
    """The rule by another road: amounts here are never negative."""
    return math.floor(value + Fraction(1, 2))


def discounted(gross: Fraction, discount: Discount) -> Fraction:
    if discount.kind == "PERCENT":
        return gross * (1 - Fraction(discount.bps, 10_000))
    return max(Fraction(0), gross - (discount.cents if discount.kind == "FIXED" else 0))


@given(line_totals, rates, cents, discounts)
def test_a_total_is_subtotal_less_discount_plus_shipping_plus_tax(
    lines: list[int], rate: int, shipping: int, discount: Discount
) -> None:
    sums = totals(lines, tax_rate_bps=rate, shipping_cents=shipping, discount=discount)
    assert sums.subtotal_cents == sum(lines)
    assert (
        sums.total_cents == sums.subtotal_cents - sums.discount_cents + sums.shipping_cents + sums.tax_cents
    )
    assert sums.tax_rate_bps == rate


@given(line_totals, rates, cents, discounts)
def test_a_discount_is_never_below_zero_nor_above_the_subtotal(
    lines: list[int], rate: int, shipping: int, discount: Discount
) -> None:
    sums = totals(lines, tax_rate_bps=rate, shipping_cents=shipping, discount=discount)
    assert 0 <= sums.discount_cents <= sums.subtotal_cents
    assert sums.total_cents >= shipping


@given(line_totals, rates, cents, discounts)
def test_totals_agree_with_an_independent_computation(
    lines: list[int], rate: int, shipping: int, discount: Discount
) -> None:
    subtotal = sum(lines)
    if discount.kind == "PERCENT":
        less = half_up(Fraction(subtotal * discount.bps, 10_000))
    else:
        less = min(subtotal, discount.cents) if discount.kind == "FIXED" else 0
    tax = half_up(Fraction((subtotal - less + shipping) * rate, 10_000))
    sums = totals(lines, tax_rate_bps=rate, shipping_cents=shipping, discount=discount)
    assert (sums.discount_cents, sums.tax_cents) == (less, tax)


@given(st.integers(1, 10**9), cents, discounts)
def test_a_line_is_rounded_once_from_its_exact_value(quantity: int, price: int, discount: Discount) -> None:
    exact = discounted(Fraction(quantity * price, 1000), discount)
    assert Line(quantity, price, discount).total_cents == half_up(exact)


@pytest.mark.parametrize(
    ("line", "total"),
    [
        (Line(1000, 1999), 1999),
        (Line(2500, 1999), 4998),  # 4997.5
        (Line(333, 10), 3),  # 3.33
        (Line(1, 500), 1),  # half a cent
        (Line(1, 499), 0),
        (Line(1000, 999, Discount("PERCENT", bps=1000)), 899),  # 899.1
        (Line(1000, 5, Discount("PERCENT", bps=1000)), 5),  # 4.5, not 5 less a rounded 1
        (Line(1000, 999, Discount("PERCENT", bps=10_000)), 0),
        (Line(1000, 999, Discount("FIXED", cents=998)), 1),
        (Line(1000, 999, Discount("FIXED", cents=5000)), 0),
    ],
)
def test_a_line_by_hand(line: Line, total: int) -> None:
    assert line.total_cents == total


def test_gst_is_due_on_the_discounted_subtotal_and_on_shipping() -> None:
    sums = totals([6000, 4005], tax_rate_bps=1000, shipping_cents=1250, discount=Discount("PERCENT", bps=500))
    # 10005 − 500.25 → 500 = 9505; + 1250 = 10755; 10 % = 1075.5 → 1076
    assert (sums.discount_cents, sums.tax_cents, sums.total_cents) == (500, 1076, 11831)


def test_an_empty_document_is_zero() -> None:
    sums = totals([], tax_rate_bps=1000, discount=Discount("FIXED", cents=500))
    assert (sums.subtotal_cents, sums.discount_cents, sums.tax_cents, sums.total_cents) == (0, 0, 0, 0)


@given(cents, st.integers(-(10**10), 10**10))
def test_a_balance_is_never_negative(total: int, paid: int) -> None:
    assert balance_cents(total, paid) == (total - paid if paid < total else 0)

"""Amounts as Stripe takes them, held against the rules of the local stand-in, which are written from Stripe's own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstack.stripe import ApiError, currencies
from printshop.kernel.currency import CURRENCIES as TABLE
from printshop.kernel.currency import card_obstacle, stripe_amount
from printshop.kernel.money import decimals

CURRENCIES = sorted(code.upper() for code in currencies.SUPPORTED)
CENTS = st.one_of(st.integers(0, 20_000), st.integers(0, 10**13))


def is_taken(amount: int, currency: str) -> bool:
    try:
        currencies.check_unit_amount(amount, currency.lower(), "unit_amount")
        currencies.check_total(amount, currency.lower())
    except ApiError:
        return False
    return True


def stripe_decimals(currency: str) -> int:
    code = currency.lower()
    return 0 if code in currencies.ZERO_DECIMAL else 3 if code in currencies.THREE_DECIMAL else 2


@given(CENTS, st.sampled_from(CURRENCIES))
@settings(max_examples=1000)
def test_stripe_takes_the_same_money_or_it_is_said_why_not(cents: int, currency: str) -> None:
    obstacle = card_obstacle(cents, currency)
    if obstacle is None:
        amount = stripe_amount(cents, currency)
        assert is_taken(amount, currency)
        # The same money: minor units over the currency's digits, on either side.
        assert amount * 10 ** decimals(currency) == cents * 10 ** stripe_decimals(currency)
    elif obstacle.code == "NO_CARD_AMOUNT":
        with pytest.raises(ValueError, match=currency):
            stripe_amount(cents, currency)
    else:
        assert not is_taken(stripe_amount(cents, currency), currency)


@pytest.mark.parametrize("currency", CURRENCIES)
def test_the_least_and_the_most_that_stripe_takes_can_be_paid(currency: str) -> None:
    code = currency.lower()
    scale = 10 ** decimals(currency)
    step = 10 if code in currencies.THREE_DECIMAL else 100 if code in currencies.PADDED else 1
    for amount in (currencies.minimum(code), currencies.maximum(code) // step * step):
        cents = amount * scale // 10 ** stripe_decimals(currency)
        assert card_obstacle(cents, currency) is None
        assert stripe_amount(cents, currency) == amount


@pytest.mark.parametrize(
    ("cents", "currency", "amount"),
    [
        (12_345, "AUD", 12_345),
        (5000, "JPY", 5000),
        (5000, "ISK", 500_000),
        (5000, "UGX", 500_000),
        (12_340, "KWD", 12_340),
        (500_000, "MGA", 5000),
    ],
)
def test_the_special_cases_are_stripes(cents: int, currency: str, amount: int) -> None:
    assert stripe_amount(cents, currency) == amount


@pytest.mark.parametrize(
    ("cents", "currency", "code"),
    [
        (49, "AUD", "BELOW_MINIMUM"),
        (0, "VND", "BELOW_MINIMUM"),
        (100_000_000, "AUD", "ABOVE_MAXIMUM"),
        (1_000_000, "ISK", "ABOVE_MAXIMUM"),
        (12_341, "KWD", "NO_CARD_AMOUNT"),
        (150, "MGA", "NO_CARD_AMOUNT"),
    ],
)
def test_what_cannot_be_paid_by_card_is_named(cents: int, currency: str, code: str) -> None:
    obstacle = card_obstacle(cents, currency)
    assert obstacle is not None
    assert obstacle.code == code
    assert "by card" in obstacle.reason or "cards" in obstacle.reason


def test_the_published_minimums_are_the_stand_ins() -> None:
    ours = {
        code.lower(): currency.card_minimum for code, currency in TABLE.items() if currency.card_minimum > 1
    }
    assert len(ours) > 20
    assert ours == {code: currencies.minimum(code) for code in ours}

"""SQL knows currencies as the table in Python does."""

import psycopg
import pytest

from printshop.kernel.currency import CURRENCIES, Currency

CODES = sorted({*CURRENCIES, "AUD", "ZAR"})


def step_in_minor_units(currency: Currency) -> int:
    """The smallest amount of ISO minor units that Stripe's units can carry, by its decimals and its step."""
    return next(
        cents
        for cents in (1, 10, 100)
        if cents * 10**currency.stripe_decimals % (10**currency.decimals * currency.stripe_step) == 0
    )


@pytest.mark.parametrize("code", CODES)
def test_the_database_counts_a_currency_as_the_table_of_currencies(
    catalog: psycopg.Connection, code: str
) -> None:
    currency = CURRENCIES.get(code, Currency())
    step = step_in_minor_units(currency)
    cents = 12_300 * step
    at_stripe = cents * 10**currency.stripe_decimals // 10**currency.decimals
    row = catalog.execute(
        "select card_amount_step(%s), stripe_amount_to_cents(%s, %s), stripe_amount_to_cents(%s, %s)",
        (code, at_stripe, code, at_stripe, code.lower()),
    ).fetchone()
    assert row == (step, cents, cents)

"""Invoices in currencies whose minor units are not Stripe's, paid and refunded; and what no card pays."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from devstack.stripe import currencies
from printshop.kernel.currency import CURRENCIES, card_obstacle, stripe_amount
from printshop.kernel.money import format_money
from tests.conftest import Client
from tests.integration.payments.ledger import amounts, books
from tests.integration.payments.papers import mail_text, paper_text
from tests.integration.payments.stripe_side import StripeSide, click, page_of, paid_by_card
from tests.support.invoices import keyed, refused, written

type Invoice = dict[str, Any]


@contextmanager
def priced_in(database: psycopg.Connection, currency: str) -> Iterator[None]:
    """The shop writes its documents in a currency for a while."""
    database.execute("update settings set currency = %s", (currency,))
    try:
        yield
    finally:
        database.execute("update settings set currency = null")


def owing(
    shop: Client, ada: Client, database: psycopg.Connection, cents: int, currency: str = "AUD"
) -> Invoice:
    """An invoice of ada's over exactly so much."""
    with priced_in(database, currency):
        return written(shop, ada.user["clientId"], cents, taxRateBps=0)


@pytest.mark.parametrize(
    ("currency", "cents", "at_stripe"),
    [
        ("JPY", 5000, 5000),
        ("KWD", 12_340, 12_340),
        ("ISK", 5000, 500_000),
        ("UGX", 5000, 500_000),
        ("MGA", 500_000, 5000),
    ],
)
def test_an_invoice_is_paid_and_refunded_to_the_last_minor_unit(
    account: StripeSide,
    shop: Client,
    ada: Client,
    database: psycopg.Connection,
    currency: str,
    cents: int,
    at_stripe: int,
) -> None:
    invoice = owing(shop, ada, database, cents, currency)
    assert (invoice["currency"], invoice["totalCents"]) == (currency, cents)
    session_id = paid_by_card(ada, invoice)
    session = account.session(session_id)
    assert (session.currency, session.amount_total) == (currency.lower(), at_stripe)
    account.delivered()
    assert books(shop, invoice) == ("PAID", cents, 0)
    (payment,) = shop.data("GET", f"invoices/{invoice['id']}/payments")
    assert (payment["amountCents"], payment["isFlagged"]) == (cents, False)
    part = {"amountCents": cents // 2}
    shop.data("POST", f"invoices/{invoice['id']}/refunds", part, headers=keyed())
    account.delivered()
    assert [made.amount for made in account.refunds(session_id)] == [at_stripe // 2]
    assert amounts(shop, invoice) == [-cents // 2, cents]


def test_the_database_reads_stripes_amounts_as_they_were_meant(database: psycopg.Connection) -> None:
    asked = [
        (cents, code.upper())
        for code in sorted(currencies.SUPPORTED | {code.lower() for code in CURRENCIES})
        for cents in (1, 50, 100, 990, 5000, 17_500, 123_450, 99_999_900)
        if card_obstacle(cents, code.upper()) is None
    ]
    assert {currency for _, currency in asked} >= set(CURRENCIES)
    assert {currency.lower() for _, currency in asked} >= currencies.SUPPORTED
    for cents, currency in asked:
        row = database.execute(
            "select stripe_amount_to_cents(%s, %s), stripe_amount_to_cents(%s, %s)",
            (stripe_amount(cents, currency), currency, stripe_amount(cents, currency), currency.lower()),
        ).fetchone()
        assert row == (cents, cents), currency


def test_a_refund_that_a_currency_cannot_carry_is_refused_and_owed_by_nobody(
    account: StripeSide, shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    invoice = owing(shop, ada, database, 500_000, "MGA")
    session_id = paid_by_card(ada, invoice)
    account.delivered()
    answer = shop.post(f"invoices/{invoice['id']}/refunds", {"amountCents": 150}, headers=keyed())
    assert refused(answer) == (422, "NO_CARD_AMOUNT")
    assert answer.json()["error"]["details"] == [{"field": "amountCents", "problem": "a multiple of 100"}]
    assert account.refunds(session_id) == []
    whole = shop.data("POST", f"invoices/{invoice['id']}/refunds", headers=keyed())
    assert whole["amountCents"] == 500_000


@pytest.mark.parametrize(
    ("currency", "cents", "code", "says"),
    [
        ("AUD", 40, "BELOW_MINIMUM", "below what can be paid by card"),
        ("KWD", 12_341, "NO_CARD_AMOUNT", "more decimals than cards carry"),
        ("AUD", 100_000_000, "ABOVE_MAXIMUM", "above what can be paid by card"),
    ],
)
def test_what_no_card_pays_has_no_link_and_says_why(
    account: StripeSide,
    shop: Client,
    ada: Client,
    database: psycopg.Connection,
    currency: str,
    cents: int,
    code: str,
    says: str,
) -> None:
    invoice = owing(shop, ada, database, cents, currency)
    assert invoice["payUrl"] is None
    assert says in invoice["payNote"]
    assert ada.data("GET", f"invoices/{invoice['id']}")["payNote"] == invoice["payNote"]
    assert refused(ada.post(f"invoices/{invoice['id']}/stripe-session")) == (409, code)
    token = database.execute("select pay_token from invoices where id = %s", (invoice["id"],)).fetchone()
    assert token is not None
    link = click({"payUrl": f"{account.stack.api_url}/api/pay/{token[0]}"})
    assert (link.status_code, says in link.text) == (409, True)
    assert account.pages(invoice) == []


def test_the_paper_and_the_mail_of_a_small_balance_say_why_there_is_no_link(
    account: StripeSide, shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    small, plain = (owing(shop, ada, database, cents) for cents in (40, 12_000))
    for invoice in (small, plain):
        for text in (paper_text(ada, invoice), mail_text(account.stack.aws, shop, invoice)):
            assert ("/api/pay/" in text) == (invoice is plain)
            assert ("is below what can be paid by card" in text) == (invoice is small)
            assert format_money(invoice["totalCents"], "AUD") in text


def test_a_balance_that_falls_below_the_minimum_loses_its_page(
    account: StripeSide, shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    invoice = owing(shop, ada, database, 12_000)
    page = page_of(ada, invoice)["sessionId"]
    after = shop.data(
        "POST",
        f"invoices/{invoice['id']}/payments",
        {"amountCents": 11_970, "method": "CASH"},
        headers=keyed(),
    )
    assert (after["balanceCents"], after["payUrl"]) == (30, None)
    assert account.session(page).status == "expired"
    assert click(invoice).status_code == 409

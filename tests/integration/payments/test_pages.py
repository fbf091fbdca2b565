"""Payment pages: one that can be paid per invoice and balance, and none that asks for what is not owed."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from devstack.stripe import pay
from tests.conftest import Client
from tests.integration.api.test_upkeep import round_of
from tests.integration.payments.ledger import amounts, books, key_of, let_pages_age, page_state
from tests.integration.payments.stripe_side import StripeSide, click, page_of, paid_by_card
from tests.support.invoices import actions, book, invoice_request, keyed, new_client, refused, written

SESSIONS = "/v1/checkout/sessions"

type Invoice = dict[str, Any]


def edit(shop: Client, invoice: Invoice, price: int) -> Invoice:
    body = invoice_request(invoice["clientId"], price)
    after: Invoice = shop.data("PUT", f"invoices/{invoice['id']}", body)
    return after


def act(action: str) -> Callable[[Client, Invoice], Any]:
    return lambda shop, invoice: shop.data("POST", f"invoices/{invoice['id']}/{action}", headers=keyed())


CHANGES: dict[str, Callable[[Client, Invoice], Any]] = {
    "refreshed": lambda shop, invoice: page_of(shop, invoice, refresh="true"),
    "edited": lambda shop, invoice: edit(shop, invoice, 20_000),
    "edited to the same amount": lambda shop, invoice: edit(shop, invoice, 10_000),
    "voided": act("void"),
    "written off": act("write-off"),
    "paid in part by hand": lambda shop, invoice: book(shop, invoice, 1000),
    "paid by hand": act("mark-paid"),
    "deleted": lambda shop, invoice: shop.request("DELETE", f"invoices/{invoice['id']}").raise_for_status(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_page_of_a_changed_invoice_is_expired_at_stripe(
    account: StripeSide, shop: Client, invoice: Invoice, database: psycopg.Connection, change: str
) -> None:
    page = page_of(shop, invoice)
    assert page_of(shop, invoice) == page
    assert account.session(page["sessionId"]).status == "open"
    CHANGES[change](shop, invoice)
    assert account.session(page["sessionId"]).status == "expired"
    assert pay(page["url"]).status_code != 303
    assert len(account.pages(invoice, "open")) == (1 if change == "refreshed" else 0)
    account.delivered()
    assert page_state(database, page["sessionId"]) == "EXPIRED"


def test_the_page_after_an_edit_asks_for_the_new_balance(
    account: StripeSide, shop: Client, invoice: Invoice
) -> None:
    page_of(shop, invoice)
    edit(shop, invoice, 20_000)
    book(shop, invoice, 500)
    location = click(invoice).headers["location"]
    (page,) = account.pages(invoice, "open")
    assert (page.url, page.amount_total) == (location, 21_500)


# -- a Stripe that is down -----------------------------------------------------------------------------------------


def test_a_page_that_stripe_could_not_close_stays_noted_until_the_janitor_closes_it(
    account: StripeSide, shop: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    page = page_of(shop, invoice)["sessionId"]
    account.control.fail_next("unavailable", 2, path=SESSIONS)
    with account.striking("fault.unavailable", 2):
        edit(shop, invoice, 20_000)
    assert (account.session(page).status, page_state(database, page)) == ("open", "RETIRED")
    let_pages_age(database, invoice)
    assert round_of(account.stack)["stripe"]["sessions"] == 1
    assert (account.session(page).status, page_state(database, page)) == ("expired", "EXPIRED")


def test_no_page_is_made_beside_one_that_stripe_has_not_closed(
    account: StripeSide, shop: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    old = page_of(shop, invoice)["sessionId"]
    account.control.fail_next("unavailable", 4, path=SESSIONS)
    with account.striking("fault.unavailable", 4):
        edit(shop, invoice, 20_000)
        down = click(invoice)
    assert (down.status_code, "try again" in down.text) == (503, True)
    assert [page.id for page in account.pages(invoice, "open")] == [old]
    location = click(invoice).headers["location"]
    (page,) = account.pages(invoice, "open")
    assert (page.url, page.amount_total) == (location, 22_000)
    assert page_state(database, old) == "EXPIRED"


def test_a_page_that_is_paid_before_it_could_be_closed_is_booked_and_flagged(
    account: StripeSide, shop: Client, invoice: Invoice
) -> None:
    old = page_of(shop, invoice)
    account.control.fail_next("unavailable", 2, path=SESSIONS)
    edit(shop, invoice, 20_000)
    assert pay(old["url"]).status_code == 303
    account.delivered()
    assert books(shop, invoice) == ("PENDING", 11_000, 11_000)
    (payment,) = shop.data("GET", f"invoices/{invoice['id']}/payments")
    assert payment["isFlagged"]
    location = click(invoice).headers["location"]
    (page,) = account.pages(invoice, "open")
    assert (page.url, page.amount_total) == (location, 11_000)


# -- faster than the webhook ---------------------------------------------------------------------------------------


def test_a_refresh_before_the_webhook_finds_the_payment_and_makes_no_page(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice
) -> None:
    account.control.set_delivery(hold=True)
    paid_by_card(ada, invoice)
    again = ada.post(f"invoices/{invoice['id']}/stripe-session?refresh=true")
    assert refused(again) == (409, "ALREADY_PAID")
    assert len(account.pages(invoice)) == 1
    assert books(shop, invoice) == ("PAID", 11_000, 0)
    account.control.release()
    account.delivered()
    assert amounts(shop, invoice) == [11_000]
    assert "Paid, thank you" in click(invoice).text


def test_an_invoice_voided_after_its_payment_and_before_the_webhook_keeps_the_money_flagged(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice
) -> None:
    account.control.set_delivery(hold=True)
    paid_by_card(ada, invoice)
    shop.data("POST", f"invoices/{invoice['id']}/void", headers=keyed())
    account.control.release()
    account.delivered()
    assert books(shop, invoice)[:2] == ("VOID", 11_000)
    (event,) = [one for one in shop.data("GET", "stripe/unmatched") if one["invoiceId"] == invoice["id"]]
    assert "STATUS_VOID" in event["flags"]


# -- pages that nobody remembers -----------------------------------------------------------------------------------


def test_a_stray_page_is_closed_by_the_janitor_and_another_shops_is_left(
    account: StripeSide, shop: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    made = {"success_url": "https://other.example/paid"}
    with account.clock(-180):
        # Made, but the answer was lost both times; then the invoice moved on.
        account.control.fail_next("answer_lost", 2, method="POST", path=SESSIONS)
        with account.striking("fault.answer_lost", 2):
            assert click(invoice).status_code == 503
        others = account.open_page(invoice, 11_000, **made)
        foreign = account.open_page(invoice, 11_000, metadata={"order": "7"})
    edit(shop, invoice, 20_000)
    (stray,) = [page for page in account.pages(invoice, "open") if page.id != others.id]
    assert page_state(database, stray.id) is None
    just_made = account.open_page(invoice, 11_000)
    assert round_of(account.stack)["stripe"]["strayPages"] == 1
    states = [account.session(page.id).status for page in (stray, others, foreign, just_made)]
    assert states == ["expired", "open", "open", "open"]
    assert round_of(account.stack)["stripe"]["strayPages"] == 0
    for page in (others, foreign, just_made):
        account.client.v1.checkout.sessions.expire(page.id)


def test_a_stray_page_that_was_paid_is_booked(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice
) -> None:
    account.control.fail_next("answer_lost", 2, method="POST", path=SESSIONS)
    assert click(invoice).status_code == 503
    edit(shop, invoice, 20_000)
    (stray,) = account.pages(invoice, "open")
    assert stray.url is not None
    assert pay(stray.url).status_code == 303
    account.delivered()
    assert books(shop, invoice) == ("PENDING", 11_000, 11_000)


# -- a payment that takes days -------------------------------------------------------------------------------------


@pytest.fixture
def under_way(account: StripeSide, shop: Client, invoice: Invoice, database: psycopg.Connection) -> str:
    """A direct debit that was authorised on the invoice's page: as of a shop that offers one."""
    open_checkout, store_checkout = (
        "select open_checkout(null, %s, null, false)",
        "select store_checkout(%s, %s, %s, %s, 11000, now() + interval '1 day', '{}')",
    )
    row = database.execute(open_checkout, (invoice["id"],)).fetchone()
    assert row is not None
    page = account.open_page(invoice, 11_000, allowed_payment_method_types=["card", "au_becs_debit"])
    stored = database.execute(
        store_checkout, (invoice["id"], row[0]["attempt"], page.id, page.url)
    ).fetchone()
    assert stored == ({"stored": True},)
    assert page.url is not None
    assert pay(page.url, method="au_becs_debit").status_code == 303
    account.delivered()
    assert page_state(database, page.id) == "COMPLETE"
    return page.id


def test_while_a_payment_is_under_way_no_other_page_is_made(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, under_way: str
) -> None:
    for query in ("", "?refresh=true"):
        again = ada.post(f"invoices/{invoice['id']}/stripe-session{query}")
        assert refused(again) == (409, "PAYMENT_UNDER_WAY")
    link = click(invoice)
    assert (link.status_code, "on its way" in link.text) == (409, True)
    assert books(shop, invoice) == ("PENDING", 0, 11_000)
    account.control.settle_payment(under_way, succeeded=True)
    account.delivered()
    assert books(shop, invoice) == ("PAID", 11_000, 0)


def test_after_a_payment_that_failed_the_invoice_can_be_paid(
    account: StripeSide,
    shop: Client,
    ada: Client,
    invoice: Invoice,
    under_way: str,
    database: psycopg.Connection,
) -> None:
    account.control.settle_payment(under_way, succeeded=False)
    account.delivered()
    assert page_state(database, under_way) == "FAILED"
    assert "PAYMENT_FAILED" in actions(database, invoice["id"])
    paid_by_card(ada, invoice)
    account.delivered()
    assert books(shop, invoice) == ("PAID", 11_000, 0)


@pytest.mark.parametrize("succeeded", [True, False])
def test_the_banks_answer_is_read_where_its_webhook_was_lost(
    account: StripeSide,
    shop: Client,
    invoice: Invoice,
    under_way: str,
    database: psycopg.Connection,
    succeeded: bool,
) -> None:
    account.control.set_webhook(None)
    account.control.settle_payment(under_way, succeeded=succeeded)
    let_pages_age(database, invoice)
    round_of(account.stack)
    assert page_state(database, under_way) == ("PAID" if succeeded else "FAILED")
    assert books(shop, invoice)[0] == ("PAID" if succeeded else "PENDING")


# -- what Stripe refuses -------------------------------------------------------------------------------------------


def test_an_address_that_stripe_refuses_is_left_off_the_page(
    account: StripeSide, shop: Client, database: psycopg.Connection
) -> None:
    invoice = written(shop, new_client(database, "No Mail", "nobody at all"))
    tries = made_requests(account)
    assert click(invoice).status_code == 303
    assert made_requests(account) - tries == 2
    (page,) = account.pages(invoice)
    assert page.customer_email is None


def test_an_invoice_that_stripe_refuses_is_said_to_be_after_two_tries_not_forever_unavailable(
    account: StripeSide, shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    database.execute("update settings set currency = 'XXX'")
    try:
        invoice = written(shop, ada.user["clientId"])
    finally:
        database.execute("update settings set currency = null")
    for _ in range(2):
        tries = made_requests(account)
        again = ada.post(f"invoices/{invoice['id']}/stripe-session")
        assert refused(again) == (409, "CHECKOUT_REFUSED")
        assert made_requests(account) - tries == 2
    assert httpx.get(invoice["payUrl"], timeout=35).status_code == 409


def made_requests(account: StripeSide) -> int:
    """How often a page was asked for at Stripe."""
    return sum((call.method, call.path) == ("POST", SESSIONS) for call in account.control.requests())


def test_a_click_while_the_same_page_is_being_made_waits_for_its_end(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    assert click(written(shop, ada.user["clientId"])).status_code == 303
    struck = account.control.counters().get("fault.slow", 0)
    account.control.fail_next("slow", method="POST", path=SESSIONS, seconds=2)
    with account.striking("fault.slow"), ThreadPoolExecutor(1) as pool:
        # Somebody else's request holds the key of the invoice's first page.
        key = key_of(database, "invoice", invoice["id"], 1)
        making = pool.submit(account.open_page, invoice, 11_000, idempotency_key=key)
        while account.control.counters().get("fault.slow", 0) == struck:
            time.sleep(0.02)
        link = click(invoice)
    assert link.status_code == 303
    # Not left to a janitor's round in some other test.
    assert account.client.v1.checkout.sessions.expire(making.result().id).status == "expired"
    tries = [call for call in account.control.requests() if call.idempotency_key == key]
    assert 409 in {call.status for call in tries}


# -- many at once --------------------------------------------------------------------------------------------------


def test_clicks_refreshes_and_edits_at_once_leave_one_page_for_the_balance(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice
) -> None:
    def go(number: int) -> int:
        if number == 3:
            edit(shop, invoice, 20_000)
            return 200
        if number % 2:
            return ada.post(f"invoices/{invoice['id']}/stripe-session?refresh=true").status_code
        return click(invoice).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = set(pool.map(go, range(6)))
    assert statuses <= {200, 303, 503}
    location = click(invoice).headers["location"]
    (page,) = account.pages(invoice, "open")
    assert (page.url, page.amount_total) == (location, 22_000)

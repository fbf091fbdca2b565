"""Two people who pay one invoice at once, through two pages."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from devstack.stripe import pay
from tests.conftest import Client
from tests.integration.payments.ledger import UNHELD, amounts, books, job_of
from tests.integration.payments.stripe_side import StripeSide, click, page_of
from tests.support.invoices import refused

type Invoice = dict[str, Any]


def test_of_two_pages_that_were_asked_for_at_once_one_can_be_paid(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice
) -> None:
    start = threading.Barrier(2)

    def open_another(client: Client) -> str | None:
        start.wait()
        answer = client.post(f"invoices/{invoice['id']}/stripe-session?refresh=true")
        return answer.json()["data"]["url"] if answer.is_success else None

    page_of(ada, invoice)
    with ThreadPoolExecutor(2) as pool:
        urls = {url for url in pool.map(open_another, (ada, shop)) if url}
    assert urls
    (page,) = account.pages(invoice, "open")
    assert page.url in urls
    for url in urls:
        pay(url)
    account.delivered()
    assert books(shop, invoice) == ("PAID", 11_000, 0)
    assert amounts(shop, invoice) == [11_000]
    assert account.kept_cents(invoice) == 11_000


def test_two_payments_that_both_went_through_are_booked_the_second_as_credit_and_flagged(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    before = shop.data("GET", "dashboard")["stripeEventsToSee"]
    first, second = page_of(ada, invoice)["url"], account.open_page(invoice, 11_000)
    assert second.url is not None
    start = threading.Barrier(2)

    def press(url: str) -> int:
        start.wait()
        return pay(url).status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(press, (first, second.url))) == [303, 303]
    account.delivered()
    assert books(shop, invoice) == ("PAID", 22_000, 0)
    assert shop.data("GET", f"invoices/{invoice['id']}")["creditCents"] == 11_000
    assert account.kept_cents(invoice) == 22_000
    assert job_of(database, invoice) == UNHELD
    told = [event for event in shop.data("GET", "stripe/unmatched") if event["invoiceId"] == invoice["id"]]
    assert {event["outcome"] for event in told} == {"FLAGGED"}
    assert {event["invoiceNumber"] for event in told} == {invoice["number"]}
    flags = [set(event["flags"]) for event in told]
    assert any({"EXCESS", "STATUS_PAID"} <= found for found in flags)
    assert any("SESSION" in found for found in flags)
    assert shop.data("GET", "dashboard")["stripeEventsToSee"] == before + len(told)
    assert refused(ada.get("stripe/unmatched")) == (403, "ADMIN_ONLY")


def test_the_second_payment_can_be_given_back_and_the_invoice_stays_paid(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    pay(page_of(ada, invoice)["url"])
    account.delivered()
    second = account.open_page(invoice, 11_000)
    assert second.url is not None
    pay(second.url)
    account.delivered()
    credit = shop.data("GET", f"invoices/{invoice['id']}/payments")[-1]
    assert (credit["amountCents"], credit["isFlagged"]) == (11_000, True)
    answer = shop.post(
        f"invoices/{invoice['id']}/refunds",
        {"paymentId": credit["id"]},
        headers={"Idempotency-Key": f"credit-{invoice['id']}"},
    )
    assert answer.status_code == 201, answer.text
    account.delivered()
    assert books(shop, invoice) == ("PAID", 11_000, 0)
    assert shop.data("GET", f"invoices/{invoice['id']}")["creditCents"] == 0
    assert [made.amount for made in account.refunds(second.id)] == [11_000]


def test_a_payment_by_page_and_one_by_hand_at_once_are_both_kept(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice
) -> None:
    account.control.set_delivery(hold=True)
    pay(page_of(ada, invoice)["url"])
    shop.data(
        "POST", f"invoices/{invoice['id']}/mark-paid", headers={"Idempotency-Key": f"hand-{invoice['id']}"}
    )
    account.control.release()
    account.delivered()
    assert books(shop, invoice) == ("PAID", 22_000, 0)
    assert click(invoice).status_code == 409

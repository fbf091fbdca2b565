"""The reconciler alone: whatever Stripe did while no webhook arrived, the janitor's rounds get the books right."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from devstack import Stack
from devstack.stripe import cards, pay
from tests.conftest import Client
from tests.integration.api.test_upkeep import round_of
from tests.integration.payments.ledger import (
    UNHELD,
    amounts,
    books,
    everything_of,
    job_of,
    let_pages_age,
    page_state,
)
from tests.integration.payments.stripe_side import StripeSide, click, page_of, paid_by_card
from tests.support.invoices import written

DAY = 24 * 3600
NOTHING = {"refunds": 0, "sessions": 0, "strayPages": 0, "events": 0}
PAID = ("PAID", 11_000, 0)

type Invoice = dict[str, Any]


@pytest.fixture
def silence(account: StripeSide) -> Iterator[StripeSide]:
    """A Stripe of which every webhook is lost."""
    account.control.set_delivery(drop=("*",))
    with account.striking("delivery.dropped"):
        yield account


@pytest.fixture
def issue(shop: Client, ada: Client) -> Callable[[], Invoice]:
    return lambda: written(shop, ada.user["clientId"])


def healed(stack: Stack) -> dict[str, Any]:
    report: dict[str, Any] = round_of(stack)["stripe"]
    return report


def test_with_every_webhook_lost_the_reconciler_gets_every_invoice_right(
    silence: StripeSide,
    shop: Client,
    ada: Client,
    issue: Callable[[], Invoice],
    database: psycopg.Connection,
) -> None:
    control, stack = silence.control, silence.stack
    plain, other, twice, expired, part, whole, failed, won, lost = invoices = [issue() for _ in range(9)]
    forgotten = page_of(ada, expired)["sessionId"]
    with silence.clock(DAY + 60):
        assert silence.session(forgotten).status == "expired"
    paid = {invoice["id"]: paid_by_card(ada, invoice) for invoice in (plain, other, part, whole, won, lost)}
    second = silence.open_page(twice, 11_000)
    paid_by_card(ada, twice)
    assert second.url is not None
    assert pay(second.url).status_code == 303
    silence.give_back(paid[part["id"]], 4000)
    silence.give_back(paid[whole["id"]], 11_000)
    slow_bank = paid_by_card(ada, failed, card=cards.REFUND_PENDING)
    silence.give_back(slow_bank, 11_000)
    disputes = {
        invoice["id"]: control.open_dispute(silence.charge(paid[invoice["id"]]).id) for invoice in (won, lost)
    }
    assert {books(shop, invoice) for invoice in invoices} == {("PENDING", 0, 11_000)}

    assert healed(stack)["events"] > 0
    assert books(shop, failed) == ("REFUNDED", 0, 0)
    assert job_of(database, failed) == ("QUEUED", "money was refunded")
    for invoice in (won, lost):
        assert books(shop, invoice)[:2] == ("PAID", 0)
        assert job_of(database, invoice) == ("QUEUED", "its payment is disputed")

    control.fail_refund(silence.refunds(slow_bank)[0].id)
    control.close_dispute(disputes[won["id"]], won=True)
    control.close_dispute(disputes[lost["id"]], won=False)
    assert healed(stack)["events"] > 0

    refunded = ("QUEUED", "money was refunded")
    ends = (
        (plain, "PAID", UNHELD),
        (other, "PAID", UNHELD),
        (twice, "PAID", UNHELD),
        (expired, "PENDING", None),
        (part, "PAID", refunded),
        (whole, "REFUNDED", refunded),
        (failed, "PAID", UNHELD),
        (won, "PAID", UNHELD),
        (lost, "REFUNDED", ("QUEUED", "its payment is disputed")),
    )
    for invoice, status, job in ends:
        assert ended(silence, shop, database, invoice) == (status, job)
    assert {silence.kept_cents(invoice) for invoice in (plain, other, failed, won)} == {11_000}
    assert [silence.kept_cents(invoice) for invoice in (twice, part, whole, lost)] == [22_000, 7000, 0, 0]
    assert shop.data("GET", f"invoices/{twice['id']}")["creditCents"] == 11_000
    seen = [event["flags"] for event in unmatched(shop) if event["invoiceId"] == twice["id"]]
    assert {flag for flags in seen for flag in flags} == {"SESSION", "EXCESS", "STATUS_PAID"}
    assert page_state(database, forgotten) == "EXPIRED"
    assert click(expired).headers["location"] != forgotten

    let_pages_age(database, *invoices)
    before = everything_of(database, invoices)
    assert healed(stack) == NOTHING
    control.set_delivery()
    for event in silence.client.v1.events.list({"limit": 100, "delivery_success": False}).data:
        control.deliver_again(event.id)
    silence.delivered()
    assert healed(stack) == NOTHING
    assert everything_of(database, invoices) == before


def ended(
    silence: StripeSide, shop: Client, database: psycopg.Connection, invoice: Invoice
) -> tuple[str, object]:
    """An invoice's status and its job, its books being what Stripe has kept for it."""
    kept = silence.kept_cents(invoice)
    status, paid, _ = books(shop, invoice)
    assert paid == sum(amounts(shop, invoice)) == kept
    return status, job_of(database, invoice)


def unmatched(shop: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shop.data("GET", "stripe/unmatched?limit=200")
    return found


def test_what_a_delivery_brought_is_not_applied_again(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    session_id = paid_by_card(ada, invoice)
    account.delivered()
    before = everything_of(database, [invoice])
    assert books(shop, invoice) == PAID
    let_pages_age(database, invoice)
    assert healed(account.stack) == NOTHING
    assert everything_of(database, [invoice]) == before
    assert page_state(database, session_id) == "PAID"


def test_pages_are_asked_for_by_their_ids_where_no_event_was_ever_addressed_to_the_shop(
    account: StripeSide,
    shop: Client,
    ada: Client,
    issue: Callable[[], Invoice],
    database: psycopg.Connection,
) -> None:
    paid, expired, open_still = issue(), issue(), issue()
    account.control.set_webhook(None)
    paid_by_card(ada, paid)
    gone, kept = page_of(ada, expired)["sessionId"], page_of(ada, open_still)["sessionId"]
    account.client.v1.checkout.sessions.expire(gone)
    let_pages_age(database, paid, expired, open_still)
    assert healed(account.stack) == {**NOTHING, "sessions": 2}
    assert books(shop, paid) == PAID
    assert (page_state(database, gone), page_state(database, kept)) == ("EXPIRED", "OPEN")
    assert books(shop, expired) == books(shop, open_still) == ("PENDING", 0, 11_000)
    assert click(open_still).headers["location"] == account.session(kept).url
    assert account.session(kept).status == "open"


def test_a_page_read_by_its_id_and_its_late_event_book_one_payment(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    account.control.set_delivery(hold=True)
    paid_by_card(ada, invoice)
    let_pages_age(database, invoice)
    # Held is not taken: this round finds the session by its id, and the event in the list.
    assert healed(account.stack)["sessions"] == 1
    before = everything_of(database, [invoice])
    assert books(shop, invoice) == PAID
    account.control.release()
    account.delivered()
    assert everything_of(database, [invoice]) == before


def test_an_event_that_cannot_be_stored_does_not_starve_the_others(
    silence: StripeSide, shop: Client, ada: Client, issue: Callable[[], Invoice], database: psycopg.Connection
) -> None:
    older, poison, newer = issue(), issue(), issue()
    paid_by_card(ada, older)
    page = silence.open_page(poison, 11_000, metadata={"invoiceId": "\x00", "invoiceNumber": "x"})
    assert page.url is not None
    assert pay(page.url).status_code == 303
    paid_by_card(ada, newer)
    report = healed(silence.stack)
    assert "failed" not in report
    assert books(shop, older) == books(shop, newer) == PAID


def test_a_stripe_that_is_down_costs_a_round_and_nothing_else(
    silence: StripeSide, shop: Client, ada: Client, invoice: Invoice
) -> None:
    paid_by_card(ada, invoice)
    silence.control.fail_next("unavailable", 100, path="/v1/")
    with silence.striking("fault.unavailable"):
        report = round_of(silence.stack)
    silence.control.clear_faults()
    assert report["stripe"]["events"] == report["stripe"]["strayPages"] == {"failed": "STRIPE_UNAVAILABLE"}
    assert "failed" not in report["documents"]
    assert books(shop, invoice) == ("PENDING", 0, 11_000)
    assert healed(silence.stack)["events"] > 0
    assert books(shop, invoice) == PAID


def test_a_refund_from_the_dashboard_before_its_payment_is_known_is_booked_with_it(
    silence: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    session_id = paid_by_card(ada, invoice)
    silence.give_back(session_id, 1000)
    # Only the page is asked for; its payment is in the books before the events are read.
    let_pages_age(database, invoice)
    report = healed(silence.stack)
    assert report["sessions"] == 1
    assert amounts(shop, invoice) == [-1000, 11_000]

"""Each way in which Stripe can let a shop down, ordered from the stand-in: the invoice ends right."""

from typing import Any, get_args

import psycopg
import pytest

from devstack.stripe import FaultKind, pay
from tests.conftest import Client
from tests.integration.api.test_upkeep import round_of
from tests.integration.payments.ledger import UNHELD, amounts, books, job_of
from tests.integration.payments.stripe_side import StripeSide, click, paid_by_card

PAID = ("PAID", 11_000, 0)

# Strikes of which one click is spared by the SDK's second try, and the seconds of those that take time.
FAULTS: list[tuple[FaultKind, int, float]] = [
    ("server_error", 1, 0),
    ("unavailable", 2, 0),
    ("rate_limited", 1, 0),
    ("timeout", 2, 0.3),
    ("reset", 2, 0),
    ("answer_lost", 2, 0),
    ("slow", 1, 1),
]


def test_every_fault_of_the_api_is_ordered_below() -> None:
    assert {kind for kind, _, _ in FAULTS} == set(get_args(FaultKind.__value__))


# -- webhooks ------------------------------------------------------------------------------------------------------


def test_events_in_triplicate_are_booked_once(
    account: StripeSide, shop: Client, ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    account.control.set_delivery(copies=3)
    with account.striking("delivery.duplicated"):
        session_id = paid_by_card(ada, invoice)
    account.delivered()
    account.give_back(session_id, 4000)
    account.delivered()
    assert amounts(shop, invoice) == [-4000, 11_000]
    assert books(shop, invoice) == ("PAID", 7000, 4000)
    assert job_of(database, invoice) == ("QUEUED", "money was refunded")


def test_a_delayed_event_leaves_no_page_to_pay_twice_at(
    account: StripeSide, shop: Client, ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    account.control.set_delivery(delay_seconds=3)
    with account.striking("delivery.delayed"):
        paid_by_card(ada, invoice)
    assert books(shop, invoice) == ("PENDING", 0, 11_000)
    pay(click(invoice).headers["location"])
    account.delivered()
    assert books(shop, invoice) == PAID
    assert amounts(shop, invoice) == [11_000]
    assert job_of(database, invoice) == UNHELD
    (page,) = account.pages(invoice)
    assert account.charge(page.id).amount_captured == account.kept_cents(invoice) == 11_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_events_in_any_order_come_to_the_same_end(
    account: StripeSide,
    shop: Client,
    ada: Client,
    invoice: dict[str, Any],
    database: psycopg.Connection,
    seed: int,
) -> None:
    account.control.set_delivery(hold=True)
    with account.striking("delivery.held"):
        session_id = paid_by_card(ada, invoice)
        account.give_back(session_id, 4000)
        dispute = account.control.open_dispute(account.charge(session_id).id, amount=7000)
        account.control.close_dispute(dispute, won=True)
    assert books(shop, invoice) == ("PENDING", 0, 11_000)
    with account.striking("delivery.released"):
        account.control.release(seed)
    account.delivered()
    assert books(shop, invoice) == ("PAID", 7000, 4000)
    assert amounts(shop, invoice) == [-4000, 11_000]
    assert job_of(database, invoice) == ("QUEUED", "money was refunded")


def test_a_dropped_event_is_made_good_by_the_janitor(
    account: StripeSide, shop: Client, ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    account.control.set_delivery(drop=("checkout.session.*",))
    with account.striking("delivery.dropped"):
        paid_by_card(ada, invoice)
    account.delivered()
    assert books(shop, invoice) == ("PENDING", 0, 11_000)
    assert round_of(account.stack)["stripe"]["events"] >= 1
    assert books(shop, invoice) == PAID
    assert job_of(database, invoice) == UNHELD


# -- the API -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "times", "seconds"), FAULTS)
def test_a_page_comes_through_every_fault_of_stripe_and_is_paid_once(
    account: StripeSide,
    shop: Client,
    invoice: dict[str, Any],
    kind: FaultKind,
    times: int,
    seconds: float,
) -> None:
    account.control.fail_next(kind, times, method="POST", path="/v1/checkout/sessions", seconds=seconds)
    with account.striking(f"fault.{kind}", times):
        first = click(invoice)
        again = click(invoice)
    if first.status_code != 303:
        assert first.status_code == 503
        assert "try again" in first.text
    assert again.status_code == 303
    (page,) = account.pages(invoice)
    assert page.url == again.headers["location"] == first.headers.get("location", page.url)
    assert pay(page.url).status_code == 303
    account.delivered()
    assert books(shop, invoice) == PAID
    assert amounts(shop, invoice) == [11_000]

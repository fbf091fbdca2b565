"""Whatever the order in which Stripe's events arrive, and however often, the books end in the truth."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.integration.schema.shop import Shop
from tests.integration.schema.test_payments import apply, opened, refund_event, refusal, session_event
from tests.support.stripe_history import DISPUTED, REFUNDED, Event, History, kept_books, new_id

SEEDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def told(shop: Shop, dice: Random, invoices: int) -> list[History]:
    """What happened to a few invoices of one customer."""
    customer = shop.customer()
    histories = []
    for _ in range(invoices):
        invoice = shop.invoice(customer)
        history = History(invoice["id"], invoice["number"], invoice["totalCents"], dice)
        history.go_on(dice.randint(1, 9))
        histories.append(history)
    return histories


def delivered(shop: Shop, histories: list[History], dice: Random) -> list[str]:
    """Every event at least once, shuffled; the outcomes."""
    events: list[Event] = [event for history in histories for event in history.events]
    events += [event for event in events if dice.random() < 0.3]
    dice.shuffle(events)
    for event in events:
        subject = event["data"]["object"]
        note(f"{event['created']} {event['type']} {subject.get('payment_intent')} {subject.get('status')}")
    return [apply(shop, event)["outcome"] for event in events]


def holds(shop: Shop, dice: Random, invoices: int) -> None:
    histories = told(shop, dice, invoices)
    for history in histories:
        note(f"{history.invoice_id}: {history.payments}")
    outcomes = Counter(delivered(shop, histories, dice))
    events = sum(len(history.events) for history in histories)
    assert outcomes.total() - outcomes["DUPLICATE"] == events
    for history in histories:
        assert kept_books(shop.rows, history.invoice_id) == history.books()


def short_refunded_and_short_again(history: History) -> None:
    """Never paid in full, though the two payments together would have."""
    history.pay(history.total - 100)
    history.wait()
    history.refund(history.payments[0], 5000)
    history.wait()
    history.pay(1000)


def refunded_in_full_and_paid_again(history: History) -> None:
    history.pay(history.total)
    history.wait()
    history.refund(history.payments[0], history.total)
    history.wait()
    history.pay(history.total)


def one_of_two_refunds_fails(history: History) -> None:
    history.pay(history.total)
    first = history.refund(history.payments[0], 4000)
    history.wait()
    history.refund(history.payments[0], history.total - 4000)
    history.wait()
    history.end_refund(history.payments[0], first, "failed")
    del history.events[-1]  # charge.refund.updated, which says the same as refund.updated


def won_dispute(history: History) -> None:
    history.pay(history.total)
    dispute = history.open_dispute(history.payments[0], history.total)
    history.withdraw(history.payments[0], dispute)
    history.close_dispute(history.payments[0], dispute, "won")


def lost_dispute(history: History) -> None:
    history.pay(history.total)
    dispute = history.open_dispute(history.payments[0], history.total)
    history.withdraw(history.payments[0], dispute)
    history.close_dispute(history.payments[0], dispute, "lost")


@pytest.mark.parametrize(
    ("happens", "status", "held"),
    [
        (short_refunded_and_short_again, "PENDING", REFUNDED),
        (refunded_in_full_and_paid_again, "PAID", None),
        (lost_dispute, "REFUNDED", DISPUTED),
        pytest.param(won_dispute, "PAID", None, marks=pytest.mark.full),
        pytest.param(one_of_two_refunds_fails, "PAID", REFUNDED, marks=pytest.mark.full),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_every_order_of_arrival_ends_in_the_same_books(
    shop: Shop, happens: Callable[[History], None], status: str, held: str | None
) -> None:
    """Each on an invoice of its own, with ids of its own."""
    customer, orders = shop.customer(), 0
    invoice = shop.invoice(customer)
    first = History(invoice["id"], invoice["number"], invoice["totalCents"], Random(1))
    happens(first)
    moving = [
        index for index, event in enumerate(first.events) if event["type"] != "payment_intent.succeeded"
    ]
    for order in permutations(moving):
        invoice = shop.invoice(customer)
        history = History(invoice["id"], invoice["number"], invoice["totalCents"], Random(1))
        happens(history)
        for index in order:
            apply(shop, history.events[index])
        kept = kept_books(shop.rows, history.invoice_id)
        told = [history.events[index]["type"] for index in order]
        assert kept == history.books(), told
        assert (kept.status, kept.held) == (status, held)
        orders += 1
    assert orders >= 24


@settings(SEEDED, max_examples=25)
@given(dice=st.integers(0, 2**32 - 1).map(Random))
def test_any_order_of_arrival_ends_in_the_same_books(shop: Shop, dice: Random) -> None:
    holds(shop, dice, 3)


@pytest.mark.full
@settings(SEEDED, max_examples=1000)
@given(dice=st.integers(0, 2**32 - 1).map(Random))
def test_any_order_of_arrival_ends_in_the_same_books_at_full_size(shop: Shop, dice: Random) -> None:
    holds(shop, dice, 3)


def test_cash_dated_ahead_had_come_before_the_card_whose_refund_follows_it(shop: Shop) -> None:
    """The shop may date a payment up to a day ahead; the refund of the card's part makes the invoice owed no more."""
    customer, now = shop.customer(), datetime.now(UTC)
    invoice = shop.invoice(customer)
    answer = shop.call(
        "record_payment", p_user_id=customer.user_id, p_invoice_id=invoice["id"], p_amount_cents=10_000,
        p_method="CASH", p_reference="", p_note="", p_paid_at=now + timedelta(hours=20),
        p_route="invoices/payments", p_key=new_id("key"), p_body_hash="a",
    )  # fmt: skip
    assert "error" not in answer
    card = {**session_event(invoice["id"], 2375), "created": int(now.timestamp()) + 1}
    assert apply(shop, card)["outcome"] == "APPLIED"
    returned = refund_event(card, 2375, created=int(now.timestamp()) + 60)
    assert apply(shop, returned)["outcome"] == "APPLIED"
    assert kept_books(shop.rows, invoice["id"]).status == "PAID"
    assert refusal(opened(shop, invoice["id"])) == (409, "ALREADY_PAID")

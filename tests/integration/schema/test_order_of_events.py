"""Whatever the order in which Stripe's events arrive, and however often, the books end in the truth."""

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.integration.schema.shop import Shop
from tests.integration.schema.test_payments import apply
from tests.stripe_history import Event, History, kept_books

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


@settings(SEEDED, max_examples=60)
@given(dice=st.integers(0, 2**32 - 1).map(Random))
def test_any_order_of_arrival_ends_in_the_same_books(shop: Shop, dice: Random) -> None:
    holds(shop, dice, 3)


@pytest.mark.full
@settings(SEEDED, max_examples=1000)
@given(dice=st.integers(0, 2**32 - 1).map(Random))
def test_any_order_of_arrival_ends_in_the_same_books_at_full_size(shop: Shop, dice: Random) -> None:
    holds(shop, dice, 3)

"""Stripe's events through the real webhook, while its calls to the database fail and its processes die.

What is not answered by 2xx is delivered again, as Stripe does, until it is.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

import httpx
import psycopg
import pytest
from stripe import WebhookSignature

from tests.conftest import NO_CERTIFICATES
from tests.e2e.faults.plant import WEBHOOK, Killed, Plant
from tests.e2e.faults.proxy import Fault, Moment
from tests.integration.schema.shop import Shop
from tests.support.stripe_history import Event, History, kept_books

AT_ONCE = 4
"""How many deliveries Stripe has under way."""

RPC = "rpc/apply_stripe_event"


@pytest.fixture
def books(plant: Plant) -> Iterator[Shop]:
    with Shop(plant.stack.postgres.url) as shop:
        yield shop


@dataclass
class Stripe:
    """Delivers signed events; what it heard."""

    url: str
    secret: str
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, plant: Plant) -> "Stripe":
        return cls(f"{plant.stack.api_url}/api/stripe/webhook", plant.stack.webhook_secret)

    def deliver(self, client: httpx.Client, event: Event) -> bool:
        """One delivery, signed at its own time; whether it was taken."""
        body = json.dumps(event)
        signature = WebhookSignature.generate_signature_header(body, self.secret)
        answer = client.post(self.url, content=body, headers={"Stripe-Signature": signature})
        if answer.is_success:
            self.outcomes[answer.json()["data"]["outcome"]] += 1
            return True
        error = answer.json().get("error", {})
        self.refused[f"{answer.status_code} {error.get('code', answer.json().get('message'))}"] += 1
        return False

    def deliver_all(self, events: list[Event], dice: Random) -> None:
        """Shuffled; what fails is delivered again among the rest, later."""
        waiting = list(events)
        dice.shuffle(waiting)
        lock = threading.Lock()

        def carry(_: int) -> None:
            with httpx.Client(timeout=35, verify=NO_CERTIFICATES) as client:
                while True:
                    with lock:
                        if not waiting:
                            return
                        event = waiting.pop()
                    if not self.deliver(client, event):
                        with lock:
                            waiting.insert(dice.randrange(len(waiting) + 1), event)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(carry, range(AT_ONCE)))


def told(plant: Plant, books: Shop, dice: Random, invoices: int, events: int) -> list[History]:
    """So many invoices, to which at least so many events happened."""
    customer, histories = books.customer(), []
    for _ in range(invoices):
        invoice = books.invoice(customer)
        histories.append(
            History(invoice["id"], invoice["number"], invoice["totalCents"], dice, plant.stack.api_url)
        )
        histories[-1].go_on(1)
    while sum(len(history.events) for history in histories) < events:
        dice.choice(histories).go_on(1)
    return histories


@contextmanager
def faults(plant: Plant, killed: Killed, kills: int, events: int) -> Iterator[dict[str, Fault]]:
    """So many kills, and a tenth of the calls cut: before the database heard of them, and after it had committed."""
    kill = partial(plant.kill_worker, killed, function=WEBHOOK)
    strike, share, third = plant.supabase.fault, kills / events, kills // 3
    with (
        strike(RPC, strike=kill, times=third, share=share) as before,
        strike(RPC, strike=kill, times=kills - 2 * third, share=share, cuts=False) as within,
        strike(RPC, strike=kill, times=third, share=share, moment=Moment.ANSWER) as after,
        strike(RPC, times=None, share=0.053) as cut_before,
        strike(RPC, times=None, share=0.056, moment=Moment.ANSWER) as cut_after,
    ):
        yield {
            "killed before the database heard": before,
            "killed while the database worked": within,
            "killed after the commit": after,
            "cut before the database heard": cut_before,
            "cut after the commit": cut_after,
        }


def ends_in_the_truth(plant: Plant, books: Shop, *, invoices: int, events: int, kills: int) -> None:
    dice, killed, shop = Random(5), Killed(), Stripe.of(plant)
    histories = told(plant, books, dice, invoices, events)
    happened = [event for history in histories for event in history.events]
    copies = [event for event in happened if dice.random() < 0.2]
    began = time.monotonic()
    with faults(plant, killed, kills, events) as struck:
        shop.deliver_all(happened + copies, dice)
    seconds, calls = time.monotonic() - began, next(iter(struck.values())).seen
    report = {name: fault.fired for name, fault in struck.items()}
    print(f"\n{len(happened)} events of {invoices} invoices and {len(copies)} copies in {seconds:.1f} s")
    print(f"{calls} calls of the database, of which {report}; {len(killed.workers)} processes killed")
    print(f"answered {dict(shop.outcomes)}, refused {dict(shop.refused)}")
    assert all(report.values()), report
    assert report["cut before the database heard"] + report["cut after the commit"] > calls * 0.08
    assert len(killed.workers) >= sum(times for name, times in report.items() if "killed" in name) == kills
    # A killed process has no word of its own; every other failure is the database's.
    assert set(shop.refused) == {"500 Internal Server Error", "503 DATABASE_UNAVAILABLE"}
    assert shop.refused["500 Internal Server Error"] <= len(killed.workers)
    assert shop.outcomes.total() == len(happened) + len(copies)
    assert shop.outcomes["DUPLICATE"] > len(copies), "no answer was lost after a commit"
    recorded = "select count(*) from webhook_events where stripe_event_id = any (%s)"
    assert books.value(recorded, [event["id"] for event in happened]) == len(happened)
    wrong = {
        history.invoice_id: (kept, history.books())
        for history in histories
        if (kept := kept_books(books.rows, history.invoice_id)) != history.books()
    }
    assert wrong == {}


def test_every_ledger_ends_in_the_truth_though_calls_fail_and_processes_die(
    plant: Plant, books: Shop
) -> None:
    ends_in_the_truth(plant, books, invoices=12, events=100, kills=3)


@pytest.mark.full
def test_a_hundred_ledgers_end_in_the_truth_though_calls_fail_and_processes_die(
    plant: Plant, books: Shop
) -> None:
    ends_in_the_truth(plant, books, invoices=100, events=1000, kills=20)


def test_a_delivery_fails_while_the_database_is_down_and_is_booked_when_it_comes_again(
    plant: Plant, books: Shop
) -> None:
    shop, (history, paid) = Stripe.of(plant), paid_page(books)
    with httpx.Client(timeout=35, verify=NO_CERTIFICATES) as client:
        plant.stack.postgres.kill()
        try:
            taken = [shop.deliver(client, paid) for _ in range(2)]
        finally:
            plant.stack.postgres.start()
        plant.until_it_answers()
        assert taken == [False, False]
        assert shop.refused == {"503 DATABASE_UNAVAILABLE": 2}
        assert [shop.deliver(client, paid) for _ in range(2)] == [True, True]
    assert shop.outcomes == {"APPLIED": 1, "DUPLICATE": 1}
    with psycopg.connect(plant.stack.postgres.url) as again:
        assert kept_books(again, history.invoice_id) == history.books()


# -- one event, many times at once ---------------------------------------------------------------------------------


def paid_page(books: Shop) -> tuple[History, Event]:
    """An invoice whose payment page somebody has paid, as it asked; and the event that says so."""
    invoice = books.invoice(books.customer())
    history = History(invoice["id"], invoice["number"], invoice["totalCents"], Random(0))
    history.pay(invoice["totalCents"])
    books.rows.execute(
        "insert into checkout_sessions (session_id, invoice_id, amount_cents, expires_at)"
        " values (%s, %s, %s, 'infinity')",
        (history.payments[0].session, invoice["id"], invoice["totalCents"]),
    )
    return history, history.events[-1]


WAITING = """
select count(*) from pg_stat_activity
 where datname = current_database() and wait_event_type = 'Lock' and query like '%%apply_stripe_event%%'
"""


def pays_once(plant: Plant, books: Shop, deliveries: int) -> None:
    """The first waits for its invoice, which somebody else holds, so that the others do meet it."""
    shop, (history, paid) = Stripe.of(plant), paid_page(books)
    start, began = threading.Barrier(deliveries), time.monotonic()

    def carry(_: int) -> bool:
        with httpx.Client(timeout=35, verify=NO_CERTIFICATES) as client:
            start.wait(30)
            return shop.deliver(client, paid)

    with closing(psycopg.connect(plant.stack.postgres.url)) as holder, ThreadPoolExecutor(deliveries) as pool:
        holder.execute("select from invoices where id = %s for update", (history.invoice_id,))
        carried = pool.map(carry, range(deliveries))
        most = 0
        while time.monotonic() < began + 5 and most < deliveries:
            most = max(most, books.value(WAITING))
            time.sleep(0.05)
        holder.rollback()
        taken = list(carried)
    print(
        f"\n{deliveries} deliveries in {time.monotonic() - began:.1f} s, {most} at once in the database,"
        f" {len(plant.stack.gateway.processes(WEBHOOK))} processes: {dict(shop.outcomes)} {dict(shop.refused)}"
    )
    assert all(taken), shop.refused
    assert most > 1, "none of them met"
    assert shop.outcomes == {"APPLIED": 1, "DUPLICATE": deliveries - 1}
    assert kept_books(books.rows, history.invoice_id) == history.books()
    assert books.value("select count(*) from webhook_events where stripe_event_id = %s", paid["id"]) == 1


def test_forty_deliveries_of_one_event_at_once_pay_once(plant: Plant, books: Shop) -> None:
    pays_once(plant, books, 40)


@pytest.mark.full
def test_two_hundred_deliveries_of_one_event_at_once_pay_once(plant: Plant, books: Shop) -> None:
    for _ in range(3):  # from the second time on, by processes that are warm
        pays_once(plant, books, 200)

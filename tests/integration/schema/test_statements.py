"""Statements of account in the database, against the same account kept a second time and apart."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.integration.schema.invoices import code_of, create, document
from tests.integration.schema.shop import Customer, Shop

SYDNEY = ZoneInfo("Australia/Sydney")
TODAY = datetime.now(SYDNEY).date()
MANY = 1000


def ago(days: int) -> date:
    return TODAY - timedelta(days)


def statement(
    shop: Shop, client: int, first: date | None = None, last: date | None = None, **more: Any
) -> Any:
    params = {"p_client_scope": None, "p_max_entries": MANY, **more}
    return shop.call("client_statement", p_client_id=client, p_from=first, p_to=last, **params)


def accounts(shop: Shop, customer: Customer, first: date, last: date) -> dict[str, Any]:
    found = statement(shop, customer.client_id, first, last)["document"]["accounts"]
    return {account["currency"]: account for account in found}


@dataclass
class Story:
    """What happened to one invoice: money by day, above zero in, below zero back."""

    total: int
    issued: date
    days_to_pay: int
    currency: str = "AUD"
    money: list[tuple[date, int]] = field(default_factory=list)
    status: str = "PENDING"
    written_off: tuple[date, int] | None = None

    @property
    def due(self) -> date:
        return self.issued + timedelta(self.days_to_pay)

    def entries(self) -> Iterator[tuple[date, str, int]]:
        """What an account shows of it. An invoice that was paid once owes nothing for what went back later."""
        if self.status != "VOID":
            yield self.issued, "INVOICE", self.total
        if self.written_off:
            recovered = sum(cents for day, cents in self.money if day > self.written_off[0])
            yield self.written_off[0], "WRITE_OFF", recovered - self.written_off[1]
        held = 0
        was_paid = False
        for day, cents in self.money:
            yield day, "PAYMENT" if cents > 0 else "REFUND", -cents
            before, held = max(0, self.total - held), held + cents
            credited = max(0, self.total - held) - before
            if was_paid and credited > 0:
                yield day, "CREDIT", -credited
            was_paid = was_paid or (self.status != "VOID" and held >= self.total)


def told(shop: Shop, customer: Customer, story: Story) -> str:
    """Let a story happen in the database; the invoice's number."""
    made = create(shop, customer, story.total, **document(story.total, story.currency))
    with shop.rows.transaction():
        shop.rows.execute(
            "update invoices set issue_date = %s, due_date = %s, written_off_cents = %s, written_off_at = %s"
            " where id = %s",
            (
                story.issued, story.due, story.written_off[1] if story.written_off else 0,
                at(story.written_off[0], 12) if story.written_off else None, made["id"],
            ),
        )  # fmt: skip
        parent = None
        for number, (day, cents) in enumerate(story.money):
            row = shop.rows.execute(
                "insert into payments (invoice_id, kind, method, amount_cents, parent_payment_id, paid_at)"
                " values (%s, %s, 'CASH', %s, %s, %s) returning id",
                (
                    made["id"], "PAYMENT" if cents > 0 else "REFUND", cents, parent if cents < 0 else None,
                    at(day, number),
                ),
            ).fetchone()  # fmt: skip
            parent = parent or (row and row[0])
        shop.rows.execute("update invoices set status = %s where id = %s", (story.status, made["id"]))
    return str(made["number"])


def at(day: date, minute: int) -> datetime:
    """A moment of the business's day: right after its midnight, which in UTC is the day before."""
    return datetime.combine(day, time(0, minute), SYDNEY).astimezone(UTC)


def some_stories(dice: random.Random) -> Iterator[Story]:
    for _ in range(25):
        total, issued = dice.randint(1, 50_000), ago(dice.randint(0, 500))
        story = Story(total, issued, dice.choice([0, 7, 30]), dice.choice(["AUD", "AUD", "JPY"]))
        days = sorted(dice.randint(0, (TODAY - issued).days) for _ in range(5))
        on = [issued + timedelta(day) for day in days]
        part, more = dice.randint(0, total - 1), dice.randint(0, 300)
        kind = dice.choice(
            ["open", "partly", "paid", "refunded", "more", "lost", "found", "void", "void paid"]
        )
        if kind == "partly" and part:
            story.money = [(on[0], part)]
        elif kind == "paid":
            story.money, story.status = [(on[0], total + more)], "PAID"
        elif kind == "more":
            back = dice.randint(1, total + more)
            story.money, story.status = [(on[0], total + more), (on[1], -back)], "PAID"
            if back == total + more:
                story.status = "REFUNDED"
        elif kind == "refunded":
            story.money, story.status = [(on[0], total), (on[1], -total)], "REFUNDED"
            if part:
                story.money = [(on[0], part), (on[1], total - part), (on[2], -part), (on[3], part - total)]
        elif kind in {"lost", "found"}:
            story.status, story.written_off = "WRITTEN_OFF", (on[1], total - part)
            story.money = [(on[0], part)] if part else []
            if kind == "found" and on[2] > on[1]:
                story.money += [(on[2], dice.randint(1, total - part))]
        elif kind.startswith("void"):
            story.status = "VOID"
            story.money = [(on[0], total)] if kind == "void paid" else []
        yield story


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_statement_is_the_account_that_was_kept_apart(shop: Shop, seed: int) -> None:
    dice = random.Random(seed)
    customer = shop.customer()
    stories = {told(shop, customer, story): story for story in some_stories(dice)}
    for _ in range(4):
        first = ago(dice.randint(100, 520))
        last = first + timedelta(dice.randint(0, (TODAY - first).days))
        found = accounts(shop, customer, first, last)
        for currency in ("AUD", "JPY"):
            check(
                found.get(currency), {n: s for n, s in stories.items() if s.currency == currency}, first, last
            )


def check(account: Any, stories: dict[str, Story], first: date, last: date) -> None:
    kept = [
        (day, kind, number, cents)
        for number, story in stories.items()
        for day, kind, cents in story.entries()
        if day <= last and cents
    ]
    opening = sum(cents for day, *_, cents in kept if day < first)
    inside = [entry for entry in kept if entry[0] >= first]
    closing = opening + sum(cents for *_, cents in inside)
    if account is None:
        assert (inside, closing) == ([], 0)
        return
    entries = account["entries"]
    shown = [(date.fromisoformat(e["date"]), e["kind"], e["number"], e["amountCents"]) for e in entries]
    assert sorted(shown) == sorted(inside)
    assert [day for day, *_ in shown] == sorted(day for day, *_ in shown)
    assert (account["openingCents"], account["closingCents"]) == (opening, closing)
    running = list(accumulate((cents for *_, cents in shown), initial=opening))
    assert [entry["balanceCents"] for entry in entries] == running[1:]
    owed: dict[str, int] = defaultdict(int)
    for _, _, number, cents in kept:
        owed[number] += cents
    ages = {
        "currentCents": 0,
        "days1To30Cents": 0,
        "days31To60Cents": 0,
        "days61To90Cents": 0,
        "daysOver90Cents": 0,
    }
    for number, cents in owed.items():
        late = (last - stories[number].due).days
        name = next(n for n, most in zip(ages, (0, 30, 60, 90, 9999), strict=True) if late <= most)
        ages[name] += max(0, cents)
    credit = -sum(min(0, cents) for cents in owed.values())
    assert account["ageing"] == {**ages, "creditCents": credit}
    assert sum(ages.values()) - credit == closing


def test_what_is_owed_today_is_what_the_invoices_say(shop: Shop) -> None:
    customer = shop.customer()
    for story in some_stories(random.Random(4)):
        told(shop, customer, story)
    found = accounts(shop, customer, ago(30), TODAY)
    for currency, account in found.items():
        ages = account["ageing"]
        assert sum(ages.values()) - ages["creditCents"] == shop.value(
            "select sum(balance_cents) from invoices where client_id = %s and currency = %s"
            " and status in ('PENDING', 'OVERDUE')",
            customer.client_id, currency,
        )  # fmt: skip


def test_a_written_off_invoice_is_settled_on_the_day_it_was_given_up(shop: Shop) -> None:
    customer = shop.customer()
    made = create(shop, customer, 5_000)
    shop.call("write_off_invoice", p_user_id=customer.user_id, p_invoice_id=made["id"])
    account = accounts(shop, customer, TODAY, TODAY)["AUD"]
    assert [(e["kind"], e["amountCents"]) for e in account["entries"]] == [
        ("INVOICE", 5000),
        ("WRITE_OFF", -5000),
    ]
    assert account["closingCents"] == 0


def test_the_period_is_the_last_year_by_default_and_ends_today(shop: Shop) -> None:
    customer = shop.customer()
    answer = statement(shop, customer.client_id, None, TODAY + timedelta(40))["document"]
    assert (answer["to"], answer["issueDate"]) == (TODAY.isoformat(), TODAY.isoformat())
    first = date.fromisoformat(answer["from"])
    assert (TODAY - first).days in {364, 365}
    assert first.day == (TODAY + timedelta(1)).day
    assert answer["accounts"] == []
    march = statement(shop, customer.client_id, None, date(2026, 3, 31))["document"]
    assert (march["from"], march["to"]) == ("2025-04-01", "2026-03-31")


def test_an_account_at_rest_is_left_out_and_an_open_one_is_not(shop: Shop) -> None:
    customer = shop.customer()
    told(shop, customer, Story(100, ago(400), 7, "AUD", [(ago(390), 100)], "PAID"))
    told(shop, customer, Story(300, ago(400), 7, "NZD"))
    (account,) = statement(shop, customer.client_id)["document"]["accounts"]
    assert (account["currency"], account["openingCents"], account["entries"]) == ("NZD", 300, [])
    assert account["ageing"]["daysOver90Cents"] == 300


def test_a_reversed_period_another_clients_and_too_long_a_statement_are_refused(shop: Shop) -> None:
    customer, other = shop.customer(), shop.customer()
    told(shop, customer, Story(100, ago(3), 7))
    told(shop, customer, Story(100, ago(2), 7))
    mine = customer.client_id
    assert code_of(statement(shop, mine, ago(1), ago(2))) == "PERIOD_REVERSED"
    assert code_of(statement(shop, mine, TODAY + timedelta(1))) == "PERIOD_REVERSED"
    assert code_of(statement(shop, mine, p_client_scope=other.client_id)) == "CLIENT_NOT_FOUND"
    assert code_of(statement(shop, 2**40)) == "CLIENT_NOT_FOUND"
    assert code_of(statement(shop, mine, p_max_entries=1)) == "STATEMENT_TOO_LONG"
    assert code_of(statement(shop, mine, p_client_scope=mine, p_max_entries=2)) is None

"""The locks are what wins the races: without its row lock, and slow between its look and its write, each of these
functions lets both of two callers win, or breaks on one; with the lock and as slow, one wins and one is refused.
The 50 rounds of each race stand beside the function's other tests."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.integration.schema.bare import replay
from tests.integration.schema.invoices import create, record
from tests.integration.schema.shop import Customer, Shop, call
from tests.integration.schema.test_quotes import deciding, draft, send
from tests.integration.schema.workshop import printer, queued

LOCK = " for no key update;"
SLOW = " perform pg_sleep(0.2);"

type Race = Callable[[Shop, Customer], tuple[str, list[dict[str, Any]]]]


def conversions(shop: Shop, customer: Customer) -> tuple[str, list[dict[str, Any]]]:
    quote = send(shop, customer, draft(shop, customer))
    return "convert_quote", [{"p_user_id": customer.user_id, "p_quote_id": quote["id"]}] * 2


def decisions(shop: Shop, customer: Customer) -> tuple[str, list[dict[str, Any]]]:
    quote = send(shop, customer, draft(shop, customer))
    return "decide_quote", [deciding(customer, quote, accept=True)] * 2


def starts(shop: Shop, customer: Customer) -> tuple[str, list[dict[str, Any]]]:
    bed = printer(shop)
    jobs = [queued(shop), queued(shop)]
    return "move_job", [
        {"p_job_id": job, "p_status": "PRINTING", "p_printer_id": bed, "p_user_id": None} for job in jobs
    ]


def deletions(shop: Shop, customer: Customer) -> tuple[str, list[dict[str, Any]]]:
    invoice = create(shop, customer)["id"]
    payment = record(shop.rows, customer, invoice, None)["invoice"]["payments"][0]["id"]
    params = {"p_user_id": customer.user_id, "p_invoice_id": invoice, "p_payment_id": payment}
    return "delete_payment", [params] * 2


RACES: dict[str, tuple[Race, str]] = {
    "convert_quote": (conversions, "  insert into invoices"),
    "decide_quote": (decisions, "  update quotes"),
    "print_start_error": (starts, "  return null;"),
    "delete_payment": (deletions, "  perform delete_payments"),
}
"""By the function that takes the lock; with what its write begins, after the look."""


@pytest.fixture(scope="module")
def slow_url(schema_server: str) -> str:
    return replay(schema_server, "slow", legacy=False)


@pytest.fixture
def slow(slow_url: str) -> Iterator[Shop]:
    with Shop(slow_url) as shop:
        yield shop


def source(shop: Shop, function: str) -> str:
    text: str = shop.value("select pg_get_functiondef(oid) from pg_proc where proname = %s", function)
    return text


def outcomes(shop: Shop, race: Race) -> list[str]:
    """Of two at once: `won`, `refused`, or `broken` by the database (a deadlock, say)."""
    function, calls = race(shop, shop.customer())

    def take_part(connection: psycopg.Connection, number: int) -> str:
        try:
            answer = call(connection, function, **calls[number])
        except psycopg.Error:
            return "broken"
        return "refused" if "error" in answer else "won"

    return sorted(shop.at_once(2, take_part))


@pytest.mark.parametrize("function", RACES)
def test_without_its_lock_the_race_is_lost_and_with_it_one_wins(slow: Shop, function: str) -> None:
    race, write = RACES[function]
    text = source(slow, function)
    assert LOCK in text
    assert text.count(write) == 1
    slowed = text.replace(write, f"{SLOW}\n{write}")
    try:
        slow.rows.execute(slowed.replace(LOCK, ";").encode())
        assert outcomes(slow, race) != ["refused", "won"]
        slow.rows.execute(slowed.encode())
        assert outcomes(slow, race) == ["refused", "won"]
    finally:
        slow.rows.execute(text.encode())

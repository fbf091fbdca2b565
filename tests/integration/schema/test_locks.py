"""The locks are what wins the races: without its row lock, and slow between its look and its write, each of these
functions lets both of two callers win; with the lock and as slow, one. The 50 rounds of each race stand beside the
function's other tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.schema.bare import replay
from tests.integration.schema.invoices import create, record
from tests.integration.schema.shop import Customer, Shop, call
from tests.integration.schema.test_quotes import deciding, draft, send
from tests.integration.schema.workshop import printer, queued

LOCK = " for no key update;"
SLOW = " perform pg_sleep(0.1);"

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


RACES: dict[str, Race] = {
    "convert_quote": conversions,
    "decide_quote": decisions,
    "not_startable": starts,
    "delete_payment": deletions,
}
"""By the function that takes the lock."""


@pytest.fixture(scope="module")
def slow_url(schema_server: str) -> str:
    return replay(schema_server, "slow", legacy=False)


@pytest.fixture
def slow(slow_url: str) -> Iterator[Shop]:
    with Shop(slow_url) as shop:
        yield shop


def rewrite(shop: Shop, function: str, ending: str) -> str:
    """Put `ending` in the place of the function's lock; its text as it was."""
    text: str = shop.value("select pg_get_functiondef(oid) from pg_proc where proname = %s", function)
    assert LOCK in text
    shop.rows.execute(text.replace(LOCK, ending).encode())
    return text


def winners(shop: Shop, race: Race) -> int:
    function, calls = race(shop, shop.customer())
    answers = shop.at_once(2, lambda connection, number: call(connection, function, **calls[number]))
    return sum("error" not in answer for answer in answers)


@pytest.mark.parametrize("function", RACES)
def test_without_its_lock_both_win_and_with_it_one(slow: Shop, function: str) -> None:
    text = rewrite(slow, function, ";" + SLOW)
    try:
        assert winners(slow, RACES[function]) == 2
        slow.rows.execute(text.replace(LOCK, LOCK + SLOW).encode())
        assert winners(slow, RACES[function]) == 1
    finally:
        slow.rows.execute(text.encode())

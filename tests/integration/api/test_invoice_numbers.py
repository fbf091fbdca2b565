"""Invoice numbers over HTTP: no gap and no twin, whoever fails, and more than four digits."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.support.invoices import invoice_request, written


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Owner")


FAILING = """
create function fail_late() returns trigger language plpgsql as $$
begin
  if new.notes = 'fail late' then
    raise exception 'refused at the commit' using errcode = 'PT409', hint = 'TEST';
  end if;
  return null;
end $$;
create constraint trigger fail_late after insert on invoices deferrable initially deferred
  for each row execute function fail_late();
"""


def test_a_hundred_at_once_leave_no_gap_though_twenty_fail_with_their_number_drawn(
    shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    timeout = database.execute(
        "select 'statement_timeout=8s' = any (rolconfig) from pg_roles where rolname = 'authenticator'"
    )
    assert timeout.fetchone() == (True,)
    last = database.execute("select last_number from number_sequences where kind = 'invoice'").fetchone()
    assert last is not None
    database.execute(FAILING.encode())
    try:

        def create(n: int) -> httpx.Response:
            notes = "fail late" if n % 5 == 0 else ""
            return shop.post("invoices", invoice_request(ada.user["clientId"], notes=notes))

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(create, range(100)))
    finally:
        database.execute("drop function fail_late() cascade")
    assert [answer.status_code for answer in answers] == [409 if n % 5 == 0 else 201 for n in range(100)]
    numbers = sorted(
        int(answer.json()["data"]["number"].removeprefix("INV-")) for answer in answers if answer.is_success
    )
    assert numbers == list(range(last[0] + 1, last[0] + 81))


def test_number_ten_thousand_has_five_digits(shop: Client, ada: Client, database: psycopg.Connection) -> None:
    last = database.execute("select last_number from number_sequences where kind = 'invoice'").fetchone()
    assert last is not None
    database.execute("update number_sequences set last_number = 9999 where kind = 'invoice'")
    made = None
    try:
        made = written(shop, ada.user["clientId"])
        assert made["number"] == "INV-10000"
    finally:
        if made:
            shop.request("DELETE", f"invoices/{made['id']}")
        database.execute("update number_sequences set last_number = %s where kind = 'invoice'", last)

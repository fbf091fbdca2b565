"""Pages that Stripe does not know by the shop's key: they may be open for another one, and are no end of anything."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from devstack.stripe import pay
from tests.conftest import Client
from tests.integration.api.test_upkeep import round_of
from tests.integration.payments.ledger import page_state
from tests.integration.payments.stripe_side import StripeSide, click, page_of
from tests.support.invoices import refused

type Invoice = dict[str, Any]


def unreached(
    database: psycopg.Connection, invoice: Invoice, prefix: str, state: str = "OPEN", *, is_over: bool = False
) -> str:
    """A page of the invoice's that this key does not reach, made an hour or two days ago; its session."""
    session_id = f"{prefix}{uuid4().hex}"
    database.execute(
        "insert into checkout_sessions (session_id, invoice_id, state, amount_cents, expires_at, checked_at)"
        " values (%s, %s, %s, 11000, now() + make_interval(hours => %s), now() - interval '1 day')",
        (session_id, invoice["id"], state, -24 if is_over else 23),
    )
    if state == "OPEN":
        database.execute(
            "update invoices set stripe_session_id = c.session_id, stripe_checkout_url = 'https://else.example/pay',"
            " stripe_session_cents = balance_cents, stripe_session_expires_at = c.expires_at, stripe_attempt = 1"
            " from checkout_sessions c where c.session_id = %s and invoices.id = c.invoice_id",
            (session_id,),
        )
    return session_id


def linked(database: psycopg.Connection, invoice: Invoice) -> tuple[Any, ...] | None:
    return database.execute(
        "select stripe_session_id, stripe_checkout_url from invoices where id = %s", (invoice["id"],)
    ).fetchone()


@pytest.mark.parametrize(
    ("prefix", "state", "is_over", "end"),
    [
        ("cs_live_", "OPEN", False, "OPEN"),
        ("cs_live_", "OPEN", True, "OPEN"),
        ("cs_live_", "RETIRED", True, "RETIRED"),
        ("cs_live_", "COMPLETE", True, "COMPLETE"),
        ("cs_test_", "OPEN", False, "OPEN"),
        ("cs_test_", "RETIRED", False, "RETIRED"),
        ("cs_test_", "OPEN", True, "EXPIRED"),
        ("cs_test_", "RETIRED", True, "EXPIRED"),
        ("cs_test_", "COMPLETE", True, "FAILED"),
    ],
)
def test_an_unknown_page_ends_only_when_its_time_is_up_and_the_mode_fits(
    account: StripeSide, invoice: Invoice, database: psycopg.Connection,
    prefix: str, state: str, is_over: bool, end: str,
) -> None:  # fmt: skip
    session_id = unreached(database, invoice, prefix, state, is_over=is_over)
    before = linked(database, invoice)
    round_of(account.stack)
    assert page_state(database, session_id) == end
    assert linked(database, invoice) == (before if end == state else (None, None))


def test_a_page_that_has_ended_is_followed_by_one_that_can_be_paid(
    account: StripeSide, invoice: Invoice, database: psycopg.Connection
) -> None:
    unreached(database, invoice, "cs_test_", is_over=True)
    round_of(account.stack)
    link = click(invoice)
    assert link.status_code == 303
    assert pay(link.headers["location"]).status_code == 303


@pytest.mark.parametrize("prefix", ["cs_live_", "cs_test_"])
def test_no_second_page_is_made_beside_one_that_may_be_open_for_another_key(
    account: StripeSide, ada: Client, invoice: Invoice, database: psycopg.Connection, prefix: str
) -> None:
    session_id = unreached(database, invoice, prefix, "RETIRED")
    answer = ada.post(f"invoices/{invoice['id']}/stripe-session")
    assert refused(answer) == (503, "CHECKOUT_UNAVAILABLE")
    assert account.pages(invoice) == []
    assert page_state(database, session_id) == "RETIRED"
    # Its time is up: nobody pays there any more.
    database.execute("update checkout_sessions set expires_at = now() where session_id = %s", (session_id,))
    page_of(ada, invoice)
    assert len(account.pages(invoice, "open")) == 1

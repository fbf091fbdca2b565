"""Money back: asked for by the shop, made by Stripe once, booked by Stripe's event, restored when it fails."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from devstack.stripe import FaultKind, cards
from tests.conftest import Client
from tests.integration.api.test_upkeep import round_of
from tests.integration.payments.ledger import UNHELD, amounts, books, job_of, key_of, let_refunds_age
from tests.integration.payments.stripe_side import StripeSide, click, paid_by_card
from tests.support.invoices import actions, book, keyed, refused, written

REFUNDS = "/v1/refunds"
HELD = ("QUEUED", "money was refunded")

type Invoice = dict[str, Any]


@pytest.fixture
def session_id(account: StripeSide, ada: Client, invoice: Invoice) -> str:
    """The page at which ada has paid the invoice, in the books."""
    paid = paid_by_card(ada, invoice)
    account.delivered()
    return paid


def ask(
    client: Client, invoice: Invoice, cents: int | None = None, key: dict[str, str] | None = None, **more: Any
) -> httpx.Response:
    body = {**({} if cents is None else {"amountCents": cents}), **more}
    return client.post(f"invoices/{invoice['id']}/refunds", body, headers=key or keyed())


def refunded(client: Client, invoice: Invoice, cents: int | None = None, **more: Any) -> dict[str, Any]:
    response = ask(client, invoice, cents, **more)
    assert response.status_code == 201, response.text
    refund: dict[str, Any] = response.json()["data"]
    return refund


def test_a_whole_refund_closes_the_invoice_and_holds_its_job(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str, database: psycopg.Connection
) -> None:
    refund = refunded(shop, invoice, reason="requested_by_customer", note="Too brittle")
    assert (refund["invoiceId"], refund["amountCents"], refund["currency"]) == (invoice["id"], 11_000, "AUD")
    account.delivered()
    (made,) = account.refunds(session_id)
    assert (made.amount, made.reason, made.status) == (11_000, "requested_by_customer", "succeeded")
    assert books(shop, invoice) == ("REFUNDED", 0, 0)
    assert amounts(shop, invoice) == [-11_000, 11_000]
    assert job_of(database, invoice) == HELD
    link = click(invoice)
    assert (link.status_code, "can no longer be paid" in link.text) == (409, True)
    # In no certain order: Stripe's event may be faster than Stripe's answer.
    assert set(actions(database, invoice["id"])) >= {
        "REFUND_REQUESTED", "REFUND_SENT", "MONEY_WENT_BACK", "INVOICE_REFUNDED", "JOB_HELD",
    }  # fmt: skip


def test_parts_add_up_to_the_whole_and_no_further(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str
) -> None:
    refunded(shop, invoice, 4000)
    account.delivered()
    assert books(shop, invoice)[:2] == ("PAID", 7000)
    above = ask(shop, invoice, 7001)
    assert refused(above) == (409, "EXCEEDS_REFUNDABLE")
    assert above.json()["error"]["details"]["refundableCents"] == 7000
    assert refunded(shop, invoice)["amountCents"] == 7000
    account.delivered()
    assert books(shop, invoice) == ("REFUNDED", 0, 0)
    for cents in (None, 1):
        assert refused(ask(shop, invoice, cents)) == (409, "ALREADY_REFUNDED")
    assert sum(made.amount for made in account.refunds(session_id)) == 11_000


def test_the_ledger_waits_for_stripes_event(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str
) -> None:
    account.control.set_delivery(hold=True)
    key = keyed()
    assert refunded(shop, invoice, 4000, key=key)["status"] == "PENDING"
    assert books(shop, invoice) == ("PAID", 11_000, 0)
    # What is under way is no longer there to be refunded.
    assert refused(ask(shop, invoice, 7001)) == (409, "EXCEEDS_REFUNDABLE")
    account.control.release()
    account.delivered()
    assert books(shop, invoice)[:2] == ("PAID", 7000)
    assert refunded(shop, invoice, 4000, key=key)["status"] == "SUCCEEDED"


def test_one_key_refunds_once(account: StripeSide, shop: Client, invoice: Invoice, session_id: str) -> None:
    key = keyed()
    first = refunded(shop, invoice, 4000, key=key)
    again = refunded(shop, invoice, 4000, key=key)
    assert again["id"] == first["id"]
    assert refused(ask(shop, invoice, 4001, key=key)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert refused(shop.post(f"invoices/{invoice['id']}/refunds", {})) == (400, "IDEMPOTENCY_KEY_MISSING")
    assert len(account.refunds(session_id)) == 1


def test_two_admins_at_once_give_back_no_more_than_came_in(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(shop, invoice, 6000), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {refused(answer)[1] for answer in answers if answer.status_code == 409} == {"EXCEEDS_REFUNDABLE"}
    account.delivered()
    assert [made.amount for made in account.refunds(session_id)] == [6000]
    assert books(shop, invoice)[:2] == ("PAID", 5000)


def test_what_was_not_paid_by_card_is_not_refunded_by_card(
    shop: Client, ada: Client, invoice: Invoice
) -> None:
    assert refused(ask(shop, invoice)) == (409, "NOT_PAID")
    paid = book(shop, invoice, 11_000)
    assert refused(ask(shop, invoice)) == (409, "NOT_PAID_BY_CARD")
    by_hand = paid["payments"][0]["id"]
    assert refused(ask(shop, invoice, paymentId=by_hand)) == (409, "NOT_PAID_BY_CARD")
    other = written(shop, ada.user["clientId"])
    assert refused(ask(shop, other, paymentId=by_hand)) == (404, "PAYMENT_NOT_FOUND")
    assert refused(ask(shop, {"id": 2**52})) == (404, "INVOICE_NOT_FOUND")


@pytest.mark.parametrize(
    "body", [{"amountCents": 0}, {"amountCents": -1}, {"amountCents": 1.5}, {"reason": "mood"}, {"cents": 1}]
)
def test_what_is_no_refund_is_refused(shop: Client, invoice: Invoice, body: dict[str, Any]) -> None:
    answer = shop.post(f"invoices/{invoice['id']}/refunds", body, headers=keyed())
    assert refused(answer) == (422, "INVALID_REQUEST")


def test_only_the_shop_refunds(
    account: StripeSide,
    ada: Client,
    other_customer: Client,
    nobody: Client,
    invoice: Invoice,
    session_id: str,
) -> None:
    assert [ask(who, invoice).status_code for who in (ada, other_customer, nobody)] == [403, 403, 401]
    assert account.refunds(session_id) == []


def test_a_refund_of_a_payment_that_this_key_does_not_reach_waits_for_the_key_that_does(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str, database: psycopg.Connection
) -> None:
    known = database.execute(
        "select processor_id from payments where invoice_id = %s", (invoice["id"],)
    ).fetchone()
    assert known is not None
    move = "update payments set processor_id = %s where invoice_id = %s"
    database.execute(move, ("pi_3OfAnotherMode", invoice["id"]))
    assert refused(ask(shop, invoice, 4000)) == (503, "STRIPE_UNAVAILABLE")
    database.execute(move, (known[0], invoice["id"]))
    state = database.execute(
        "select state from refund_requests where invoice_id = %s", (invoice["id"],)
    ).fetchone()
    assert state == ("REQUESTED",)
    let_refunds_age(database, invoice)
    round_of(account.stack)
    account.delivered()
    assert [made.amount for made in account.refunds(session_id)] == [4000]
    assert books(shop, invoice)[:2] == ("PAID", 7000)


# -- Stripe says no, or nothing ------------------------------------------------------------------------------------


def test_a_refund_that_stripe_refuses_is_said_in_its_words_and_can_be_asked_for_again(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str
) -> None:
    account.control.set_delivery(hold=True)
    dispute = account.control.open_dispute(account.charge(session_id).id)
    key = keyed()
    answer = ask(shop, invoice, key=key)
    assert refused(answer) == (409, "REFUND_REFUSED")
    assert "charged back" in answer.json()["error"]["message"]
    assert refused(ask(shop, invoice, key=key)) == (409, "REFUND_REFUSED")
    assert account.refunds(session_id) == []
    above = ask(shop, invoice, 11_001)
    assert above.json()["error"]["details"]["refundableCents"] == 11_000
    account.control.release()
    account.delivered()
    # The bank has the money: there is nothing to refund before it gives it back.
    assert refused(ask(shop, invoice)) == (409, "ALREADY_REFUNDED")
    account.control.set_delivery()
    account.control.close_dispute(dispute, won=True)
    account.delivered()
    assert books(shop, invoice) == ("PAID", 11_000, 0)


# Strikes that one request meets: the SDK tries twice where another try may help.
@pytest.mark.parametrize(
    ("kind", "times", "seconds"),
    [
        ("server_error", 2, 0),
        ("unavailable", 2, 0),
        ("rate_limited", 1, 0),
        ("timeout", 2, 0.3),
        ("reset", 2, 0),
        ("answer_lost", 2, 0),
        ("slow", 1, 1),
    ],
)
def test_the_same_key_goes_on_with_the_same_refund_after_every_fault_of_stripe(
    account: StripeSide,
    shop: Client,
    invoice: Invoice,
    session_id: str,
    database: psycopg.Connection,
    kind: FaultKind,
    times: int,
    seconds: float,
) -> None:
    key = keyed()
    account.control.fail_next(kind, times, method="POST", path=REFUNDS, seconds=seconds)
    with account.striking(f"fault.{kind}"):
        first = ask(shop, invoice, 4000, key=key)
    account.control.clear_faults()
    if kind != "slow":
        assert refused(first) == (503, "STRIPE_UNAVAILABLE")
        # What was asked for stays asked for, by this key alone.
        assert refused(ask(shop, invoice, 7001)) == (409, "EXCEEDS_REFUNDABLE")
    if kind == "server_error":
        # Stripe says so to this key for a day; the janitor looks whether it made one, and asks by another.
        assert refused(ask(shop, invoice, 4000, key=key)) == (503, "STRIPE_UNAVAILABLE")
        for _ in range(2):
            let_refunds_age(database, invoice)
            round_of(account.stack)
    refund = refunded(shop, invoice, 4000, key=key)
    assert refund["amountCents"] == 4000
    account.delivered()
    assert [made.amount for made in account.refunds(session_id)] == [4000]
    assert books(shop, invoice)[:2] == ("PAID", 7000)
    let_go = ask(shop, invoice, 7001)
    assert let_go.json()["error"]["details"]["refundableCents"] == 7000


def test_a_refund_that_somebody_else_is_sending_is_left_to_him(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str, database: psycopg.Connection
) -> None:
    round_of(account.stack)
    request_id = request_refund(database, invoice, 4000)
    let_refunds_age(database, invoice)
    params: Any = {
        "payment_intent": account.intent(session_id),
        "amount": 4000,
        "metadata": {"invoiceId": str(invoice["id"]), "refundRequestId": str(request_id)},
    }
    struck = account.control.counters().get("fault.slow", 0)
    account.control.fail_next("slow", method="POST", path=REFUNDS, seconds=6)
    with account.striking("fault.slow"), ThreadPoolExecutor(1) as pool:
        key: Any = {"idempotency_key": key_of(database, "refund", request_id, 0)}
        sending = pool.submit(account.client.v1.refunds.create, params, key)
        while account.control.counters().get("fault.slow", 0) == struck:
            time.sleep(0.02)
        assert round_of(account.stack)["stripe"]["refunds"] == 0
        assert not sending.done()
    account.delivered()
    let_refunds_age(database, invoice)
    round_of(account.stack)
    assert [made.id for made in account.refunds(session_id)] == [sending.result().id]
    assert books(shop, invoice)[:2] == ("PAID", 7000)
    assert refused(ask(shop, invoice, 7001)) == (409, "EXCEEDS_REFUNDABLE")


def test_a_refund_that_stripe_fails_at_holds_up_no_other_news(
    account: StripeSide,
    shop: Client,
    ada: Client,
    invoice: Invoice,
    session_id: str,
    database: psycopg.Connection,
) -> None:
    other = written(shop, ada.user["clientId"])
    account.control.set_delivery(drop=("*",))
    paid_by_card(ada, other)
    request_refund(database, invoice, 4000)
    let_refunds_age(database, invoice)
    account.control.fail_next("server_error", 2, method="POST", path=REFUNDS)
    with account.striking("fault.server_error"):
        report = round_of(account.stack)["stripe"]
    account.control.clear_faults()
    assert report["refunds"] == 0
    assert report["events"] > 0
    assert books(shop, other) == ("PAID", 11_000, 0)
    let_refunds_age(database, invoice)
    assert round_of(account.stack)["stripe"]["refunds"] == 1
    assert [made.amount for made in account.refunds(session_id)] == [4000]


@pytest.mark.parametrize("hours", [1, 30])
def test_a_refund_whose_process_died_is_sent_by_the_janitor(
    account: StripeSide,
    shop: Client,
    invoice: Invoice,
    session_id: str,
    database: psycopg.Connection,
    hours: int,
) -> None:
    request_refund(database, invoice, 4000)
    assert round_of(account.stack)["stripe"]["refunds"] == 0
    assert account.refunds(session_id) == []
    let_refunds_age(database, invoice, hours=hours)
    assert round_of(account.stack)["stripe"]["refunds"] == 1
    account.delivered()
    assert [made.amount for made in account.refunds(session_id)] == [4000]
    assert books(shop, invoice)[:2] == ("PAID", 7000)
    let_refunds_age(database, invoice, hours=hours)
    assert round_of(account.stack)["stripe"]["refunds"] == 0


@pytest.mark.parametrize("hours", [1, 30])
def test_a_refund_that_was_made_before_its_process_died_is_found_not_made_again(
    account: StripeSide,
    shop: Client,
    invoice: Invoice,
    session_id: str,
    database: psycopg.Connection,
    hours: int,
) -> None:
    account.control.set_delivery(drop=("*",))
    account.control.fail_next("answer_lost", 2, method="POST", path=REFUNDS)
    with account.striking("fault.answer_lost"):
        assert refused(ask(shop, invoice, 4000)) == (503, "STRIPE_UNAVAILABLE")
    account.control.clear_faults()
    if hours > 24:
        # Stripe has forgotten the key meanwhile.
        account.control.advance_clock(25 * 3600)
    let_refunds_age(database, invoice, hours=hours)
    round_of(account.stack)
    if hours > 24:
        account.control.advance_clock(-25 * 3600)
    assert [made.amount for made in account.refunds(session_id)] == [4000]
    assert books(shop, invoice)[:2] == ("PAID", 7000)


def test_a_refund_whose_events_were_all_lost_is_read_by_its_id(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str, database: psycopg.Connection
) -> None:
    account.control.set_webhook(None)
    refunded(shop, invoice, 4000)
    let_refunds_age(database, invoice)
    assert round_of(account.stack)["stripe"]["refunds"] == 1
    assert books(shop, invoice)[:2] == ("PAID", 7000)


def request_refund(database: psycopg.Connection, invoice: Invoice, cents: int) -> int:
    """What the route commits before it asks Stripe; the request's id."""
    with database.transaction():
        database.execute("set local role service_role")
        row = database.execute(
            "select request_refund((select min(id) from users where role = 'ADMIN'), %s, null, %s, null, '',"
            " 'invoices/refunds', %s, 'hash')",
            (invoice["id"], cents, keyed()["Idempotency-Key"]),
        ).fetchone()
    assert row is not None
    return int(row[0]["id"])


# -- a refund that comes back --------------------------------------------------------------------------------------


def test_a_refund_that_fails_later_is_restored(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    session_id = paid_by_card(ada, invoice, card=cards.REFUND_PENDING)
    account.delivered()
    key = keyed()
    refunded(shop, invoice, key=key)
    account.delivered()
    assert books(shop, invoice) == ("REFUNDED", 0, 0)
    assert job_of(database, invoice) == HELD
    (made,) = account.refunds(session_id)
    assert made.status == "pending"
    account.control.fail_refund(made.id)
    account.delivered()
    assert books(shop, invoice) == ("PAID", 11_000, 0)
    assert amounts(shop, invoice) == [11_000]
    assert job_of(database, invoice) == UNHELD
    replay = ask(shop, invoice, key=key)
    assert replay.json()["data"]["status"] == "FAILED"
    assert refunded(shop, invoice, 5000)["amountCents"] == 5000
    assert "MONEY_CAME_BACK" in actions(database, invoice["id"])


def test_a_part_that_fails_leaves_the_other_parts_be(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    session_id = paid_by_card(ada, invoice, card=cards.REFUND_PENDING)
    account.delivered()
    refunded(shop, invoice, 3000)
    refunded(shop, invoice, 4000)
    account.delivered()
    by_amount = {made.amount: made.id for made in account.refunds(session_id)}
    account.control.settle_refund(by_amount[3000])
    account.control.fail_refund(by_amount[4000])
    account.delivered()
    assert books(shop, invoice)[:2] == ("PAID", 8000)
    assert amounts(shop, invoice) == [-3000, 11_000]
    assert job_of(database, invoice) == HELD


def test_a_hold_that_the_shop_has_cleared_stays_cleared(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str, database: psycopg.Connection
) -> None:
    refunded(shop, invoice, 1000)
    account.delivered()
    database.execute("update jobs set held_reason = null where invoice_id = %s", (invoice["id"],))
    refunded(shop, invoice, 1000)
    account.delivered()
    assert amounts(shop, invoice) == [-1000, -1000, 11_000]
    assert job_of(database, invoice) == UNHELD


def test_a_pending_refund_that_fails_is_restored_without_any_event(
    account: StripeSide, shop: Client, ada: Client, invoice: Invoice, database: psycopg.Connection
) -> None:
    session_id = paid_by_card(ada, invoice, card=cards.REFUND_PENDING)
    account.delivered()
    account.control.set_webhook(None)
    refunded(shop, invoice)
    let_refunds_age(database, invoice)
    round_of(account.stack)
    assert books(shop, invoice) == ("REFUNDED", 0, 0)
    account.control.fail_refund(account.refunds(session_id)[0].id)
    let_refunds_age(database, invoice)
    round_of(account.stack)
    assert books(shop, invoice) == ("PAID", 11_000, 0)
    assert job_of(database, invoice) == UNHELD


def test_a_refund_that_this_key_does_not_reach_stays_sent(
    account: StripeSide, shop: Client, invoice: Invoice, session_id: str, database: psycopg.Connection
) -> None:
    request_id = request_refund(database, invoice, 4000)
    database.execute(
        "update refund_requests set state = 'SENT', refund_id = 're_3OfAnotherMode' where id = %s",
        (request_id,),
    )
    let_refunds_age(database, invoice)
    assert round_of(account.stack)["stripe"]["refunds"] == 0
    row = database.execute(
        "select state, refusal from refund_requests where id = %s", (request_id,)
    ).fetchone()
    assert row == ("SENT", None)

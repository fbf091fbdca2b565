"""Payment pages and Stripe's events in the database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from printshop.adapters.stripe import API_VERSION
from tests.integration.schema.shop import Shop, call


def session_event(invoice_id: int | None, amount: int = 12_375, **changes: Any) -> dict[str, Any]:
    """checkout.session.completed, as far as it is read; `changes` are the session's."""
    session = {
        "id": f"cs_test_{uuid4().hex}",
        "object": "checkout.session",
        "amount_total": amount,
        "currency": "aud",
        "payment_status": "paid",
        "payment_intent": f"pi_{uuid4().hex}",
        "metadata": {} if invoice_id is None else {"invoiceId": str(invoice_id)},
        **changes,
    }
    return {
        "id": f"evt_{uuid4().hex}",
        "type": "checkout.session.completed",
        "created": 1_767_225_600,
        "livemode": False,
        "api_version": API_VERSION,
        "data": {"object": session},
    }


def refund_event(payment: dict[str, Any], cents: int, **changes: Any) -> dict[str, Any]:
    """refund.updated of a session's payment; `changes` are the refund's."""
    refund = {
        "id": f"re_{uuid4().hex}",
        "object": "refund",
        "amount": cents,
        "currency": "aud",
        "created": payment["created"] + 60,
        "payment_intent": payment["data"]["object"]["payment_intent"],
        "status": "succeeded",
        **changes,
    }
    kind, happened = "refund.updated", refund["created"]
    return {
        **payment,
        "id": f"evt_{uuid4().hex}",
        "type": kind,
        "created": happened,
        "data": {"object": refund},
    }


def made_here(shop: Shop, event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The event, its session a page that was made for the invoice; `changes` are the page's."""
    session = event["data"]["object"]
    page = {
        "session_id": session["id"],
        "invoice_id": session["metadata"]["invoiceId"],
        "amount_cents": session["amount_total"],
        **changes,
    }
    shop.rows.execute(
        "insert into checkout_sessions (session_id, invoice_id, amount_cents, expires_at, state)"
        " values (%(session_id)s, %(invoice_id)s, %(amount_cents)s, 'infinity', 'RETIRED')",
        page,
    )
    return event


def apply(shop: Shop, event: dict[str, Any]) -> Any:
    """The event's outcome; its session is a page of ours if it names an invoice."""
    session = event["data"]["object"]
    known = shop.value("select 1 from checkout_sessions where session_id = %s", session["id"])
    named = (session.get("metadata") or {}).get("invoiceId", "")
    if not known and shop.value("select 1 from invoices where id::text = %s", named):
        made_here(shop, event)
    return apply_event(shop.call, event)


def apply_event(call: Callable[..., Any], event: dict[str, Any]) -> Any:
    answer = call("apply_stripe_event", p_event=event, p_livemode=False, p_api_version=API_VERSION)
    answer.pop("retire", None)
    return answer


def recorded(shop: Shop, event: dict[str, Any]) -> tuple[Any, ...]:
    row = shop.rows.execute(
        "select outcome, invoice_id, metadata from webhook_events where stripe_event_id = %s", (event["id"],)
    ).fetchone()
    assert row is not None
    return row


def payments(shop: Shop, invoice_id: int) -> list[tuple[Any, ...]]:
    return shop.rows.execute(
        "select amount_cents, method::text, processor_id, reference, is_flagged from payments"
        " where invoice_id = %s order by id",
        (invoice_id,),
    ).fetchall()


def invoice_of(shop: Shop, invoice_id: int) -> Any:
    return shop.call("get_invoice", p_invoice_id=invoice_id, p_client_id=None)


def test_a_paid_session_pays_the_invoice_and_queues_its_job(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    open_page(shop, invoice_id)
    event = made_here(shop, session_event(invoice_id))
    session = event["data"]["object"]
    assert apply(shop, event) == {"outcome": "APPLIED", "invoiceId": invoice_id}
    assert payments(shop, invoice_id) == [(12_375, "STRIPE", session["payment_intent"], session["id"], False)]
    invoice = invoice_of(shop, invoice_id)
    assert (invoice["status"], invoice["balanceCents"], invoice["creditCents"]) == ("PAID", 0, 0)
    assert (invoice["job"]["status"], invoice["job"]["priority"]) == ("QUEUED", "FAST_TRACK")
    assert invoice["payments"][0]["date"] == "2026-01-01"
    cleared = "select stripe_session_id is null and stripe_checkout_url is null from invoices where id = %s"
    assert shop.value(cleared, invoice_id) is True
    outcome, matched, metadata = recorded(shop, event)
    assert (outcome, matched) == ("APPLIED", invoice_id)
    assert {"invoiceId": invoice_id, "amount": 12_375, "sessionId": session["id"]}.items() <= metadata.items()
    actions = shop.rows.execute(
        "select action from activity_logs where invoice_id = %s order by id", (invoice_id,)
    ).fetchall()
    assert [action for (action,) in actions][-3:] == ["PAYMENT_RECEIVED", "INVOICE_PAID", "JOB_CREATED"]


def test_the_same_event_twice_pays_once(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = made_here(shop, session_event(invoice_id))
    assert [apply(shop, event)["outcome"] for _ in range(2)] == ["APPLIED", "DUPLICATE"]
    assert len(payments(shop, invoice_id)) == 1


def test_twenty_concurrent_twins_make_one_payment_and_one_job(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = made_here(shop, session_event(invoice_id))
    answers = shop.at_once(20, lambda connection, _: apply_event(partial(call, connection), event)["outcome"])
    assert sorted(answers) == ["APPLIED", *["DUPLICATE"] * 19]
    assert len(payments(shop, invoice_id)) == 1
    assert shop.value("select count(*) from jobs where invoice_id = %s", invoice_id) == 1


def test_two_events_of_one_payment_make_one_payment(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = made_here(shop, session_event(invoice_id))
    twin = {**event, "id": f"evt_{uuid4().hex}", "type": "checkout.session.async_payment_succeeded"}
    answers = shop.at_once(
        2, lambda connection, n: apply_event(partial(call, connection), (event, twin)[n])["outcome"]
    )
    assert sorted(answers) == ["APPLIED", "RECORDED"]
    assert len(payments(shop, invoice_id)) == 1


def test_a_late_payment_settles_what_a_first_unpaid_event_left_open(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = session_event(invoice_id, payment_status="unpaid")
    assert apply(shop, event)["outcome"] == "RECORDED"
    assert payments(shop, invoice_id) == []
    later = {**made_here(shop, session_event(invoice_id)), "type": "checkout.session.async_payment_succeeded"}
    assert apply(shop, later)["outcome"] == "APPLIED"
    assert invoice_of(shop, invoice_id)["status"] == "PAID"


def test_what_exceeds_the_balance_becomes_credit_and_is_flagged(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = made_here(shop, session_event(invoice_id, 13_000))
    assert apply(shop, event)["outcome"] == "FLAGGED"
    invoice = invoice_of(shop, invoice_id)
    assert (invoice["status"], invoice["paidCents"], invoice["creditCents"]) == ("PAID", 13_000, 625)
    assert recorded(shop, event)[2]["flags"] == ["EXCESS"]
    assert payments(shop, invoice_id)[0][-1] is True


def test_a_second_payment_of_a_paid_invoice_is_kept_as_credit(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    apply(shop, session_event(invoice_id))
    second = made_here(shop, session_event(invoice_id))
    assert apply(shop, second)["outcome"] == "FLAGGED"
    assert recorded(shop, second)[2]["flags"] == ["EXCESS", "STATUS_PAID"]
    invoice = invoice_of(shop, invoice_id)
    assert (invoice["status"], invoice["creditCents"]) == ("PAID", 12_375)
    assert shop.value("select count(*) from jobs where invoice_id = %s", invoice_id) == 1


def test_less_than_the_balance_leaves_the_rest_to_pay(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = session_event(invoice_id, 2375)
    assert apply(shop, event)["outcome"] == "FLAGGED"
    invoice = invoice_of(shop, invoice_id)
    assert (invoice["status"], invoice["balanceCents"], invoice["job"]) == ("PENDING", 10_000, None)


@pytest.mark.parametrize("status", ["VOID", "WRITTEN_OFF"])
def test_money_for_a_closed_invoice_is_kept_and_flagged_and_does_not_open_it(shop: Shop, status: str) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    shop.rows.execute("update invoices set status = %s where id = %s", (status, invoice_id))
    event = session_event(invoice_id)
    assert apply(shop, event)["outcome"] == "FLAGGED"
    assert f"STATUS_{status}" in recorded(shop, event)[2]["flags"]
    invoice = invoice_of(shop, invoice_id)
    assert (invoice["status"], invoice["paidCents"], invoice["job"]) == (status, 12_375, None)


def test_an_overdue_invoice_is_paid_like_a_pending_one(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    shop.rows.execute("update invoices set status = 'OVERDUE' where id = %s", (invoice_id,))
    assert apply(shop, made_here(shop, session_event(invoice_id)))["outcome"] == "APPLIED"


def test_another_currency_is_flagged_and_nothing_added_up(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = session_event(invoice_id, currency="usd")
    assert apply(shop, event) == {"outcome": "FLAGGED", "invoiceId": invoice_id}
    assert recorded(shop, event)[2]["flags"] == ["CURRENCY"]
    assert payments(shop, invoice_id) == []


@pytest.mark.parametrize(
    "metadata", [None, {}, {"invoiceId": ""}, {"invoiceId": "x"}, {"invoiceId": "0"}, {"invoiceId": "9" * 30}]
)
def test_a_payment_without_an_invoice_of_ours_is_kept_as_unmatched(shop: Shop, metadata: Any) -> None:
    event = session_event(None, metadata=metadata)
    assert apply(shop, event) == {"outcome": "UNMATCHED"}
    outcome, invoice_id, kept = recorded(shop, event)
    assert (outcome, invoice_id, kept["amount"]) == ("UNMATCHED", None, 12_375)


@pytest.mark.parametrize("kind", ["checkout.session.expired", "payment_intent.succeeded", "customer.created"])
def test_an_event_that_moves_no_money_is_recorded_alone(shop: Shop, kind: str) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = {**session_event(invoice_id), "type": kind}
    assert apply(shop, event)["outcome"] == "RECORDED"
    assert payments(shop, invoice_id) == []


# -- payment pages -------------------------------------------------------------------------------------------------


def opened(shop: Shop, invoice_id: int, **changes: Any) -> Any:
    params = {
        "p_pay_token": None, "p_invoice_id": invoice_id, "p_client_id": None, "p_refresh": False,
        **changes,
    }  # fmt: skip
    return shop.call("open_checkout", **params)


def store(shop: Shop, state: Any, session_id: str, **changes: Any) -> Any:
    params = {
        "p_invoice_id": state["invoiceId"],
        "p_attempt": state["attempt"],
        "p_session_id": session_id,
        "p_url": f"https://checkout.example/{session_id}",
        "p_cents": state["balanceCents"],
        "p_expires_at": datetime.now(UTC) + timedelta(hours=24),
        "p_closed": ["cs_of_another"],
        **changes,
    }
    return shop.call("store_checkout", **params)


def open_page(shop: Shop, invoice_id: int) -> str:
    """A live page of the invoice; its session."""
    session_id = f"cs_test_{uuid4().hex}"
    assert store(shop, opened(shop, invoice_id), session_id) == {"stored": True}
    return session_id


def refusal(answer: Any) -> tuple[int, str]:
    return answer["error"]["status"], answer["error"]["code"]


def test_a_live_page_is_answered_again(shop: Shop) -> None:
    invoice = shop.invoice(shop.customer())
    session_id = open_page(shop, invoice["id"])
    again = {"url": f"https://checkout.example/{session_id}", "sessionId": session_id}
    assert opened(shop, invoice["id"]) == again
    assert opened(shop, 0, p_pay_token=invoice["payToken"]) == again


def test_two_who_open_at_once_share_one_attempt(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    states = shop.at_once(
        5,
        lambda connection, _: call(
            connection, "open_checkout", p_pay_token=None, p_invoice_id=invoice_id, p_client_id=None,
            p_refresh=False,
        ),
    )  # fmt: skip
    assert {state["attempt"] for state in states} == {1}
    session_id = f"cs_test_{uuid4().hex}"
    assert [store(shop, state, session_id)["stored"] for state in states] == [True] * 5


@pytest.mark.parametrize(
    "change",
    [
        "update invoices set stripe_session_expires_at = now() + interval '1 minute' where id = %s",
        "insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', 100)",
    ],
    ids=["expiring", "another balance"],
)
def test_a_page_that_no_longer_fits_is_retired_for_a_new_attempt(shop: Shop, change: str) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    session_id = open_page(shop, invoice_id)
    shop.rows.execute(change.encode(), (invoice_id,))
    state = opened(shop, invoice_id)
    assert (state["url"], state["retire"], state["attempt"]) == (None, [session_id], 2)
    assert state["balanceCents"] == invoice_of(shop, invoice_id)["balanceCents"]


def test_a_refresh_retires_the_live_page(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    session_id = open_page(shop, invoice_id)
    assert opened(shop, invoice_id, p_refresh=True)["retire"] == [session_id]


def test_a_page_made_for_an_older_state_is_not_stored(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    state = opened(shop, invoice_id)
    assert store(shop, state, "cs_old_attempt", p_attempt=state["attempt"] - 1) == {"stored": False}
    shop.rows.execute(
        "insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', 1)", (invoice_id,)
    )
    assert store(shop, state, "cs_old_balance") == {"stored": False}
    shop.rows.execute("update invoices set status = 'VOID' where id = %s", (invoice_id,))
    assert store(shop, state, "cs_void") == {"stored": False}


def test_a_final_error_gives_the_next_try_an_attempt_of_its_own(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    assert opened(shop, invoice_id)["attempt"] == 1
    answers = shop.at_once(
        4,
        lambda connection, _: call(
            connection, "retire_checkout_attempt", p_invoice_id=invoice_id, p_attempt=1
        )["retired"],
    )
    assert sorted(answers) == [False] * 3 + [True]
    assert opened(shop, invoice_id)["attempt"] == 2


@pytest.mark.parametrize("status", ["VOID", "WRITTEN_OFF", "REFUNDED"])
def test_a_closed_invoice_has_no_page(shop: Shop, status: str) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    shop.rows.execute("update invoices set status = %s where id = %s", (status, invoice_id))
    assert refusal(opened(shop, invoice_id)) == (409, "NOT_PAYABLE")


def test_a_paid_invoice_has_no_page(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    apply(shop, session_event(invoice_id))
    assert refusal(opened(shop, invoice_id)) == (409, "ALREADY_PAID")


def test_an_unknown_link_and_a_foreign_invoice_do_not_exist(shop: Shop) -> None:
    stranger = shop.customer()
    invoice_id = shop.invoice(shop.customer())["id"]
    assert refusal(opened(shop, invoice_id, p_client_id=stranger.client_id)) == (404, "INVOICE_NOT_FOUND")
    assert refusal(opened(shop, invoice_id, p_pay_token="0" * 64)) == (404, "INVOICE_NOT_FOUND")
    assert refusal(opened(shop, invoice_id, p_pay_token="")) == (404, "INVOICE_NOT_FOUND")

"""Paying through the local Checkout: the link, the one live session, the signed webhook."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
import stripe

from devstack import ROOT, Stack
from devstack.stripe import pay
from tests.conftest import Client, sign_up
from tests.integration.payments.stripe_side import striking
from tests.support.models import cube_stl
from tests.support.orders import checked_out, sliced


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Payer")


@pytest.fixture(scope="module")
def cube(ada: Client) -> dict[str, Any]:
    return sliced(ada, "cube.stl", cube_stl(12))


@pytest.fixture
def invoice(ada: Client, cube: dict[str, Any]) -> dict[str, Any]:
    return checked_out(ada, cube)


def delivered(stack: Stack) -> None:
    stack.stripe.control.wait_until_delivered(20)


def test_the_pay_link_answers_303_to_a_live_checkout_page(invoice: dict[str, Any]) -> None:
    link = httpx.get(invoice["payUrl"], timeout=35)
    assert link.status_code == 303
    page = httpx.get(link.headers["location"])
    assert page.status_code == 200
    assert invoice["number"] in page.text


def test_one_session_serves_every_click_until_it_is_refreshed(ada: Client, invoice: dict[str, Any]) -> None:
    first = ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    assert ada.data("POST", f"invoices/{invoice['id']}/stripe-session") == first
    assert httpx.get(invoice["payUrl"]).headers["location"] == first["url"]
    fresh = ada.data("POST", f"invoices/{invoice['id']}/stripe-session?refresh=true")
    assert fresh["sessionId"] != first["sessionId"]
    assert pay(first["url"]).status_code != 303
    assert httpx.get(first["url"]).status_code >= 400


def test_many_clicks_at_once_open_one_session(ada: Client, invoice: dict[str, Any]) -> None:
    start = threading.Barrier(6)

    def click(_: int) -> str:
        start.wait()
        return httpx.get(invoice["payUrl"], timeout=35).headers["location"]

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(click, range(6)))) == 1


def test_nobody_else_gets_a_session_for_the_invoice(
    other_customer: Client, nobody: Client, invoice: dict[str, Any]
) -> None:
    assert other_customer.post(f"invoices/{invoice['id']}/stripe-session").status_code == 404
    assert nobody.post(f"invoices/{invoice['id']}/stripe-session").status_code == 401


def test_a_payment_delivered_twice_is_booked_once(
    stack: Stack, ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    stack.stripe.control.set_delivery(copies=2)
    session = ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    with striking(stack, "delivery.duplicated"):
        assert pay(session["url"]).status_code == 303
        delivered(stack)
    stack.stripe.control.set_delivery()
    paid = ada.data("GET", f"invoices/{invoice['id']}")
    assert (paid["status"], paid["balanceCents"], paid["payUrl"]) == ("PAID", 0, None)
    (payment,) = paid["payments"]
    assert (payment["method"], payment["amountCents"], payment["reference"]) == (
        "STRIPE",
        invoice["totalCents"],
        session["sessionId"],
    )
    assert paid["job"]["status"] == "QUEUED"
    row = database.execute(
        "select stripe_session_id, stripe_checkout_url from invoices where id = %s", (invoice["id"],)
    ).fetchone()
    assert row == (None, None)
    events = database.execute(
        "select metadata from webhook_events where invoice_id = %s", (invoice["id"],)
    ).fetchall()
    assert len(events) == 1
    assert events[0][0]["invoiceId"] == invoice["id"]
    assert events[0][0]["amount"] == invoice["totalCents"]
    assert events[0][0]["sessionId"] == session["sessionId"]
    statuses = [
        attempt.status for delivery in stack.stripe.control.deliveries() for attempt in delivery.attempts
    ]
    assert set(statuses) == {200}


def test_a_paid_invoice_says_so_and_opens_no_other_session(
    stack: Stack, ada: Client, invoice: dict[str, Any]
) -> None:
    pay(ada.data("POST", f"invoices/{invoice['id']}/stripe-session")["url"])
    delivered(stack)
    page = httpx.get(invoice["payUrl"])
    assert page.status_code == 409
    assert "Paid, thank you" in page.text
    again = ada.post(f"invoices/{invoice['id']}/stripe-session")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "ALREADY_PAID")


def test_a_void_invoice_cannot_be_paid(
    ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    database.execute("update invoices set status = 'VOID' where id = %s", (invoice["id"],))
    page = httpx.get(invoice["payUrl"])
    assert page.status_code == 409
    assert "can no longer be paid" in page.text
    again = ada.post(f"invoices/{invoice['id']}/stripe-session")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "NOT_PAYABLE")


def test_when_stripe_is_down_the_link_says_try_again_and_works_later(
    stack: Stack, invoice: dict[str, Any]
) -> None:
    stack.stripe.control.fail_next("server_error", times=10)
    try:
        with striking(stack, "fault.server_error"):
            page = httpx.get(invoice["payUrl"], timeout=35)
        assert page.status_code == 503
        assert "try again" in page.text
    finally:
        stack.stripe.control.clear_faults()
    assert httpx.get(invoice["payUrl"], timeout=35).status_code == 303


def test_a_session_whose_answer_was_lost_is_found_again(stack: Stack, invoice: dict[str, Any]) -> None:
    stack.stripe.control.fail_next("answer_lost", times=2, path="/v1/checkout/sessions")
    try:
        with striking(stack, "fault.answer_lost"):
            httpx.get(invoice["payUrl"], timeout=35)
    finally:
        stack.stripe.control.clear_faults()
    first = httpx.get(invoice["payUrl"], timeout=35).headers["location"]
    assert httpx.get(invoice["payUrl"], timeout=35).headers["location"] == first


def test_a_delivery_that_the_gateway_hands_over_in_base64_is_verified_and_booked(
    stack: Stack, ada: Client, invoice: dict[str, Any]
) -> None:
    delivery = json.loads((ROOT / "events" / "stripe-webhook.json").read_text())
    event = json.loads(base64.b64decode(delivery["body"]))
    event["id"], event["created"] = f"evt_{uuid4().hex}", int(time.time())
    event["data"]["object"] |= {
        "id": ada.data("POST", f"invoices/{invoice['id']}/stripe-session")["sessionId"],
        "payment_intent": f"pi_{uuid4().hex}",
        "amount_total": invoice["totalCents"],
        "metadata": {"invoiceId": str(invoice["id"]), "invoiceNumber": invoice["number"]},
    }
    body = json.dumps(event)
    delivery["body"] = base64.b64encode(body.encode()).decode()
    delivery["headers"]["content-length"] = str(len(body))
    delivery["headers"]["stripe-signature"] = sign(body, stack.webhook_secret)
    answers = [stack.gateway.invoke("WebhookFunction", delivery) for _ in range(2)]
    assert [answer["statusCode"] for answer in answers] == [200, 200]
    assert [json.loads(answer["body"])["data"]["outcome"] for answer in answers] == ["APPLIED", "DUPLICATE"]
    paid = ada.data("GET", f"invoices/{invoice['id']}")
    assert (paid["status"], len(paid["payments"])) == ("PAID", 1)


def sign(body: str, secret: str) -> str:
    now = int(time.time())
    return f"t={now},v1={stripe.WebhookSignature._compute_signature(f'{now}.{body}', secret)}"

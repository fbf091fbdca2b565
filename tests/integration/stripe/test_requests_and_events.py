"""The product's requests to Stripe and the event fields it reads, checked against the SDK's types.

The requests are recorded between the product and the stand-in.
"""

import re
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import stripe
import stripe.checkout
import stripe.params as p
import stripe.params.checkout as pc

from devstack import ROOT
from devstack.stripe import pay
from devstack.testing.serving import QuietHandler, serving
from devstack.testing.stripe_shop import SECRET_KEY, WEBHOOK_SECRET, Shop
from devstack.testing.stripe_types import hints, parameter_errors
from devstack.testing.webhooks import Receiver
from printshop.adapters.stripe import API_VERSION, HANDLED_EVENTS, CheckoutInvoice, RefundOrder, StripeGateway
from printshop.config.settings import load_settings

# The SDK hands httpx its form as `data`, which httpx would rather have as `content`.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

PUBLISHED: dict[tuple[str, str], type] = {
    ("POST", "/v1/checkout/sessions"): pc.SessionCreateParams,
    ("GET", "/v1/checkout/sessions"): pc.SessionListParams,
    ("GET", "/v1/checkout/sessions/{}"): pc.SessionRetrieveParams,
    ("POST", "/v1/checkout/sessions/{}/expire"): pc.SessionExpireParams,
    ("GET", "/v1/events"): p.EventListParams,
    ("POST", "/v1/refunds"): p.RefundCreateParams,
    ("GET", "/v1/refunds"): p.RefundListParams,
    ("GET", "/v1/refunds/{}"): p.RefundRetrieveParams,
    ("GET", "/v1/balance"): p.BalanceRetrieveParams,
}
INVOICE = CheckoutInvoice(42, "INV-0042", "Zoë & Söhne", "zoe@example.com", "AUD", 12_345, "invoice-42-1")


@dataclass(frozen=True)
class Sent:
    """A recorded request."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, Any]

    @property
    def operation(self) -> tuple[str, str]:
        return self.method, re.sub(r"/(cs_test|re|pi)_\w+", "/{}", self.path)


def read_form(text: str) -> dict[str, Any]:
    """`a[b][0]=c` as {"a": {"b": {"0": "c"}}}."""
    read: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)):
        *outer, last = re.findall(r"[^\[\]]+", name)
        place = read
        for step in outer:
            place = place.setdefault(step, {})
        assert last not in place, f"{name} twice"
        place[last] = value
    return read


@contextmanager
def recording(target: str) -> Iterator[tuple[str, list[Sent]]]:
    """Yields the URL of a proxy to `target`, and the list of requests that went through it."""
    sent: list[Sent] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self._carry("GET")

        def do_POST(self) -> None:
            self._carry("POST")

        def _carry(self, method: str) -> None:
            body = self.body()
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent.append(Sent(method, parts.path, headers, read_form(parts.query) | read_form(body.decode())))
            kept = {name: value for name, value in headers.items() if name not in ("host", "accept-encoding")}
            answer = httpx.request(method, target + self.path, content=body, headers=kept, trust_env=False)
            self.answer(answer.status_code, answer.content)

    with serving(Handler) as url:
        yield url, sent


def gateway_at(url: str) -> StripeGateway:
    environment = {
        "NEXT_PUBLIC_SUPABASE_URL": "https://project.supabase.co",
        "NEXT_PUBLIC_SUPABASE_ANON_KEY": "sb_publishable_a",
        "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_b",
        "STRIPE_SECRET_KEY": SECRET_KEY,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "STRIPE_API_BASE": url,
    }
    return StripeGateway(load_settings(environment))


@pytest.fixture(scope="module")
def sent(shop: Shop) -> list[Sent]:
    """Every kind of request that the gateway makes."""
    with recording(shop.stand_in.url) as (url, requests):
        gateway = gateway_at(url)
        yesterday = datetime.now(UTC) - timedelta(days=1)
        page = gateway.create_session(INVOICE)
        gateway.create_session(replace(INVOICE, key="invoice-42-2", client_email=None, currency="JPY"))
        assert pay(page.url).status_code == 303
        ended = gateway.end_session(page.id)
        assert ended is not None
        intent = ended["payment_intent"]["id"]
        assert gateway.end_session(gateway.create_session(replace(INVOICE, key="invoice-42-3")).id)
        list(gateway.open_sessions(yesterday))
        list(gateway.undelivered_events(yesterday))
        for request, reason in ((1, None), (2, "requested_by_customer")):
            order = RefundOrder(request, 42, intent, 345, "AUD", reason, f"refund-{request}")
            assert gateway.find_refund(order) is None
            gateway.read_refund(gateway.create_refund(order))
        assert gateway.check_key() is False
    return requests


def test_every_request_has_the_parameters_that_the_sdk_publishes(sent: list[Sent]) -> None:
    departures = [
        one
        for request in sent
        for one in parameter_errors(request.form, PUBLISHED[request.operation], " ".join(request.operation))
    ]
    assert departures == []
    assert {request.operation for request in sent} == set(PUBLISHED)


def test_the_comparison_notices_what_is_not_published(sent: list[Sent]) -> None:
    form = next(request.form for request in sent if request.operation == ("POST", "/v1/checkout/sessions"))
    wrong = {
        **form,
        "mode": "once",
        "invented": "1",
        "line_items": {"0": {**form["line_items"]["0"], "quantity": "one"}},
        "metadata": {"invoiceId": {"deeper": "1"}},
        "payment_intent_data": "none",
    }
    assert sorted(
        re.split(r":| is", one)[0] for one in parameter_errors(wrong, pc.SessionCreateParams, "session")
    ) == [
        "session.invented",
        "session.line_items[0].quantity",
        "session.metadata",
        "session.mode",
        "session.payment_intent_data",
    ]
    refund = parameter_errors({"amount": "1.5"}, p.RefundCreateParams, "refund")
    assert [one.partition(":")[0] for one in refund] == ["refund.amount"]


def test_a_checkout_session_is_created_with_the_documented_parameters(sent: list[Sent]) -> None:
    metadata = {"invoiceId": "42", "invoiceNumber": "INV-0042"}
    first = next(request for request in sent if request.operation == ("POST", "/v1/checkout/sessions"))
    assert first.form == {
        "mode": "payment",
        "adaptive_pricing": {"enabled": "false"},
        "allowed_payment_method_types": {"0": "card"},
        "line_items": {
            "0": {
                "price_data": {
                    "currency": "aud",
                    "product_data": {"name": "Invoice INV-0042", "description": "Zoë & Söhne"},
                    "unit_amount": "12345",
                },
                "quantity": "1",
            }
        },
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "client_reference_id": "42",
        "customer_email": "zoe@example.com",
        "success_url": "http://localhost:3000/paid",
        "cancel_url": "http://localhost:3000/cancelled",
    }
    assert first.headers["idempotency-key"] == "invoice-42-1"


def test_every_request_has_the_pinned_version_and_every_post_an_idempotency_key(
    sent: list[Sent],
) -> None:
    assert {request.headers["stripe-version"] for request in sent} == {API_VERSION}
    assert {request.headers["authorization"] for request in sent} == {f"Bearer {SECRET_KEY}"}
    keys = [request.headers["idempotency-key"] for request in sent if request.method == "POST"]
    assert all(keys)
    assert len(keys) == len(set(keys))


def test_the_pinned_version_is_the_one_that_the_sdk_describes() -> None:
    assert stripe.api_version == API_VERSION


# -- events --------------------------------------------------------------------------------------------------------

NEVER_HERE = {"charge.dispute.updated"}
"""Evidence submitted in Stripe's dashboard, which the stand-in does not have."""

CLASSES: dict[str, type] = {
    "checkout.session": stripe.checkout.Session,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "dispute": stripe.Dispute,
}
READ: dict[str, set[str]] = {
    "p_event": {"id", "type", "created", "livemode", "api_version", "data"},
    "session": {"id", "amount_total", "currency", "metadata", "payment_intent", "payment_status"},
    "object": {"id", "object", "created", "currency", "metadata", "payment_intent", "status"},
}
"""The fields that the SQL reads, by its name of the object; and `amount`, or a charge's `amount_refunded`."""


def everything_happens(shop: Shop, webhook: Receiver) -> list[dict[str, Any]]:
    """Trigger every handled event at least once; returns the events as delivered."""
    shop.paid_session()
    shop.client.v1.checkout.sessions.expire(shop.open_session().id)
    for succeeded in (True, False):
        debit = shop.open_session(allowed_payment_method_types=["au_becs_debit"])
        assert debit.url is not None
        assert pay(debit.url, method="au_becs_debit").status_code == 303
        shop.stand_in.control.settle_payment(debit.id, succeeded=succeeded)
    refund = shop.client.v1.refunds.create({"charge": shop.paid_charge().id, "amount": 100})
    shop.stand_in.control.fail_refund(refund.id)
    for won in (True, False):
        dispute = shop.stand_in.control.open_dispute(shop.paid_charge().id)
        shop.stand_in.control.close_dispute(dispute, won=won)
    shop.stand_in.control.wait_until_delivered()
    gateway = gateway_at(shop.stand_in.url)
    events = [gateway.read_event(one.body, one.signature) for one in webhook.received]
    return [event for event in events if event["type"] in HANDLED_EVENTS]


def test_every_handled_event_is_read_by_the_real_construct_event_and_has_what_the_sql_reads(
    shop: Shop, webhook: Receiver
) -> None:
    events = everything_happens(shop, webhook)
    assert {event["type"] for event in events} == set(HANDLED_EVENTS) - NEVER_HERE
    for event in events:
        subject = event["data"]["object"]
        kind = subject["object"]
        assert READ["p_event"] - set(event) == set()
        read = READ["session"] if kind == "checkout.session" else READ["object"] | {_amount(kind)}
        assert read - set(subject) == set(), event["type"]
        assert isinstance(subject.get("payment_intent"), str | None), "not expanded"


def test_every_field_that_the_sql_reads_is_published() -> None:
    path = ROOT / "supabase" / "schemas" / "payments" / "stripe_events.sql"
    found: dict[str, set[str]] = {name: set() for name in READ}
    for name, _, field in re.findall(r"\b(session|object|p_event) (->>?|#>>?) '\{?(\w+)", path.read_text()):
        if field != "isOurs":  # which payments.events adds
            found[name].add(field)
    assert found == READ
    assert READ["p_event"] - set(hints(stripe.Event)) == set()
    assert READ["session"] - set(hints(stripe.checkout.Session)) == set()
    for kind in ("charge", "refund", "dispute"):
        assert (READ["object"] | {_amount(kind)}) - set(hints(CLASSES[kind])) == set()


def test_every_handled_event_is_a_published_type_that_an_endpoint_can_ask_for() -> None:
    assert set(HANDLED_EVENTS) - set(typing.get_args(hints(stripe.Event)["type"])) == set()
    (enabled,) = typing.get_args(hints(p.WebhookEndpointCreateParams)["enabled_events"])
    assert set(HANDLED_EVENTS) - set(typing.get_args(enabled)) == set()
    assert len(set(HANDLED_EVENTS)) == len(HANDLED_EVENTS) <= 20, "Stripe lists no more types at once"


def _amount(kind: str) -> str:
    return "amount_refunded" if kind == "charge" else "amount"

"""The stand-in's parameters and objects, checked against the SDK's types."""

import typing
from typing import Any

import httpx
import pytest
import stripe
import stripe.checkout
import stripe.params as p
import stripe.params.checkout as pc

from devstack.stripe import pay
from devstack.stripe.operations import OPERATIONS
from devstack.testing.stripe_shop import SECRET_KEY, Shop
from devstack.testing.stripe_types import hints, missing, unpublished_parameters, value_errors
from devstack.testing.webhooks import Receiver

PARAMETER_TYPES: dict[tuple[str, str], type] = {
    ("POST", "/v1/checkout/sessions"): pc.SessionCreateParams,
    ("GET", "/v1/checkout/sessions"): pc.SessionListParams,
    ("GET", "/v1/checkout/sessions/{}"): pc.SessionRetrieveParams,
    ("POST", "/v1/checkout/sessions/{}/expire"): pc.SessionExpireParams,
    ("GET", "/v1/checkout/sessions/{}/line_items"): pc.SessionListLineItemsParams,
    ("GET", "/v1/payment_intents/{}"): p.PaymentIntentRetrieveParams,
    ("GET", "/v1/charges"): p.ChargeListParams,
    ("GET", "/v1/charges/{}"): p.ChargeRetrieveParams,
    ("POST", "/v1/refunds"): p.RefundCreateParams,
    ("GET", "/v1/refunds"): p.RefundListParams,
    ("GET", "/v1/refunds/{}"): p.RefundRetrieveParams,
    ("GET", "/v1/disputes"): p.DisputeListParams,
    ("GET", "/v1/disputes/{}"): p.DisputeRetrieveParams,
    ("GET", "/v1/events"): p.EventListParams,
    ("GET", "/v1/events/{}"): p.EventRetrieveParams,
    ("POST", "/v1/webhook_endpoints"): p.WebhookEndpointCreateParams,
    ("GET", "/v1/webhook_endpoints"): p.WebhookEndpointListParams,
    ("GET", "/v1/webhook_endpoints/{}"): p.WebhookEndpointRetrieveParams,
    ("POST", "/v1/webhook_endpoints/{}"): p.WebhookEndpointUpdateParams,
    ("GET", "/v1/balance"): p.BalanceRetrieveParams,
    ("GET", "/v1/account"): p.AccountRetrieveCurrentParams,
}

# Included by `expand`, at creation, after deletion, or on accounts of another kind only.
ON_DEMAND = {
    "checkout.session": {"line_items"},
    "charge": {"level3", "refunds", "transfer"},
    "payment_intent": set[str](),
    "refund": set[str](),
    "dispute": set[str](),
    "event": {"account", "context"},
    "webhook_endpoint": {"deleted", "secret"},
    "balance": {"connect_reserved", "instant_available", "issuing"},
    "account": {"company", "deleted", "groups", "individual"},
    "item": {"discounts", "taxes"},
}
CLASSES: dict[str, type] = {
    "checkout.session": stripe.checkout.Session,
    "charge": stripe.Charge,
    "payment_intent": stripe.PaymentIntent,
    "refund": stripe.Refund,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "webhook_endpoint": stripe.WebhookEndpoint,
    "balance": stripe.Balance,
    "account": stripe.Account,
    "item": stripe.LineItem,
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_every_parameter_accepted_is_in_the_sdks_parameter_types(operation: Any) -> None:
    published = PARAMETER_TYPES[operation.method, operation.path]

    assert unpublished_parameters(operation.parameters, published, published.__name__) == []


def _get(shop: Shop, path: str) -> dict[str, Any]:
    answer = httpx.get(
        shop.stand_in.url + path, headers={"Authorization": f"Bearer {SECRET_KEY}"}, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def _departures(body: dict[str, Any]) -> list[str]:
    kind = body["object"]
    absent = missing(body, CLASSES[kind], ON_DEMAND[kind])
    return value_errors(body, CLASSES[kind], kind) + [f"{kind}.{name} is missing" for name in sorted(absent)]


@pytest.fixture
def busy_shop(shop: Shop, webhook: Receiver) -> Shop:
    """A shop in which everything has happened at least once."""
    shop.paid_session()
    declined = shop.open_session()
    assert declined.url is not None
    assert pay(declined.url, card="4000000000009995").status_code == 402
    shop.client.v1.checkout.sessions.expire(declined.id)
    for succeeded in (True, False):
        debit = shop.open_session(allowed_payment_method_types=["au_becs_debit"])
        assert debit.url is not None
        assert pay(debit.url, method="au_becs_debit").status_code == 303
        shop.stand_in.control.settle_payment(debit.id, succeeded=succeeded)
    refund = shop.client.v1.refunds.create({"charge": shop.paid_charge().id, "amount": 100})
    shop.stand_in.control.fail_refund(refund.id)
    pending = shop.client.v1.refunds.create({"charge": shop.paid_charge(card="4000000000007726").id})
    shop.stand_in.control.settle_refund(pending.id)
    shop.stand_in.control.close_dispute(shop.stand_in.control.open_dispute(shop.paid_charge().id), won=True)
    return shop


def test_the_comparison_notices_what_departs_from_the_published_shape(shop: Shop) -> None:
    session = _get(shop, f"/v1/checkout/sessions/{shop.open_session().id}")
    del session["livemode"]
    session |= {"status": "done", "amount_total": "12345", "invented": 1, "custom_text": {"footer": None}}

    assert sorted(departure.partition(":")[0] for departure in _departures(session)) == [
        "checkout.session.amount_total",
        "checkout.session.custom_text.footer is not published",
        "checkout.session.invented is not published",
        "checkout.session.livemode is missing",
        "checkout.session.status",
    ]


def test_every_object_has_exactly_the_published_fields_and_values(busy_shop: Shop) -> None:
    found: list[str] = []
    seen: set[str] = set()
    session = _get(busy_shop, "/v1/checkout/sessions?limit=1")["data"][0]
    for path in (
        "/v1/checkout/sessions?limit=100",
        "/v1/checkout/sessions?limit=100&expand[]=data.payment_intent.latest_charge&expand[]=data.line_items",
        f"/v1/checkout/sessions/{session['id']}/line_items",
        "/v1/charges?limit=100",
        "/v1/charges?limit=100&expand[]=data.refunds&expand[]=data.payment_intent",
        "/v1/refunds?limit=100",
        "/v1/disputes?limit=100",
        "/v1/events?limit=100",
        "/v1/webhook_endpoints",
        "/v1/balance",
        "/v1/account",
    ):
        body = _get(busy_shop, path)
        for one in body["data"] if body["object"] == "list" else [body]:
            seen.add(one["object"])
            found += _departures(one)
    assert found == []
    assert seen == set(CLASSES) - {"payment_intent"}


def test_every_event_carries_a_published_type_and_object(busy_shop: Shop) -> None:
    published = set(typing.get_args(hints(stripe.Event)["type"]))

    events = _get(busy_shop, "/v1/events?limit=100")["data"]

    assert {event["type"] for event in events} - published == set()
    assert [fault for event in events for fault in _departures(event["data"]["object"])] == []
    assert {event["type"] for event in events} >= {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "charge.failed",
        "charge.refunded",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    }

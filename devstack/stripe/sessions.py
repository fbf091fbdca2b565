"""Checkout sessions: created open, they become complete or expired, once."""

from typing import Any

from devstack.stripe import session_objects
from devstack.stripe.currencies import check_total, check_unit_amount
from devstack.stripe.errors import ApiError, invalid, missing_parameter
from devstack.stripe.events import record
from devstack.stripe.expanding import expand
from devstack.stripe.listing import filters_of, page, paginate
from devstack.stripe.merchant import Call, Cause, Merchant
from devstack.stripe.parameters import (
    EXPAND,
    PAGING,
    Boolean,
    Choice,
    Currency,
    Email,
    Hash,
    Integer,
    ListOf,
    Metadata,
    Moments,
    Text,
    Url,
)
from devstack.stripe.payment_objects import BECS
from devstack.stripe.session_objects import Payer
from devstack.stripe.store import Body

SHORTEST_SECONDS = 30 * 60
LONGEST_SECONDS = 24 * 3600

_PRICE_DATA = Hash(
    {
        "currency": Currency(),
        "product_data": Hash(
            {"name": Text(), "description": Text(40_000), "metadata": Metadata()}, required=("name",)
        ),
        "unit_amount": Integer(0),
    },
    required=("currency", "product_data", "unit_amount"),
)
CREATE = Hash(
    {
        **EXPAND,
        "adaptive_pricing": Hash({"enabled": Boolean()}),
        "allowed_payment_method_types": ListOf(Choice(("card", BECS))),
        "billing_address_collection": Choice(("auto", "required")),
        "cancel_url": Url(),
        "client_reference_id": Text(200),
        "customer_creation": Choice(("always", "if_required")),
        "customer_email": Email(),
        "expires_at": Integer(),
        "line_items": ListOf(
            Hash({"price_data": _PRICE_DATA, "quantity": Integer(1)}, required=("price_data", "quantity")),
            100,
        ),
        "locale": Choice(("auto", "en", "en-GB", "de", "es", "fr", "it", "ja", "zh")),
        "metadata": Metadata(),
        "mode": Choice(("payment",)),
        "payment_intent_data": Hash(
            {
                "description": Text(1000),
                "metadata": Metadata(),
                "receipt_email": Email(),
                "statement_descriptor_suffix": Text(22),
            }
        ),
        "submit_type": Choice(("auto", "book", "donate", "pay")),
        "success_url": Url(),
        "ui_mode": Choice(("hosted_page",)),
    },
    required=("mode", "line_items", "success_url"),
)
RETRIEVE = Hash(EXPAND)
EXPIRE = Hash(EXPAND)
LIST = Hash(
    {
        **PAGING,
        "created": Moments(),
        "customer_details": Hash({"email": Text()}, required=("email",)),
        "payment_intent": Text(),
        "status": Choice(("open", "complete", "expired")),
    }
)
LINE_ITEMS = Hash(PAGING)


def create(call: Call, params: dict[str, Any]) -> Body:
    """Open a session. Raises ApiError for amounts, currencies and times that Stripe rejects."""
    merchant = call.merchant
    if not params["line_items"]:
        raise missing_parameter("line_items")
    for index, line in enumerate(params["line_items"]):
        price = line["price_data"]
        check_unit_amount(
            price["unit_amount"], price["currency"], f"line_items[{index}][price_data][unit_amount]"
        )
    lines = [session_objects.line_item(merchant, line) for line in params["line_items"]]
    currencies = {line["currency"] for line in lines}
    if len(currencies) > 1:
        raise ApiError("All line items must have the same currency.", param="line_items")
    check_total(sum(line["amount_total"] for line in lines), lines[0]["currency"])
    if "expires_at" in params:
        _check_expiry(params["expires_at"] - merchant.now())
    offered = _offered(params.get("allowed_payment_method_types", ["card"]), lines[0]["currency"])
    session = session_objects.session(merchant, params, lines, offered)
    merchant.store.add(
        session,
        {
            "line_items": lines,
            "payment_intent_data": params.get("payment_intent_data", {}),
            "products": [line["price_data"]["product_data"] for line in params["line_items"]],
        },
    )
    return expand(merchant, session, params)


def retrieve(call: Call, params: dict[str, Any]) -> Body:
    return expand(call.merchant, call.merchant.require("checkout.session", call.ids[0]), params)


def list_sessions(call: Call, params: dict[str, Any]) -> Body:
    where = filters_of(params, "payment_intent", "status")
    if "customer_details" in params:
        where["customer_details.email"] = params["customer_details"]["email"]
    found = page(call.merchant, "checkout.session", "/v1/checkout/sessions", params, where=where)
    return expand(call.merchant, found, params)


def list_line_items(call: Call, params: dict[str, Any]) -> Body:
    session = call.merchant.require("checkout.session", call.ids[0])
    lines = call.merchant.store.private(session["id"])["line_items"]
    return paginate(lines, "item", f"/v1/checkout/sessions/{session['id']}/line_items", params)


def expire(call: Call, params: dict[str, Any]) -> Body:
    """Close an open session at once. Raises ApiError for one that is not open."""
    session = call.merchant.require("checkout.session", call.ids[0])
    if session["status"] != "open":
        raise ApiError(
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{session['status']}`."
        )
    _expire(call.merchant, call.cause, session)
    return expand(call.merchant, session, params)


def expire_due(merchant: Merchant) -> int:
    """Expire every open session that is due; returns how many."""
    now = merchant.now()
    over = [
        session
        for session in merchant.store.newest_first("checkout.session", {"status": "open"})
        if session["expires_at"] <= now
    ]
    with merchant.store.transaction():
        for session in over:
            _expire(merchant, Cause(), session)
    return len(over)


def complete(merchant: Merchant, session: Body, *, paid: bool, payer: Payer) -> None:
    """Complete a session; `paid` is false for a method that settles later."""
    session |= {
        "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
        "customer_details": session_objects.details(payer.email, payer.name),
        "payment_status": "paid" if paid else "unpaid",
        "status": "complete",
        "url": None,
    }
    merchant.store.save(session)
    record(merchant, Cause(), "checkout.session.completed", session)


def async_payment_succeeded(merchant: Merchant, session: Body) -> None:
    session["payment_status"] = "paid"
    merchant.store.save(session)
    record(merchant, Cause(), "checkout.session.async_payment_succeeded", session)


def async_payment_failed(merchant: Merchant, session: Body) -> None:
    record(merchant, Cause(), "checkout.session.async_payment_failed", session)


def _expire(merchant: Merchant, cause: Cause, session: Body) -> None:
    session |= {"status": "expired", "url": None}
    merchant.store.save(session)
    record(merchant, cause, "checkout.session.expired", session)


def _offered(allowed: list[str], currency: str) -> list[str]:
    """The allowed payment methods that support the currency."""
    fitting = [method for method in allowed if method != BECS or currency == "aud"]
    if not fitting:
        raise ApiError(
            "No valid payment method types for this Checkout Session. Please ensure that you have activated "
            "payment methods compatible with your chosen currency in your dashboard."
        )
    return fitting


def _check_expiry(seconds: int) -> None:
    if seconds < SHORTEST_SECONDS:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
            "expires_at",
        )
    if seconds > LONGEST_SECONDS:
        raise invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            "expires_at",
        )

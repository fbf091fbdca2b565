"""`expand[]`: replaces ids by the objects that they name."""

from typing import Any

from devstack.stripe.errors import ApiError
from devstack.stripe.merchant import Merchant
from devstack.stripe.store import Body

DEEPEST = 4

_FIELDS: dict[str, dict[str, str]] = {
    "checkout.session": {"payment_intent": "payment_intent"},
    "payment_intent": {"latest_charge": "charge"},
    "charge": {"payment_intent": "payment_intent"},
    "refund": {"charge": "charge", "payment_intent": "payment_intent"},
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
}
"""Kind of object → its fields that hold an id → the kind that the id names."""


def expand(merchant: Merchant, body: Body, params: dict[str, Any]) -> Body:
    """A copy of an object or list with every path of the request's `expand` filled in."""
    for path in params.get("expand", []):
        steps = path.split(".")
        if len(steps) > DEEPEST:
            raise ApiError(
                f"You cannot expand more than {DEEPEST} levels of a property (here: {path}).", param="expand"
            )
        body = _expand(merchant, body, steps, path)
    return body


def _expand(merchant: Merchant, body: Body, steps: list[str], path: str) -> Body:
    if not steps:
        return body
    name, rest = steps[0], steps[1:]
    if body["object"] == "list" and name == "data" and rest:
        return {**body, "data": [_expand(merchant, one, rest, path) for one in body["data"]]}
    value = _value(merchant, body, name, path)
    if isinstance(value, dict) and rest:
        value = _expand(merchant, value, rest, path)
    return {**body, name: value}


def _value(merchant: Merchant, body: Body, name: str, path: str) -> Any:
    kind = body["object"]
    if kind == "checkout.session" and name == "line_items":
        lines = merchant.store.private(body["id"])["line_items"]
        return _included(lines, f"/v1/checkout/sessions/{body['id']}/line_items")
    if kind == "charge" and name == "refunds":
        refunds = list(merchant.store.newest_first("refund", {"charge": body["id"]}))
        return _included(refunds, f"/v1/charges/{body['id']}/refunds")
    target = _FIELDS.get(kind, {}).get(name)
    if target is None:
        raise ApiError(
            f"This property cannot be expanded ({path}). You may want to try expanding a different property.",
            param="expand",
        )
    held = body[name]
    return merchant.require(target, held) if isinstance(held, str) else held


def _included(data: list[Body], url: str) -> Body:
    return {"object": "list", "data": data[:10], "has_more": len(data) > 10, "url": url}

"""Events: a snapshot of the object at the moment of the change, available for 30 days."""

from typing import Any

from devstack.stripe import ids, outbox
from devstack.stripe.errors import ApiError, no_such
from devstack.stripe.listing import page
from devstack.stripe.merchant import Call, Cause, Merchant
from devstack.stripe.parameters import EXPAND, PAGING, Boolean, Hash, ListOf, Moments, Text
from devstack.stripe.store import Body

KEPT_SECONDS = 30 * 24 * 3600

LIST = Hash(
    {
        **PAGING,
        "created": Moments(),
        "delivery_success": Boolean(),
        "type": Text(),
        "types": ListOf(Text(), 20),
    }
)
RETRIEVE = Hash(EXPAND)


def record(merchant: Merchant, cause: Cause, kind: str, subject: Body, before: Body | None = None) -> Body:
    """Record an event about `subject` and queue it for every subscribed endpoint.

    `before` is the object as it was; what differs at the top level becomes `data.previous_attributes`.
    """
    data: dict[str, Any] = {"object": subject}
    if before is not None:
        data["previous_attributes"] = {
            name: value for name, value in before.items() if name in subject and subject[name] != value
        }
    event = {
        "id": ids.new("event"),
        "object": "event",
        "api_version": merchant.api_version,
        "created": merchant.now(),
        "data": data,
        "livemode": subject.get("livemode", False),
        "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key},
        "type": kind,
    }
    merchant.store.add(event)
    outbox.enqueue(merchant, event)
    return event


def render(merchant: Merchant, event: Body) -> Body:
    """The event as the API shows it: `pending_webhooks` is counted now."""
    shown = dict(event)
    request, kind = shown.pop("request"), shown.pop("type")
    return {
        **shown,
        "pending_webhooks": outbox.waiting(merchant, event["id"]),
        "request": request,
        "type": kind,
    }


def retrieve(call: Call, _: dict[str, Any]) -> Body:
    event = call.merchant.require("event", call.ids[0])
    if event["created"] < call.merchant.now() - KEPT_SECONDS:
        raise no_such("event", call.ids[0])
    return render(call.merchant, event)


def list_events(call: Call, params: dict[str, Any]) -> Body:
    if "type" in params and "types" in params:
        raise ApiError(
            "You may only specify one of these parameters: type, types.", code="parameters_exclusive"
        )
    merchant = call.merchant
    wanted: list[str] = params.get("types") or ([params["type"]] if "type" in params else [])
    oldest = merchant.now() - KEPT_SECONDS
    delivered: bool | None = params.get("delivery_success")

    def keep(event: Body) -> bool:
        if event["created"] < oldest or not (
            not wanted or any(outbox.matches(event["type"], one) for one in wanted)
        ):
            return False
        return delivered is None or outbox.all_delivered(merchant, event["id"]) == delivered

    found = page(merchant, "event", "/v1/events", params, keep=keep)
    found["data"] = [render(merchant, event) for event in found["data"]]
    return found

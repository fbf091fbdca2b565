"""Webhook endpoints: URL, signing secret, API version and event types of each."""

import time
from typing import Any, get_args

import stripe

from devstack.stripe import ids
from devstack.stripe.errors import ApiError, invalid
from devstack.stripe.listing import page
from devstack.stripe.merchant import Call, Merchant
from devstack.stripe.parameters import (
    EXPAND,
    PAGING,
    Boolean,
    Choice,
    Hash,
    ListOf,
    Metadata,
    Text,
    Url,
)
from devstack.stripe.store import Body

OWN_ENDPOINT = "own_webhook_endpoint"
"""The setting that holds the id of the launcher's own endpoint."""

MOST_ENDPOINTS = 16

EVENT_TYPES: tuple[str, ...] = get_args(stripe.Event.__annotations__["type"])
"""Stripe's own list; an endpoint with any other type is an error."""

_SHARED = {
    **EXPAND,
    "enabled_events": ListOf(Choice(("*", *EVENT_TYPES)), 1000),
    "url": Url(),
    "description": Text(),
}
CREATE = Hash(
    {**_SHARED, "metadata": Metadata(), "api_version": Choice((stripe.api_version,))},
    required=("enabled_events", "url"),
)
UPDATE = Hash({**_SHARED, "disabled": Boolean()})
RETRIEVE = Hash(EXPAND)
LIST = Hash(PAGING)


def create(call: Call, params: dict[str, Any]) -> Body:
    """Make an endpoint; only this answer carries its signing secret."""
    _check_some(params["enabled_events"])
    merchant = call.merchant
    if sum(1 for _ in merchant.store.newest_first("webhook_endpoint")) >= MOST_ENDPOINTS:
        raise ApiError(f"You have reached the maximum of {MOST_ENDPOINTS} test webhook endpoints.")
    secret = ids.new("webhook_secret")
    return {**add(merchant, params, secret), "secret": secret}


def add(merchant: Merchant, params: dict[str, Any], secret: str) -> Body:
    return merchant.store.add(
        {
            "id": ids.new("webhook_endpoint"),
            "object": "webhook_endpoint",
            "api_version": params.get("api_version"),
            "application": None,
            "created": merchant.now(),
            "description": params.get("description"),
            "enabled_events": params["enabled_events"],
            "livemode": False,
            "metadata": params.get("metadata", {}),
            "status": "enabled",
            "url": params["url"],
        },
        {"secrets": [[secret, None]]},
    )


def update(call: Call, params: dict[str, Any]) -> Body:
    endpoint = call.merchant.require("webhook_endpoint", call.ids[0])
    if "enabled_events" in params:
        _check_some(params["enabled_events"])
    for name in ("enabled_events", "url", "description"):
        if name in params:
            endpoint[name] = params[name]
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    return call.merchant.store.save(endpoint)


def retrieve(call: Call, _: dict[str, Any]) -> Body:
    return call.merchant.require("webhook_endpoint", call.ids[0])


def list_endpoints(call: Call, params: dict[str, Any]) -> Body:
    return page(call.merchant, "webhook_endpoint", "/v1/webhook_endpoints", params)


def signing_secrets(merchant: Merchant, identifier: str) -> list[str]:
    """The valid signing secrets, newest first: several during the overlap after a roll."""
    kept = merchant.store.private(identifier)["secrets"]
    return [secret for secret, until in kept if until is None or until > time.time()]


def roll(merchant: Merchant, identifier: str, new: str, overlap_seconds: float) -> None:
    """Sign with `new`, and for `overlap_seconds` of real time with the old secrets too."""
    private = merchant.store.private(identifier)
    end = time.time() + overlap_seconds
    old = [[secret, end if until is None else min(until, end)] for secret, until in private["secrets"]]
    merchant.store.save_private(identifier, {"secrets": [[new, None], *old]})


def set_own(
    merchant: Merchant,
    *,
    url: str | None,
    secret: str | None,
    api_version: str | None,
    enabled_events: list[str],
) -> str | None:
    """Set the launcher's own endpoint; None for `url` disables it. Returns its id."""
    store = merchant.store
    with store.transaction():
        known = store.setting(OWN_ENDPOINT)
        endpoint = store.get("webhook_endpoint", known) if known else None
        if endpoint is None:
            if url is None:
                return None
            wanted = {"url": url, "api_version": api_version, "enabled_events": enabled_events}
            endpoint = add(merchant, wanted, secret or ids.new("webhook_secret"))
            store.put_setting(OWN_ENDPOINT, endpoint["id"])
        else:
            changed = {"api_version": api_version, "enabled_events": enabled_events}
            changed |= {"status": "enabled", "url": url} if url else {"status": "disabled"}
            store.save({**endpoint, **changed})
            if secret and secret not in signing_secrets(merchant, endpoint["id"]):
                store.save_private(endpoint["id"], {"secrets": [[secret, None]]})
    identifier: str = endpoint["id"]
    return identifier


def check_version(merchant: Merchant, version: str) -> None:
    """Raise ApiError for an API version that the stand-in does not have: any but the SDK's release."""
    release = merchant.api_version.rpartition(".")[2]
    if version.rpartition(".")[2] != release:
        raise ApiError(
            f"Invalid Stripe API version: {version}. The stand-in shapes objects as {merchant.api_version} does.",
            executed=False,
        )


def _check_some(wanted: list[str]) -> None:
    if not wanted:
        raise invalid("Invalid array: it must name at least one event.", "enabled_events")

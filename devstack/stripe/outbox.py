"""The webhooks to send: one row for each copy of an event to each subscribed endpoint."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from devstack.stripe import switches
from devstack.stripe.merchant import Merchant
from devstack.stripe.store import Body, Store


class Resend(BaseModel):
    """An event to deliver again whatever the delivery settings; the overrides forge what Stripe never sends."""

    model_config = ConfigDict(extra="forbid")

    times: int = Field(1, ge=1, le=1000)
    livemode: bool | None = None
    api_version: str | None = None
    signed_seconds_ago: int = 0
    secret: str | None = None


@dataclass(frozen=True)
class Delivery:
    """A due row of the outbox."""

    seq: int
    event_id: str
    endpoint_id: str
    attempts: int
    ordered: bool
    overrides: Resend


def enqueue(merchant: Merchant, event: Body) -> None:
    """Queue an event for its endpoints, as the delivery settings say."""
    settings, store = switches.delivery_settings(merchant.store), merchant.store
    lost = any(matches(event["type"], pattern) for pattern in settings.drop)
    state = "dropped" if lost else "held" if settings.hold else "pending"
    for endpoint in addressees(merchant, event):
        for copy in range(settings.copies):
            _post(
                store,
                event,
                endpoint,
                copy=copy,
                state=state,
                next_at=time.time() + settings.delay_seconds,
                order=Resend(),
            )
        for name, count in (
            ("dropped", settings.copies if lost else 0),
            ("held", settings.copies if state == "held" else 0),
            ("delayed", settings.copies if settings.delay_seconds and state == "pending" else 0),
            ("duplicated", 0 if lost else settings.copies - 1),
        ):
            if count:
                store.count(f"delivery.{name}", count)
    merchant.on_event()


def addressees(merchant: Merchant, event: Body) -> list[Body]:
    return [
        endpoint
        for endpoint in merchant.store.newest_first("webhook_endpoint", {"status": "enabled"})
        if any(matches(event["type"], pattern) for pattern in endpoint["enabled_events"])
    ]


def resend(merchant: Merchant, event: Body, order: Resend) -> int:
    """Queue an event again for every subscribed endpoint; returns the number of deliveries."""
    endpoints = addressees(merchant, event)
    with merchant.store.transaction():
        for endpoint in endpoints:
            for copy in range(order.times):
                _post(
                    merchant.store,
                    event,
                    endpoint,
                    copy=copy,
                    state="pending",
                    next_at=time.time(),
                    order=order,
                )
        merchant.store.count("delivery.resent", order.times * len(endpoints))
    merchant.on_event()
    return order.times * len(endpoints)


def release(merchant: Merchant, seed: int | None) -> list[str]:
    """Release held events one by one, shuffled by `seed` (None keeps the order); returns the event ids."""
    store = merchant.store
    rows = store.run("select seq, event_id from deliveries where state = 'held' order by seq").fetchall()
    if seed is not None:
        random.Random(seed).shuffle(rows)
    with store.transaction():
        first = store.run("select coalesce(max(turn), 0) + 1 from deliveries").fetchone()[0]
        for turn, row in enumerate(rows, first):
            store.run("update deliveries set state = 'pending', turn = ? where seq = ?", turn, row["seq"])
        store.count("delivery.released", len(rows))
    merchant.on_event()
    return [row["event_id"] for row in rows]


def due(store: Store, in_flight: Sequence[int], places: int) -> list[Delivery]:
    """Up to `places` deliveries to attempt now: those that are due, and the next of the ordered ones."""
    ordered = store.run(
        "select * from deliveries where state = 'pending' and turn is not null order by turn limit 1"
    ).fetchall()
    free = store.run(
        "select * from deliveries where state = 'pending' and turn is null and next_at <= ? "
        "and seq not in (select value from json_each(?)) order by next_at limit ?",
        time.time(),
        json.dumps(in_flight),
        places,
    ).fetchall()
    return [_delivery(row) for row in [*ordered, *free][:places] if row["seq"] not in in_flight]


def seconds_until_due(store: Store, in_flight: Sequence[int]) -> float | None:
    """Seconds until the next delivery that is not being attempted is due; None if there is none."""
    soonest = store.run(
        "select min(next_at) from deliveries where state = 'pending' and turn is null "
        "and seq not in (select value from json_each(?))",
        json.dumps(in_flight),
    ).fetchone()[0]
    return None if soonest is None else max(0.0, soonest - time.time())


def settle(
    store: Store,
    delivery: Delivery,
    *,
    status: int | None,
    error: str | None,
    milliseconds: float,
    retry_in: float | None,
) -> None:
    """Record an attempt. Anything but 2xx is retried after `retry_in` seconds, or fails for good if that is None."""
    delivered = status is not None and 200 <= status < 300
    with store.transaction():
        store.run(
            "insert into attempts (delivery, at, status, error, milliseconds) values (?, ?, ?, ?, ?)",
            delivery.seq,
            time.time(),
            status,
            error,
            milliseconds,
        )
        store.run(
            "update deliveries set state = ?, attempts = attempts + 1, next_at = ?, turn = null where seq = ?",
            "delivered" if delivered else "failed" if retry_in is None else "pending",
            time.time() + (retry_in or 0),
            delivery.seq,
        )


def waiting(merchant: Merchant, event_id: str) -> int:
    """The event's `pending_webhooks`: how many endpoints have not accepted it yet."""
    states = _states(merchant.store, event_id)
    return sum("delivered" not in reached for reached in states.values())


def all_delivered(merchant: Merchant, event_id: str) -> bool:
    """Whether every subscribed endpoint has accepted the event."""
    return waiting(merchant, event_id) == 0


def log(store: Store, state: str | None = None) -> list[dict[str, Any]]:
    """Every delivery with its attempts, oldest first, for the control client."""
    deliveries = store.run(
        "select seq, event_id, event_type, endpoint_id, copy as copy_number, state from deliveries "
        "where ? is null or state = ? order by seq",
        state,
        state,
    ).fetchall()
    tries: dict[int, list[dict[str, Any]]] = {}
    for row in store.run(
        "select delivery, at, status, error, milliseconds from attempts "
        "where delivery in (select seq from deliveries where ? is null or state = ?) order by seq",
        state,
        state,
    ):
        tries.setdefault(row["delivery"], []).append(
            {key: row[key] for key in ("at", "status", "error", "milliseconds")}
        )
    return [{**dict(row), "attempts": tries.get(row["seq"], [])} for row in deliveries]


def matches(kind: str, pattern: str) -> bool:
    """True if an event type is the pattern's; `charge.*` names a group, `*` everything."""
    return pattern in ("*", kind) or (pattern.endswith(".*") and kind.startswith(pattern[:-1]))


def _states(store: Store, event_id: str) -> dict[str, set[str]]:
    states: dict[str, set[str]] = {}
    for row in store.run("select endpoint_id, state from deliveries where event_id = ?", event_id):
        states.setdefault(row["endpoint_id"], set()).add(row["state"])
    return states


def _post(
    store: Store, event: Body, endpoint: Body, *, copy: int, state: str, next_at: float, order: Resend
) -> None:
    store.run(
        "insert into deliveries (event_id, event_type, endpoint_id, copy, state, next_at, overrides) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        event["id"],
        event["type"],
        endpoint["id"],
        copy,
        state,
        next_at,
        order.model_dump_json(),
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(
        seq=row["seq"],
        event_id=row["event_id"],
        endpoint_id=row["endpoint_id"],
        attempts=row["attempts"],
        ordered=row["turn"] is not None,
        overrides=Resend.model_validate(json.loads(row["overrides"])),
    )

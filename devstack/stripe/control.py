"""The control API under /_control: webhook delivery, API failures, the clock, and what banks decide."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from devstack.stripe import disputes, endpoints, ids, outbox, payments, refunds, sessions, switches
from devstack.stripe.merchant import Merchant
from devstack.stripe.outbox import Resend
from devstack.stripe.store import Body
from devstack.stripe.switches import DeliverySettings, Fault


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Webhook(Order):
    """The URL of the launcher's own endpoint; None disables it."""

    url: str | None
    secret: str | None = None
    api_version: str | None = None
    enabled_events: list[str] = ["*"]


class Roll(Order):
    secret: str | None = None
    overlap_seconds: float = Field(3600, ge=0)


class Release(Order):
    seed: int | None = None


class Livemode(Order):
    livemode: bool


class Clock(Order):
    seconds: int


class Settle(Order):
    succeeded: bool


class RefundOutcome(Order):
    status: Literal["succeeded", "failed"]
    failure_reason: str = "lost_or_stolen_card"


class Disputed(Order):
    charge: str
    amount: int | None = Field(None, ge=1)
    reason: str = "fraudulent"


class DisputeOutcome(Order):
    won: bool


def router(merchant: Merchant) -> APIRouter:
    control = APIRouter(prefix="/_control")
    _add_reports(control, merchant)
    _add_webhooks(control, merchant)
    _add_api(control, merchant)
    _add_bank(control, merchant)
    return control


def _add_reports(control: APIRouter, merchant: Merchant) -> None:
    store = merchant.store

    @control.get("/health")
    async def health() -> dict[str, Any]:
        return {"ok": True, "api_version": merchant.api_version}

    @control.get("/deliveries")
    async def deliveries(state: str | None = None) -> list[dict[str, Any]]:
        return outbox.log(store, state)

    @control.get("/requests")
    async def requests() -> list[dict[str, Any]]:
        return [dict(row) for row in store.run("select * from requests order by seq")]

    @control.get("/counters")
    async def counters() -> dict[str, int]:
        return store.counters()


def _add_webhooks(control: APIRouter, merchant: Merchant) -> None:
    store = merchant.store

    @control.put("/webhook")
    async def webhook(order: Webhook) -> dict[str, str | None]:
        return {"endpoint": endpoints.set_own(merchant, **order.model_dump())}

    @control.post("/webhook/roll")
    async def roll(order: Roll) -> dict[str, str]:
        secret = order.secret or ids.new("webhook_secret")
        endpoints.roll(merchant, store.setting(endpoints.OWN_ENDPOINT), secret, order.overlap_seconds)
        return {"secret": secret}

    @control.get("/delivery")
    async def delivery() -> DeliverySettings:
        return switches.delivery_settings(store)

    @control.put("/delivery")
    async def set_delivery(order: DeliverySettings) -> DeliverySettings:
        switches.set_delivery(store, order)
        return order

    @control.post("/release")
    async def release(order: Release) -> dict[str, list[str]]:
        return {"events": outbox.release(merchant, order.seed)}

    @control.post("/events/{event_id}/deliver")
    async def deliver(event_id: str, order: Resend) -> dict[str, int]:
        return {"deliveries": outbox.resend(merchant, merchant.require("event", event_id), order)}

    @control.post("/events/{event_id}/livemode")
    async def livemode(event_id: str, order: Livemode) -> Body:
        event = merchant.require("event", event_id)
        event["livemode"] = order.livemode
        if "livemode" in event["data"]["object"]:
            event["data"]["object"]["livemode"] = order.livemode
        return store.save(event)


def _add_api(control: APIRouter, merchant: Merchant) -> None:
    store = merchant.store

    @control.post("/faults")
    async def fault(order: Fault) -> Fault:
        switches.add_fault(store, order)
        return order

    @control.delete("/faults")
    async def clear() -> dict[str, bool]:
        switches.clear_faults(store)
        return {"ok": True}

    @control.post("/clock")
    async def clock(order: Clock) -> dict[str, int]:
        now = merchant.advance_clock(order.seconds)
        return {"now": now, "expired": sessions.expire_due(merchant)}


def _add_bank(control: APIRouter, merchant: Merchant) -> None:
    @control.post("/sessions/{session_id}/settle")
    async def settle(session_id: str, order: Settle) -> Body:
        session = merchant.require("checkout.session", session_id)
        payments.settle_debit(merchant, session, succeeded=order.succeeded)
        return session

    @control.post("/refunds/{refund_id}/settle")
    async def settle_refund(refund_id: str, order: RefundOutcome) -> Body:
        refund = merchant.require("refund", refund_id)
        if order.status == "succeeded":
            return refunds.succeed(merchant, refund)
        return refunds.fail(merchant, refund, order.failure_reason)

    @control.post("/disputes")
    async def dispute(order: Disputed) -> Body:
        charge = merchant.require("charge", order.charge)
        return disputes.open_dispute(merchant, charge, reason=order.reason, amount=order.amount)

    @control.post("/disputes/{dispute_id}/close")
    async def close(dispute_id: str, order: DisputeOutcome) -> Body:
        return disputes.close_dispute(merchant, merchant.require("dispute", dispute_id), won=order.won)

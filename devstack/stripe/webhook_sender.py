"""Sends due webhooks: signs each, posts it, and retries with back-off until the endpoint answers 2xx."""

import asyncio
import hmac
import json
import time
from collections.abc import Sequence
from hashlib import sha256

import httpx

from devstack.stripe import endpoints, events, outbox
from devstack.stripe.merchant import Merchant

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Stripe retries for up to three days with growing pauses; here the retries end within a minute."""

TIMEOUT_SECONDS = 30.0
AT_ONCE = 64


def signature(payload: str, secrets: Sequence[str], moment: int) -> str:
    """The Stripe-Signature header: one v1 for each secret, several while a secret is being rolled."""
    signed = f"{moment}.{payload}".encode()
    parts = [f"v1={hmac.new(secret.encode(), signed, sha256).hexdigest()}" for secret in secrets]
    return ",".join([f"t={moment}", *parts])


class WebhookSender:
    """Delivers the outbox, up to AT_ONCE webhooks at a time and so in no fixed order."""

    def __init__(self, merchant: Merchant, retry_seconds: Sequence[float] = RETRY_SECONDS) -> None:
        self._merchant = merchant
        self._retry_seconds = retry_seconds
        self._work = asyncio.Event()
        self._under_way: dict[int, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """Look at the outbox now."""
        self._work.set()

    async def run(self) -> None:
        """Deliver until cancelled; unfinished deliveries stay in the outbox."""
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False)
        async with client, asyncio.TaskGroup() as group:
            while True:
                self._work.clear()
                for delivery in outbox.due(
                    self._merchant.store, list(self._under_way), AT_ONCE - len(self._under_way)
                ):
                    task = group.create_task(self._attempt(client, delivery))
                    self._under_way[delivery.seq] = task
                await self._wait()

    async def _wait(self) -> None:
        full = len(self._under_way) >= AT_ONCE
        pause = None if full else outbox.seconds_until_due(self._merchant.store, list(self._under_way))
        try:
            await asyncio.wait_for(self._work.wait(), pause)
        except TimeoutError:
            return

    async def _attempt(self, client: httpx.AsyncClient, delivery: outbox.Delivery) -> None:
        merchant, started = self._merchant, time.monotonic()
        status: int | None = None
        error: str | None = None
        try:
            status = await self._post(client, delivery)
        except httpx.HTTPError as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            del self._under_way[delivery.seq]
            self._work.set()
        left = self._retry_seconds[delivery.attempts :]
        outbox.settle(
            merchant.store,
            delivery,
            status=status,
            error=error,
            milliseconds=(time.monotonic() - started) * 1000,
            retry_in=left[0] if left else None,
        )

    async def _post(self, client: httpx.AsyncClient, delivery: outbox.Delivery) -> int:
        store, order = self._merchant.store, delivery.overrides
        event, endpoint = (
            store.get("event", delivery.event_id),
            store.get("webhook_endpoint", delivery.endpoint_id),
        )
        if event is None or endpoint is None:
            raise httpx.UnsupportedProtocol("the endpoint is gone")
        shown = events.render(self._merchant, event)
        shown["api_version"] = order.api_version or endpoint["api_version"] or self._merchant.api_version
        if order.livemode is not None:
            shown["livemode"] = order.livemode
        payload = json.dumps(shown, indent=2, ensure_ascii=False)
        secrets = (
            [order.secret] if order.secret else endpoints.signing_secrets(self._merchant, endpoint["id"])
        )
        answer = await client.post(
            endpoint["url"],
            content=payload.encode(),
            headers={
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                "Accept": "*/*; q=0.5, application/xml",
                "Cache-Control": "no-cache",
                # The receiver checks the age by the real clock, which advance_clock does not move.
                "Stripe-Signature": signature(payload, secrets, int(time.time()) - order.signed_seconds_ago),
            },
        )
        return answer.status_code

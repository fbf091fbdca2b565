"""The one merchant account of the stand-in."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from devstack.stripe.errors import no_such
from devstack.stripe.store import Body, Store


@dataclass(frozen=True)
class Cause:
    """What caused a change: an API request, or (both None) Stripe itself."""

    request_id: str | None = None
    idempotency_key: str | None = None


@dataclass
class Merchant:
    """The account's state and settings; `on_event` is called after an event was put in the outbox."""

    store: Store
    secret_key: str
    base_url: str
    api_version: str
    """The account's default version: requests without a version and events read by the API are shaped by it."""

    on_event: Callable[[], None] = field(default=lambda: None)

    def now(self) -> int:
        """Epoch seconds at Stripe: the wall clock plus what `advance_clock` added."""
        return int(time.time()) + int(self.store.setting("clock_offset", 0))

    def advance_clock(self, seconds: int) -> int:
        self.store.put_setting("clock_offset", int(self.store.setting("clock_offset", 0)) + seconds)
        return self.now()

    def require(self, kind: str, identifier: str, param: str | None = None) -> Body:
        """The object. Raises ApiError resource_missing: 404 for an id in the path, 400 for a parameter."""
        body = self.store.get(kind, identifier)
        if body is None:
            raise no_such(kind, identifier, param)
        return body


@dataclass(frozen=True)
class Call:
    """One API request on its way to its endpoint."""

    merchant: Merchant
    cause: Cause
    ids: tuple[str, ...]
    """The identifiers in the path, in order."""

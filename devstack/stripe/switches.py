"""What a test can switch on: how webhooks are delivered, and which API calls fail."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from devstack.stripe.store import Store

type FaultKind = Literal[
    "server_error", "unavailable", "rate_limited", "timeout", "reset", "answer_lost", "slow"
]
"""
server_error   500 from within the endpoint: nothing is done, the answer is saved under the idempotency key
unavailable    503 before the endpoint: nothing is done, nothing is saved
rate_limited   429 before the endpoint: nothing is done, nothing is saved
timeout        no answer for `seconds`, then a connection reset; nothing is done
reset          a connection reset at once; nothing is done
answer_lost    the work is done and its answer saved, but the connection is reset before the answer
slow           the work is done and answered after `seconds`, the idempotency key in use meanwhile
"""


class DeliverySettings(BaseModel):
    """How events that happen from now on are delivered to webhooks."""

    model_config = ConfigDict(extra="forbid")

    copies: int = Field(1, ge=1, le=1000)
    delay_seconds: float = Field(0, ge=0)
    hold: bool = False
    """Hold every event until it is released."""

    drop: list[str] = []
    """Event types (`*` for all, `charge.*` for a group) that are lost without a retry."""


class Fault(BaseModel):
    """A failure of the next `times` API calls whose method and path match."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    times: int = Field(1, ge=1)
    method: str | None = None
    path: str = "/v1/"
    """A prefix of the path."""

    seconds: float = Field(30, ge=0, le=600)


def delivery_settings(store: Store) -> DeliverySettings:
    return DeliverySettings.model_validate(store.setting("delivery", {}))


def set_delivery(store: Store, wanted: DeliverySettings) -> None:
    store.put_setting("delivery", wanted.model_dump())


def add_fault(store: Store, fault: Fault) -> None:
    store.put_setting("faults", [*store.setting("faults", []), fault.model_dump()])


def clear_faults(store: Store) -> None:
    store.put_setting("faults", [])


def take_fault(store: Store, method: str, path: str) -> Fault | None:
    """The first fault that matches this call; counts it as `fault.<kind>` and lowers its `times`."""
    faults = [Fault.model_validate(one) for one in store.setting("faults", [])]
    for fault in faults:
        if path.startswith(fault.path) and fault.method in (None, method):
            fault.times -= 1
            with store.transaction():
                store.put_setting("faults", [one.model_dump() for one in faults if one.times])
                store.count(f"fault.{fault.kind}")
            return fault
    return None

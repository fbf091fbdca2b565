"""The bad days that a test can order: what happens to webhooks, and how the API fails."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from devstack.stripe.store import Store

type FaultKind = Literal[
    "server_error", "unavailable", "rate_limited", "timeout", "reset", "answer_lost", "slow"
]
"""
server_error   500 from within the endpoint: nothing is done, the answer is kept under the idempotency key
unavailable    503 before the endpoint: nothing is done, nothing is kept
rate_limited   429 before the endpoint
timeout        no answer for `seconds`, then the connection is cut; nothing is done
reset          the connection is cut at once; nothing is done
answer_lost    the work is done and its answer kept, but the connection is cut before the answer
slow           the work is done and answered after `seconds`, the idempotency key in use meanwhile
"""


class Mail(BaseModel):
    """How webhooks travel from now on. Each is decided when the event happens."""

    model_config = ConfigDict(extra="forbid")

    copies: int = Field(1, ge=1, le=1000)
    delay_seconds: float = Field(0, ge=0)
    hold: bool = False
    """Keep every event back until it is released."""

    drop: list[str] = []
    """Event types (`*` for all, `charge.*` for a group) that are lost on the way, without a retry."""


class Fault(BaseModel):
    """What happens to the next `times` API calls whose method and path fit."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    times: int = Field(1, ge=1)
    method: str | None = None
    path: str = "/v1/"
    """The beginning of the path."""

    seconds: float = Field(30, ge=0, le=600)


def mail(store: Store) -> Mail:
    return Mail.model_validate(store.setting("mail", {}))


def set_mail(store: Store, wanted: Mail) -> None:
    store.put_setting("mail", wanted.model_dump())


def order_fault(store: Store, fault: Fault) -> None:
    store.put_setting("faults", [*store.setting("faults", []), fault.model_dump()])


def clear_faults(store: Store) -> None:
    store.put_setting("faults", [])


def take_fault(store: Store, method: str, path: str) -> Fault | None:
    """The first ordered fault that fits this call, used up by one and counted as `fault.<kind>`."""
    faults = [Fault.model_validate(one) for one in store.setting("faults", [])]
    for fault in faults:
        if path.startswith(fault.path) and fault.method in (None, method):
            fault.times -= 1
            with store.transaction():
                store.put_setting("faults", [one.model_dump() for one in faults if one.times])
                store.count(f"fault.{fault.kind}")
            return fault
    return None

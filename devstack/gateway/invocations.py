"""An invocation of a function and its answer."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

__all__ = [
    "MAX_ANSWER_BYTES",
    "MAX_EVENT_BYTES",
    "SHUTTING_DOWN",
    "Answer",
    "EventTooLargeError",
    "Invocation",
    "Invoke",
]

MAX_EVENT_BYTES = 6_291_456
MAX_ANSWER_BYTES = 6_291_556


class EventTooLargeError(ValueError):
    """The event is larger than Lambda takes (6 MB)."""


@dataclass(frozen=True)
class Answer:
    """A function's answer, JSON in bytes; `failed` where Lambda sends `X-Amz-Function-Error`."""

    payload: bytes
    failed: bool = False

    @classmethod
    def error(cls, kind: str, message: str) -> "Answer":
        """A failure in Lambda's own shape."""
        return cls(json.dumps({"errorType": kind, "errorMessage": message}).encode(), failed=True)


Invoke = Callable[[str, bytes], Awaitable[Answer]]
"""Runs a function, by logical id, on an event in JSON. Raises EventTooLargeError."""

SHUTTING_DOWN = Answer.error("Runtime.ExitError", "The gateway is shutting down")


@dataclass
class Invocation:
    """A pending invocation of a function."""

    event: bytes
    answer: asyncio.Future[Answer]
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deadline_ms: int = 0

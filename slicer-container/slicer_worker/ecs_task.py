"""The ECS task that a worker runs in, as ECS tells a task about itself: its memory, and not to be ended at work.

ECS gives every container two addresses: ECS_CONTAINER_METADATA_URI_V4 answers what the task is, and
ECS_AGENT_URI takes its wish to be spared when the service gets smaller or is deployed anew. Elsewhere neither is
set, and nothing here does anything.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from printshop.kernel.log import get_logger

TIMEOUT_SECONDS = 3.0
EXPIRY_MINUTES = 10
"""Longer than any slice and its download; ECS takes 1 to 2880. A task that dies at work is not spared for long."""
RENEW_SECONDS = 240.0
QUIET_SECONDS = 5.0
"""Between two slices of a full queue the protection stays: ECS allows only so many calls."""
RETRY_SECONDS = 15.0

log = get_logger()


class ScaleInProtection:
    """Keeps the task from being ended while slices run. `tick` has to be called about once a second.

    A refusal is only logged: the slice runs on, and SIGTERM would still leave it the grace time.
    """

    def __init__(
        self,
        agent_uri: str | None,
        *,
        renew_seconds: float = RENEW_SECONDS,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._url = f"{agent_uri.rstrip('/')}/task-protection/v1/state" if agent_uri else None
        self._renew_seconds = renew_seconds
        self._quiet_seconds = quiet_seconds
        # The agent's address is the task's own: no proxy stands between.
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)
        self._lock = threading.Lock()
        self._running = 0
        self._quiet_since = time.monotonic()
        self._protected = False
        self._next_call = 0.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Protect the task for as long as the block takes; blocks of several threads overlap."""
        with self._lock:
            self._running += 1
            if not self._protected and time.monotonic() >= self._next_call:
                self._protect()
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._quiet_since = time.monotonic()

    def tick(self) -> None:
        """Renew what is about to run out; let go after a while without work."""
        with self._lock:
            if self._running:
                if time.monotonic() >= self._next_call:
                    self._protect()
            elif self._protected and time.monotonic() >= self._quiet_since + self._quiet_seconds:
                self._let_go()

    def end(self) -> None:
        """The task takes no more work: let go at once."""
        with self._lock:
            if self._protected:
                self._let_go()

    def _protect(self) -> None:
        heard = self._put({"ProtectionEnabled": True, "ExpiresInMinutes": EXPIRY_MINUTES})
        self._protected = self._protected or heard
        self._next_call = time.monotonic() + (self._renew_seconds if heard else RETRY_SECONDS)

    def _let_go(self) -> None:
        # Whether or not it is heard: it runs out by itself.
        self._protected, self._next_call = False, 0.0
        self._put({"ProtectionEnabled": False})

    def _put(self, state: Mapping[str, bool | int]) -> bool:
        """Whether the agent took it. Its refusals come as `failure` or `error` in the answer."""
        if self._url is None:
            return False
        try:
            answer = self._client.put(self._url, json=state)
        except httpx.HTTPError as error:
            log.warn(scope="slicer.protection", message="The ECS agent does not answer", error=error)
            return False
        if answer.is_success and "protection" in answer.text:
            return True
        log.warn(
            scope="slicer.protection",
            message="ECS refused the task's protection",
            data={"status": answer.status_code, "answer": answer.text[:400], **state},
        )
        return False


def sandbox_bytes(metadata_uri: str | None) -> int:
    """The memory that the task may take, in bytes: its limit by ECS's account, elsewhere the machine's."""
    if metadata_uri:
        try:
            task = httpx.get(f"{metadata_uri}/task", timeout=TIMEOUT_SECONDS, trust_env=False).json()
            return int(task["Limits"]["Memory"]) * 1024**2
        except (httpx.HTTPError, ValueError, KeyError) as error:
            log.warn(scope="slicer.memory", message="The task's limits are not told", error=error)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

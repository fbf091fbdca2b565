"""Keeps a claim alive while its slice is under way, whatever stage that is in, and stores its progress."""

import threading
import time
from types import TracebackType
from typing import Self

from printshop.adapters.database import DatabaseError
from printshop.kernel.errors import ApiError
from printshop.kernel.log import get_logger
from printshop.slicing.claims import Claim, Claims

LEASE_SECONDS = 60
"""How long a claim outlives its worker's last word."""
_RENEW_SECONDS = 15.0
_TICK_SECONDS = 1.0

log = get_logger()


class LeaseRenewer:
    """Reports in a thread of its own: news at most once a second, else often enough to keep the claim.

    with LeaseRenewer(claims, claim, stopping) as keeper:
        keeper.tell(45, "Making infill")   # False: stop, somebody else has the job, or the worker is to end
    """

    def __init__(self, claims: Claims, claim: Claim, stopping: threading.Event) -> None:
        self._claims = claims
        self._claim = claim
        self._stopping = stopping
        self._news = self._told = (0, "")
        self._lost = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="claim", daemon=True)

    @property
    def is_lost(self) -> bool:
        """Somebody else has the job."""
        return self._lost

    def tell(self, percent: int, stage: str) -> bool:
        """Note the progress; whether to go on."""
        self._news = (percent, stage)
        return not (self._lost or self._stopping.is_set())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        renewed_at = time.monotonic()
        while not self._done.wait(_TICK_SECONDS):
            news = self._news
            if news == self._told and time.monotonic() - renewed_at < _RENEW_SECONDS:
                continue
            self._told, renewed_at = news, time.monotonic()
            try:
                self._lost = not self._claims.report(self._claim, *news, LEASE_SECONDS)
            except (ApiError, DatabaseError) as error:
                # Progress is a courtesy; whether the claim still holds is settled at the end. Whatever the answer
                # was (a proxy's 500, too), this thread goes on: without it the claim would run out.
                log.warn(scope="slicer.progress", error=error, data={"fileId": self._claim.file_id})
            if self._lost:
                return

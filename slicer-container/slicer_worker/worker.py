"""Slices and inspections from message to settled row: what is tried again, what is given up, what is too late."""

import threading
from pathlib import Path

from pydantic import ValidationError

from printshop.adapters.database import DatabaseError
from printshop.adapters.sandbox import MEMORY_BYTES, Limits
from printshop.config.settings import Settings
from printshop.kernel.errors import ApiError, NotFound, PayloadTooLarge, Unavailable, Unprocessable
from printshop.kernel.log import get_logger
from printshop.slicing.claims import Busy, Claim, Claims, Result, SliceMessage
from printshop.slicing.failures import SliceFailed, SliceStopped
from printshop.slicing.scratch_folder import is_writable, scratch_folder
from printshop.slicing.slicer import Slicer, find_slicer
from slicer_worker.inspection_job import InspectionStopped, make_inspection
from slicer_worker.lease_renewer import LEASE_SECONDS, LeaseRenewer
from slicer_worker.object_store import ObjectStore
from slicer_worker.slice_job import SliceMaker, failure_of

MESSAGE_MARGIN_SECONDS = 60
SOON, LATER = 10, 60
"""Seconds after which a message is tried again: after a failed attempt, and while something is in the way."""

log = get_logger()


class SliceWorker:
    """Handles slice messages, at most SLICER_CONCURRENCY at a time in this process.

    `lease_seconds` is how long a message has to stay hidden. `stopping`, once set, makes running slices give their
    messages back within a second or so.
    """

    def __init__(
        self,
        claims: Claims,
        objects: ObjectStore,
        settings: Settings,
        *,
        memory_bytes: int = MEMORY_BYTES,
        scratch_parent: Path | None = None,
    ) -> None:
        self._claims = claims
        self._objects = objects
        self._disabled = settings.slicer_disable
        self._limits = Limits(timeout_s=settings.slicer_timeout_ms / 1000, memory_bytes=memory_bytes)
        self._maker = SliceMaker(objects, settings.slicer_bin, self._limits)
        self._scratch_parent = scratch_parent
        self._slots = threading.BoundedSemaphore(settings.slicer_concurrency)
        self.lease_seconds = settings.slicer_timeout_ms // 1000 + MESSAGE_MARGIN_SECONDS
        self.stopping = threading.Event()

    def deliver(self, body: str) -> int | None:
        """Handle a message's body. None: delete the message; else the seconds after which to try it again.

        A message that cannot be read is tried again, too, until the queue puts it with the dead letters.
        """
        try:
            message = SliceMessage.model_validate_json(body)
        except ValidationError as error:
            log.error(scope="slicer.message", message="Not a slice message", error=error)
            return SOON
        try:
            return self.handle(message)
        except (ApiError, DatabaseError) as error:
            # The attempt is counted and its claim runs out: whoever gets the message next goes on from there.
            log.error(scope="slicer.interrupted", error=error, data={"fileId": message.file_id})
            return LATER

    def handle(self, message: SliceMessage) -> int | None:
        """One attempt at a message; answers as `deliver` does. Raises ApiError when a part it needs is down."""
        with self._slots:
            if message.task == "inspect":
                return self._inspect(message.file_id)
            claim = self._claims.claim(message, LEASE_SECONDS)
            if isinstance(claim, Busy):
                return min(LATER, max(SOON, claim.retry_after_seconds))
            if claim is None:
                log.info(scope="slicer.claim", message="Nothing left to do", data={"fileId": message.file_id})
                return None
            log.info(
                scope="slicer.claim",
                message="Slice claimed",
                data={"fileId": claim.file_id, "attempt": claim.attempt, "bytes": claim.size_bytes},
            )
            return self._attempt(claim)

    def heartbeat(self) -> None:
        """Tell readiness, and the slice cache, what this worker has. Raises ApiError when the database is away."""
        try:
            slicer: Slicer | None = find_slicer(self._maker.binary)
        except SliceFailed as failure:
            log.error(scope="slicer.probe", error=failure)
            slicer = None
        self._claims.heartbeat(
            {
                "binary": slicer.binary if slicer else None,
                "product": slicer.product if slicer else None,
                "version": slicer.version_text if slicer else None,
                "tmpWritable": is_writable(self._scratch_parent),
            }
        )

    def _inspect(self, file_id: int) -> int | None:
        def keep_going() -> bool:
            return not self.stopping.is_set()

        try:
            make_inspection(
                self._claims,
                self._objects,
                file_id,
                self._limits.memory_bytes,
                self._scratch_parent,
                keep_going,
            )
        except InspectionStopped:
            return SOON
        return None

    def _attempt(self, claim: Claim) -> int | None:
        if self._disabled:
            message = "Automatic slicing is switched off; the shop prices this model."
            return self._fail(claim, SliceFailed("SLICER_DISABLED", message, can_retry=False))
        try:
            with (
                LeaseRenewer(self._claims, claim, self.stopping) as keeper,
                scratch_folder(self._scratch_parent) as scratch,
            ):
                result = self._maker.make(claim, scratch, keeper.tell)
        except SliceStopped:
            return self._stopped(claim)
        except Unavailable as error:
            return self._postponed(claim, error)
        except (Unprocessable, NotFound, PayloadTooLarge, SliceFailed, OSError) as error:
            return self._fail(claim, failure_of(error))
        self._complete(claim, result)
        return None

    def _stopped(self, claim: Claim) -> int | None:
        if self.stopping.is_set() and self._claims.give_back(claim):
            log.info(scope="slicer.claim", message="Slice given back", data={"fileId": claim.file_id})
            return SOON
        log.warn(scope="slicer.claim", message="Claim lost; slicer stopped", data={"fileId": claim.file_id})
        return None

    def _postponed(self, claim: Claim, error: Unavailable) -> int:
        """Storage is away, which is no fault of the model's: the attempt does not count."""
        kept = self._claims.give_back(claim)
        log.warn(scope="slicer.postponed", error=error, data={"fileId": claim.file_id, "givenBack": kept})
        return LATER

    def _complete(self, claim: Claim, result: Result) -> None:
        outcome = self._claims.complete(claim, result)
        if outcome != "stored":
            self._objects.delete("tmp", [result.gcode_key])
        log.info(scope="slicer.complete", data={"fileId": claim.file_id, "outcome": outcome})

    def _fail(self, claim: Claim, failure: SliceFailed) -> int | None:
        outcome = self._claims.fail(
            claim, failure.code, failure.message, final=not failure.can_retry, log_tail=failure.log_tail
        )
        log.warn(
            scope="slicer.failure",
            message=failure.message,
            data={
                "fileId": claim.file_id,
                "attempt": claim.attempt,
                "code": failure.code,
                "outcome": outcome,
            },
        )
        return SOON if outcome == "retry" else None

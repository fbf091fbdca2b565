"""One slice from message to stored g-code: claim, download, check, slice, upload, settle."""

import re
import threading
import time
import uuid
from pathlib import Path, PurePath
from typing import Literal, Protocol

from pydantic import ValidationError

from printshop.database import DatabaseError
from printshop.errors import ApiError, NotFound, PayloadTooLarge, Unavailable
from printshop.intake.prepare import prepare_model
from printshop.intake.refusals import ModelRefused
from printshop.log import get_logger
from printshop.settings import Settings
from printshop.slicing.child import MEMORY_BYTES, Limits
from printshop.slicing.claims import Busy, Claim, Claims, Output, Result, SliceMessage
from printshop.slicing.failures import SliceFailed, SliceStopped
from printshop.slicing.prusa import Sliced, SliceJob, Slicer, find_slicer, run
from printshop.slicing.scratch import is_writable, scratch_folder
from printshop.slicing.settings import DEFAULT_PROFILE

LEASE_MARGIN_SECONDS = 60
SOON, LATER = 10, 60
"""Seconds after which a message is tried again: after a failed attempt, and while something is in the way."""
GCODE_TYPE = "text/x-gcode"

log = get_logger()


class ObjectStore(Protocol):
    """What is needed of `printshop.storage.Storage`."""

    def download_to(self, bucket: Literal["tmp"], key: str, path: Path) -> str: ...

    def upload_from(self, bucket: Literal["tmp"], key: str, path: Path, content_type: str) -> object: ...

    def delete(self, bucket: Literal["tmp"], keys: list[str]) -> int: ...


class SliceWorker:
    """Handles slice messages, at most SLICER_CONCURRENCY at a time in this process.

    `stopping`, once set, makes running slices give their messages back within a second or so.
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
        self._binary = settings.slicer_bin
        self._disabled = settings.slicer_disable
        self._limits = Limits(timeout_s=settings.slicer_timeout_ms / 1000, memory_bytes=memory_bytes)
        self._scratch_parent = scratch_parent
        self._slots = threading.BoundedSemaphore(settings.slicer_concurrency)
        self.lease_seconds = settings.slicer_timeout_ms // 1000 + LEASE_MARGIN_SECONDS
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
        """One attempt at a slice; answers as `deliver` does. Raises ApiError when a part it needs is down."""
        with self._slots:
            claim = self._claims.claim(message, self.lease_seconds)
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
        """Tell readiness what this worker has. Raises ApiError when the database does not answer."""
        try:
            slicer: Slicer | None = find_slicer(self._binary)
        except SliceFailed as failure:
            log.error(scope="slicer.probe", error=failure)
            slicer = None
        self._claims.heartbeat(
            {
                "binary": slicer.binary if slicer else None,
                "version": slicer.version_text if slicer else None,
                "tmpWritable": is_writable(self._scratch_parent),
            }
        )

    def _attempt(self, claim: Claim) -> int | None:
        try:
            with scratch_folder(self._scratch_parent) as scratch:
                result, output = self._make(claim, scratch)
        except SliceStopped:
            return self._stopped(claim)
        except (ModelRefused, NotFound, PayloadTooLarge, SliceFailed, OSError) as error:
            return self._fail(claim, _as_failure(error))
        self._complete(claim, result, output)
        return None

    def _make(self, claim: Claim, scratch: Path) -> tuple[Result, Output]:
        """Download, slice and upload. Nothing is written to the database but progress."""
        if self._disabled:
            raise SliceFailed(
                "SLICER_DISABLED",
                "Automatic slicing is switched off; the shop prices this model.",
                can_heal=False,
            )
        slicer = find_slicer(self._binary)
        upload = scratch / "upload"
        content_hash = self._objects.download_to("tmp", claim.storage_key, upload)
        model = prepare_model(upload, claim.filename)
        started = time.monotonic()
        sliced = run(
            slicer,
            SliceJob(model, claim.settings, claim.density_mg_cm3, scratch, self._limits),
            lambda percent, stage: self._report(claim, percent, stage),
        )
        self._log_metrics(claim, slicer, sliced, time.monotonic() - started)
        output = self._upload(claim, sliced.gcode)
        statistics = sliced.statistics
        result = Result(
            mass_mg=statistics.mass_mg,
            volume_mm3=statistics.volume_mm3,
            filament_mm=statistics.filament_mm,
            time_sec=statistics.time_s,
            content_hash=content_hash,
            slicer=slicer.product,
            slicer_version=slicer.version_text,
            profile=DEFAULT_PROFILE,
            notes=sliced.notes,
        )
        return result, output

    def _report(self, claim: Claim, percent: int, stage: str) -> bool:
        if self.stopping.is_set():
            return False
        try:
            return self._claims.report(claim, percent, stage)
        except Unavailable as error:
            # Progress is a courtesy; whether the claim still holds is settled at the end.
            log.warn(scope="slicer.progress", error=error, data={"fileId": claim.file_id})
            return True

    def _upload(self, claim: Claim, gcode: Path) -> Output:
        stem = PurePath(claim.filename).stem
        key = f"{claim.user_id}/{uuid.uuid4()}/{_safe(stem)}.gcode"
        self._objects.upload_from("tmp", key, gcode, GCODE_TYPE)
        return Output(
            storage_key=key, filename=f"{stem}.gcode", size_bytes=gcode.stat().st_size, mime_type=GCODE_TYPE
        )

    def _stopped(self, claim: Claim) -> int | None:
        if self.stopping.is_set():
            return self._fail(
                claim,
                SliceFailed(
                    "WORKER_STOPPED", "The worker was stopped; the slice starts again.", can_heal=True
                ),
            )
        log.warn(scope="slicer.claim", message="Claim lost; slicer stopped", data={"fileId": claim.file_id})
        return None

    def _complete(self, claim: Claim, result: Result, output: Output) -> None:
        if self._claims.complete(claim, result, output) == "late":
            log.warn(
                scope="slicer.complete", message="Late: another worker has it", data={"fileId": claim.file_id}
            )
            self._objects.delete("tmp", [output.storage_key])
            return
        log.info(scope="slicer.complete", message="Slice stored", data={"fileId": claim.file_id})

    def _fail(self, claim: Claim, failure: SliceFailed) -> int | None:
        outcome = self._claims.fail(
            claim, failure.code, failure.message, final=not failure.can_heal, log_tail=failure.log_tail
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

    def _log_metrics(self, claim: Claim, slicer: Slicer, sliced: Sliced, seconds: float) -> None:
        log.info(
            scope="slicer.metrics",
            message="Metrics extracted",
            data={
                "fileId": claim.file_id,
                "slicer": f"{slicer.product} {slicer.version_text}",
                "sliceMs": round(seconds * 1000),
                "massMg": sliced.statistics.mass_mg,
                "timeSec": sliced.statistics.time_s,
                "notes": sliced.notes,
            },
        )


def _as_failure(error: ModelRefused | NotFound | PayloadTooLarge | SliceFailed | OSError) -> SliceFailed:
    match error:
        case SliceFailed():
            return error
        case ModelRefused():
            return SliceFailed(error.code, error.message, can_heal=False)
        case NotFound():
            return SliceFailed(
                "MODEL_MISSING", "The uploaded model is gone; upload it again.", can_heal=False
            )
        case PayloadTooLarge():
            message = "The g-code is too large to store; use a larger layer height, or split the model."
            return SliceFailed("GCODE_TOO_LARGE", message, can_heal=False)
        case OSError():
            log.error(scope="slicer.worker", error=error)
            message = "The worker ran out of disk or processes; the slice starts again."
            return SliceFailed("WORKER_EXHAUSTED", message, can_heal=True)


def _safe(stem: str) -> str:
    """`stem` as storage keys allow it; the row keeps it verbatim."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[:80] or "model"

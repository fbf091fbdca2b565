"""One attempt at a slice: download, check, slice, compress, store."""

import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from isal import igzip

from printshop.adapters.sandbox import Limits
from printshop.geometry.errors import ModelError
from printshop.geometry.fit import BuildVolume, fit
from printshop.geometry.slicer_input import prepare_slicer_input
from printshop.kernel.errors import NotFound, PayloadTooLarge, Unprocessable
from printshop.kernel.log import get_logger
from printshop.slicing.claims import Claim, Result
from printshop.slicing.failures import SliceFailed
from printshop.slicing.run import ProgressCallback, SlicedModel, SliceJob, run_slicer
from printshop.slicing.slicer import Slicer, find_slicer
from slicer_worker.object_store import ObjectStore

GCODE_TYPE = "application/gzip"
_COMPRESSION = 1
"""isal's second of four levels: as small as gzip's fastest, in a fifth of its time."""
_CHUNK = 1024 * 1024

log = get_logger()


@dataclass(frozen=True, slots=True)
class SliceMaker:
    """Makes slices with one slicer binary."""

    objects: ObjectStore
    binary: str
    limits: Limits

    def make(self, claim: Claim, scratch: Path, on_progress: ProgressCallback) -> Result:
        """Slice the claimed file and store its g-code. Nothing is written to the database.

        Raises SliceFailed, SliceStopped, Unprocessable, NotFound, PayloadTooLarge, OSError.
        """
        slicer = find_slicer(self.binary)
        is_turned = _is_turned(claim)
        upload = scratch / "upload"
        if self.objects.download_to("tmp", claim.storage_key, upload) != claim.content_hash:
            raise SliceFailed(
                "MODEL_CHANGED",
                "The stored model is not the one that was accepted; upload it again.",
                can_retry=False,
            )
        model = prepare_slicer_input(upload, claim.filename)
        started = time.monotonic()
        job = SliceJob(model, claim.settings, claim.profile, scratch, self.limits, is_turned=is_turned)
        sliced = run_slicer(slicer, job, on_progress)
        _log_metrics(claim, slicer, sliced, time.monotonic() - started)
        key, size = self._store(sliced.gcode)
        statistics = sliced.statistics
        return Result(
            mass_mg=statistics.mass_mg,
            volume_mm3=statistics.volume_mm3,
            filament_mm=statistics.filament_mm,
            time_sec=statistics.time_s,
            slicer=slicer.product,
            slicer_version=slicer.version_text,
            profile=claim.profile.name,
            notes=sliced.notes,
            gcode_key=key,
            gcode_bytes=size,
        )

    def _store(self, gcode: Path) -> tuple[str, int]:
        """Key and size of the gzipped g-code. The key is nobody's: equal slices share it."""
        name = f"{uuid.uuid4()}.gcode.gz"
        packed = gcode.with_name(name)  # where the slicer cannot have left a link or a pipe
        with (
            gcode.open("rb") as plain,
            igzip.open(packed, "wb", compresslevel=_COMPRESSION) as gzip,  # type: ignore[no-untyped-call]
        ):
            shutil.copyfileobj(plain, gzip, _CHUNK)
        key = f"gcode/{name}"
        self.objects.upload_from("tmp", key, packed, GCODE_TYPE)
        return key, packed.stat().st_size


def _is_turned(claim: Claim) -> bool:
    """Whether the model fits only when turned. Raises SliceFailed MODEL_TOO_LARGE when it does not fit at all."""
    printer = BuildVolume(0, claim.printer or "the printer", claim.profile.bed_mm)
    (place,) = fit(claim.geometry.box, [printer], claim.settings.scale, claim.settings.brim_width)
    if not place.fits:
        raise SliceFailed(
            "MODEL_TOO_LARGE", f"The model is {place.reason}; scale it down or split it.", can_retry=False
        )
    return place.is_turned


def failure_of(
    error: Unprocessable | NotFound | PayloadTooLarge | SliceFailed | OSError,
) -> SliceFailed:
    """What stopped an attempt, as it is stored."""
    match error:
        case SliceFailed():
            return error
        case ModelError():
            return SliceFailed(error.code, error.message, can_retry=False)
        case Unprocessable():  # a profile that is gone, a file that storage does not take
            log.error(scope="slicer.worker", error=error)
            return SliceFailed(error.code, "The slice could not be prepared; ask the shop.", can_retry=True)
        case NotFound():
            return SliceFailed(
                "MODEL_MISSING", "The uploaded model is gone; upload it again.", can_retry=False
            )
        case PayloadTooLarge():
            message = "The g-code is too large to store; use a larger layer height, or split the model."
            return SliceFailed("GCODE_TOO_LARGE", message, can_retry=False)
        case OSError():
            log.error(scope="slicer.worker", error=error)
            message = "The worker ran out of disk or processes; the slice starts again."
            return SliceFailed("WORKER_EXHAUSTED", message, can_retry=True)


def _log_metrics(claim: Claim, slicer: Slicer, sliced: SlicedModel, seconds: float) -> None:
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

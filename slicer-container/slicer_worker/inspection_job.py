"""A model's inspection: its topology and its picture, made by a child in the fence and stored beside the file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from printshop.adapters.sandbox import Limits
from printshop.geometry.errors import ModelError
from printshop.geometry.slicer_input import prepare_slicer_input
from printshop.kernel.errors import NotFound
from printshop.kernel.log import get_logger
from printshop.slicing.claims import Claims, Inspected
from printshop.slicing.inspection import LIMITS, Inspection, InspectionFailed, inspect
from printshop.slicing.scratch_folder import scratch_folder
from slicer_worker.object_store import ObjectStore

PREVIEW_NAME = "preview.png"

log = get_logger()


class InspectionStopped(Exception):
    """The worker is to end: the message is to be delivered again."""


def make_inspection(
    claims: Claims,
    objects: ObjectStore,
    file_id: int,
    memory_bytes: int,
    scratch_parent: Path | None,
    keep_going: Callable[[], bool],
) -> None:
    """Look at one model. Harmless twice: the picture's key is the file's own, and what was seen is kept once.

    `memory_bytes` is the most that a child of this worker may take.
    Raises InspectionStopped, and ApiError when the database or storage does not answer.
    """
    model = claims.begin_inspection(file_id)
    if model is None:
        log.info(scope="slicer.inspection", message="Nothing left to do", data={"fileId": file_id})
        return
    limits = replace(LIMITS, memory_bytes=min(LIMITS.memory_bytes, memory_bytes))
    with scratch_folder(scratch_parent) as scratch:
        try:
            seen = _look(objects, model, scratch, limits, keep_going)
        except (InspectionFailed, ModelError, NotFound, OSError) as error:
            tail = error.log_tail if isinstance(error, InspectionFailed) else ""
            log.warn(scope="slicer.inspection", error=error, data={"fileId": file_id, "log": tail})
            claims.store_inspection(file_id, {"error": _code(error)}, None)
            return
        key, found = None, seen.model_dump(mode="json", by_alias=True)
        if seen.preview:
            key = str(PurePosixPath(model.storage_key).with_name(PREVIEW_NAME))
            objects.upload_from("tmp", key, seen.preview, "image/png", upsert=True)
            found["previewBytes"] = seen.preview.stat().st_size
    if not claims.store_inspection(file_id, found, key) and key:
        objects.delete("tmp", [key])
    log.info(scope="slicer.inspection", message="Model inspected", data={"fileId": file_id})


def _look(
    objects: ObjectStore, model: Inspected, scratch: Path, limits: Limits, keep_going: Callable[[], bool]
) -> Inspection:
    upload = scratch / "upload"
    if objects.download_to("tmp", model.storage_key, upload) != model.content_hash:
        raise ModelError("MODEL_CHANGED")
    try:
        return inspect(prepare_slicer_input(upload, model.filename), scratch, limits, keep_going)
    except InspectionFailed as error:
        if error.code == "INSPECTION_STOPPED":
            raise InspectionStopped from error
        raise


def _code(error: InspectionFailed | ModelError | NotFound | OSError) -> str:
    match error:
        case NotFound():
            return "MODEL_MISSING"
        case OSError():
            return "WORKER_EXHAUSTED"
        case _:
            return error.code

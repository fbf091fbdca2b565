"""A model's inspection: its topology and its picture, made by a child in the fence and stored beside the file."""

from pathlib import Path, PurePosixPath

from printshop.errors import NotFound
from printshop.intake.inspection import InspectionFailed, inspect
from printshop.intake.prepare import prepare_model
from printshop.intake.refusals import ModelRefused
from printshop.log import get_logger
from printshop.slicing.child import Limits
from printshop.slicing.claims import Claims, Inspected
from printshop.slicing.scratch import scratch_folder
from slicer_worker.objects import ObjectStore

PREVIEW_NAME = "preview.png"

log = get_logger()


def make_inspection(
    claims: Claims, objects: ObjectStore, file_id: int, limits: Limits, scratch_parent: Path | None
) -> None:
    """Look at one model. Harmless twice: the picture's key is the file's own, and what was seen is kept once.

    Raises ApiError when the database or storage does not answer.
    """
    model = claims.begin_inspection(file_id)
    if model is None:
        log.info(scope="slicer.inspection", message="Nothing left to do", data={"fileId": file_id})
        return
    with scratch_folder(scratch_parent) as scratch:
        try:
            seen, preview = _look(objects, model, scratch, limits)
        except (InspectionFailed, ModelRefused) as error:
            log.warn(scope="slicer.inspection", error=error, data={"fileId": file_id})
            claims.store_inspection(file_id, {"error": error.code}, None)
            return
        except NotFound:
            claims.store_inspection(file_id, {"error": "MODEL_MISSING"}, None)
            return
        key = str(PurePosixPath(model.storage_key).with_name(PREVIEW_NAME))
        objects.upload_from("tmp", key, preview, "image/png", upsert=True)
        seen["previewBytes"] = preview.stat().st_size
    if not claims.store_inspection(file_id, seen, key):
        objects.delete("tmp", [key])
        return
    log.info(scope="slicer.inspection", message="Model inspected", data={"fileId": file_id})


def _look(
    objects: ObjectStore, model: Inspected, scratch: Path, limits: Limits
) -> tuple[dict[str, object], Path]:
    upload = scratch / "upload"
    if objects.download_to("tmp", model.storage_key, upload) != model.content_hash:
        raise InspectionFailed("MODEL_CHANGED", "The stored model is not the one that was accepted.")
    inspection = inspect(prepare_model(upload, model.filename), scratch, limits)
    return inspection.model_dump(mode="json", by_alias=True, exclude={"preview"}), inspection.preview

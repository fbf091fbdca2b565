"""Models come in by signed upload URLs, straight to storage, and are looked at before anything trusts them."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated

from pydantic import Field

from printshop.adapters.database import Database
from printshop.adapters.queues import SliceQueue
from printshop.adapters.storage.keys import tmp_key
from printshop.adapters.storage.objects import TMP, Storage
from printshop.config.settings import Settings
from printshop.files.model_report import USUAL_SETTINGS, ModelReport, report
from printshop.files.slices import UNMEASURED, queue_for
from printshop.files.slicing_context import SlicingContext
from printshop.files.tmp_files import StoredTmpFile, TmpFile, delete_tmp_file
from printshop.geometry.dimensions import Geometry
from printshop.geometry.errors import ModelError
from printshop.geometry.model_file import check_upload
from printshop.kernel.base_model import StrictModel
from printshop.kernel.errors import Conflict, NotFound, PayloadTooLarge, Unavailable, Unprocessable
from printshop.kernel.log import get_logger

MIME_TYPES = {".stl": "model/stl", ".3mf": "model/3mf"}
UPLOAD_URL_SECONDS = 7200
"""Supabase's fixed life of a signed upload URL."""
WAITING_LIMIT = 50
"""Models that one user may have waiting for the worker to look at them: it takes seconds over each."""

log = get_logger()


class UploadedModel(StrictModel):
    """A model that is about to be uploaded."""

    filename: Annotated[str, Field(min_length=1, max_length=255, examples=["bunny.stl"])]
    size_bytes: Annotated[int, Field(gt=0, examples=[284184])]


@dataclass(frozen=True, slots=True)
class Upload:
    """Where one model goes: PUT the bytes to `upload_url`, then complete the upload by its id."""

    id: int
    filename: str
    storage_key: str
    upload_url: str
    token: str
    expires_in_seconds: int


def _refuse(model: UploadedModel, index: int, settings: Settings) -> None:
    if PurePath(model.filename).suffix.lower() not in MIME_TYPES:
        raise Unprocessable("MODEL_TYPE", details=[{"field": f"files.{index}.filename"}])
    if model.size_bytes > settings.max_model_bytes:
        raise PayloadTooLarge(
            "MODEL_FILE_TOO_LARGE",
            f"A model has at most {settings.max_model_mb} MB; reduce its triangles or ask the shop.",
            [{"field": f"files.{index}.sizeBytes"}],
        )


def request_uploads(
    storage: Storage, database: Database, settings: Settings, user_id: int, models: list[UploadedModel]
) -> list[Upload]:
    """Sign an upload URL for each model and register them, in the order given."""
    for index, model in enumerate(models):
        _refuse(model, index, settings)
    keys = [tmp_key(user_id, model.filename) for model in models]
    signed = [storage.signed_upload(TMP, key) for key in keys]
    rows = [
        {
            "storageKey": key,
            "filename": model.filename,
            "sizeBytes": model.size_bytes,
            "mimeType": MIME_TYPES[PurePath(model.filename).suffix.lower()],
        }
        for key, model in zip(keys, models, strict=True)
    ]
    saved = database.call("save_tmp_files", p_user_id=user_id, p_files=rows, p_uploaded=False)
    ids = {row["storageKey"]: row["id"] for row in saved}
    return [
        Upload(ids[key], model.filename, key, upload.url, upload.token, UPLOAD_URL_SECONDS)
        for key, model, upload in zip(keys, models, signed, strict=True)
    ]


class AcceptedModel(TmpFile):
    """A model that was checked and measured, with what can be said of it before it is sliced."""

    report: ModelReport


def complete_upload(
    storage: Storage,
    database: Database,
    queue: Callable[[], SliceQueue],
    settings: Settings,
    user_id: int,
    file: str,
) -> AcceptedModel:
    """Check and measure an uploaded model and accept it. What is refused leaves no object and no row.

    `queue` opens the slicer's queue. Raises NotFound, Conflict UPLOAD_INCOMPLETE, PayloadTooLarge, ModelError,
    TooManyRequests TOO_MANY_WAITING, which leaves the upload to be completed later.
    """
    context = SlicingContext.model_validate(
        database.call(
            "slicing_context", p_user_id=user_id, p_file=file, p_material_id=None, p_printer_id=None
        )
    )
    found = context.file
    if found is None:
        raise NotFound("FILE_NOT_FOUND")
    if not found.uploaded:
        found = _accept(storage, database, settings, user_id, found)
        try:
            queue().send_inspection(found.id, queue_for(found.geometry or UNMEASURED, USUAL_SETTINGS))
        except Unavailable as error:
            # It is committed that the model is to be looked at: the janitor sends what was not.
            log.warn(scope="slicer.queue", message="The inspection was not sent yet", error=error)
    if found.geometry is None:
        raise Unprocessable("NOT_A_MODEL", "This is a slicer's output; only models are completed.")
    return AcceptedModel.model_validate(
        {
            **found.model_dump(),
            "report": report(context, found.geometry, USUAL_SETTINGS, settings.stripe_currency),
        }
    )


def _accept(
    storage: Storage, database: Database, settings: Settings, user_id: int, found: StoredTmpFile
) -> StoredTmpFile:
    try:
        size = storage.info(TMP, found.storage_key).size
    except NotFound as error:
        raise Conflict("UPLOAD_INCOMPLETE") from error
    try:
        content_hash, geometry = _look_at(storage, settings, found, size)
    except (ModelError, PayloadTooLarge):
        delete_tmp_file(storage, database, user_id, str(found.id))
        raise
    log.info(scope="files.upload", data={"fileId": found.id, "bytes": size, "triangles": geometry.triangles})
    return StoredTmpFile.model_validate(
        database.call(
            "accept_upload",
            p_user_id=user_id,
            p_file=str(found.id),
            p_size_bytes=size,
            p_content_hash=content_hash,
            p_geometry=geometry.model_dump(mode="json", by_alias=True),
            p_waiting_limit=WAITING_LIMIT,
        )
    )


def _look_at(storage: Storage, settings: Settings, file: StoredTmpFile, size: int) -> tuple[str, Geometry]:
    """The SHA-256 of the bytes, and what they measure."""
    if size > settings.max_model_bytes:
        raise PayloadTooLarge(
            "MODEL_FILE_TOO_LARGE", f"A model has at most {settings.max_model_mb} MB; reduce its triangles."
        )
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        path = Path(folder) / "model"
        content_hash = storage.download_to(TMP, file.storage_key, path)
        _, geometry = check_upload(path, file.filename)
    return content_hash, geometry

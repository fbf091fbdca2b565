"""Models come in by signed upload URLs, straight to storage, and are looked at before anything trusts them."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated

from pydantic import Field

from printshop.database import Database
from printshop.errors import Conflict, NotFound, PayloadTooLarge, Unprocessable
from printshop.http.envelope import Model
from printshop.intake.model_file import HEAD_BYTES, TAIL_BYTES, ModelKind, check_ends
from printshop.log import get_logger
from printshop.settings import Settings
from printshop.storage.keys import tmp_key
from printshop.storage.objects import TMP, Storage
from printshop.storage.tmp_files import TmpFile, delete_tmp_file, require_tmp_file, update_tmp_file

MIME_TYPES = {".stl": "model/stl", ".3mf": "model/3mf"}
UPLOAD_URL_SECONDS = 7200
"""Supabase's fixed life of a signed upload URL."""

log = get_logger()


class UploadedModel(Model):
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
        raise Unprocessable(
            "MODEL_TYPE",
            "Only .stl and .3mf models are accepted; export the model as one.",
            [{"field": f"files.{index}.filename"}],
        )
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


def complete_upload(
    storage: Storage, database: Database, settings: Settings, user_id: int, file: str
) -> TmpFile:
    """Check an uploaded model by its ends and accept it. What is refused leaves no object and no row.

    Raises NotFound, Conflict UPLOAD_INCOMPLETE, PayloadTooLarge, ModelRefused.
    """
    found = require_tmp_file(database, user_id, file)
    if found.uploaded:
        return found
    try:
        size = storage.info(TMP, found.storage_key).size
    except NotFound as error:
        raise Conflict(
            "UPLOAD_INCOMPLETE", "The file has not arrived; PUT it to its upload URL first."
        ) from error
    try:
        kind = _look_at(storage, settings, found, size)
    except (Unprocessable, PayloadTooLarge):
        delete_tmp_file(storage, database, user_id, str(found.id))
        raise
    log.info(scope="files.upload", data={"fileId": found.id, "bytes": size, "kind": kind})
    return update_tmp_file(database, user_id, str(found.id), sizeBytes=size, uploaded=True)


def _look_at(storage: Storage, settings: Settings, file: TmpFile, size: int) -> ModelKind:
    if size > settings.max_model_bytes:
        raise PayloadTooLarge(
            "MODEL_FILE_TOO_LARGE", f"A model has at most {settings.max_model_mb} MB; reduce its triangles."
        )
    head = storage.download_range(TMP, file.storage_key, 0, HEAD_BYTES) if size else b""
    tail_start = max(0, size - TAIL_BYTES)
    tail = storage.download_range(TMP, file.storage_key, tail_start, TAIL_BYTES) if size else b""
    return check_ends(file.filename, size, head, tail)

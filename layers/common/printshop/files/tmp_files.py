"""Temporary files: a user's models on their way through the slicer, and the g-code made of them.

Object and row together: the object first when a file comes, the row first when it goes, so that a crash between
leaves at most an object without a row, which the janitor finds.
"""

from pathlib import Path
from typing import Any, Literal, cast

from printshop.adapters.database import Database
from printshop.adapters.storage.keys import tmp_key
from printshop.adapters.storage.objects import TMP, Storage
from printshop.geometry.dimensions import Geometry
from printshop.kernel.base_model import CamelModel
from printshop.kernel.errors import NotFound
from printshop.slicing.settings import PrintProfile


class TmpFile(CamelModel):
    """A row of `tmp_files`. `metadata` of a model: attempts, settings, metrics, fallback, error, output."""

    id: int
    storage_key: str
    filename: str
    size_bytes: int
    mime_type: str
    status: Literal["idle", "running", "completed", "failed"]
    metadata: dict[str, Any]
    uploaded: bool
    settings_hash: str | None
    queued: bool
    progress_percent: int
    progress_stage: str
    geometry: Geometry | None = None
    """Of a model, once its upload is complete."""
    material_id: int | None = None
    printer_id: int | None = None
    created_at: str
    updated_at: str


class StoredTmpFile(TmpFile):
    """The row with what is the back end's own."""

    object_key: str
    """Where the bytes are: a cached g-code stands under a key of the cache."""
    preview_key: str | None
    inspection: dict[str, Any] | None
    profile: PrintProfile | None
    is_output: bool


def create_tmp_file(storage: Storage, user_id: int, filename: str, contents: bytes, content_type: str) -> str:
    """Store an object under a fresh key and return the key; `save_tmp_file` registers it as well."""
    return storage.upload(TMP, tmp_key(user_id, filename), contents, content_type, upsert=False)


def save_tmp_file(
    storage: Storage, database: Database, user_id: int, filename: str, contents: bytes, content_type: str
) -> StoredTmpFile:
    """Upload and register a file that is already here."""
    key = create_tmp_file(storage, user_id, filename, contents, content_type)
    row = {"storageKey": key, "filename": filename, "sizeBytes": len(contents), "mimeType": content_type}
    saved = database.call("save_tmp_files", p_user_id=user_id, p_files=[row], p_uploaded=True)
    return StoredTmpFile.model_validate(saved[0])


def save_tmp_file_from(
    storage: Storage, database: Database, user_id: int, filename: str, path: Path, content_type: str
) -> StoredTmpFile:
    """Upload, streamed from disk, and register a file; the janitor removes it as any other."""
    key = storage.upload_from(TMP, tmp_key(user_id, filename), path, content_type)
    row = {
        "storageKey": key,
        "filename": filename,
        "sizeBytes": path.stat().st_size,
        "mimeType": content_type,
    }
    saved = database.call("save_tmp_files", p_user_id=user_id, p_files=[row], p_uploaded=True)
    return StoredTmpFile.model_validate(saved[0])


def require_tmp_file(database: Database, user_id: int, file: str, *, for_shop: bool = False) -> StoredTmpFile:
    """The user's file by id or storage key, anybody's for the shop. Raises NotFound, also for somebody else's."""
    found = database.call("get_tmp_file", p_user_id=user_id, p_file=file, p_for_shop=for_shop)
    return StoredTmpFile.model_validate(found)


def update_tmp_file(database: Database, user_id: int, file: str, **changes: Any) -> StoredTmpFile:
    """Change sizeBytes, mimeType, status, uploaded, or merge `metadata`."""
    return StoredTmpFile.model_validate(
        database.call("update_tmp_file", p_user_id=user_id, p_file=file, p_changes=changes)
    )


def download_tmp_file_to_buffer(storage: Storage, file: StoredTmpFile) -> bytes:
    return storage.download(TMP, file.object_key)


def download_tmp_file_to(storage: Storage, file: StoredTmpFile, path: Path) -> str:
    """Stream the file to `path`; its SHA-256 in hex."""
    return storage.download_to(TMP, file.object_key, path)


def get_tmp_file_signed_url(storage: Storage, file: StoredTmpFile, seconds: int) -> str:
    return storage.signed_url(TMP, file.object_key, seconds, file.filename)


def get_preview_signed_url(storage: Storage, file: StoredTmpFile, seconds: int) -> str:
    """Of a model's picture. Raises NotFound PREVIEW_NOT_READY."""
    if file.preview_key is None:
        raise NotFound("PREVIEW_NOT_READY")
    return storage.signed_url(TMP, file.preview_key, seconds)


def delete_tmp_file(storage: Storage, database: Database, user_id: int, file: str) -> None:
    """Remove one file (a model's g-code with it). Raises NotFound, Conflict while it is being sliced."""
    delete_tmp_files(storage, database, user_id, [file])


def delete_tmp_files(storage: Storage, database: Database, user_id: int, files: list[str]) -> None:
    """Remove files by id or storage key: rows in one transaction, then their objects."""
    removed = database.call("delete_tmp_files", p_user_id=user_id, p_files=files)
    storage.delete(TMP, cast("list[str]", removed["storageKeys"]))


def list_tmp_files(
    database: Database, user_id: int, *, limit: int = 50, before_id: int | None = None
) -> list[TmpFile]:
    """The user's files, newest first."""
    rows = database.call("list_tmp_files", p_user_id=user_id, p_limit=limit, p_before_id=before_id)
    return [TmpFile.model_validate(row) for row in rows]

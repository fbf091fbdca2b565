"""Order files: the models, g-codes and settings of an order, kept as long as the order."""

from typing import Any, Literal
from uuid import uuid4

from printshop.adapters.database import Database
from printshop.adapters.storage.keys import order_key
from printshop.adapters.storage.objects import ORDER_FILES, Storage
from printshop.kernel.base_model import CamelModel
from printshop.kernel.errors import NotFound

DOWNLOAD_SECONDS = 300


class OrderFile(CamelModel):
    """A row of `order_files`; it belongs to an invoice or a quote, and to its client."""

    id: int
    invoice_id: int | None
    quote_id: int | None
    client_id: int
    filename: str
    storage_key: str
    file_type: Literal["model", "settings"]
    mime_type: str
    size_bytes: int
    metadata: dict[str, Any]
    uploaded_by: int | None
    uploaded_at: str


class OrderFileDownload(OrderFile):
    """An order file and where to fetch it: `downloadUrl` opens for `expiresInSeconds`."""

    download_url: str
    expires_in_seconds: int


def upload_order_file(
    storage: Storage, client_id: int, filename: str, contents: bytes, content_type: str
) -> str:
    """Store an object under a fresh key and return the key; `save_order_file` registers it as well."""
    key = order_key(client_id, uuid4(), filename)
    return storage.upload(ORDER_FILES, key, contents, content_type, upsert=False)


def save_order_file(
    storage: Storage,
    database: Database,
    *,
    user_id: int,
    client_id: int,
    filename: str,
    contents: bytes,
    content_type: str,
    file_type: Literal["model", "settings"],
    invoice_id: int | None = None,
    quote_id: int | None = None,
    metadata: dict[str, Any] | None = None,
) -> OrderFile:
    """Upload and register a file of an invoice or a quote."""
    key = upload_order_file(storage, client_id, filename, contents, content_type)
    row = {
        "storageKey": key,
        "filename": filename,
        "fileType": file_type,
        "mimeType": content_type,
        "sizeBytes": len(contents),
        "metadata": metadata or {},
    }
    try:
        saved = database.call(
            "save_order_file", p_user_id=user_id, p_invoice_id=invoice_id, p_quote_id=quote_id, p_file=row
        )
    except NotFound:
        storage.delete(ORDER_FILES, [key])
        raise
    return OrderFile.model_validate(saved)


def _list(database: Database, client_scope: int | None, **by: int) -> list[OrderFile]:
    wanted = {"p_invoice_id": None, "p_quote_id": None, "p_client_id": None, **by}
    rows = database.call("list_order_files", p_client_scope=client_scope, **wanted)
    return [OrderFile.model_validate(row) for row in rows]


def get_order_files_by_invoice(
    database: Database, client_scope: int | None, invoice_id: int
) -> list[OrderFile]:
    """Files of an invoice; with a `client_scope` only that client's, None means all."""
    return _list(database, client_scope, p_invoice_id=invoice_id)


def get_order_files_by_quote(database: Database, client_scope: int | None, quote_id: int) -> list[OrderFile]:
    return _list(database, client_scope, p_quote_id=quote_id)


def list_order_files(database: Database, client_scope: int | None, client_id: int) -> list[OrderFile]:
    """All files of a client."""
    return _list(database, client_scope, p_client_id=client_id)


def get_order_file(database: Database, client_scope: int | None, file_id: int) -> OrderFile:
    """One file. Raises NotFound, also for another client's."""
    return OrderFile.model_validate(
        database.call("get_order_file", p_client_scope=client_scope, p_id=file_id)
    )


def get_order_file_download_url(storage: Storage, file: OrderFile) -> str:
    return storage.signed_url(ORDER_FILES, file.storage_key, DOWNLOAD_SECONDS, file.filename)


def open_order_file(
    storage: Storage, database: Database, client_scope: int | None, file_id: int
) -> OrderFileDownload:
    """One file with its URL of 300 s. Raises NotFound, also for another client's."""
    file = get_order_file(database, client_scope, file_id)
    url = get_order_file_download_url(storage, file)
    return OrderFileDownload(**file.model_dump(), download_url=url, expires_in_seconds=DOWNLOAD_SECONDS)


def download_order_file_to_buffer(storage: Storage, file: OrderFile) -> bytes:
    return storage.download(ORDER_FILES, file.storage_key)


def delete_order_file(storage: Storage, database: Database, user_id: int, file_id: int) -> None:
    """Remove the row, then the object. Raises NotFound."""
    gone = OrderFile.model_validate(database.call("delete_order_file", p_user_id=user_id, p_id=file_id))
    storage.delete(ORDER_FILES, [gone.storage_key])

"""Attachments: documents that go with an invoice, kept as long as it."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from printshop.database import Database
from printshop.errors import Conflict
from printshop.storage.keys import attachment_key
from printshop.storage.objects import ATTACHMENTS, Storage


class Attachment(BaseModel):
    """A row of `attachments`."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    id: int
    invoice_id: int
    filename: str
    storage_key: str
    mime_type: str
    size_bytes: int
    uploaded_by: int | None
    uploaded_at: str


def upload_invoice_attachment(
    storage: Storage,
    database: Database,
    *,
    user_id: int,
    invoice_id: int,
    filename: str,
    contents: bytes,
    content_type: str,
    replace: bool = False,
) -> Attachment:
    """Store and register an attachment. Raises NotFound, Conflict FILE_EXISTS unless `replace`."""
    key = attachment_key(invoice_id, filename)
    there = list_invoice_attachments(database, None, invoice_id)
    if not replace and key in {attachment.storage_key for attachment in there}:
        raise Conflict(
            "FILE_EXISTS", "The invoice has a file of this name; replace it or name yours otherwise."
        )
    # An object without a row is what a crash left: it may be written over.
    storage.upload(ATTACHMENTS, key, contents, content_type, upsert=True)
    row = {"storageKey": key, "filename": filename, "mimeType": content_type, "sizeBytes": len(contents)}
    saved = database.call("save_attachment", p_user_id=user_id, p_invoice_id=invoice_id, p_file=row)
    return Attachment.model_validate(saved)


def list_invoice_attachments(database: Database, reads_as: int | None, invoice_id: int) -> list[Attachment]:
    """Attachments of an invoice; `reads_as` a client sees only his own. Raises NotFound."""
    rows = database.call("list_attachments", p_reads_as=reads_as, p_invoice_id=invoice_id)
    return [Attachment.model_validate(row) for row in rows]


def get_attachment_signed_url(storage: Storage, attachment: Attachment, seconds: int) -> str:
    return storage.signed_url(ATTACHMENTS, attachment.storage_key, seconds, attachment.filename)


def delete_invoice_attachment(storage: Storage, database: Database, user_id: int, path: str) -> None:
    delete_invoice_attachments(storage, database, user_id, [path])


def delete_invoice_attachments(storage: Storage, database: Database, user_id: int, paths: list[str]) -> None:
    """Remove attachments by storage key: rows in one transaction, then their objects."""
    gone = database.call("delete_attachments", p_user_id=user_id, p_keys=paths)
    storage.delete(ATTACHMENTS, gone["storageKeys"])

"""Attachments: documents that go with an invoice, kept as long as it.

They come by signed upload URL, straight to storage. An upload has an object and a row of its own, which nobody sees
until it is complete; then the database puts the row in the place of the one that it replaces, if any, and the old
object goes. So a file is whole and checked, or it is not there, and the old one stands until the new one does.
"""

from typing import Annotated
from uuid import uuid4

from pydantic import Field

from printshop.adapters.database import Database
from printshop.adapters.storage.keys import attachment_key
from printshop.adapters.storage.objects import ATTACHMENTS, Storage
from printshop.files.attachment_types import END_BYTES, MIME_TYPES, is_what_it_says, mime_type_of
from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.kernel.errors import Conflict, NotFound, PayloadTooLarge, Unprocessable
from printshop.kernel.log import get_logger

MAX_BYTES = 25 * 1024 * 1024
UPLOAD_URL_SECONDS = 7200
"""Supabase's fixed life of a signed upload URL."""

log = get_logger()


class AttachmentRequest(StrictModel):
    """A file that is about to be uploaded: pdf, png, jpg, webp, txt or zip, of at most 25 MB."""

    filename: Annotated[str, Field(min_length=1, max_length=255, examples=["drawing.pdf"])]
    size_bytes: Annotated[int, Field(ge=1, le=2**53, examples=[48213])]
    mime_type: Annotated[
        str | None, Field(max_length=100, description="That of the extension", examples=["application/pdf"])
    ] = None


class Attachment(CamelModel):
    """A row of `attachments`; without `uploadedAt` its upload is still under way."""

    id: int
    invoice_id: int
    filename: str
    storage_key: str
    mime_type: str
    size_bytes: int
    uploaded_by: int | None
    uploaded_at: str | None


class AttachmentUpload(CamelModel):
    """Where a file goes: PUT its bytes to `uploadUrl`, then complete the attachment by its id."""

    id: int
    invoice_id: int
    filename: str
    storage_key: str
    mime_type: str
    upload_url: str
    token: str
    expires_in_seconds: int


def request_attachment(
    storage: Storage,
    database: Database,
    *,
    user_id: int,
    invoice_id: int,
    request: AttachmentRequest,
    replace: bool,
) -> AttachmentUpload:
    """Sign an upload. Raises NotFound, Conflict FILE_EXISTS unless `replace`, Unprocessable ATTACHMENT_TYPE,
    PayloadTooLarge ATTACHMENT_TOO_LARGE."""
    row = {
        "filename": request.filename,
        "storageKey": attachment_key(invoice_id, request.filename),
        "otherKey": attachment_key(invoice_id, request.filename, mark=uuid4().hex),
        "mimeType": _mime_type(request),
        "sizeBytes": request.size_bytes,
    }
    asked = Attachment.model_validate(
        database.call(
            "request_attachment", p_user_id=user_id, p_invoice_id=invoice_id, p_file=row, p_replace=replace
        )
    )
    # The key was no row's until now: an object under it is what a crash left, and would refuse the upload.
    storage.delete(ATTACHMENTS, [asked.storage_key])
    signed = storage.signed_upload(ATTACHMENTS, asked.storage_key)
    return AttachmentUpload(
        id=asked.id,
        invoice_id=invoice_id,
        filename=asked.filename,
        storage_key=asked.storage_key,
        mime_type=asked.mime_type,
        upload_url=signed.url,
        token=signed.token,
        expires_in_seconds=UPLOAD_URL_SECONDS,
    )


def _mime_type(request: AttachmentRequest) -> str:
    known = mime_type_of(request.filename)
    if known is None:
        taken = ", ".join(suffix.lstrip(".") for suffix in MIME_TYPES)
        raise Unprocessable(
            "ATTACHMENT_TYPE", f"Attach a file of one of these types: {taken}.", [{"field": "filename"}]
        )
    if request.mime_type not in {None, known}:
        raise Unprocessable(
            "ATTACHMENT_TYPE", f"A file of this name is {known}; leave mimeType out.", [{"field": "mimeType"}]
        )
    if request.size_bytes > MAX_BYTES:
        raise _too_large([{"field": "sizeBytes"}])
    return known


def complete_attachment(
    storage: Storage, database: Database, *, user_id: int, invoice_id: int, attachment_id: int
) -> Attachment:
    """Look at an uploaded file and let it be seen. One that is not what was announced leaves no object and no row.

    Raises NotFound, Conflict UPLOAD_INCOMPLETE or FILE_EXISTS, PayloadTooLarge, Unprocessable ATTACHMENT_CONTENT.
    """
    found = get_invoice_attachment(database, None, invoice_id, attachment_id, under_way=True)
    if found.uploaded_at is None:
        try:
            size = storage.info(ATTACHMENTS, found.storage_key).size
        except NotFound as error:
            raise Conflict("UPLOAD_INCOMPLETE") from error
        try:
            _look_at(storage, found, size)
        except (Unprocessable, PayloadTooLarge):
            remove_invoice_attachment(
                storage, database, user_id=user_id, invoice_id=invoice_id, attachment_id=attachment_id
            )
            raise
    done = database.call(
        "complete_attachment", p_user_id=user_id, p_invoice_id=invoice_id, p_id=attachment_id
    )
    if done["replacedKey"]:
        storage.delete(ATTACHMENTS, [done["replacedKey"]])
    return Attachment.model_validate(done["attachment"])


def _look_at(storage: Storage, attachment: Attachment, size: int) -> None:
    if size > MAX_BYTES:
        raise _too_large()
    if size == attachment.size_bytes:
        head = storage.download_range(ATTACHMENTS, attachment.storage_key, 0, END_BYTES)
        tail = storage.download_range(
            ATTACHMENTS, attachment.storage_key, max(0, size - END_BYTES), END_BYTES
        )
        if is_what_it_says(attachment.mime_type, head, tail):
            return
    raise Unprocessable(
        "ATTACHMENT_CONTENT",
        f"The upload is no {attachment.mime_type} of {attachment.size_bytes} bytes; attach the file as it is named.",
    )


def _too_large(details: list[dict[str, str]] | None = None) -> PayloadTooLarge:
    return PayloadTooLarge("ATTACHMENT_TOO_LARGE", details=details)


def get_invoice_attachment(
    database: Database,
    client_scope: int | None,
    invoice_id: int,
    attachment_id: int,
    *,
    under_way: bool = False,
) -> Attachment:
    """One attachment; with `under_way` also one whose upload is not complete. Raises NotFound."""
    row = database.call(
        "get_attachment",
        p_client_scope=client_scope,
        p_invoice_id=invoice_id,
        p_id=attachment_id,
        p_under_way=under_way,
    )
    return Attachment.model_validate(row)


def remove_invoice_attachment(
    storage: Storage, database: Database, *, user_id: int, invoice_id: int, attachment_id: int
) -> None:
    """Remove one attachment: its row, then its object. Raises NotFound."""
    gone = database.call("delete_attachment", p_user_id=user_id, p_invoice_id=invoice_id, p_id=attachment_id)
    storage.delete(ATTACHMENTS, gone["storageKeys"])


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
    if not replace and any(key == each.storage_key or filename == each.filename for each in there):
        raise Conflict(
            "FILE_EXISTS", "The invoice has a file of this name; replace it or name yours otherwise."
        )
    # An object without a row is what a crash left: it may be written over.
    storage.upload(ATTACHMENTS, key, contents, content_type, upsert=True)
    row = {"storageKey": key, "filename": filename, "mimeType": content_type, "sizeBytes": len(contents)}
    saved = database.call("save_attachment", p_user_id=user_id, p_invoice_id=invoice_id, p_file=row)
    return Attachment.model_validate(saved)


def list_invoice_attachments(
    database: Database, client_scope: int | None, invoice_id: int
) -> list[Attachment]:
    """Attachments of an invoice; with a `client_scope` only that client's, None means all. Raises NotFound."""
    rows = database.call("list_attachments", p_client_scope=client_scope, p_invoice_id=invoice_id)
    return [Attachment.model_validate(row) for row in rows]


def get_attachment_signed_url(storage: Storage, attachment: Attachment, seconds: int) -> str:
    return storage.signed_url(ATTACHMENTS, attachment.storage_key, seconds, attachment.filename)


def delete_invoice_attachment(storage: Storage, database: Database, user_id: int, path: str) -> None:
    delete_invoice_attachments(storage, database, user_id, [path])


def delete_invoice_attachments(storage: Storage, database: Database, user_id: int, paths: list[str]) -> None:
    """Remove attachments by storage key: rows in one transaction, then their objects."""
    gone = database.call("delete_attachments_by_key", p_user_id=user_id, p_keys=paths)
    storage.delete(ATTACHMENTS, gone["storageKeys"])

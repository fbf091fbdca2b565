"""Attachments of an invoice: uploaded by the shop straight to storage, fetched by whose the invoice is."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse
from ids import NOT_FOUND, Id

from printshop.files.attachments import (
    Attachment,
    AttachmentRequest,
    AttachmentUpload,
    complete_attachment,
    get_attachment_signed_url,
    get_invoice_attachment,
    list_invoice_attachments,
    remove_invoice_attachment,
    request_attachment,
)
from printshop.http.dependencies import AdminUser, ClientOrAdmin
from printshop.http.errors import refusals
from printshop.http.services import Provided
from printshop.kernel.base_model import Data

router = APIRouter(prefix="/api/invoices/{id}/attachments", tags=["Attachments"])

NO_FILE = "404 FILE_NOT_FOUND"
TOO_LARGE = "413 ATTACHMENT_TOO_LARGE"


@router.get("", responses=refusals(NOT_FOUND))
def list_attachments(id: Id, user: ClientOrAdmin, services: Provided) -> Data[list[Attachment]]:
    """The files that go with an invoice."""
    return Data(data=list_invoice_attachments(services.database, user.reads_as, id))


@router.post(
    "",
    status_code=201,
    responses=refusals(NOT_FOUND, "409 FILE_EXISTS", "422 ATTACHMENT_TYPE", TOO_LARGE),
)
def upload_attachment(
    id: Id,
    body: AttachmentRequest,
    user: AdminUser,
    services: Provided,
    replace: Annotated[bool, Query(description="Take the place of the file of this name")] = False,
) -> Data[AttachmentUpload]:
    """Get a URL to PUT a file to; complete it then. A file that it replaces stands until that."""
    upload = request_attachment(
        services.storage, services.database, user_id=user.id, invoice_id=id, request=body, replace=replace
    )
    return Data(data=upload)


@router.post(
    "/{aid}/complete",
    responses=refusals(
        NO_FILE, "409 UPLOAD_INCOMPLETE", "409 FILE_EXISTS", "422 ATTACHMENT_CONTENT", TOO_LARGE
    ),
)
def complete_upload(id: Id, aid: Id, user: AdminUser, services: Provided) -> Data[Attachment]:
    """Have an uploaded file looked at and attached. What is not as announced is removed."""
    attached = complete_attachment(
        services.storage, services.database, user_id=user.id, invoice_id=id, attachment_id=aid
    )
    return Data(data=attached)


@router.get("/{aid}", status_code=302, responses=refusals(NO_FILE))
def download_attachment(id: Id, aid: Id, user: ClientOrAdmin, services: Provided) -> RedirectResponse:
    """Fetch a file, from a URL that lives for minutes."""
    file = get_invoice_attachment(services.database, user.reads_as, id, aid)
    url = get_attachment_signed_url(services.storage, file, services.settings.download_url_seconds)
    return RedirectResponse(url, status_code=302)


@router.delete("/{aid}", status_code=204, responses=refusals(NO_FILE))
def delete_attachment(id: Id, aid: Id, user: AdminUser, services: Provided) -> Response:
    """Remove a file from an invoice."""
    remove_invoice_attachment(
        services.storage, services.database, user_id=user.id, invoice_id=id, attachment_id=aid
    )
    return Response(status_code=204)

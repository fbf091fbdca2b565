"""Attachments of an invoice: uploaded by the shop straight to storage, downloaded by whoever may read the invoice."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

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
from printshop.http.dependencies import AdminUser, ClientOrAdmin, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.kernel.base_model import Data

router = APIRouter(prefix="/api/invoices/{id}/attachments", tags=["Attachments"])

NOT_FOUND = "404 INVOICE_NOT_FOUND"
NO_FILE = "404 FILE_NOT_FOUND"
TOO_LARGE = "413 ATTACHMENT_TOO_LARGE"


@router.get("", responses=error_responses(NOT_FOUND))
def list_attachments(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[list[Attachment]]:
    """The files that go with an invoice."""
    return Data(data=list_invoice_attachments(services.database, user.client_scope, id))


@router.post(
    "",
    status_code=201,
    responses=error_responses(NOT_FOUND, "409 FILE_EXISTS", "422 ATTACHMENT_TYPE", TOO_LARGE),
)
def upload_attachment(
    id: RowId,
    body: AttachmentRequest,
    user: AdminUser,
    services: ServicesDep,
    replace: Annotated[bool, Query(description="Take the place of the file of this name")] = False,
) -> Data[AttachmentUpload]:
    """Get a URL to PUT a file to; complete it then. A file that it replaces stands until that."""
    upload = request_attachment(
        services.storage, services.database, user_id=user.id, invoice_id=id, request=body, replace=replace
    )
    return Data(data=upload)


@router.post(
    "/{aid}/complete",
    responses=error_responses(
        NO_FILE, "409 UPLOAD_INCOMPLETE", "409 FILE_EXISTS", "422 ATTACHMENT_CONTENT", TOO_LARGE
    ),
)
def complete_upload(id: RowId, aid: RowId, user: AdminUser, services: ServicesDep) -> Data[Attachment]:
    """Check an uploaded file and attach it; a file that is not as announced is removed."""
    attached = complete_attachment(
        services.storage, services.database, user_id=user.id, invoice_id=id, attachment_id=aid
    )
    return Data(data=attached)


@router.get("/{aid}", status_code=302, responses=error_responses(NO_FILE))
def download_attachment(
    id: RowId, aid: RowId, user: ClientOrAdmin, services: ServicesDep
) -> RedirectResponse:
    """Fetch a file, from a URL that lives for minutes."""
    file = get_invoice_attachment(services.database, user.client_scope, id, aid)
    url = get_attachment_signed_url(services.storage, file, services.settings.download_url_seconds)
    return RedirectResponse(url, status_code=302)


@router.delete("/{aid}", status_code=204, responses=error_responses(NO_FILE))
def delete_attachment(id: RowId, aid: RowId, user: AdminUser, services: ServicesDep) -> Response:
    """Remove a file from an invoice."""
    remove_invoice_attachment(
        services.storage, services.database, user_id=user.id, invoice_id=id, attachment_id=aid
    )
    return Response(status_code=204)

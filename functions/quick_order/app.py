"""Quick order: signed uploads, slices and their status, prices, checkout, and a user's temporary files."""

from typing import Annotated, Any

from fastapi import Path, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from printshop.http import (
    ClientOrAdmin,
    Data,
    IdempotencyKey,
    Model,
    Page,
    Provided,
    create_app,
    lambda_handler,
)
from printshop.invoices import Invoice, invoice_of
from printshop.paging import Cursor, Limit, decode_cursor, encode_cursor
from printshop.quick_order.checkout import CheckoutRequest, checkout, price
from printshop.quick_order.order import PriceRequest
from printshop.quick_order.slices import SliceRequest, SliceStatus, request_slice, slice_status
from printshop.quick_order.uploads import Upload, UploadedModel, complete_upload, request_uploads
from printshop.storage.tmp_files import (
    TmpFile,
    delete_tmp_file,
    get_tmp_file_signed_url,
    list_tmp_files,
    require_tmp_file,
)

app = create_app("Quick order")
handler = lambda_handler(app)

FileId = Annotated[int, Path(ge=1, le=2**53)]


class UploadsRequest(Model):
    files: Annotated[list[UploadedModel], Field(min_length=1, max_length=20)]


class Uploads(Model):
    files: list[Upload]


@app.post("/api/quick-order/uploads", status_code=201)
def request_upload_urls(body: UploadsRequest, user: ClientOrAdmin, services: Provided) -> Data[Uploads]:
    files = request_uploads(services.storage, services.database, services.settings, user.id, body.files)
    return Data(data=Uploads(files=files))


@app.post("/api/quick-order/uploads/{id}/complete")
def complete(id: FileId, user: ClientOrAdmin, services: Provided) -> Data[TmpFile]:
    return Data(
        data=complete_upload(services.storage, services.database, services.settings, user.id, str(id))
    )


@app.post("/api/quick-order/slice", status_code=202)
def slice_model(body: SliceRequest, user: ClientOrAdmin, services: Provided) -> Data[TmpFile]:
    return Data(data=request_slice(services.database, services.queue, user.id, body))


@app.get("/api/quick-order/files/{id}")
def file_status(id: FileId, user: ClientOrAdmin, services: Provided) -> Data[SliceStatus]:
    return Data(data=slice_status(services.database, user.id, str(id)))


@app.post("/api/quick-order/price")
def price_models(body: PriceRequest, user: ClientOrAdmin, services: Provided) -> Data[dict[str, Any]]:
    return Data(data=price(services.database, user, body, services.settings.stripe_currency))


@app.post("/api/quick-order/checkout", status_code=201)
def check_out(
    body: CheckoutRequest, key: IdempotencyKey, user: ClientOrAdmin, services: Provided
) -> Data[Invoice | dict[str, Any]]:
    made = checkout(
        services.storage,
        services.database,
        user,
        body,
        key=key,
        currency=services.settings.stripe_currency,
    )
    if made["kind"] == "invoice":
        return Data(data=invoice_of(made, services.settings, reads_as=user.reads_as))
    return Data(data=made)


@app.get("/api/tmp-files")
def tmp_files(
    user: ClientOrAdmin, services: Provided, limit: Limit = 50, cursor: Cursor = None
) -> Page[TmpFile]:
    (before_id,) = decode_cursor(cursor, (int,))
    files = list_tmp_files(services.database, user.id, limit=limit + 1, before_id=before_id)
    page = files[:limit]
    return Page(data=page, next_cursor=encode_cursor(page[-1].id) if len(files) > limit else None)


@app.get("/api/tmp-files/{id}", status_code=302)
def download_tmp_file(id: FileId, user: ClientOrAdmin, services: Provided) -> RedirectResponse:
    file = require_tmp_file(services.database, user.id, str(id))
    url = get_tmp_file_signed_url(services.storage, file, services.settings.download_url_seconds)
    return RedirectResponse(url, status_code=302)


@app.delete("/api/tmp-files/{id}", status_code=204)
def remove_tmp_file(id: FileId, user: ClientOrAdmin, services: Provided) -> Response:
    delete_tmp_file(services.storage, services.database, user.id, str(id))
    return Response(status_code=204)

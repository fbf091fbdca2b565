"""Quick order: signed uploads, slices and their status, prices, checkout, and a user's temporary files."""

from typing import Annotated

from fastapi import Response
from fastapi.responses import RedirectResponse
from pydantic import Field
from slicing_caller import SlicingCallerDep

from printshop.files.slices import SliceRequest, SliceStatus, request_slice, slice_status
from printshop.files.tmp_files import (
    TmpFile,
    delete_tmp_file,
    get_preview_signed_url,
    get_tmp_file_signed_url,
    list_tmp_files,
    require_tmp_file,
)
from printshop.files.uploads import (
    AcceptedModel,
    Upload,
    UploadedModel,
    complete_upload,
    request_uploads,
)
from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import ClientOrAdmin, IdempotencyKey, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import Cursor, Limit, RowId
from printshop.invoices.schemas import Invoice, invoice_of
from printshop.kernel.base_model import Data, Page, StrictModel
from printshop.kernel.paging import decode_cursor, encode_cursor
from printshop.orders.checkout import CheckoutRequest, checkout, price
from printshop.orders.pricing import PriceBreakdown, PriceRequest
from printshop.quotes.schemas import Quote, quote_of

app = create_app("Quick order")
handler = lambda_handler(app)

MODEL_REFUSED = ("422 MODEL_TYPE", "413 MODEL_FILE_TOO_LARGE")
STORAGE_DOWN = "503 STORAGE_UNAVAILABLE"
UNPRICED = (
    "404 FILE_NOT_FOUND",
    "409 NEEDS_REVIEW",
    "409 NOT_SLICED",
    "422 UNKNOWN_CLIENT",
    "422 NO_SHIPPING_REGION",
)


class UploadsRequest(StrictModel):
    """Models that are about to come."""

    files: Annotated[list[UploadedModel], Field(min_length=1, max_length=20)]


class Uploads(StrictModel):
    """Where each model goes, in the order asked."""

    files: list[Upload]


@app.post(
    "/api/quick-order/uploads",
    status_code=201,
    tags=["Quick order"],
    responses=error_responses(*MODEL_REFUSED, STORAGE_DOWN),
)
def request_upload_urls(body: UploadsRequest, user: ClientOrAdmin, services: ServicesDep) -> Data[Uploads]:
    """Ask for upload URLs, one a model: PUT the bytes there, then complete each upload."""
    files = request_uploads(services.storage, services.database, services.settings, user.id, body.files)
    return Data(data=Uploads(files=files))


@app.post(
    "/api/quick-order/uploads/{id}/complete",
    tags=["Quick order"],
    responses=error_responses(
        "404 FILE_NOT_FOUND",
        "409 UPLOAD_INCOMPLETE",
        *MODEL_REFUSED,
        "422 MODEL_EMPTY",
        "422 MODEL_NOT_STL",
        "422 MODEL_NOT_3MF",
        "422 MODEL_TRUNCATED",
        "422 MODEL_BAD_COORDINATES",
        "422 MODEL_PACKAGE_UNSAFE",
        "422 MODEL_XML_UNSAFE",
        "422 MODEL_3MF_INVALID",
        "422 MODEL_3MF_EXTENSION",
        "422 MODEL_HAS_MODIFIERS",
        "422 MODEL_TOO_COMPLEX",
        "429 TOO_MANY_WAITING",
        STORAGE_DOWN,
    ),
)
def complete(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[AcceptedModel]:
    """Say that the bytes are there. The model is checked and measured; one that is none is deleted and refused."""
    return Data(
        data=complete_upload(
            services.storage,
            services.database,
            lambda: services.queue,
            services.settings,
            user.id,
            str(id),
        )
    )


@app.post(
    "/api/quick-order/slice",
    status_code=202,
    tags=["Quick order"],
    responses=error_responses(
        "404 FILE_NOT_FOUND",
        "409 UPLOAD_INCOMPLETE",
        "409 SLICE_RUNNING",
        "422 NOT_A_MODEL",
        "422 UNKNOWN_MATERIAL",
        "422 UNKNOWN_PRINTER",
        "422 LAYER_HEIGHT_TOO_LARGE",
        "429 TOO_MANY_WAITING",
    ),
)
def slice_model(body: SliceRequest, caller: SlicingCallerDep, services: ServicesDep) -> Data[TmpFile]:
    """Put a model into the slicer's queue; its status tells when the figures are there. One that was sliced with
    these settings before is `completed` at once, one that fits no printer `failed`."""
    made = request_slice(services.database, services.queue, caller.user.id, body, caller.context)
    return Data(data=made)


@app.get("/api/quick-order/files/{id}", tags=["Quick order"], responses=error_responses("404 FILE_NOT_FOUND"))
def file_status(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[SliceStatus]:
    """Status, progress, place in the queue and figures of a slice. The shop reads anybody's."""
    status = slice_status(
        services.database,
        user.id,
        str(id),
        for_shop=user.is_admin,
        currency=services.settings.stripe_currency,
    )
    return Data(data=status)


@app.get(
    "/api/quick-order/files/{id}/preview.png",
    status_code=302,
    tags=["Quick order"],
    response_class=RedirectResponse,
    responses=error_responses("404 FILE_NOT_FOUND", "404 PREVIEW_NOT_READY", STORAGE_DOWN),
)
def file_preview(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> RedirectResponse:
    """On to the model's picture, 800 × 600 on a transparent ground, by a URL that lives minutes."""
    file = require_tmp_file(services.database, user.id, str(id), for_shop=user.is_admin)
    url = get_preview_signed_url(services.storage, file, services.settings.download_url_seconds)
    return RedirectResponse(url, status_code=302)


@app.post("/api/quick-order/price", tags=["Quick order"], responses=error_responses(*UNPRICED))
def price_models(body: PriceRequest, user: ClientOrAdmin, services: ServicesDep) -> Data[PriceBreakdown]:
    """What an order costs today, line by line, from the slicer's own figures."""
    return Data(data=price(services.database, user, body, services.settings.stripe_currency))


@app.post(
    "/api/quick-order/checkout",
    status_code=201,
    tags=["Quick order"],
    responses=error_responses(
        *UNPRICED, "409 PRICE_CHANGED", "409 UPLOAD_INCOMPLETE", "409 SLICE_RUNNING", STORAGE_DOWN
    ),
)
def check_out(
    body: CheckoutRequest, key: IdempotencyKey, user: ClientOrAdmin, services: ServicesDep
) -> Data[Invoice | Quote]:
    """Order what was priced: an invoice. With `review`, a quote that the shop prices by hand."""
    made = checkout(
        services.storage,
        services.database,
        user,
        body,
        key=key,
        currency=services.settings.stripe_currency,
    )
    if made["kind"] == "invoice":
        return Data(data=invoice_of(made, services.settings, client_scope=user.client_scope))
    return Data(data=quote_of(Quote, made, services.settings, for_shop=user.is_admin))


@app.get("/api/tmp-files", tags=["Temporary files"])
def tmp_files(
    user: ClientOrAdmin, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[TmpFile]:
    """The caller's files, newest first."""
    (before_id,) = decode_cursor(cursor, (int,))
    files = list_tmp_files(services.database, user.id, limit=limit + 1, before_id=before_id)
    page = files[:limit]
    return Page(data=page, next_cursor=encode_cursor(page[-1].id) if len(files) > limit else None)


@app.get(
    "/api/tmp-files/{id}",
    status_code=302,
    tags=["Temporary files"],
    response_class=RedirectResponse,
    responses=error_responses("404 FILE_NOT_FOUND", STORAGE_DOWN),
)
def download_tmp_file(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> RedirectResponse:
    """On to the file in storage, by a URL that lives minutes."""
    file = require_tmp_file(services.database, user.id, str(id))
    url = get_tmp_file_signed_url(services.storage, file, services.settings.download_url_seconds)
    return RedirectResponse(url, status_code=302)


@app.delete(
    "/api/tmp-files/{id}",
    status_code=204,
    tags=["Temporary files"],
    responses=error_responses("404 FILE_NOT_FOUND", "409 SLICE_RUNNING", STORAGE_DOWN),
)
def remove_tmp_file(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Response:
    """Delete a file, a model's g-code with it."""
    delete_tmp_file(services.storage, services.database, user.id, str(id))
    return Response(status_code=204)

"""Order files: the models, g-codes and settings that an order is printed from."""

from fastapi import APIRouter, Response

from printshop.files.order_files import OrderFile, OrderFileDownload, delete_order_file, open_order_file
from printshop.http.dependencies import AdminUser, ClientOrAdmin, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.invoices import reads
from printshop.kernel.base_model import Data

router = APIRouter(tags=["Order files"])

NOT_FOUND = "404 INVOICE_NOT_FOUND"
NO_FILE = "404 FILE_NOT_FOUND"


@router.get("/api/invoices/{id}/files", responses=error_responses(NOT_FOUND))
def list_files(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[list[OrderFile]]:
    """The files that are kept with an invoice."""
    return Data(data=reads.list_files(services.database, user, id))


@router.get("/api/order-files/{id}", responses=error_responses(NO_FILE))
def read_order_file(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Data[OrderFileDownload]:
    """An order file, with a URL that opens for 300 s."""
    return Data(data=open_order_file(services.storage, services.database, user.client_scope, id))


@router.delete("/api/order-files/{id}", status_code=204, responses=error_responses(NO_FILE))
def remove_order_file(id: RowId, user: AdminUser, services: ServicesDep) -> Response:
    """Remove an order file; without it the order can no longer be printed from here."""
    delete_order_file(services.storage, services.database, user.id, id)
    return Response(status_code=204)

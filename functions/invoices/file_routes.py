"""Order files: the models, g-codes and settings that an order is printed from."""

from fastapi import APIRouter, Response
from ids import NOT_FOUND, Id

from printshop.files.order_files import OrderFile, OrderFileDownload, delete_order_file, open_order_file
from printshop.http.dependencies import AdminUser, ClientOrAdmin
from printshop.http.errors import refusals
from printshop.http.services import Provided
from printshop.invoices import reads as reading
from printshop.kernel.base_model import Data

router = APIRouter(tags=["Order files"])

NO_FILE = "404 FILE_NOT_FOUND"


@router.get("/api/invoices/{id}/files", responses=refusals(NOT_FOUND))
def list_files(id: Id, user: ClientOrAdmin, services: Provided) -> Data[list[OrderFile]]:
    """The files that are kept with an invoice."""
    return Data(data=reading.list_files(services.database, user, id))


@router.get("/api/order-files/{id}", responses=refusals(NO_FILE))
def read_order_file(id: Id, user: ClientOrAdmin, services: Provided) -> Data[OrderFileDownload]:
    """An order file, with a URL that opens for 300 s."""
    return Data(data=open_order_file(services.storage, services.database, user.reads_as, id))


@router.delete("/api/order-files/{id}", status_code=204, responses=refusals(NO_FILE))
def remove_order_file(id: Id, user: AdminUser, services: Provided) -> Response:
    """Remove an order file; without it the order can no longer be printed from here."""
    delete_order_file(services.storage, services.database, user.id, id)
    return Response(status_code=204)

"""Messages: a client's thread with the shop, and all threads for the shop."""

from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ClientOrAdmin, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import Cursor, Limit, RowId
from printshop.kernel.base_model import Data, Page
from printshop.messages.reads import list_invoice_messages, list_messages, list_threads
from printshop.messages.schemas import (
    InvoiceRelatedRequest,
    Message,
    MessageRequest,
    Thread,
    ThreadMessageRequest,
)
from printshop.messages.writes import write_invoice_message, write_message, write_to_thread

app = create_app("Messages")
handler = lambda_handler(app)

WRITING = ("404 USER_NOT_FOUND", "404 INVOICE_NOT_FOUND", "422 INVOICE_OF_ANOTHER_CLIENT")


@app.get("/api/messages", tags=["Messages"], responses=error_responses("400 CURSOR_INVALID"))
def messages(
    user: ClientOrAdmin, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[Thread] | Page[Message]:
    """A client gets their own thread, newest first, and has then read it; the shop gets one row a thread."""
    if user.is_admin:
        threads, more = list_threads(services.database, limit=limit, cursor=cursor)
        return Page[Thread](data=threads, next_cursor=more)
    page, more = list_messages(services.database, user, user.id, limit=limit, cursor=cursor)
    return Page[Message](data=page, next_cursor=more)


@app.post(
    "/api/messages",
    status_code=201,
    tags=["Messages"],
    responses=error_responses(*WRITING, "422 USER_MISSING"),
)
def write(body: ThreadMessageRequest, user: ClientOrAdmin, services: ServicesDep) -> Data[Message]:
    """A client writes to the shop; the shop writes to the login that it names."""
    return Data(data=write_to_thread(services.database, user, body))


@app.get(
    "/api/invoices/{id}/messages",
    tags=["Messages"],
    responses=error_responses("404 INVOICE_NOT_FOUND", "400 CURSOR_INVALID"),
)
def invoice_messages(
    id: RowId, user: ClientOrAdmin, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[Message]:
    """What was written about an invoice, newest first; a client sees only their own thread."""
    page, more = list_invoice_messages(services.database, user, id, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.post(
    "/api/invoices/{id}/messages",
    status_code=201,
    tags=["Messages"],
    responses=error_responses("404 INVOICE_NOT_FOUND", "409 NO_LOGIN"),
)
def write_about_invoice(
    id: RowId, body: MessageRequest, user: ClientOrAdmin, services: ServicesDep
) -> Data[Message]:
    """A client writes to the shop about an invoice; the shop reaches the client's login who last wrote."""
    return Data(data=write_invoice_message(services.database, user, id, body))


@app.get(
    "/api/admin/users/{id}/messages",
    tags=["Messages"],
    responses=error_responses("404 USER_NOT_FOUND", "400 CURSOR_INVALID"),
)
def user_messages(
    id: RowId, admin: AdminUser, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[Message]:
    """A login's thread, newest first, which reads it for the shop."""
    page, more = list_messages(services.database, admin, id, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.post(
    "/api/admin/users/{id}/messages", status_code=201, tags=["Messages"], responses=error_responses(*WRITING)
)
def write_to_user(
    id: RowId, body: InvoiceRelatedRequest, admin: AdminUser, services: ServicesDep
) -> Data[Message]:
    """The shop writes into a client login's thread."""
    return Data(data=write_message(services.database, admin, id, body))

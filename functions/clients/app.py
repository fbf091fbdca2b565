"""Clients: the shop's cards of its customers, the customers' portal, and who may log in."""

from fastapi import Response

from printshop.accounts.logins import Invitation, InvitedLogin, LoginSummary, list_users
from printshop.clients.portal import (
    PortalDashboard,
    PortalInvoice,
    PortalJob,
    PortalMaterial,
    dashboard,
    portal_invoices,
    portal_jobs,
    portal_materials,
)
from printshop.clients.preferences import Preferences, get_preferences, save_preferences
from printshop.clients.reads import get_client, list_client_order_files, list_clients
from printshop.clients.schemas import (
    Client,
    ClientNote,
    ClientRequest,
    ClientSort,
    ClientSummary,
    NoteRequest,
)
from printshop.clients.writes import add_client_note, change_client, create_client, delete_client
from printshop.files.order_files import OrderFile
from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ClientOrAdmin, ClientUser, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import Cursor, Limit, RowId, Search
from printshop.invoices.schemas import InvoiceStatus
from printshop.kernel.base_model import Data, Page

app = create_app("Clients")
handler = lambda_handler(app)


@app.get("/api/clients", tags=["Clients"])
def clients(
    _: AdminUser,
    services: ServicesDep,
    q: Search = None,
    sort: ClientSort = "-createdAt",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ClientSummary]:
    """The shop's clients with what they were billed and owe; `q` finds text in name, company, e-mail and phone."""
    page, more = list_clients(services.database, query=q, sort=sort, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.post(
    "/api/clients", status_code=201, tags=["Clients"], responses=error_responses("422 UNKNOWN_PAYMENT_TERM")
)
def new_client(body: ClientRequest, admin: AdminUser, services: ServicesDep) -> Data[Client]:
    """Add a client, who has no login yet: invite one by admin/users."""
    return Data(data=create_client(services.database, admin.id, body))


@app.get("/api/clients/{id}", tags=["Clients"], responses=error_responses("404 CLIENT_NOT_FOUND"))
def client(id: RowId, _: AdminUser, services: ServicesDep) -> Data[Client]:
    """A client with its totals, notes, logins and latest activity."""
    return Data(data=get_client(services.database, id))


@app.put(
    "/api/clients/{id}",
    tags=["Clients"],
    responses=error_responses("404 CLIENT_NOT_FOUND", "422 UNKNOWN_PAYMENT_TERM"),
)
def replace_client(id: RowId, body: ClientRequest, admin: AdminUser, services: ServicesDep) -> Data[Client]:
    """Replace a client's card; its notes and preferences stay."""
    return Data(data=change_client(services.database, admin.id, id, body))


@app.delete(
    "/api/clients/{id}",
    status_code=204,
    tags=["Clients"],
    responses=error_responses("404 CLIENT_NOT_FOUND", "409 CLIENT_IN_USE"),
)
def remove_client(id: RowId, admin: AdminUser, services: ServicesDep) -> Response:
    """Delete a client that has no documents, jobs, files or logins."""
    delete_client(services.database, admin.id, id)
    return Response(status_code=204)


@app.post(
    "/api/clients/{id}/notes",
    status_code=201,
    tags=["Clients"],
    responses=error_responses("404 CLIENT_NOT_FOUND", "409 NOTES_FULL"),
)
def new_note(id: RowId, body: NoteRequest, admin: AdminUser, services: ServicesDep) -> Data[ClientNote]:
    """Add a dated note, which only the shop ever sees."""
    return Data(data=add_client_note(services.database, admin.id, id, body))


@app.get(
    "/api/clients/{id}/order-files", tags=["Order files"], responses=error_responses("404 CLIENT_NOT_FOUND")
)
def client_order_files(
    id: RowId, user: ClientOrAdmin, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[OrderFile]:
    """The files of a client's orders, newest first; order-files/{id} downloads one."""
    page, more = list_client_order_files(services.database, user, id, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.get("/api/client/dashboard", tags=["Portal"])
def portal_dashboard(user: ClientUser, services: ServicesDep) -> Data[PortalDashboard]:
    """What waits for the client: to pay, to answer, to read, and what is being printed."""
    return Data(data=dashboard(services.database, user))


@app.get("/api/client/invoices", tags=["Portal"])
def own_invoices(
    user: ClientUser,
    services: ServicesDep,
    status: InvoiceStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PortalInvoice]:
    """The client's invoices, newest first, with a link to pay what is owed."""
    page, more = portal_invoices(
        services.database, services.settings, user, status=status, limit=limit, cursor=cursor
    )
    return Page(data=page, next_cursor=more)


@app.get("/api/client/jobs", tags=["Portal"])
def own_jobs(
    user: ClientUser, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[PortalJob]:
    """The client's jobs, newest first: how far each is."""
    page, more = portal_jobs(services.database, user, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.get("/api/client/materials", tags=["Portal"])
def offered_materials(_: ClientUser, services: ServicesDep) -> Data[list[PortalMaterial]]:
    """The materials to choose from for a print."""
    return Data(data=portal_materials(services.database))


@app.get("/api/client/preferences", tags=["Portal"])
def preferences(user: ClientUser, services: ServicesDep) -> Data[Preferences]:
    """What the client's orders begin with."""
    return Data(data=get_preferences(services.database, user))


@app.put("/api/client/preferences", tags=["Portal"], responses=error_responses("422 UNKNOWN_MATERIAL"))
def replace_preferences(body: Preferences, user: ClientUser, services: ServicesDep) -> Data[Preferences]:
    """Replace the client's preferences; what is left out is no longer preferred."""
    return Data(data=save_preferences(services.database, user, body))


@app.get("/api/admin/users", tags=["Users"])
def users(
    _: AdminUser, services: ServicesDep, q: Search = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[LoginSummary]:
    """Every login, newest first; `q` finds text in e-mail and name."""
    page, more = list_users(services.database, query=q, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.post(
    "/api/admin/users",
    status_code=201,
    tags=["Users"],
    responses=error_responses(
        "409 EMAIL_TAKEN", "409 INVITATION_RUNNING", "422 UNKNOWN_CLIENT", "422 ADMIN_WITH_CLIENT"
    ),
)
def invite_user(body: Invitation, admin: AdminUser, services: ServicesDep) -> Data[InvitedLogin]:
    """Make a login with a one-time password, which is answered this once and has to be changed at first."""
    return Data(data=services.logins.invite(admin, body))


@app.delete(
    "/api/admin/users/{id}",
    status_code=204,
    tags=["Users"],
    responses=error_responses("404 USER_NOT_FOUND", "409 LAST_ADMIN"),
)
def remove_user(id: RowId, admin: AdminUser, services: ServicesDep) -> Response:
    """Delete a login, never the last admin's. A client's documents stay, their thread of messages goes."""
    services.logins.delete(admin, id)
    return Response(status_code=204)

"""Writing clients: the shop alone does."""

from printshop.adapters.database import Database
from printshop.clients.schemas import NOTES_KEPT, Client, ClientNote, ClientRequest, NoteRequest


def create_client(database: Database, user_id: int, request: ClientRequest) -> Client:
    """A new client. Raises Unprocessable UNKNOWN_PAYMENT_TERM."""
    body = request.model_dump(mode="json", by_alias=True)
    return Client.model_validate(database.call("create_client", p_user_id=user_id, p_client=body))


def change_client(database: Database, user_id: int, client_id: int, request: ClientRequest) -> Client:
    """Replace a client's card. Raises NotFound, Unprocessable UNKNOWN_PAYMENT_TERM."""
    body = request.model_dump(mode="json", by_alias=True)
    changed = database.call("update_client", p_user_id=user_id, p_client_id=client_id, p_client=body)
    return Client.model_validate(changed)


def delete_client(database: Database, user_id: int, client_id: int) -> None:
    """Delete a client that nothing belongs to. Raises NotFound, Conflict CLIENT_IN_USE with what does."""
    database.call("delete_client", p_user_id=user_id, p_client_id=client_id)


def add_client_note(database: Database, user_id: int, client_id: int, request: NoteRequest) -> ClientNote:
    """Append a dated note that only the shop sees. Raises NotFound, Conflict NOTES_FULL."""
    added = database.call(
        "add_client_note",
        p_user_id=user_id,
        p_client_id=client_id,
        p_body=request.body,
        p_limit=NOTES_KEPT,
    )
    return ClientNote.model_validate(added)

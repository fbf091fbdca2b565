"""Reading clients: the shop's list and card, and the files of a client's orders."""

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.clients.schemas import Client, ClientSort, ClientSummary
from printshop.files.order_files import OrderFile
from printshop.kernel.paging import decode_cursor, decode_time_cursor, encode_cursor


def get_client(database: Database, client_id: int) -> Client:
    """One client. Raises NotFound."""
    return Client.model_validate(database.call("get_client", p_client_id=client_id))


def list_clients(
    database: Database, *, query: str | None, sort: ClientSort, limit: int, cursor: str | None
) -> tuple[list[ClientSummary], str | None]:
    """A page and the cursor of the next one. `query` finds text in name, company, e-mail and phone, literally."""
    by_name = sort == "name"
    place, after_id = decode_cursor(cursor, (str, int)) if by_name else decode_time_cursor(cursor)
    rows = database.call(
        "list_clients",
        p_query=query,
        p_sort=sort,
        p_limit=limit + 1,
        p_after_created=None if by_name else place,
        p_after_name=place if by_name else None,
        p_after_id=after_id,
    )
    page = [ClientSummary.model_validate(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    last = page[-1]
    return page, encode_cursor(last.name if by_name else last.created_at, last.id)


def list_client_order_files(
    database: Database, user: User, client_id: int, *, limit: int, cursor: str | None
) -> tuple[list[OrderFile], str | None]:
    """A page of a client's order files, newest first. Raises NotFound, also for another client's."""
    before_uploaded, before_id = decode_time_cursor(cursor)
    rows = database.call(
        "list_client_order_files",
        p_client_scope=user.client_scope,
        p_client_id=client_id,
        p_limit=limit + 1,
        p_before_uploaded=before_uploaded,
        p_before_id=before_id,
    )
    page = [OrderFile.model_validate(row) for row in rows[:limit]]
    more = encode_cursor(page[-1].uploaded_at, page[-1].id) if len(rows) > limit else None
    return page, more

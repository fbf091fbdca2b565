"""Read threads and messages.

A message is unread (`readAt` null) until it was in an answer to the other side: the call that reads a page marks its
messages as read, and answers them as they were before, so that the reader sees what is new.
"""

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.paging import decode_cursor, encode_cursor
from printshop.messages.schemas import Message, Thread


def list_threads(database: Database, *, limit: int, cursor: str | None) -> tuple[list[Thread], str | None]:
    """The shop's threads, the one with the latest message first. A thread that gets a message moves to the top."""
    (before_id,) = decode_cursor(cursor, (int,))
    rows = database.call("list_threads", p_limit=limit + 1, p_before_id=before_id)
    page = [Thread.model_validate(row) for row in rows[:limit]]
    return page, encode_cursor(page[-1].latest.id) if len(rows) > limit else None


def list_messages(
    database: Database, reader: User, user_id: int, *, limit: int, cursor: str | None
) -> tuple[list[Message], str | None]:
    """A user's thread, newest first; what stands on the page is read by `reader`'s side. Raises NotFound."""
    (before_id,) = decode_cursor(cursor, (int,))
    rows = database.call(
        "list_messages",
        p_user_id=user_id,
        p_by_shop=reader.is_admin,
        p_limit=limit,
        p_before_id=before_id,
    )
    return _page(rows, limit)


def list_invoice_messages(
    database: Database, reader: User, invoice_id: int, *, limit: int, cursor: str | None
) -> tuple[list[Message], str | None]:
    """What was written about an invoice: the shop sees all of it, clients see their own thread."""
    (before_id,) = decode_cursor(cursor, (int,))
    rows = database.call(
        "list_invoice_messages",
        p_invoice_id=invoice_id,
        p_user_id=reader.id,
        p_client_id=reader.client_scope,
        p_limit=limit,
        p_before_id=before_id,
    )
    return _page(rows, limit)


def _page(rows: list[object], limit: int) -> tuple[list[Message], str | None]:
    page = [Message.model_validate(row) for row in rows[:limit]]
    return page, encode_cursor(page[-1].id) if len(rows) > limit else None

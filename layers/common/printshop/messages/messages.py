"""Messages: one thread per client login, between him and the shop; a message may be about an invoice.

A message is unread (`readAt` null) until it stood in an answer to the other side: the call that reads a page marks
it, and answers it as it was before, so that what is new can be seen.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.base_model import Model
from printshop.kernel.errors import NotFound, Unprocessable
from printshop.kernel.paging import decode_cursor, encode_cursor

Id = Annotated[int, Field(ge=1, le=2**53)]
Body = Annotated[str, Field(min_length=1, max_length=5000, examples=["When will my order be ready?"])]


class MessageRequest(Model):
    """A message."""

    body: Body


class InvoiceRelatedRequest(MessageRequest):
    """A message that may be about an invoice of the client."""

    invoice_id: Annotated[Id | None, Field(examples=[None])] = None


class ThreadMessageRequest(InvoiceRelatedRequest):
    """A message; the shop names the client's login to whom it writes."""

    user_id: Annotated[Id | None, Field(description="The shop only: whose thread", examples=[None])] = None


class _Read(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Sender(_Read):
    """Who wrote."""

    id: int
    role: Literal["ADMIN", "CLIENT"]
    name: str


class Message(_Read):
    """A message of a thread. `sender` is null for the system's own; `readAt` null is unread."""

    id: int
    user_id: int
    """Whose thread it is."""
    invoice_id: int | None
    invoice_number: str | None
    body: str
    sender: Sender | None
    read_at: str | None
    created_at: str


class Thread(_Read):
    """A client's thread as the shop's list shows it: what he wrote and nobody read, and the latest message."""

    user_id: int
    user_name: str
    user_email: str
    client_id: int | None
    client_name: str | None
    unread: int
    latest: Message


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
    """What was written about an invoice: to the shop all of it, to a client what stands in his own thread."""
    (before_id,) = decode_cursor(cursor, (int,))
    rows = database.call(
        "list_invoice_messages",
        p_invoice_id=invoice_id,
        p_user_id=reader.id,
        p_client_id=reader.reads_as,
        p_limit=limit,
        p_before_id=before_id,
    )
    return _page(rows, limit)


def write_to_thread(database: Database, sender: User, request: ThreadMessageRequest) -> Message:
    """Write into the named thread, a client into his own. Raises NotFound, Unprocessable."""
    user_id = request.user_id
    if user_id is None and sender.is_admin:
        raise Unprocessable(
            "USER_MISSING", "Name the login to whom you write in userId.", [{"field": "userId"}]
        )
    if not sender.is_admin and user_id not in {None, sender.id}:
        raise NotFound("USER_NOT_FOUND", "There is no such thread of yours; leave userId out.")
    return write_message(database, sender, user_id or sender.id, request)


def write_message(database: Database, sender: User, user_id: int, request: InvoiceRelatedRequest) -> Message:
    """Write into a user's thread. Raises NotFound for the user or the invoice, Unprocessable for another client's."""
    written = database.call(
        "write_message",
        p_sender_id=sender.id,
        p_user_id=user_id,
        p_invoice_id=request.invoice_id,
        p_body=request.body,
    )
    return Message.model_validate(written)


def write_invoice_message(
    database: Database, sender: User, invoice_id: int, request: MessageRequest
) -> Message:
    """Write about an invoice, the shop to the client's login who last wrote. Raises NotFound, Conflict NO_LOGIN."""
    written = database.call(
        "write_invoice_message",
        p_sender_id=sender.id,
        p_client_id=sender.reads_as,
        p_invoice_id=invoice_id,
        p_body=request.body,
    )
    return Message.model_validate(written)


def _page(rows: list[object], limit: int) -> tuple[list[Message], str | None]:
    page = [Message.model_validate(row) for row in rows[:limit]]
    return page, encode_cursor(page[-1].id) if len(rows) > limit else None

"""Write messages: a client to the shop, the shop to a client's login, either about an invoice."""

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.errors import NotFound, Unprocessable
from printshop.messages.schemas import InvoiceRelatedRequest, Message, MessageRequest, ThreadMessageRequest


def write_to_thread(database: Database, sender: User, request: ThreadMessageRequest) -> Message:
    """Write into the named thread, clients into their own. Raises NotFound, Unprocessable."""
    user_id = request.user_id
    if user_id is None and sender.is_admin:
        raise Unprocessable("USER_MISSING", details=[{"field": "userId"}])
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
        p_client_id=sender.client_scope,
        p_invoice_id=invoice_id,
        p_body=request.body,
    )
    return Message.model_validate(written)

"""Sending an invoice, and the link that it is paid by."""

from typing import Any

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.queues import MailQueue
from printshop.config.settings import Settings
from printshop.invoices.requests import SendRequest
from printshop.invoices.schemas import Invoice, SentInvoice, invoice_of, sent_invoice_of
from printshop.kernel.errors import Unavailable
from printshop.kernel.idempotency import body_hash
from printshop.kernel.log import get_logger

log = get_logger()


def send_invoice(
    database: Database,
    settings: Settings,
    mail_queue: MailQueue,
    user: User,
    invoice_id: int,
    request: SendRequest,
    key: str,
) -> SentInvoice:
    """Send an invoice, by e-mail where the shop sends e-mail, and archive its PDF as sent. Once per `key`.

    Raises NotFound, Conflict INVOICE_CLOSED, Unprocessable NO_EMAIL.
    """
    sent: dict[str, Any] = database.call(
        "send_invoice",
        p_user_id=user.id,
        p_invoice_id=invoice_id,
        p_key=key,
        p_body_hash=body_hash(invoice_id, request),
        p_email=settings.email_from is not None,
        p_to=request.to,
        p_message=request.message,
    )
    mail_id = sent.pop("mailId")
    try:
        mail_queue.send(mail_id)
    except Unavailable as error:
        # The mail is committed: the janitor queues it again.
        log.warn(scope="invoices.mail_unsent", error=error, data={"mailId": mail_id})
    return sent_invoice_of(sent, settings)


def rotate_pay_token(database: Database, settings: Settings, user: User, invoice_id: int) -> Invoice:
    """Give the invoice a new pay link; the old one no longer opens anything. Raises NotFound."""
    rotated = database.call("rotate_pay_token", p_user_id=user.id, p_invoice_id=invoice_id)
    return invoice_of(rotated, settings)

"""What moves an invoice on beside its money: void, written off, reverted, sent, given a new link."""

from typing import Any, Literal

from printshop.accounts.users import User
from printshop.invoices.requests import SendRequest
from printshop.invoices.retired_pages import expire_page
from printshop.invoices.schemas import Invoice, SentInvoice, invoice_of, sent_invoice_of
from printshop.kernel.errors import Unavailable
from printshop.kernel.idempotency import body_hash
from printshop.kernel.log import get_logger
from printshop.services import Services

type Ending = Literal["void_invoice", "write_off_invoice", "revert_invoice"]

log = get_logger()


def void_invoice(services: Services, user: User, invoice_id: int) -> Invoice:
    """Take an invoice back; its number stays. Raises NotFound, Conflict INVOICE_CLOSED, HAS_PAYMENTS."""
    return _end(services, user, invoice_id, "void_invoice")


def write_off_invoice(services: Services, user: User, invoice_id: int) -> Invoice:
    """Give up what is owed. Raises NotFound, Conflict INVOICE_CLOSED, ALREADY_PAID."""
    return _end(services, user, invoice_id, "write_off_invoice")


def revert_invoice(services: Services, user: User, invoice_id: int) -> Invoice:
    """Take a conversion back: the invoice is void, its quote converts again. Raises NotFound, Conflict
    NOT_FROM_A_QUOTE, INVOICE_CLOSED, HAS_PAYMENTS."""
    return _end(services, user, invoice_id, "revert_invoice")


def _end(services: Services, user: User, invoice_id: int, function: Ending) -> Invoice:
    ended = services.database.call(function, p_user_id=user.id, p_invoice_id=invoice_id)
    expire_page(services, ended["retired"])
    return invoice_of(ended["invoice"], services.settings)


def send_invoice(
    services: Services, user: User, invoice_id: int, request: SendRequest, key: str
) -> SentInvoice:
    """Send an invoice, by e-mail where the shop sends e-mail, and keep it on paper as it is sent. Once per key.

    Raises NotFound, Conflict INVOICE_CLOSED, Unprocessable NO_EMAIL.
    """
    sent: dict[str, Any] = services.database.call(
        "send_invoice",
        p_user_id=user.id,
        p_invoice_id=invoice_id,
        p_key=key,
        p_body_hash=body_hash(invoice_id, request),
        p_email=services.settings.email_from is not None,
        p_to=request.to,
        p_message=request.message,
    )
    mail_id = sent.pop("mailId")
    try:
        services.mail_queue.send(mail_id)
    except Unavailable as error:
        # The mail is committed: the janitor sends what was never taken.
        log.warn(scope="invoices.mail_unsent", error=error, data={"mailId": mail_id})
    return sent_invoice_of(sent, services.settings)


def rotate_token(services: Services, user: User, invoice_id: int) -> Invoice:
    """Give the invoice a new pay link; the old one opens nothing any more. Raises NotFound."""
    return invoice_of(
        services.database.call("rotate_pay_token", p_user_id=user.id, p_invoice_id=invoice_id),
        services.settings,
    )

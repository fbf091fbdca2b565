"""What moves a quote on: sent, accepted or declined, converted. The database lets each happen once."""

from typing import Any

from printshop.accounts.users import User
from printshop.invoices.schemas import Invoice, invoice_of
from printshop.kernel.errors import Unavailable
from printshop.kernel.idempotency import body_hash
from printshop.kernel.log import get_logger
from printshop.quotes.schemas import DecisionRequest, Quote, SendRequest, SentQuote, quote_of
from printshop.services import Services

log = get_logger()


def send_quote(services: Services, user: User, quote_id: int, request: SendRequest, key: str) -> SentQuote:
    """Make a DRAFT PENDING, or send a PENDING one again: by e-mail where the shop sends e-mail, and kept on paper as
    it is sent. Once per key.

    Raises NotFound, Conflict NOT_SENDABLE, QUOTE_EXPIRED, NEEDS_PRICE, Unprocessable NO_EMAIL.
    """
    settings = services.settings
    sent: dict[str, Any] = services.database.call(
        "send_quote",
        p_user_id=user.id,
        p_quote_id=quote_id,
        p_key=key,
        p_body_hash=body_hash(quote_id, request),
        p_email=settings.email_from is not None,
        p_to=request.to,
        p_message=request.message,
    )
    mail_id = sent.pop("mailId")
    try:
        services.mail_queue.send(mail_id)
    except Unavailable as error:
        # The mail is committed: the janitor sends what was never taken.
        log.warn(scope="quotes.mail_unsent", error=error, data={"mailId": mail_id})
    return quote_of(SentQuote, sent, settings, for_shop=True)


def decide(services: Services, user: User, quote_id: int, request: DecisionRequest, *, accept: bool) -> Quote:
    """The owner's answer, or the shop's in his name. Raises NotFound, Conflict QUOTE_EXPIRED, NOT_PENDING."""
    decided = services.database.call(
        "decide_quote",
        p_quote_id=quote_id,
        p_token=None,
        p_client_id=user.reads_as,
        p_user_id=user.id,
        p_accept=accept,
        p_note=request.note or None,
    )
    return quote_of(Quote, decided, services.settings, for_shop=user.is_admin)


def decide_by_link(services: Services, token: str, request: DecisionRequest, *, accept: bool) -> Quote:
    """The answer of whoever holds the link. Raises as `decide`."""
    decided = services.database.call(
        "decide_quote",
        p_quote_id=None,
        p_token=token,
        p_client_id=None,
        p_user_id=None,
        p_accept=accept,
        p_note=request.note or None,
    )
    return quote_of(Quote, decided, services.settings)


def convert_quote(services: Services, user: User, quote_id: int) -> Invoice:
    """Make the quote's one invoice. Raises NotFound, Conflict NOT_CONVERTIBLE, ALREADY_CONVERTED, QUOTE_EXPIRED."""
    made = services.database.call("convert_quote", p_user_id=user.id, p_quote_id=quote_id)
    log.info(scope="quotes.converted", data={"quoteId": quote_id, "number": made["number"]})
    return invoice_of(made, services.settings)

"""Sending a quote, and the link that opens it."""

from typing import Any

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.queues import MailQueue
from printshop.config.settings import Settings
from printshop.kernel.errors import Unavailable
from printshop.kernel.idempotency import body_hash
from printshop.kernel.log import get_logger
from printshop.quotes.schemas import Quote, SendRequest, SentQuote, quote_of

log = get_logger()


def send_quote(
    database: Database,
    settings: Settings,
    mail_queue: MailQueue,
    user: User,
    quote_id: int,
    request: SendRequest,
    key: str,
) -> SentQuote:
    """Send a DRAFT, which becomes PENDING, or send a PENDING quote again: by e-mail where the shop sends e-mail.

    Its PDF is archived as sent. Once per `key`.

    Raises NotFound, Conflict NOT_SENDABLE, QUOTE_EXPIRED, NEEDS_PRICE, Unprocessable NO_EMAIL.
    """
    sent: dict[str, Any] = database.call(
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
        mail_queue.send(mail_id)
    except Unavailable as error:
        # The mail is committed: the janitor queues it again.
        log.warn(scope="quotes.mail_unsent", error=error, data={"mailId": mail_id})
    return quote_of(SentQuote, sent, settings, for_shop=True)


def rotate_quote_token(database: Database, settings: Settings, user: User, quote_id: int) -> Quote:
    """Give the quote a new link; the old one no longer opens anything. Raises NotFound."""
    rotated = database.call("rotate_quote_token", p_user_id=user.id, p_quote_id=quote_id)
    return quote_of(Quote, rotated, settings, for_shop=True)

"""Decisions on a sent quote: accept, decline, convert to an invoice. The database lets each happen once."""

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings
from printshop.invoices.schemas import Invoice, invoice_of
from printshop.kernel.log import get_logger
from printshop.quotes.schemas import DecisionRequest, Quote, quote_of

log = get_logger()


def decide_quote(
    database: Database,
    settings: Settings,
    user: User,
    quote_id: int,
    request: DecisionRequest,
    *,
    accept: bool,
) -> Quote:
    """Accept or decline as the client, or as the shop on the client's behalf. Raises NotFound, Conflict
    QUOTE_EXPIRED, NOT_PENDING."""
    decided = database.call(
        "decide_quote",
        p_quote_id=quote_id,
        p_token=None,
        p_client_id=user.client_scope,
        p_user_id=user.id,
        p_accept=accept,
        p_note=request.note or None,
    )
    return quote_of(Quote, decided, settings, for_shop=user.is_admin)


def decide_quote_by_link(
    database: Database, settings: Settings, token: str, request: DecisionRequest, *, accept: bool
) -> Quote:
    """Accept or decline as the holder of the quote's link. Raises as `decide_quote`."""
    decided = database.call(
        "decide_quote",
        p_quote_id=None,
        p_token=token,
        p_client_id=None,
        p_user_id=None,
        p_accept=accept,
        p_note=request.note or None,
    )
    return quote_of(Quote, decided, settings)


def convert_quote(database: Database, settings: Settings, user: User, quote_id: int) -> Invoice:
    """Make the quote's one invoice. Raises NotFound, Conflict NOT_CONVERTIBLE, ALREADY_CONVERTED, QUOTE_EXPIRED."""
    made = database.call("convert_quote", p_user_id=user.id, p_quote_id=quote_id)
    log.info(scope="quotes.converted", data={"quoteId": quote_id, "number": made["number"]})
    return invoice_of(made, settings)

"""Reading quotes: the shop sees all, clients see their own that were sent, the holder of a link the one."""

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings
from printshop.files.order_files import OrderFile
from printshop.kernel.paging import decode_time_cursor, encode_cursor
from printshop.quotes.schemas import PublicQuote, QuoteDetail, QuoteSort, QuoteStatus, QuoteSummary, quote_of


def get_quote(database: Database, settings: Settings, user: User, quote_id: int) -> QuoteDetail:
    """One quote. Raises NotFound, also for another client's and, to a client, for a DRAFT."""
    document = database.call("get_quote", p_quote_id=quote_id, p_client_id=user.client_scope)
    return quote_of(QuoteDetail, document, settings, for_shop=user.is_admin)


def list_quotes(
    database: Database,
    user: User,
    *,
    status: QuoteStatus | None,
    query: str | None,
    sort: QuoteSort,
    limit: int,
    cursor: str | None,
) -> tuple[list[QuoteSummary], str | None]:
    """A page and the cursor of the next one. `query` finds text in number and client, literally."""
    after_created, after_id = decode_time_cursor(cursor)
    rows = database.call(
        "list_quotes",
        p_client_id=user.client_scope,
        p_status=status,
        p_query=query,
        p_oldest_first=sort == "createdAt",
        p_limit=limit + 1,
        p_after_created=after_created,
        p_after_id=after_id,
    )
    page = [QuoteSummary.model_validate(row) for row in rows[:limit]]
    more = encode_cursor(page[-1].created_at, page[-1].id) if len(rows) > limit else None
    return page, more


def quote_files(database: Database, user: User, quote_id: int) -> list[OrderFile]:
    """The models, g-codes and settings that are kept with a quote. Raises NotFound."""
    rows = database.call("list_quote_files", p_quote_id=quote_id, p_client_id=user.client_scope)
    return [OrderFile.model_validate(row) for row in rows]


def get_public_quote(database: Database, settings: Settings, token: str) -> PublicQuote:
    """The quote that a link opens. Raises NotFound, also for a DRAFT."""
    return quote_of(PublicQuote, database.call("get_public_quote", p_token=token), settings)

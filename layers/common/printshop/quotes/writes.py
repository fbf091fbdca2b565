"""Writing quotes: drafted, edited, deleted, duplicated. Each is one transaction; only a DRAFT changes."""

from typing import Any

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.storage.keys import pdf_filenames
from printshop.adapters.storage.objects import ORDER_FILES, PDFS, Storage
from printshop.config.settings import Settings
from printshop.documents.cache import forget_cached
from printshop.files.order_copies import kept, printed_files, remove_objects
from printshop.kernel.log import get_logger
from printshop.pricing.document_lines import PricedDocument, price_document
from printshop.pricing.price_book import PriceBook
from printshop.quotes.schemas import Quote, QuoteRequest, quote_of

log = get_logger()


def create_quote(
    storage: Storage,
    database: Database,
    settings: Settings,
    user: User,
    book: PriceBook,
    request: QuoteRequest,
) -> Quote:
    """Draft a quote at today's prices. Raises what `price_document` raises, Unprocessable UNKNOWN_CLIENT,
    VALID_UNTIL_PAST, and Conflict FILE_EXPIRED."""
    document = price_document(request, book, settings.stripe_currency)
    with kept(storage, printed_files(document, request.client_id)) as files:
        made = database.call("create_quote", **_parameters(user, request, document, files))
    log.info(scope="quotes.created", data={"number": made["number"]})
    return quote_of(Quote, made, settings, for_shop=True)


def update_quote(
    storage: Storage,
    database: Database,
    settings: Settings,
    user: User,
    book: PriceBook,
    quote_id: int,
    request: QuoteRequest,
) -> Quote:
    """Put `request` in the place of a DRAFT, at today's prices. Files of a line that comes again are replaced, all
    others stay. Raises as `create_quote`, NotFound, and Conflict NOT_A_DRAFT or FILES_OF_CLIENT."""
    document = price_document(request, book, settings.stripe_currency)
    with kept(storage, printed_files(document, request.client_id)) as files:
        written = _parameters(user, request, document, files)
        edited = database.call("update_quote", p_quote_id=quote_id, **written)
    remove_objects(storage, ORDER_FILES, edited["storageKeys"])
    return quote_of(Quote, edited["quote"], settings, for_shop=True)


def _parameters(
    user: User, request: QuoteRequest, document: PricedDocument, files: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "p_user_id": user.id,
        "p_client_id": request.client_id,
        "p_valid_until": request.valid_until.isoformat() if request.valid_until else None,
        "p_document": document.row(),
        "p_items": document.item_rows(),
        "p_files": files,
        "p_snapshot": document.snapshot(),
    }


def delete_quote(storage: Storage, database: Database, settings: Settings, user: User, quote_id: int) -> None:
    """Delete a DRAFT with its files and its PDF. Raises NotFound, Conflict NOT_A_DRAFT."""
    gone = database.call("delete_quote", p_user_id=user.id, p_quote_id=quote_id)
    remove_objects(storage, ORDER_FILES, gone["storageKeys"])
    remove_objects(storage, PDFS, papers := pdf_filenames("quote", gone["number"]))
    forget_cached(settings.pdf_cache_dir, papers)

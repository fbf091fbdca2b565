"""Writing quotes: drafted, edited, deleted, duplicated. Each is one transaction; only a DRAFT changes."""

from typing import Any

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.storage.keys import pdf_filenames
from printshop.adapters.storage.objects import ORDER_FILES, PDFS, Storage
from printshop.config.settings import Settings
from printshop.documents.cache import forget_cached
from printshop.files.order_copies import kept, printed_files, remove_objects
from printshop.http.dependencies import PricingAdmin
from printshop.kernel.errors import ApiError, Conflict, Unavailable
from printshop.kernel.log import get_logger
from printshop.pricing.document_lines import PricedDocument, price_document
from printshop.quotes.files import copy_of
from printshop.quotes.schemas import Quote, QuoteRequest, quote_of

log = get_logger()


def create_quote(
    storage: Storage, database: Database, settings: Settings, admin: PricingAdmin, request: QuoteRequest
) -> Quote:
    """Draft a quote at today's prices. Raises what `price_document` raises, Unprocessable UNKNOWN_CLIENT,
    VALID_UNTIL_PAST, and Conflict FILE_EXPIRED."""
    document = price_document(request, admin.book, settings.stripe_currency)
    with kept(storage, printed_files(document, request.client_id)) as files:
        made = database.call("create_quote", **_written(admin.user, request, document, files))
    log.info(scope="quotes.created", data={"number": made["number"]})
    return quote_of(Quote, made, settings, for_shop=True)


def update_quote(
    storage: Storage,
    database: Database,
    settings: Settings,
    admin: PricingAdmin,
    quote_id: int,
    request: QuoteRequest,
) -> Quote:
    """Put `request` in the place of a DRAFT, at today's prices. Files of a line that comes again are replaced, all
    others stay. Raises as `create_quote`, NotFound, and Conflict NOT_A_DRAFT or FILES_OF_CLIENT."""
    document = price_document(request, admin.book, settings.stripe_currency)
    with kept(storage, printed_files(document, request.client_id)) as files:
        written = _written(admin.user, request, document, files)
        edited = database.call("update_quote", p_quote_id=quote_id, **written)
    remove_objects(storage, ORDER_FILES, edited["storageKeys"])
    return quote_of(Quote, edited["quote"], settings, for_shop=True)


def _written(
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


def duplicate_quote(
    storage: Storage, database: Database, settings: Settings, user: User, quote_id: int
) -> Quote:
    """A new DRAFT of the same lines and amounts, dated today, with copies of the files.

    The database says which files to copy; then all rows are one transaction. Raises NotFound, Conflict
    FILES_CHANGED.
    """
    copies: list[dict[str, Any]] = []
    for _ in range(2):
        try:
            answer = database.call("duplicate_quote", p_user_id=user.id, p_quote_id=quote_id, p_copies=copies)
        except Unavailable:
            raise
        except ApiError:
            remove_objects(storage, ORDER_FILES, _keys(copies))
            raise
        if "quote" in answer:
            return quote_of(Quote, answer["quote"], settings, for_shop=True)
        copies += [copy_of(storage, file) for file in answer["copy"]]
    remove_objects(storage, ORDER_FILES, _keys(copies))
    raise Conflict("FILES_CHANGED", "The quote's files were changed meanwhile; duplicate it again.")


def _keys(copies: list[dict[str, Any]]) -> list[str]:
    return [copy["storageKey"] for copy in copies if copy["storageKey"]]


def rotate_token(database: Database, settings: Settings, user: User, quote_id: int) -> Quote:
    """Give the quote a new link; the old one opens nothing any more. Raises NotFound."""
    return quote_of(
        Quote,
        database.call("rotate_quote_token", p_user_id=user.id, p_quote_id=quote_id),
        settings,
        for_shop=True,
    )

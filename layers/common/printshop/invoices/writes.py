"""Writing invoices: made, edited, deleted. Each is one transaction; files are copied before it, or removed after."""

from typing import Any

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.storage.keys import pdf_filenames
from printshop.adapters.storage.objects import ATTACHMENTS, ORDER_FILES, PDFS, Storage
from printshop.config.settings import Settings
from printshop.documents.cache import forget_cached
from printshop.files.order_copies import kept, printed_files, remove_objects
from printshop.invoices.requests import InvoiceRequest
from printshop.invoices.schemas import Invoice, invoice_of
from printshop.kernel.log import get_logger
from printshop.payments.events import StripeProvider, close_retired_page
from printshop.pricing.document_lines import PricedDocument, price_document
from printshop.pricing.price_book import PriceBook

log = get_logger()


def create_invoice(
    storage: Storage,
    database: Database,
    settings: Settings,
    user: User,
    book: PriceBook,
    request: InvoiceRequest,
) -> Invoice:
    """Write an invoice at today's prices. Raises what `price_document` raises, Unprocessable UNKNOWN_CLIENT,
    UNKNOWN_PAYMENT_TERM, DUE_BEFORE_ISSUE, and Conflict FILE_EXPIRED."""
    document = price_document(request, book, settings.stripe_currency)
    with kept(storage, printed_files(document, request.client_id)) as files:
        made = database.call("create_invoice", **_written(user, request, document, files))
    log.info(scope="invoices.created", data={"number": made["number"]})
    return invoice_of(made, settings)


def update_invoice(
    storage: Storage,
    database: Database,
    settings: Settings,
    stripe: StripeProvider,
    user: User,
    book: PriceBook,
    invoice_id: int,
    request: InvoiceRequest,
) -> Invoice:
    """Put `request` in the place of what was written, at today's prices; payments stay, and the balance follows.
    Files of a line that comes again are replaced, all others stay.

    Raises as `create_invoice`, NotFound, and Conflict NOT_EDITABLE, CLIENT_FIXED, CURRENCY_FIXED, HAS_REFUNDS.
    """
    document = price_document(request, book, settings.stripe_currency)
    with kept(storage, printed_files(document, request.client_id)) as files:
        written = _written(user, request, document, files)
        edited = database.call("update_invoice", p_invoice_id=invoice_id, **written)
    remove_objects(storage, ORDER_FILES, edited["storageKeys"])
    close_retired_page(stripe, edited["retired"])
    return invoice_of(edited["invoice"], settings)


def delete_invoice(
    storage: Storage,
    database: Database,
    settings: Settings,
    stripe: StripeProvider,
    user: User,
    invoice_id: int,
) -> None:
    """Delete an invoice that was never sent and never paid, with its files and PDFs.

    Raises NotFound, Conflict USE_REVERT, ALREADY_SENT, HAS_PAYMENTS, JOB_STARTED.
    """
    gone = database.call("delete_invoice", p_user_id=user.id, p_invoice_id=invoice_id)
    remove_objects(storage, ATTACHMENTS, gone["attachmentKeys"])
    remove_objects(storage, ORDER_FILES, gone["orderFileKeys"])
    remove_objects(storage, PDFS, papers := pdf_filenames("invoice", gone["number"]))
    forget_cached(settings.pdf_cache_dir, papers)
    close_retired_page(stripe, gone["retired"])


def _written(
    user: User, request: InvoiceRequest, document: PricedDocument, files: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "p_user_id": user.id,
        "p_client_id": request.client_id,
        "p_due_date": request.due_date.isoformat() if request.due_date else None,
        "p_payment_term": request.payment_term,
        "p_document": document.row(),
        "p_items": document.item_rows(),
        "p_files": files,
    }

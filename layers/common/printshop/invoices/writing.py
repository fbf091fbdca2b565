"""Writing invoices: made, edited, deleted. Each is one transaction; files are copied before it, or removed after."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from printshop.auth.users import User
from printshop.document_lines import PricedDocument, price_document
from printshop.errors import ApiError, Unavailable
from printshop.http.security import PricingAdmin
from printshop.invoices.models import Invoice, invoice_of
from printshop.invoices.requests import InvoiceRequest
from printshop.invoices.retired_pages import expire_page
from printshop.log import get_logger
from printshop.services import Services
from printshop.storage.keys import pdf_filename
from printshop.storage.objects import ATTACHMENTS, ORDER_FILES, PDFS, Bucket, Storage
from printshop.storage.order_copies import OrderCopy, keep_copies, order_copies

log = get_logger()


def create_invoice(services: Services, admin: PricingAdmin, request: InvoiceRequest) -> Invoice:
    """Write an invoice at today's prices. Raises what `price_document` raises, Unprocessable UNKNOWN_CLIENT,
    UNKNOWN_PAYMENT_TERM, DUE_BEFORE_ISSUE, and Conflict FILE_EXPIRED."""
    document = price_document(request, admin.book, services.settings.stripe_currency)
    with _kept(services.storage, _printed_files(document, request.client_id)) as files:
        made = services.database.call("create_invoice", **_written(admin.user, request, document, files))
    log.info(scope="invoices.created", data={"number": made["number"]})
    return invoice_of(made, services.settings)


def update_invoice(
    services: Services, admin: PricingAdmin, invoice_id: int, request: InvoiceRequest
) -> Invoice:
    """Put `request` in the place of what was written, at today's prices; payments stay, and the balance follows.
    Files of a line that comes again are replaced, all others stay.

    Raises as `create_invoice`, NotFound, and Conflict NOT_EDITABLE, CLIENT_FIXED, CURRENCY_FIXED, HAS_REFUNDS.
    """
    document = price_document(request, admin.book, services.settings.stripe_currency)
    with _kept(services.storage, _printed_files(document, request.client_id)) as files:
        written = _written(admin.user, request, document, files)
        edited = services.database.call("update_invoice", p_invoice_id=invoice_id, **written)
    _remove(services.storage, ORDER_FILES, edited["storageKeys"])
    expire_page(services, edited["retired"])
    return invoice_of(edited["invoice"], services.settings)


def delete_invoice(services: Services, user: User, invoice_id: int) -> None:
    """Delete an invoice that was never sent and never paid, with its files and PDF.

    Raises NotFound, Conflict USE_REVERT, ALREADY_SENT, HAS_PAYMENTS, JOB_STARTED.
    """
    gone = services.database.call("delete_invoice", p_user_id=user.id, p_invoice_id=invoice_id)
    _remove(services.storage, ATTACHMENTS, gone["attachmentKeys"])
    _remove(services.storage, ORDER_FILES, gone["orderFileKeys"])
    _remove(services.storage, PDFS, [pdf_filename("invoice", gone["number"])])
    expire_page(services, gone["retired"])


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


def _printed_files(document: PricedDocument, client_id: int) -> list[OrderCopy]:
    """Model, g-code and settings of each printed line, under keys of their own."""
    return [
        file
        for item in document.items
        if item.sliced
        for file in order_copies(item.sliced.model, item.details, client_id, uuid4())
    ]


@contextmanager
def _kept(storage: Storage, copies: list[OrderCopy]) -> Iterator[list[dict[str, Any]]]:
    """Store the copies and give their rows to the block, whose transaction keeps them; when it is refused, the
    copies go again. Without an answer they stay, for the transaction may have passed: the janitor flags strays."""
    try:
        keep_copies(storage, copies)
        yield [copy.row() for copy in copies]
    except Unavailable:
        raise
    except ApiError:
        _remove(storage, ORDER_FILES, [copy.key for copy in copies])
        raise


def _remove(storage: Storage, bucket: Bucket, keys: list[str]) -> None:
    """Remove objects that no row names. One that cannot be removed now is the janitor's to flag."""
    try:
        storage.delete(bucket, keys)
    except ApiError as error:
        log.warn(scope="invoices.strays", error=error, data={"bucket": bucket, "keys": keys[:20]})

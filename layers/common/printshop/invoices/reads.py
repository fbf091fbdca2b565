"""Reading invoices: clients see their own, the shop sees all."""

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings
from printshop.files.order_files import OrderFile
from printshop.invoices.schemas import (
    Activity,
    Invoice,
    InvoiceSort,
    InvoiceStatus,
    InvoiceSummary,
    Payment,
    invoice_of,
)
from printshop.kernel.paging import decode_cursor, decode_time_cursor, encode_cursor


def get_invoice(database: Database, settings: Settings, user: User, invoice_id: int) -> Invoice:
    """One invoice. Raises NotFound, also for another client's."""
    document = database.call("get_invoice", p_invoice_id=invoice_id, p_client_id=user.client_scope)
    return invoice_of(document, settings, client_scope=user.client_scope)


def list_invoices(
    database: Database,
    user: User,
    *,
    status: InvoiceStatus | None,
    query: str | None,
    limit: int,
    cursor: str | None,
    sort: InvoiceSort = "-createdAt",
) -> tuple[list[InvoiceSummary], str | None]:
    """A page and the cursor of the next one. `query` finds text in number and client, literally."""
    after, after_id = decode_time_cursor(cursor)
    rows = database.call(
        "list_invoices",
        p_client_id=user.client_scope,
        p_status=status,
        p_query=query,
        p_sort=sort,
        p_limit=limit + 1,
        p_after=after,
        p_after_id=after_id,
    )
    page = [InvoiceSummary.model_validate(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    last = page[-1]
    return page, encode_cursor(last.due_date if sort == "dueDate" else last.created_at, last.id)


def list_payments(database: Database, user: User, invoice_id: int) -> list[Payment]:
    """Payments and refunds in the order in which they came. Raises NotFound."""
    rows = database.call("list_payments", p_client_id=user.client_scope, p_invoice_id=invoice_id)
    return [Payment.model_validate(row) for row in rows]


def list_files(database: Database, user: User, invoice_id: int) -> list[OrderFile]:
    """The models, g-codes and settings that are kept with an invoice. Raises NotFound."""
    rows = database.call("list_invoice_files", p_client_scope=user.client_scope, p_invoice_id=invoice_id)
    return [OrderFile.model_validate(row) for row in rows]


def list_activity(
    database: Database, user: User, invoice_id: int, *, limit: int, cursor: str | None
) -> tuple[list[Activity], str | None]:
    """What happened to an invoice, newest first, a page at a time. Raises NotFound."""
    (before_id,) = decode_cursor(cursor, (int,))
    rows = database.call(
        "list_invoice_activity",
        p_client_id=user.client_scope,
        p_invoice_id=invoice_id,
        p_limit=limit + 1,
        p_before_id=before_id,
    )
    page = [Activity.model_validate(row) for row in rows[:limit]]
    return page, encode_cursor(page[-1].id) if len(rows) > limit else None

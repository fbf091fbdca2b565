"""Reading invoices: a client sees his own, the shop sees all."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from printshop.auth.users import User
from printshop.database import Database
from printshop.errors import BadRequest
from printshop.paging import decode_cursor, encode_cursor
from printshop.payments.links import pay_link
from printshop.settings import Settings

type InvoiceStatus = Literal["PENDING", "PAID", "OVERDUE", "VOID", "WRITTEN_OFF", "REFUNDED"]
PAYABLE: tuple[InvoiceStatus, ...] = ("PENDING", "OVERDUE")


class _Read(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class InvoiceSummary(_Read):
    """An invoice in a list. Amounts are minor units of `currency`."""

    id: int
    number: str
    status: InvoiceStatus
    client_id: int
    client_name: str | None = None
    issue_date: str
    due_date: str
    currency: str
    total_cents: int
    paid_cents: int
    balance_cents: int
    credit_cents: int
    sent_at: str | None
    paid_at: str | None
    created_at: str
    updated_at: str


class InvoiceItem(_Read):
    position: int
    description: str
    quantity: Annotated[float, Field(description="At most 3 decimals")]
    unit_price_cents: int
    discount_type: Literal["NONE", "PERCENT", "FIXED"]
    discount_bps: int
    discount_fixed_cents: int
    total_cents: int
    details: dict[str, Any] | None


class InvoicePayment(_Read):
    id: int
    kind: Literal["PAYMENT", "REFUND"]
    method: Literal["STRIPE", "BANK_TRANSFER", "CASH", "OTHER"]
    amount_cents: int
    reference: str
    paid_at: str
    date: str


class InvoiceJob(_Read):
    id: int
    status: str
    priority: str


class Invoice(InvoiceSummary):
    """An invoice with its lines, payments and job. `payUrl` is there while something is left to pay."""

    quote_id: int | None
    client: dict[str, Any]
    items: list[InvoiceItem]
    payments: list[InvoicePayment]
    job: InvoiceJob | None
    discount_type: Literal["NONE", "PERCENT", "FIXED"]
    discount_bps: int
    discount_fixed_cents: int
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    shipping_label: str
    tax_rate_bps: int
    tax_cents: int
    written_off_cents: int
    notes: str
    terms: str
    pay_url: str | None


def invoice_of(document: dict[str, Any], settings: Settings) -> Invoice:
    """An invoice of the database as the API shows it: with a link to pay by while it is owed."""
    owed = document["status"] in PAYABLE and document["balanceCents"] > 0 and settings.stripe_key
    link = pay_link(settings, document["payToken"]) if owed else None
    return Invoice.model_validate({**document, "payUrl": link})


def get_invoice(database: Database, settings: Settings, user: User, invoice_id: int) -> Invoice:
    """One invoice. Raises NotFound, also for another client's."""
    document = database.call("get_invoice", p_invoice_id=invoice_id, p_client_id=user.reads_as)
    return invoice_of(document, settings)


def list_invoices(
    database: Database,
    user: User,
    *,
    status: InvoiceStatus | None,
    query: str | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[InvoiceSummary], str | None]:
    """A page, newest first, and the cursor of the next one. `query` finds text literally."""
    before_created, before_id = decode_cursor(cursor, (str, int))
    if before_created is not None:
        try:
            datetime.fromisoformat(before_created)
        except ValueError as error:
            raise BadRequest("CURSOR_INVALID", "Send the nextCursor of the page before.") from error
    rows = database.call(
        "list_invoices",
        p_client_id=user.reads_as,
        p_status=status,
        p_query=query,
        p_limit=limit + 1,
        p_before_created=before_created,
        p_before_id=before_id,
    )
    page = [InvoiceSummary.model_validate(row) for row in rows[:limit]]
    more = encode_cursor(page[-1].created_at, page[-1].id) if len(rows) > limit else None
    return page, more

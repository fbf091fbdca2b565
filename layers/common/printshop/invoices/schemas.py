"""Invoices as the API shows them. Amounts are minor units of the invoice's currency."""

from typing import Annotated, Any, Literal

from pydantic import Field

from printshop.config.settings import Settings
from printshop.kernel.base_model import CamelModel
from printshop.payments.links import card_payment
from printshop.pricing.price_book import for_customer
from printshop.pricing.totals import DiscountType

type InvoiceStatus = Literal["PENDING", "PAID", "OVERDUE", "VOID", "WRITTEN_OFF", "REFUNDED"]
type InvoiceSort = Literal["-createdAt", "createdAt", "dueDate"]
type PaymentKind = Literal["PAYMENT", "REFUND"]
type PaymentMethod = Literal["STRIPE", "BANK_TRANSFER", "CASH", "OTHER"]
type JobStatus = Literal[
    "QUEUED",
    "PRE_PROCESSING",
    "IN_QUEUE",
    "PRINTING",
    "PAUSED",
    "PRINTING_COMPLETE",
    "POST_PROCESSING",
    "PACKAGING",
    "OUT_FOR_DELIVERY",
    "COMPLETED",
    "CANCELLED",
]


class InvoiceSummary(CamelModel):
    """An invoice in a list. `creditCents`, what was paid above the total, is the shop's to see alone."""

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
    credit_cents: int | None
    sent_at: str | None
    paid_at: str | None
    created_at: str
    updated_at: str


class InvoiceAddress(CamelModel):
    line1: str
    line2: str
    suburb: str
    state: str
    postcode: str
    country: str


class InvoiceClient(CamelModel):
    """For whom the invoice is."""

    id: int
    name: str
    company: str
    email: str
    phone: str
    abn: str | None
    address: InvoiceAddress | None


class InvoiceItem(CamelModel):
    """A line. `details` is what priced a print: its slice, material and rates; to a client, what is printed."""

    position: int
    description: str
    quantity: Annotated[float, Field(description="At most 3 decimals")]
    unit_price_cents: int
    discount_type: DiscountType
    discount_bps: int
    discount_fixed_cents: int
    total_cents: int
    details: dict[str, Any] | None


class InvoicePayment(CamelModel):
    """Money received, or given back when negative. `date` is the business's day of it."""

    id: int
    kind: PaymentKind
    method: PaymentMethod
    amount_cents: int
    reference: str
    paid_at: str
    date: str


class Payment(InvoicePayment):
    """A payment by itself. `note`, and `isFlagged` for one that a person should look at, are the shop's alone."""

    invoice_id: int
    parent_payment_id: int | None
    """Of a refund: what it gives back."""
    note: str | None
    is_flagged: bool | None
    created_at: str


class InvoiceJob(CamelModel):
    id: int
    status: JobStatus
    priority: Literal["NORMAL", "FAST_TRACK", "URGENT"]


class Invoice(InvoiceSummary):
    """An invoice with its lines, payments and job. `payUrl` is there while something is left to pay."""

    kind: Literal["invoice"]
    quote_id: int | None
    client: InvoiceClient
    items: list[InvoiceItem]
    payments: list[InvoicePayment]
    job: InvoiceJob | None
    attachments: Annotated[int, Field(description="How many files are attached")]
    discount_type: DiscountType
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
    pay_note: Annotated[str | None, Field(description="Why there is no `payUrl` while something is owed")]


class QueuedMail(CamelModel):
    id: int
    status: Literal["QUEUED"]


class SentInvoice(Invoice):
    """`mail` is null where the shop sends no e-mail."""

    mail: QueuedMail | None


class Activity(CamelModel):
    """Something that happened to an invoice. `metadata` (who did it, with what) is the shop's alone."""

    id: int
    action: str
    message: str
    created_at: str
    metadata: dict[str, Any] | None


def invoice_of(document: dict[str, Any], settings: Settings, *, client_scope: int | None = None) -> Invoice:
    """An invoice of the database as the API shows it: with a link to pay by while it is owed, in the token's place.
    `client_scope` is the client who reads it, None the shop."""
    return Invoice.model_validate(_shown(document, settings, client_scope))


def sent_invoice_of(document: dict[str, Any], settings: Settings) -> SentInvoice:
    """An invoice as the shop sees it when it has sent it, with the mail that carries it."""
    return SentInvoice.model_validate(_shown(document, settings, None))


def _shown(document: dict[str, Any], settings: Settings, client_scope: int | None) -> dict[str, Any]:
    return {
        **document,
        "items": document["items"] if client_scope is None else for_customer(document["items"]),
        "creditCents": document["creditCents"] if client_scope is None else None,
        **card_payment(settings, document),
    }

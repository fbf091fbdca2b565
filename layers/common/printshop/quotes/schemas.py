"""Quotes as the API takes and shows them."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, EmailStr, Field

from printshop.config.settings import Settings
from printshop.invoices.schemas import InvoiceItem
from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.payments.links import accept_link
from printshop.pricing.document_lines import DocumentRequest, Id
from printshop.pricing.price_book import for_customer
from printshop.pricing.totals import DiscountType

type QuoteStatus = Literal["DRAFT", "PENDING", "ACCEPTED", "DECLINED", "EXPIRED", "CONVERTED"]
type QuoteSort = Literal["-createdAt", "createdAt"]


def _day(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError("give a day as YYYY-MM-DD")
        return date.fromisoformat(value)
    return value


Day = Annotated[date, BeforeValidator(_day)]


class QuoteRequest(DocumentRequest):
    """A quote as the shop writes it. `validUntil` is left out for the shop's usual validity from today."""

    client_id: Annotated[Id, Field(examples=[1])]
    valid_until: Annotated[Day | None, Field(description="A business day, today at the earliest")] = None


class SendRequest(StrictModel):
    """To whom a quote goes: the client's own address unless `to` names one."""

    to: Annotated[EmailStr, Field(max_length=254, examples=["clara@example.com"])] | None = None
    message: Annotated[str, Field(max_length=5000, examples=["Here is the quote you asked for."])] = ""


class DecisionRequest(StrictModel):
    """What the client wants to say with it."""

    note: Annotated[str, Field(max_length=2000, examples=["Please print it in black."])] | None = None


class QuoteSummary(CamelModel):
    """A quote in a list. Amounts are minor units of `currency`."""

    id: int
    number: str
    status: QuoteStatus
    client_id: int
    client_name: str | None = None
    issue_date: str
    valid_until: str
    currency: str
    total_cents: int
    needs_review: bool
    """A client asked for a price by hand, and has not been sent one."""
    sent_at: str | None
    decided_at: str | None
    converted_invoice_id: int | None
    created_at: str
    updated_at: str


class QuoteAddress(CamelModel):
    line1: str
    line2: str
    suburb: str
    state: str
    postcode: str
    country: str


class QuoteClient(CamelModel):
    """For whom the quote is."""

    id: int
    name: str
    company: str
    email: str
    phone: str
    abn: str | None
    address: QuoteAddress | None


class Quote(QuoteSummary):
    """A quote with its lines. `publicUrl` opens it without a login, once it has been sent."""

    kind: Literal["quote"]
    client: QuoteClient
    items: list[InvoiceItem]
    discount_type: DiscountType
    discount_bps: int
    discount_fixed_cents: int
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    shipping_label: str
    tax_rate_bps: int
    tax_cents: int
    notes: str
    terms: str
    decision_note: str | None
    public_url: str | None


class QuoteDetail(Quote):
    """`snapshot` is the shop's alone: everything that priced the quote, as `make verify-quote` reads it."""

    snapshot: dict[str, Any] | None


class QueuedMail(CamelModel):
    id: int
    status: Literal["QUEUED"]


class SentQuote(Quote):
    """`mail` is null where the shop sends no e-mail."""

    mail: QueuedMail | None


class QuoteBusiness(CamelModel):
    """Who quotes."""

    name: str
    address: str
    phone: str
    email: str
    abn: str | None


class PublicQuote(Quote):
    """A quote as the holder of its link sees it."""

    business: QuoteBusiness
    can_be_decided: bool
    """Still open to be accepted or declined."""


def quote_of[Shown: Quote](
    kind: type[Shown], document: dict[str, Any], settings: Settings, *, for_shop: bool = False
) -> Shown:
    """A quote of the database as the API shows it: the link in the token's place, and none for a DRAFT, which the
    link does not open. `for_shop` with everything that priced its lines."""
    sent = document["status"] != "DRAFT"
    link = accept_link(settings, document["publicToken"]) if sent else None
    items = document["items"] if for_shop else for_customer(document["items"])
    return kind.model_validate({**document, "items": items, "publicUrl": link})

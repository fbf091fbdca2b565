"""What a PDF shows: a quote, an invoice, its receipt or a statement as the database answers it, and who issues it.

Every figure is a stored one. Nothing is computed here but its look.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal

from babel import Locale
from pydantic import BeforeValidator, Field

from printshop.adapters.storage.keys import pdf_filename
from printshop.kernel.base_model import CamelModel

__all__ = [
    "Account",
    "Address",
    "Ageing",
    "Business",
    "Client",
    "Document",
    "Entry",
    "Invoice",
    "Item",
    "Paper",
    "Payment",
    "PrintDetails",
    "Quote",
    "Receipt",
    "Statement",
    "pdf_filename",
]

HOME: Final = "AU"
"""The shop's country in ISO 3166, which an address at home does not name."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_INLINE_PICTURE = re.compile(r"data:image/(png|jpeg|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+")
_LINE_END = re.compile("\r\n?")


def _printable(value: object) -> object:
    """Without control characters and half characters, which no page can show."""
    if not isinstance(value, str):
        return value
    return _UNPRINTABLE.sub("", _LINE_END.sub("\n", value)).strip()


def _absent_if_blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _absent_unless_inline(value: object) -> object:
    return value if isinstance(value, str) and _INLINE_PICTURE.fullmatch(value) else None


Text = Annotated[str, BeforeValidator(_printable)]
OptionalText = Annotated[Text | None, BeforeValidator(_absent_if_blank)]
Link = Annotated[str, Field(pattern=r"^https?://[^\s\"<>]+$")]
Picture = Annotated[str | None, BeforeValidator(_absent_unless_inline)]
"""A picture as a data URL, so that nothing is fetched; anything else is no picture."""

Cents = int
"""Minor units of the document's currency."""


class Address(CamelModel):
    line1: OptionalText = None
    line2: OptionalText = None
    suburb: OptionalText = None
    state: OptionalText = None
    postcode: OptionalText = None
    country: OptionalText = None
    """Two letters of ISO 3166."""

    @property
    def lines(self) -> list[str]:
        """As an Australian envelope has it: street, then suburb, state and postcode in one line, the country."""
        town = " ".join(part for part in (self.suburb, self.state, self.postcode) if part)
        return [line for line in (self.line1, self.line2, town, self._abroad) if line]

    @property
    def _abroad(self) -> str | None:
        """The English name of a country that is not the shop's own."""
        if not self.country or self.country == HOME:
            return None
        return str(Locale("en").territories.get(self.country, self.country))


class Client(CamelModel):
    name: Text
    company: OptionalText = None
    email: OptionalText = None
    phone: OptionalText = None
    abn: OptionalText = None
    address: Address | None = None


class PrintDetails(CamelModel):
    """What a printed line is made of: layer height in mm, infill in percent; `grams` and `time_sec` of one piece."""

    file_id: int | None = None
    pieces: int | None = None
    """In the lot, which is what the line sells; one where nothing is said."""
    grams: float | None = None
    time_sec: int | None = None
    material: OptionalText = None
    layer_height: float | None = None
    infill: float | None = None


class Item(CamelModel):
    position: int = 0
    description: Text
    quantity: Decimal = Field(max_digits=15, decimal_places=3)
    unit_price_cents: Cents
    discount_type: Literal["NONE", "PERCENT", "FIXED"] = "NONE"
    discount_bps: int = 0
    discount_fixed_cents: Cents = 0
    total_cents: Cents
    details: PrintDetails | None = None


class Payment(CamelModel):
    """Money received, or given back when negative."""

    date: date
    method: Text
    amount_cents: Cents
    reference: OptionalText = None
    """What the bank or the card's company calls it."""


class _Document(CamelModel):
    number: Text = Field(min_length=1)
    issue_date: date
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    client: Client
    items: tuple[Item, ...]
    subtotal_cents: Cents
    discount_cents: Cents = 0
    shipping_cents: Cents = 0
    shipping_label: OptionalText = None
    tax_rate_bps: int
    tax_cents: Cents
    total_cents: Cents
    notes: OptionalText = None
    terms: OptionalText = None
    pictures: Mapping[str, str] = Field(default_factory=dict)
    """Of a printed line's model, by its file's id: the picture's key in the order-files bucket."""

    @property
    def picture_keys(self) -> dict[str, str]:
        """The pictures of the lines, in the lines' order."""
        files = (str(item.details.file_id) for item in self.items if item.details and item.details.file_id)
        return {file: self.pictures[file] for file in files if file in self.pictures}


class _Bill(_Document):
    status: Literal["PENDING", "PAID", "OVERDUE", "VOID", "WRITTEN_OFF", "REFUNDED"]
    due_date: date | None = None
    received_cents: Cents = 0
    refunded_cents: Cents = 0
    written_off_cents: Cents = 0
    credited_cents: Cents = 0
    """Of what was paid in full once and went back: owed no more, as the statement has it."""
    in_credit_cents: Cents = 0
    """Received beyond the total. Total - received + refunded - written off - credited + in credit is the balance; the
    total of a VOID invoice counts as nothing."""
    balance_cents: Cents = 0
    pay_url: Link | None = None
    pay_note: OptionalText = None
    """Why there is no link to pay by."""
    payments: tuple[Payment, ...] = ()


class Invoice(_Bill):
    kind: Literal["invoice"] = "invoice"


class Receipt(_Bill):
    """An invoice that money came for, as the proof of that."""

    kind: Literal["receipt"] = "receipt"

    @property
    def last_payment(self) -> Payment | None:
        """The last money that came, whatever went back since."""
        return next((payment for payment in reversed(self.payments) if payment.amount_cents > 0), None)

    @property
    def picture_keys(self) -> dict[str, str]:
        """None: its lines are told in brief."""
        return {}


class Quote(_Document):
    kind: Literal["quote"] = "quote"
    status: Literal["DRAFT", "PENDING", "ACCEPTED", "DECLINED", "EXPIRED", "CONVERTED"]
    valid_until: date | None = None
    accept_url: Link | None = None


class Entry(CamelModel):
    """A line of an account. Above zero the client owes more by it, below zero less; `balance_cents` is what they owe
    after it."""

    day: date = Field(alias="date")
    kind: Literal["INVOICE", "PAYMENT", "REFUND", "CREDIT", "WRITE_OFF"]
    number: Text
    due_date: date | None = None
    method: Text | None = None
    amount_cents: Cents
    balance_cents: Cents


class Ageing(CamelModel):
    """What is owed at the end of a period by the days since it was due, less what is to the client's credit."""

    current_cents: Cents
    days_1_to_30_cents: Cents = Field(alias="days1To30Cents")
    days_31_to_60_cents: Cents = Field(alias="days31To60Cents")
    days_61_to_90_cents: Cents = Field(alias="days61To90Cents")
    days_over_90_cents: Cents = Field(alias="daysOver90Cents")
    credit_cents: Cents


class Account(CamelModel):
    """A client's account in one currency: `opening_cents` and the entries sum to `closing_cents`, and so does its
    ageing. Below zero is to the client's credit."""

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    opening_cents: Cents
    closing_cents: Cents
    entries: tuple[Entry, ...]
    ageing: Ageing


class Statement(CamelModel):
    """What moved a client's accounts from `first` to `last`, both included, in the business's days."""

    kind: Literal["statement"] = "statement"
    client_id: int
    client: Client
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    issue_date: date
    accounts: tuple[Account, ...]

    @property
    def number(self) -> str:
        """Tells it from every other: `7-2025-07-01-2026-06-30`."""
        return f"{self.client_id}-{self.first}-{self.last}"

    @property
    def picture_keys(self) -> dict[str, str]:
        return {}


type Document = Invoice | Quote
"""What is sent by mail."""

type Paper = Document | Receipt | Statement
"""Whatever is printed."""


class Business(CamelModel):
    """Who issues the document, from the settings."""

    name: Text
    address: OptionalText = None
    phone: OptionalText = None
    email: OptionalText = None
    abn: OptionalText = None
    bank_details: OptionalText = None
    logo_data_url: Picture = None
    locale: str = "en-AU"

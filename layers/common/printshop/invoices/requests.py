"""What the shop sends to write an invoice, to book a payment, to send it off."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, EmailStr, Field, model_validator

from printshop.kernel.base_model import StrictModel
from printshop.pricing.document_lines import Cents, DocumentRequest, Id


def _day(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError("give a day as YYYY-MM-DD")
        return date.fromisoformat(value)
    return value


def _moment(value: object) -> object:
    if isinstance(value, str):
        if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T", value):
            raise ValueError("give a moment as YYYY-MM-DDTHH:MM:SSZ")
        return datetime.fromisoformat(value)
    return value


Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment), Field(ge=datetime(2000, 1, 1, tzinfo=UTC))]


class InvoiceRequest(DocumentRequest):
    """An invoice as the shop writes it. It is due by `dueDate`, else by `paymentTerm`, else by its client's terms."""

    client_id: Annotated[Id, Field(examples=[1])]
    due_date: Annotated[Day | None, Field(description="A business day", examples=["2030-01-31"])] = None
    payment_term: Annotated[
        str | None,
        Field(min_length=1, max_length=20, description="A code of the settings", examples=["NET14"]),
    ] = None

    @model_validator(mode="after")
    def _due_once(self) -> Self:
        if self.due_date and self.payment_term:
            raise ValueError("give dueDate or paymentTerm, not both")
        return self


class PaidRequest(StrictModel):
    """How the balance was paid. `paidAt` is now when left out."""

    method: Annotated[Literal["BANK_TRANSFER", "CASH", "OTHER"], Field(examples=["BANK_TRANSFER"])] = "OTHER"
    reference: Annotated[str, Field(max_length=500, examples=["Bank statement of 3 July"])] = ""
    note: Annotated[str, Field(max_length=2000, description="For the shop alone")] = ""
    paid_at: Annotated[Moment | None, Field(examples=["2026-07-03T10:30:00Z"])] = None


class PaymentRequest(PaidRequest):
    """A payment, at most the balance."""

    amount_cents: Annotated[Cents, Field(ge=1, examples=[5000])]


class SendRequest(StrictModel):
    """To whom an invoice goes: the client's own address unless `to` names one."""

    to: Annotated[EmailStr, Field(max_length=254, examples=["clara@example.com"])] | None = None
    message: Annotated[str, Field(max_length=5000, examples=["Here is your invoice."])] = ""

"""A client as the shop writes and reads it."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, validate_email

from printshop.clients.preferences import Preferences
from printshop.kernel.abn import Abn
from printshop.kernel.base_model import CamelModel, StrictModel

type ClientSort = Literal["-createdAt", "createdAt", "name"]

NOTES_KEPT = 500
"""Notes of one client; all of them stand in its detail."""


def _address_or_none(text: str) -> str:
    return validate_email(text)[1] if text else ""


class ClientAddress(StrictModel):
    """Where a client is; the country is ISO 3166's two letters."""

    line1: Annotated[str, Field(max_length=200, examples=["1 George Street"])] = ""
    line2: Annotated[str, Field(max_length=200)] = ""
    suburb: Annotated[str, Field(max_length=100, examples=["Sydney"])] = ""
    state: Annotated[str, Field(max_length=40, examples=["NSW"])] = ""
    postcode: Annotated[str, Field(max_length=12, examples=["2000"])] = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["AU"])] = "AU"


class ClientRequest(StrictModel):
    """A whole client: what is left out is empty. `paymentTerm` is a code of the settings; without, their default."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["Ada Lovelace"])]
    company: Annotated[str, Field(max_length=200, examples=["Analytical Engines Pty Ltd"])] = ""
    email: Annotated[
        str, Field(max_length=254, examples=["ada@example.com"]), AfterValidator(_address_or_none)
    ] = ""
    phone: Annotated[str, Field(max_length=50, examples=["+61 2 5550 1234"])] = ""
    abn: Abn | None = None
    address: ClientAddress | None = None
    payment_term: Annotated[str | None, Field(min_length=1, max_length=40, examples=["NET14"])] = None


class NoteRequest(StrictModel):
    body: Annotated[str, Field(min_length=1, max_length=2000, examples=["Prefers matte black PETG."])]


class Address(CamelModel):
    line1: str
    line2: str
    suburb: str
    state: str
    postcode: str
    country: str


class ClientTotals(CamelModel):
    """What a client was billed in one currency, in its minor units. VOID invoices are not billed; `outstandingCents`
    is what PENDING and OVERDUE ones still ask for."""

    currency: str
    open_invoices: int
    outstanding_cents: int
    billed_cents: int
    paid_cents: int
    credit_cents: int


class ClientSummary(CamelModel):
    """A client in a list. `totals` has one entry for each currency that it was billed in."""

    id: int
    name: str
    company: str
    email: str
    phone: str
    abn: str | None
    address: Address | None
    payment_term: str | None
    totals: list[ClientTotals]
    created_at: str
    updated_at: str


class ClientNote(CamelModel):
    """What the shop noted, and who did; the name stays when the login is gone."""

    id: int
    author_id: int | None
    author: str
    body: str
    created_at: str


class ClientLogin(CamelModel):
    id: int
    email: str
    name: str
    must_change_password: bool
    created_at: str


class ClientActivity(CamelModel):
    """An entry of the activity log. `metadata` differs by action; `userId` in it is who acted."""

    id: int
    action: str
    message: str
    quote_id: int | None
    invoice_id: int | None
    job_id: int | None
    metadata: dict[str, Any]
    created_at: str


class Client(ClientSummary):
    """A client with its notes (newest first), preferences, logins, and the last 20 things that happened."""

    preferences: Preferences
    notes: list[ClientNote]
    users: list[ClientLogin]
    activity: list[ClientActivity]

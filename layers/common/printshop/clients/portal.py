"""The portal: a client's own invoices and jobs, without what the shop keeps to itself."""

from typing import Annotated, Any

from pydantic import Field

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings
from printshop.invoices.schemas import InvoiceStatus
from printshop.kernel.base_model import CamelModel
from printshop.kernel.paging import decode_time_cursor, encode_cursor
from printshop.payments.links import card_payment


class Amount(CamelModel):
    """`cents` are minor units of `currency`."""

    currency: str
    cents: int


class PortalJob(CamelModel):
    """A print of the client's. `estimatedHours` has at most 2 decimals."""

    id: int
    invoice_id: int
    invoice_number: str
    status: str
    priority: str
    estimated_hours: float
    created_at: str
    updated_at: str
    completed_at: str | None


class PortalDashboard(CamelModel):
    """What waits for the client: to pay, to answer, to read; and the newest 20 active jobs."""

    open_invoices: int
    outstanding: list[Amount]
    quotes_waiting: int
    active_jobs: list[PortalJob]
    unread_messages: int


class PortalInvoice(CamelModel):
    """An invoice of the client's; `payUrl` while something is left to pay."""

    id: int
    number: str
    status: InvoiceStatus
    issue_date: str
    due_date: str
    currency: str
    total_cents: int
    paid_cents: int
    balance_cents: int
    pay_url: str | None
    pay_note: str | None
    paid_at: str | None
    created_at: str


class PortalMaterial(CamelModel):
    """A material to choose for a print."""

    id: int
    name: str
    density_mg_cm3: Annotated[int, Field(alias="densityMgCm3")]
    is_default: bool


def dashboard(database: Database, user: User) -> PortalDashboard:
    """The portal's first page."""
    seen = database.call("portal_dashboard", p_client_id=user.client_id, p_user_id=user.id)
    return PortalDashboard.model_validate(seen)


def portal_invoices(
    database: Database,
    settings: Settings,
    user: User,
    *,
    status: InvoiceStatus | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[PortalInvoice], str | None]:
    """A page of the client's invoices, newest first, and the cursor of the next one."""
    before_created, before_id = decode_time_cursor(cursor)
    rows = database.call(
        "portal_invoices",
        p_client_id=user.client_id,
        p_status=status,
        p_limit=limit + 1,
        p_before_created=before_created,
        p_before_id=before_id,
    )
    page = [_payable(row, settings) for row in rows[:limit]]
    more = encode_cursor(page[-1].created_at, page[-1].id) if len(rows) > limit else None
    return page, more


def _payable(row: dict[str, Any], settings: Settings) -> PortalInvoice:
    return PortalInvoice.model_validate({**row, **card_payment(settings, row)})


def portal_jobs(
    database: Database, user: User, *, limit: int, cursor: str | None
) -> tuple[list[PortalJob], str | None]:
    """A page of the client's jobs, newest first, and the cursor of the next one."""
    before_created, before_id = decode_time_cursor(cursor)
    rows = database.call(
        "portal_jobs",
        p_client_id=user.client_id,
        p_limit=limit + 1,
        p_before_created=before_created,
        p_before_id=before_id,
    )
    page = [PortalJob.model_validate(row) for row in rows[:limit]]
    more = encode_cursor(page[-1].created_at, page[-1].id) if len(rows) > limit else None
    return page, more


def portal_materials(database: Database) -> list[PortalMaterial]:
    """The active materials, by name."""
    return [PortalMaterial.model_validate(row) for row in database.call("portal_materials")]

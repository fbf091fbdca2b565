"""The shop at a glance. Every figure is read on an index, at one moment."""

from typing import Literal

from printshop.adapters.database import Database
from printshop.kernel.base_model import CamelModel


class Receivable(CamelModel):
    """What is owed in a currency; overdue are the invoices that are OVERDUE, past due date and grace."""

    currency: str
    outstanding_count: int
    outstanding_cents: int
    overdue_count: int
    overdue_cents: int


class Ageing(CamelModel):
    """What is owed in a currency by days past the due date, of the business's day; not yet due is current."""

    currency: str
    current_cents: int
    days_1_to_30_cents: int
    days_31_to_60_cents: int
    days_61_to_90_cents: int
    days_over_90_cents: int


class Credit(CamelModel):
    """What was paid beyond the totals and is to be given back."""

    currency: str
    invoice_count: int
    credit_cents: int


class Revenue(CamelModel):
    """Payments less refunds, by the business's calendar months."""

    currency: str
    this_month_cents: int
    last_month_cents: int


class QuoteCounts(CamelModel):
    """`waiting` for the client, drafts `toReview` that clients asked for, accepted and `toConvert`."""

    waiting: int
    to_review: int
    to_convert: int


class JobCount(CamelModel):
    """Jobs that are not archived, in a status."""

    status: str
    count: int


class PrinterCount(CamelModel):
    """Printers in a status, and how many of them print."""

    status: Literal["ACTIVE", "MAINTENANCE", "OFFLINE"]
    count: int
    busy: int


class SliceCounts(CamelModel):
    waiting: int
    running: int
    failed_last_day: int


class Activity(CamelModel):
    id: int
    action: str
    message: str
    client_id: int | None
    quote_id: int | None
    invoice_id: int | None
    job_id: int | None
    printer_id: int | None
    created_at: str


class Dashboard(CamelModel):
    """Amounts are minor units of their currency. A currency in which there is nothing has no row."""

    today: str
    receivables: list[Receivable]
    ar_aging: list[Ageing]
    credit: list[Credit]
    revenue: list[Revenue]
    quotes: QuoteCounts
    jobs: list[JobCount]
    held_jobs: int
    printers: list[PrinterCount]
    slices: SliceCounts
    unread_messages: int
    stripe_events_to_see: int
    recent_activity: list[Activity]


def get_dashboard(database: Database) -> Dashboard:
    """The figures of this moment."""
    return Dashboard.model_validate(database.call("dashboard"))

"""What is exported, page by page in the order of ids.

Each page is a transaction of its own: a row that changes meanwhile appears as it was when its page was read, one that
is added or deleted meanwhile may or may not appear, and none appears twice.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.storage.objects import Storage
from printshop.files.tmp_files import get_tmp_file_signed_url, save_tmp_file_from
from printshop.kernel.errors import Unprocessable
from printshop.reports.csv_file import Cell, Column, write_csv

PAGE = 5_000
"""Rows a request: some 2 MB of JSON."""
CSV_TYPE = "text/csv"


@dataclass(frozen=True, slots=True)
class Export:
    """A file's name, the SQL function that reads its pages, and its columns in that function's order."""

    name: str
    function: Literal["export_invoices", "export_payments", "export_jobs", "export_ar_aging"]
    columns: tuple[Column, ...]


def _columns(titles: str, kind: Any = "TEXT") -> tuple[Column, ...]:
    return tuple(Column(title.strip(), kind) for title in titles.split(","))


CLIENT = (Column("Client ID", "WHOLE"), *_columns("Client, Company"))

INVOICES = Export(
    "invoices",
    "export_invoices",
    (
        *_columns("Invoice, Status, Issued, Due"),
        *CLIENT,
        Column("Currency"),
        *_columns("Subtotal, Discount, Shipping, Tax, Total, Paid, Balance, Credit, Written off", "AMOUNT"),
        *_columns("Sent on, Paid on"),
    ),
)
PAYMENTS = Export(
    "payments",
    "export_payments",
    (
        Column("Payment ID", "WHOLE"),
        *_columns("Date, Kind, Method, Invoice"),
        *CLIENT,
        Column("Currency"),
        Column("Amount", "AMOUNT"),
        *_columns("Reference, Processor ID, Note, Flagged"),
    ),
)
JOBS = Export(
    "jobs",
    "export_jobs",
    (
        Column("Job ID", "WHOLE"),
        *_columns("Title, Invoice"),
        *CLIENT,
        *_columns("Status, Priority, Printer, Held because"),
        *_columns("Estimated seconds, Printed seconds", "WHOLE"),
        Column("Estimated grams", "THOUSANDTHS"),
        *_columns("Created on, Completed on, Archived on"),
    ),
)
AR_AGING = Export(
    "ar-aging",
    "export_ar_aging",
    (
        Column("Invoice"),
        *CLIENT,
        Column("Due"),
        Column("Days overdue", "WHOLE"),
        *_columns("Bucket, Currency"),
        Column("Balance", "AMOUNT"),
    ),
)


@dataclass(frozen=True, slots=True)
class Period:
    """Days, both included; None is open."""

    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.first and self.last and self.first > self.last:
            raise Unprocessable("PERIOD_REVERSED", details=[{"field": "from"}, {"field": "to"}])

    def parameters(self) -> dict[str, str | None]:
        return {
            "p_from": self.first.isoformat() if self.first else None,
            "p_to": self.last.isoformat() if self.last else None,
        }


def export_url(
    storage: Storage,
    database: Database,
    admin: User,
    export: Export,
    period: Period | None,
    *,
    seconds: int,
) -> str:
    """Write the file, keep it among the admin's tmp files, and answer a URL that downloads it for `seconds`.

    `period` None reads what is owed today, one day for all pages. The file on disk is gone when this returns or
    raises.
    """
    pages = _Pages(database, export, period.parameters() if period else {"p_today": None})
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        path = Path(folder) / f"{export.name}.csv"
        write_csv(path, export.columns, pages.rows())
        file = save_tmp_file_from(
            storage, database, admin.id, f"{export.name}-{pages.today}.csv", path, CSV_TYPE
        )
    return get_tmp_file_signed_url(storage, file, seconds)


class _Pages:
    """The rows of an export, one page in memory; `today` is the business's day of the first page."""

    def __init__(self, database: Database, export: Export, parameters: dict[str, str | None]) -> None:
        self._database = database
        self._export = export
        self._parameters = parameters
        self.today = ""

    def rows(self) -> Iterator[Sequence[Cell]]:
        after_id = 0
        while True:
            page = self._database.call(
                self._export.function, p_after_id=after_id, p_limit=PAGE, **self._parameters
            )
            self.today = self.today or page["today"]
            if "p_today" in self._parameters:
                self._parameters["p_today"] = self.today
            yield from page["rows"]
            if len(page["rows"]) < PAGE:
                return
            after_id = page["lastId"]

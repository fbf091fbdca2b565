"""Printers: what the shop prints on, and what is on their beds."""

from typing import Annotated, Literal

from pydantic import Field

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.slicing.profiles import PRINTERS
from printshop.workshop.catalogue import CatalogueSort, Entry, known_profile, list_catalogue

GENERIC = "generic"

type PrinterStatus = Literal["ACTIVE", "MAINTENANCE", "OFFLINE"]

Bed = Annotated[int, Field(ge=1, le=5000, description="Millimetres", examples=[250])]


class PrinterRequest(StrictModel):
    """A printer as a whole: what is left out gets its default."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["Prusa MK4 left"])]
    model: Annotated[str, Field(max_length=100, examples=["Original Prusa MK4"])] = ""
    status: PrinterStatus = "ACTIVE"
    bed_x_mm: Bed
    bed_y_mm: Bed
    bed_z_mm: Bed
    nozzle_um: Annotated[int, Field(ge=100, le=2000, description="Micrometres", examples=[400])] = 400
    profile: Annotated[
        str, Field(max_length=40, description="How it moves, as the slicer is told", examples=["bed-slinger"])
    ] = GENERIC
    notes: Annotated[str, Field(max_length=2000)] = ""


class PrinterJob(CamelModel):
    """The job on a printer's bed. Times are whole seconds, `printedSeconds` with the clock that runs."""

    id: int
    title: str
    status: Literal["PRINTING", "PAUSED"]
    estimated_seconds: int
    printed_seconds: int


class Printer(Entry):
    """A printer, how many jobs are printing or paused on it, and the one that has been there longest."""

    model: str
    status: PrinterStatus
    bed_x_mm: int
    bed_y_mm: int
    bed_z_mm: int
    nozzle_um: int
    profile: str
    notes: str
    active_jobs: int
    current_job: PrinterJob | None


def list_printers(
    database: Database, *, query: str | None, sort: CatalogueSort, limit: int, cursor: str | None
) -> tuple[list[Printer], str | None]:
    """A page of printers and the next one's cursor. Raises BadRequest CURSOR_INVALID."""
    return list_catalogue(database, "printers", Printer, query=query, sort=sort, limit=limit, cursor=cursor)


def save_printer(database: Database, user: User, printer_id: int | None, printer: PrinterRequest) -> Printer:
    """Make a printer, or replace the one named. Raises NotFound PRINTER_NOT_FOUND, Conflict NAME_TAKEN, Unprocessable
    UNKNOWN_PROFILE with those that there are."""
    known_profile(printer.profile, PRINTERS)
    stored = database.call(
        "save_printer",
        p_printer_id=printer_id,
        p_printer=printer.model_dump(by_alias=True),
        p_user_id=user.id,
    )
    return Printer.model_validate(stored)


def delete_printer(database: Database, user: User, printer_id: int) -> None:
    """Raises NotFound PRINTER_NOT_FOUND, Conflict PRINTER_IN_USE with the unfinished jobs that hold it."""
    database.call("delete_printer", p_printer_id=printer_id, p_user_id=user.id)

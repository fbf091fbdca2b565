"""Jobs: one per invoice, their way through the workshop, and the queue that they stand in.

Which status may follow which is said once, by the SQL function `job_transitions`; every job tells its `legalNext`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.kernel.paging import decode_cursor, decode_time_cursor, encode_cursor
from printshop.workshop.catalogue import Id
from printshop.workshop.printers import PrinterStatus

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
type JobPriority = Literal["NORMAL", "FAST_TRACK", "URGENT"]
type LeftOut = Literal["NOT_PRINTED", "SEVERAL_PRINTERS", "NOT_SLICED", "SEVERAL_MATERIALS", "OTHER_PRINTER"]
type JobSort = Literal["queue", "-createdAt", "createdAt"]


class AssignedPrinter(CamelModel):
    id: int
    name: str
    status: PrinterStatus


class JobSummary(CamelModel):
    """A job in a list. Times are whole seconds, `printedSeconds` with the clock that runs while it is PRINTING."""

    id: int
    title: str
    status: JobStatus
    priority: JobPriority
    queue_position: int
    invoice_id: int
    invoice_number: str
    client_id: int
    client_name: str
    printer: AssignedPrinter | None
    held_reason: Annotated[str | None, Field(description="Not null: it may not print until this is cleared")]
    estimated_seconds: int
    estimated_mass_mg: int
    printed_seconds: int
    printed_mass_mg: Annotated[int | None, Field(description="What the shop weighed; null while it has not")]
    printing_since: str | None
    notes: str
    legal_next: Annotated[list[JobStatus], Field(description="What POST …/status may move it to")]
    completed_at: str | None
    cancelled_at: str | None
    archived_at: str | None
    created_at: str
    updated_at: str


class JobFile(CamelModel):
    """An order file of the job; GET /api/order-files/{id} answers where to fetch it."""

    id: int
    filename: str
    file_type: Literal["model", "settings"]
    mime_type: str
    size_bytes: int


class PrintRecord(CamelModel):
    """What a completed job took by what the slicer said: 10000 basis points are as it said, null is not known."""

    sliced_seconds: int
    sliced_mass_mg: int
    time_bps: Annotated[int | None, Field(examples=[11_240])]
    mass_bps: int | None
    left_out: Annotated[
        LeftOut | None,
        Field(description="Why it teaches nothing; null of one that counts, if it is between 2000 and 50000"),
    ]


class Job(JobSummary):
    """A job with the files of its order: models, g-code and settings. `printRecord` once it is COMPLETED."""

    print_record: PrintRecord | None
    files: list[JobFile]


class JobChanges(StrictModel):
    """What changes; a field that is left out stays. Null, where it may be sent, means no printer, not held, and not
    weighed."""

    # A factory's default is not told in the API's document: there is none, what is left out is not read.
    title: Annotated[str, Field(min_length=1, max_length=300, default_factory=str)]
    notes: Annotated[str, Field(max_length=5000, default_factory=str)]
    priority: Annotated[JobPriority, Field(default_factory=lambda: "NORMAL")]
    printer_id: Id | None = None
    held_reason: Annotated[str, Field(min_length=1, max_length=500, examples=["Disputed"])] | None = None
    estimated_seconds: Annotated[int, Field(ge=0, le=10**9, default_factory=int)]
    estimated_mass_mg: Annotated[int, Field(ge=0, le=10**12, default_factory=int)]
    printed_mass_mg: (
        Annotated[int, Field(ge=1, le=10**12, description="Real mass of the whole job", examples=[9130])]
        | None
    ) = None


class JobMove(StrictModel):
    """The next status, and the printer that the job is on from then on; the one it has when left out."""

    status: JobStatus
    printer_id: Id | None = None


class Reordering(StrictModel):
    """Either `jobIds`, which take in this order the places that they hold together; or `jobId`, which goes right
    before `beforeId` or after `afterId`."""

    job_ids: Annotated[list[Id], Field(min_length=1, max_length=1000)] | None = None
    job_id: Id | None = None
    before_id: Id | None = None
    after_id: Id | None = None

    @model_validator(mode="after")
    def _one_of_the_ways(self) -> Self:
        anchors = [anchor for anchor in (self.before_id, self.after_id) if anchor is not None]
        if self.job_ids is not None:
            if self.job_id is not None or anchors:
                raise ValueError("send jobIds alone, or jobId with beforeId or afterId")
            if len(set(self.job_ids)) < len(self.job_ids):
                raise ValueError("name each job once in jobIds")
        elif self.job_id is None or len(anchors) != 1:
            raise ValueError("send jobIds, or jobId with one of beforeId and afterId")
        elif anchors == [self.job_id]:
            raise ValueError("name another job than jobId in beforeId or afterId")
        return self


class QueueOrder(CamelModel):
    """Every job that is neither finished nor archived, first to last."""

    job_ids: list[int]


def list_jobs(
    database: Database,
    *,
    status: JobStatus | None,
    printer_id: int | None,
    archived: bool,
    query: str | None,
    sort: JobSort,
    limit: int,
    cursor: str | None,
) -> tuple[list[JobSummary], str | None]:
    """A page and the cursor of the next one. `query` finds text in title and client, literally. Raises BadRequest
    CURSOR_INVALID."""
    after_position: int | None = None
    after_created: str | None = None
    if sort == "queue":
        after_position, after_id = decode_cursor(cursor, (int, int))
    else:
        after_created, after_id = decode_time_cursor(cursor)
    rows = database.call(
        "list_jobs",
        p_status=status,
        p_printer_id=printer_id,
        p_archived=archived,
        p_query=query,
        p_sort=sort,
        p_limit=limit + 1,
        p_after_position=after_position,
        p_after_created=after_created,
        p_after_id=after_id,
    )
    page = [JobSummary.model_validate(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    last = page[-1]
    return page, encode_cursor(last.queue_position if sort == "queue" else last.created_at, last.id)


def get_job(database: Database, job_id: int) -> Job:
    """One job. Raises NotFound JOB_NOT_FOUND."""
    return Job.model_validate(database.call("get_job", p_job_id=job_id))


def change_job(database: Database, user: User, job_id: int, changes: JobChanges) -> Job:
    """Change what was sent. Raises NotFound JOB_NOT_FOUND, Unprocessable UNKNOWN_PRINTER, Conflict JOB_ARCHIVED,
    JOB_FINISHED, JOB_ON_PRINTER."""
    sent: dict[str, Any] = changes.model_dump(by_alias=True, exclude_unset=True)
    return Job.model_validate(database.call("change_job", p_job_id=job_id, p_changes=sent, p_user_id=user.id))


def move_job(database: Database, user: User, job_id: int, move: JobMove) -> Job:
    """One step. Raises NotFound JOB_NOT_FOUND, Unprocessable UNKNOWN_PRINTER, Conflict ILLEGAL_TRANSITION with the
    legal ones, JOB_ARCHIVED, JOB_ON_PRINTER; on the way to PRINTING also JOB_HELD, PRINTER_REQUIRED, PRINTER_OFFLINE,
    PRINTER_IN_MAINTENANCE, PRINTER_BUSY."""
    moved = database.call(
        "move_job", p_job_id=job_id, p_status=move.status, p_printer_id=move.printer_id, p_user_id=user.id
    )
    return Job.model_validate(moved)


def archive_job(database: Database, user: User, job_id: int) -> Job:
    """Put a finished job away. Raises NotFound JOB_NOT_FOUND, Conflict NOT_FINISHED, JOB_ARCHIVED."""
    return Job.model_validate(database.call("archive_job", p_job_id=job_id, p_user_id=user.id))


def reorder_jobs(database: Database, user: User, order: Reordering) -> QueueOrder:
    """Put the queue in another order. Raises NotFound JOB_NOT_FOUND, Conflict JOB_NOT_QUEUED; both name the jobs."""
    ordered = database.call(
        "reorder_jobs",
        p_job_ids=order.job_ids,
        p_job_id=order.job_id,
        p_before_id=order.before_id,
        p_after_id=order.after_id,
        p_user_id=user.id,
    )
    return QueueOrder.model_validate(ordered)

"""Read the workshop's lists: jobs, printers, materials, product templates, print factors.

Each list answers one page and the cursor of the next one (None after the last), and raises BadRequest CURSOR_INVALID.
`query` finds text in the name, literally.
"""

from printshop.adapters.database import Database
from printshop.kernel.paging import decode_cursor, decode_time_cursor, encode_cursor
from printshop.workshop.schemas import (
    CatalogueKind,
    CatalogueSort,
    Entry,
    Job,
    JobSort,
    JobStatus,
    JobSummary,
    Material,
    Printer,
    ProductTemplate,
    TaughtFactor,
)


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
    """A page of jobs. `query` finds text in the title and in the client's name."""
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
    """One job with its files. Raises NotFound JOB_NOT_FOUND."""
    return Job.model_validate(database.call("get_job", p_job_id=job_id))


def list_printers(
    database: Database, *, query: str | None, sort: CatalogueSort, limit: int, cursor: str | None
) -> tuple[list[Printer], str | None]:
    """A page of printers."""
    return _list_catalogue(database, "printers", Printer, query=query, sort=sort, limit=limit, cursor=cursor)


def list_materials(
    database: Database, *, query: str | None, sort: CatalogueSort, limit: int, cursor: str | None
) -> tuple[list[Material], str | None]:
    """A page of materials."""
    return _list_catalogue(
        database, "materials", Material, query=query, sort=sort, limit=limit, cursor=cursor
    )


def list_product_templates(
    database: Database, *, query: str | None, sort: CatalogueSort, limit: int, cursor: str | None
) -> tuple[list[ProductTemplate], str | None]:
    """A page of product templates."""
    return _list_catalogue(
        database, "product_templates", ProductTemplate, query=query, sort=sort, limit=limit, cursor=cursor
    )


def _list_catalogue[T: Entry](
    database: Database,
    kind: CatalogueKind,
    schema: type[T],
    *,
    query: str | None,
    sort: CatalogueSort,
    limit: int,
    cursor: str | None,
) -> tuple[list[T], str | None]:
    after_name: str | None = None
    after_created: str | None = None
    if sort == "name":
        after_name, after_id = decode_cursor(cursor, (str, int))
    else:
        after_created, after_id = decode_time_cursor(cursor)
    rows = database.call(
        "list_catalogue",
        p_kind=kind,
        p_query=query,
        p_sort=sort,
        p_limit=limit + 1,
        p_after_name=after_name,
        p_after_created=after_created,
        p_after_id=after_id,
    )
    page = [schema.model_validate(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    last = page[-1]
    return page, encode_cursor(last.name if sort == "name" else last.created_at, last.id)


def list_print_factors(
    database: Database, *, limit: int, cursor: str | None
) -> tuple[list[TaughtFactor], str | None]:
    """A page of print factors, ordered by printer and material."""
    printer_id, material_id = decode_cursor(cursor, (int, int))
    rows = database.call(
        "list_print_factors",
        p_limit=limit + 1,
        p_after_printer_id=printer_id,
        p_after_material_id=material_id,
    )
    page = [TaughtFactor.model_validate(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    return page, encode_cursor(page[-1].printer_id, page[-1].material_id)

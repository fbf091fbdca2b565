"""Workshop: jobs and their queue, print factors, printers, materials, product templates. Admins only."""

from typing import Annotated

from fastapi import Query, Response

from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import Cursor, Limit, RowId, Search
from printshop.kernel.base_model import Data, Page
from printshop.workshop.reads import (
    get_job,
    list_jobs,
    list_materials,
    list_print_factors,
    list_printers,
    list_product_templates,
)
from printshop.workshop.schemas import (
    CatalogueSort,
    Job,
    JobChanges,
    JobMove,
    JobSort,
    JobStatus,
    JobSummary,
    Material,
    MaterialRequest,
    Printer,
    PrinterRequest,
    ProductTemplate,
    ProductTemplateRequest,
    QueueOrder,
    Reordering,
    TaughtFactor,
)
from printshop.workshop.writes import (
    archive_job,
    change_job,
    delete_material,
    delete_printer,
    delete_product_template,
    move_job,
    reorder_jobs,
    save_material,
    save_printer,
    save_product_template,
)

app = create_app("Workshop")
handler = lambda_handler(app)

PrinterFilter = Annotated[int | None, Query(alias="printerId", ge=1, le=2**53)]
Archived = Annotated[bool, Query(description="The archived jobs instead of the others")]

# -- jobs --------------------------------------------------------------------------------------------------------


@app.get("/api/jobs", tags=["Jobs"], responses=error_responses("400 CURSOR_INVALID"))
def jobs(
    _: AdminUser,
    services: ServicesDep,
    status: JobStatus | None = None,
    printer_id: PrinterFilter = None,
    archived: Archived = False,
    q: Search = None,
    sort: JobSort = "queue",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[JobSummary]:
    """Jobs in the queue's order, or by age; `q` finds text in title and client."""
    page, more = list_jobs(
        services.database,
        status=status,
        printer_id=printer_id,
        archived=archived,
        query=q,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
    return Page(data=page, next_cursor=more)


@app.post(
    "/api/jobs/reorder", tags=["Jobs"], responses=error_responses("404 JOB_NOT_FOUND", "409 JOB_NOT_QUEUED")
)
def reorder(body: Reordering, user: AdminUser, services: ServicesDep) -> Data[QueueOrder]:
    """Put the queue in another order, at once and whole."""
    return Data(data=reorder_jobs(services.database, user, body))


@app.get("/api/jobs/{id}", tags=["Jobs"], responses=error_responses("404 JOB_NOT_FOUND"))
def job(id: RowId, _: AdminUser, services: ServicesDep) -> Data[Job]:
    """One job with the files of its order."""
    return Data(data=get_job(services.database, id))


@app.patch(
    "/api/jobs/{id}",
    tags=["Jobs"],
    responses=error_responses(
        "404 JOB_NOT_FOUND",
        "409 JOB_ARCHIVED",
        "409 JOB_FINISHED",
        "409 JOB_ON_PRINTER",
        "422 UNKNOWN_PRINTER",
    ),
)
def update_job(id: RowId, body: JobChanges, user: AdminUser, services: ServicesDep) -> Data[Job]:
    """Change only what is sent; a `heldReason` of null lets a held job print again. `printedMassMg` may come later,
    when the job is completed."""
    return Data(data=change_job(services.database, user, id, body))


@app.post(
    "/api/jobs/{id}/status",
    tags=["Jobs"],
    responses=error_responses(
        "404 JOB_NOT_FOUND",
        "409 ILLEGAL_TRANSITION",
        "409 JOB_ARCHIVED",
        "409 JOB_HELD",
        "409 JOB_ON_PRINTER",
        "409 PRINTER_REQUIRED",
        "409 PRINTER_OFFLINE",
        "409 PRINTER_IN_MAINTENANCE",
        "409 PRINTER_BUSY",
        "422 UNKNOWN_PRINTER",
    ),
)
def move(id: RowId, body: JobMove, user: AdminUser, services: ServicesDep) -> Data[Job]:
    """Move a job to one of its `legalNext`; PRINTING needs a printer that is free."""
    return Data(data=move_job(services.database, user, id, body))


@app.post(
    "/api/jobs/{id}/archive",
    tags=["Jobs"],
    responses=error_responses("404 JOB_NOT_FOUND", "409 NOT_FINISHED", "409 JOB_ARCHIVED"),
)
def archive(id: RowId, user: AdminUser, services: ServicesDep) -> Data[Job]:
    """Put a completed or cancelled job away; it can only be read from then on."""
    return Data(data=archive_job(services.database, user, id))


@app.get("/api/print-factors", tags=["Jobs"], responses=error_responses("400 CURSOR_INVALID"))
def print_factors(
    _: AdminUser, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[TaughtFactor]:
    """What completed jobs took by what the slicer said, for each printer and material, and how sure that is."""
    page, more = list_print_factors(services.database, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


# -- printers ----------------------------------------------------------------------------------------------------


@app.get("/api/printers", tags=["Printers"], responses=error_responses("400 CURSOR_INVALID"))
def printers(
    _: AdminUser,
    services: ServicesDep,
    q: Search = None,
    sort: CatalogueSort = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Printer]:
    """Printers, and what is on their beds; `q` finds text in the name."""
    page, more = list_printers(services.database, query=q, sort=sort, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.post(
    "/api/printers",
    status_code=201,
    tags=["Printers"],
    responses=error_responses("409 NAME_TAKEN", "422 UNKNOWN_PROFILE"),
)
def create_printer(body: PrinterRequest, user: AdminUser, services: ServicesDep) -> Data[Printer]:
    """Add a printer."""
    return Data(data=save_printer(services.database, user, None, body))


@app.put(
    "/api/printers/{id}",
    tags=["Printers"],
    responses=error_responses("404 PRINTER_NOT_FOUND", "409 NAME_TAKEN", "422 UNKNOWN_PROFILE"),
)
def update_printer(id: RowId, body: PrinterRequest, user: AdminUser, services: ServicesDep) -> Data[Printer]:
    """Replace a printer; a print on its bed goes on whatever its new status."""
    return Data(data=save_printer(services.database, user, id, body))


@app.delete(
    "/api/printers/{id}",
    status_code=204,
    tags=["Printers"],
    responses=error_responses("404 PRINTER_NOT_FOUND", "409 PRINTER_IN_USE"),
)
def remove_printer(id: RowId, user: AdminUser, services: ServicesDep) -> Response:
    """Delete a printer that no unfinished job is on or waits for."""
    delete_printer(services.database, user, id)
    return Response(status_code=204)


# -- materials ---------------------------------------------------------------------------------------------------


@app.get("/api/materials", tags=["Materials"], responses=error_responses("400 CURSOR_INVALID"))
def materials(
    _: AdminUser,
    services: ServicesDep,
    q: Search = None,
    sort: CatalogueSort = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Material]:
    """Materials, active or not; `q` finds text in the name."""
    page, more = list_materials(services.database, query=q, sort=sort, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.post(
    "/api/materials",
    status_code=201,
    tags=["Materials"],
    responses=error_responses("409 NAME_TAKEN", "422 UNKNOWN_PROFILE"),
)
def create_material(body: MaterialRequest, user: AdminUser, services: ServicesDep) -> Data[Material]:
    """Add a material."""
    return Data(data=save_material(services.database, user, None, body))


@app.put(
    "/api/materials/{id}",
    tags=["Materials"],
    responses=error_responses(
        "404 MATERIAL_NOT_FOUND", "409 NAME_TAKEN", "409 DEFAULT_MATERIAL", "422 UNKNOWN_PROFILE"
    ),
)
def update_material(
    id: RowId, body: MaterialRequest, user: AdminUser, services: ServicesDep
) -> Data[Material]:
    """Replace a material; what was priced with it keeps its price."""
    return Data(data=save_material(services.database, user, id, body))


@app.delete(
    "/api/materials/{id}",
    status_code=204,
    tags=["Materials"],
    responses=error_responses("404 MATERIAL_NOT_FOUND", "409 MATERIAL_IN_USE"),
)
def remove_material(id: RowId, user: AdminUser, services: ServicesDep) -> Response:
    """Delete a material that nothing uses; put one that is used out of use by `isActive` false."""
    delete_material(services.database, user, id)
    return Response(status_code=204)


# -- product templates -------------------------------------------------------------------------------------------


@app.get(
    "/api/product-templates", tags=["Product templates"], responses=error_responses("400 CURSOR_INVALID")
)
def product_templates(
    _: AdminUser,
    services: ServicesDep,
    q: Search = None,
    sort: CatalogueSort = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ProductTemplate]:
    """Templates, active or not; `q` finds text in the name."""
    page, more = list_product_templates(services.database, query=q, sort=sort, limit=limit, cursor=cursor)
    return Page(data=page, next_cursor=more)


@app.post(
    "/api/product-templates",
    status_code=201,
    tags=["Product templates"],
    responses=error_responses("409 NAME_TAKEN", "422 UNKNOWN_MATERIAL"),
)
def create_product_template(
    body: ProductTemplateRequest, user: AdminUser, services: ServicesDep
) -> Data[ProductTemplate]:
    """Add a template."""
    return Data(data=save_product_template(services.database, user, None, body))


@app.put(
    "/api/product-templates/{id}",
    tags=["Product templates"],
    responses=error_responses("404 PRODUCT_TEMPLATE_NOT_FOUND", "409 NAME_TAKEN", "422 UNKNOWN_MATERIAL"),
)
def update_product_template(
    id: RowId, body: ProductTemplateRequest, user: AdminUser, services: ServicesDep
) -> Data[ProductTemplate]:
    """Replace a template; lines that were written from it stay as they are."""
    return Data(data=save_product_template(services.database, user, id, body))


@app.delete(
    "/api/product-templates/{id}",
    status_code=204,
    tags=["Product templates"],
    responses=error_responses("404 PRODUCT_TEMPLATE_NOT_FOUND"),
)
def remove_product_template(id: RowId, user: AdminUser, services: ServicesDep) -> Response:
    """Delete a template; lines that were written from it keep their words and prices."""
    delete_product_template(services.database, user, id)
    return Response(status_code=204)

"""Change jobs, printers, materials and product templates. Each write is one SQL function, one transaction."""

from collections.abc import Collection
from typing import Any

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.errors import Unprocessable
from printshop.slicing.profiles import MATERIALS, PRINTERS
from printshop.workshop.schemas import (
    Job,
    JobChanges,
    JobMove,
    Material,
    MaterialRequest,
    Printer,
    PrinterRequest,
    ProductTemplate,
    ProductTemplateRequest,
    QueueOrder,
    Reordering,
)


def change_job(database: Database, user: User, job_id: int, changes: JobChanges) -> Job:
    """Change the fields that were sent. Raises NotFound JOB_NOT_FOUND, Unprocessable UNKNOWN_PRINTER, Conflict
    JOB_ARCHIVED, JOB_FINISHED, JOB_ON_PRINTER."""
    sent: dict[str, Any] = changes.model_dump(by_alias=True, exclude_unset=True)
    return Job.model_validate(database.call("update_job", p_job_id=job_id, p_changes=sent, p_user_id=user.id))


def move_job(database: Database, user: User, job_id: int, move: JobMove) -> Job:
    """Move a job to its next status. Raises NotFound JOB_NOT_FOUND, Unprocessable UNKNOWN_PRINTER, Conflict
    ILLEGAL_TRANSITION with the legal ones, JOB_ARCHIVED, JOB_ON_PRINTER; for PRINTING also JOB_HELD,
    PRINTER_REQUIRED, PRINTER_OFFLINE, PRINTER_IN_MAINTENANCE, PRINTER_BUSY."""
    moved = database.call(
        "move_job", p_job_id=job_id, p_status=move.status, p_printer_id=move.printer_id, p_user_id=user.id
    )
    return Job.model_validate(moved)


def archive_job(database: Database, user: User, job_id: int) -> Job:
    """Archive a finished job. Raises NotFound JOB_NOT_FOUND, Conflict NOT_FINISHED, JOB_ARCHIVED."""
    return Job.model_validate(database.call("archive_job", p_job_id=job_id, p_user_id=user.id))


def reorder_jobs(database: Database, user: User, order: Reordering) -> QueueOrder:
    """Reorder the queue. Raises NotFound JOB_NOT_FOUND, Conflict JOB_NOT_QUEUED; both name the jobs."""
    ordered = database.call(
        "reorder_jobs",
        p_job_ids=order.job_ids,
        p_job_id=order.job_id,
        p_before_id=order.before_id,
        p_after_id=order.after_id,
        p_user_id=user.id,
    )
    return QueueOrder.model_validate(ordered)


def save_printer(database: Database, user: User, printer_id: int | None, printer: PrinterRequest) -> Printer:
    """Create a printer, or replace the one with this id. Raises NotFound PRINTER_NOT_FOUND, Conflict NAME_TAKEN,
    Unprocessable UNKNOWN_PROFILE with the known ones."""
    _check_profile(printer.profile, PRINTERS)
    stored = database.call(
        "save_printer",
        p_printer_id=printer_id,
        p_printer=printer.model_dump(by_alias=True),
        p_user_id=user.id,
    )
    return Printer.model_validate(stored)


def delete_printer(database: Database, user: User, printer_id: int) -> None:
    """Delete a printer. Raises NotFound PRINTER_NOT_FOUND, Conflict PRINTER_IN_USE with its unfinished jobs."""
    database.call("delete_printer", p_printer_id=printer_id, p_user_id=user.id)


def save_material(
    database: Database, user: User, material_id: int | None, material: MaterialRequest
) -> Material:
    """Create a material, or replace the one with this id. Raises NotFound MATERIAL_NOT_FOUND, Conflict NAME_TAKEN,
    DEFAULT_MATERIAL when it would deactivate the settings' default, Unprocessable UNKNOWN_PROFILE."""
    _check_profile(material.profile, MATERIALS)
    stored = database.call(
        "save_material",
        p_material_id=material_id,
        p_material=material.model_dump(by_alias=True),
        p_user_id=user.id,
    )
    return Material.model_validate(stored)


def delete_material(database: Database, user: User, material_id: int) -> None:
    """Delete a material. Raises NotFound MATERIAL_NOT_FOUND, Conflict MATERIAL_IN_USE with what uses it."""
    database.call("delete_material", p_material_id=material_id, p_user_id=user.id)


def save_product_template(
    database: Database, user: User, template_id: int | None, template: ProductTemplateRequest
) -> ProductTemplate:
    """Create a template, or replace the one with this id. Raises NotFound PRODUCT_TEMPLATE_NOT_FOUND, Conflict
    NAME_TAKEN, Unprocessable UNKNOWN_MATERIAL."""
    stored = database.call(
        "save_product_template",
        p_template_id=template_id,
        p_template=template.model_dump(by_alias=True),
        p_user_id=user.id,
    )
    return ProductTemplate.model_validate(stored)


def delete_product_template(database: Database, user: User, template_id: int) -> None:
    """Delete a template; lines made from it keep their texts and prices. Raises NotFound
    PRODUCT_TEMPLATE_NOT_FOUND."""
    database.call("delete_product_template", p_template_id=template_id, p_user_id=user.id)


def _check_profile(name: str, known: Collection[str]) -> None:
    """Raise Unprocessable UNKNOWN_PROFILE unless the slicer has a profile of this name."""
    if name not in known:
        raise Unprocessable(
            "UNKNOWN_PROFILE",
            f"Choose one of the slicer's profiles: {', '.join(sorted(known))}.",
            [{"field": "profile", "names": sorted(known)}],
        )

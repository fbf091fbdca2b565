"""Jobs and printers as the workshop's tests need them."""

from typing import Any
from uuid import uuid4

from tests.integration.schema.shop import Shop


def queued(shop: Shop, **columns: Any) -> int:
    """A job at the end of the queue, with `columns` as given."""
    customer = shop.customer()
    actor = {"userId": customer.user_id}
    job = shop.call("ensure_job", p_invoice_id=shop.invoice(customer)["id"], p_actor=actor)
    for column, value in columns.items():
        shop.rows.execute(f"update jobs set {column} = %s where id = %s".encode(), (value, job))
    return int(job)


def printer(shop: Shop, status: str = "ACTIVE") -> int:
    return int(
        shop.value(
            "insert into printers (name, status, bed_x_mm, bed_y_mm, bed_z_mm)"
            " values (%s, %s, 250, 210, 220) returning id",
            f"Printer {uuid4().hex[:8]}",
            status,
        )
    )


def move_params(job: int, status: str, printer_id: int | None = None) -> dict[str, Any]:
    return {"p_job_id": job, "p_status": status, "p_printer_id": printer_id, "p_user_id": None}


def move(shop: Shop, job: int, status: str, printer_id: int | None = None) -> Any:
    return shop.call("move_job", **move_params(job, status, printer_id))


def code(answer: Any) -> str | None:
    """The refusal's, None of a success."""
    return answer["error"]["code"] if "error" in answer else None


def refused(answer: Any) -> tuple[int, str]:
    return answer["error"]["status"], answer["error"]["code"]


def status_of(shop: Shop, job: int) -> Any:
    return shop.value("select status::text from jobs where id = %s", job)


def maintenance(shop: Shop, bed: int, status: str = "MAINTENANCE") -> dict[str, Any]:
    name = shop.value("select name from printers where id = %s", bed)
    sizes = {"bedXMm": 250, "bedYMm": 210, "bedZMm": 220, "nozzleUm": 400}
    fields = {"name": name, "model": "", "status": status, "profile": "generic", "notes": "", **sizes}
    return {"p_printer_id": bed, "p_printer": fields, "p_user_id": None}


def queue(shop: Shop) -> list[int]:
    return [
        row[0]
        for row in shop.rows.execute(
            "select id from jobs where archived_at is null and status not in ('COMPLETED', 'CANCELLED')"
            " order by queue_position, id"
        ).fetchall()
    ]


def places(shop: Shop) -> list[int]:
    return [
        row[0]
        for row in shop.rows.execute(
            "select queue_position from jobs where archived_at is null"
            " and status not in ('COMPLETED', 'CANCELLED') order by queue_position"
        ).fetchall()
    ]


def reorder_params(job_ids: list[int] | None = None, **place: int) -> dict[str, Any]:
    names = {"p_job_id": None, "p_before_id": None, "p_after_id": None, **place}
    return {"p_job_ids": job_ids, "p_user_id": None, **names}


def reorder(shop: Shop, job_ids: list[int] | None = None, **place: int) -> Any:
    return shop.call("reorder_jobs", **reorder_params(job_ids, **place))

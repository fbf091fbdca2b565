"""Jobs that were printed, as what they teach begins with."""

from typing import Any
from uuid import uuid4

from tests.integration.schema.shop import ITEM, Shop, checkout
from tests.integration.schema.workshop import move

SLICED_SECONDS = 10_000
SLICED_MG = 50_000


def material(shop: Shop) -> int:
    return int(
        shop.value(
            "insert into materials (name, cost_per_kg_cents, density_mg_cm3) values (%s, 3500, 1240) returning id",
            f"Material {uuid4().hex[:8]}",
        )
    )


def sliced_line(material_id: int, **details: Any) -> dict[str, Any]:
    """A line of one piece that the slicer figured at 10,000 s and 50 g."""
    figures = {"pieces": 1, "timeSec": SLICED_SECONDS, "massMg": SLICED_MG, "materialId": material_id}
    return {**ITEM, "details": {**figures, "slicer": "PrusaSlicer", **details}}


def ordered(shop: Shop, first: dict[str, Any], *more: dict[str, Any]) -> int:
    """A job of these lines, the first of which is charged for all."""
    customer = shop.customer()
    lines = [first, *({**line, "unitPriceCents": 0, "totalCents": 0} for line in more)]
    invoice = shop.call("checkout_quick_order", **checkout(customer, p_items=lines))
    return int(shop.call("ensure_job", p_invoice_id=invoice["id"], p_actor={}))


def prints_for(shop: Shop, job: int, bed: int, seconds: int) -> None:
    """On the bed for so long, and off it."""
    assert "error" not in move(shop, job, "PRINTING", bed)
    shop.rows.execute(
        "update jobs set printing_since = printing_since - make_interval(secs => %s) where id = %s",
        (seconds, job),
    )
    assert "error" not in move(shop, job, "PRINTING_COMPLETE")


def completed(shop: Shop, bed: int, material_id: int, seconds: int, grams: int | None = None) -> int:
    """A completed job of one sliced line that printed for `seconds`; the shop weighed `grams`."""
    job = ordered(shop, sliced_line(material_id))
    prints_for(shop, job, bed, seconds)
    assert "error" not in move(shop, job, "COMPLETED")
    if grams is not None:
        weigh(shop, job, grams * 1000)
    return job


def weigh(shop: Shop, job: int, mass_mg: int | None) -> Any:
    return shop.call("update_job", p_job_id=job, p_changes={"printedMassMg": mass_mg}, p_user_id=None)


def record(shop: Shop, job: int) -> Any:
    return shop.call("get_job", p_job_id=job)["printRecord"]


def taught(shop: Shop, bed: int, material_id: int) -> Any:
    """What the list says of this pair; None of one that was never printed."""
    rows = shop.call(
        "list_print_factors", p_limit=1, p_after_printer_id=bed, p_after_material_id=material_id - 1
    )
    return next((row for row in rows if (row["printerId"], row["materialId"]) == (bed, material_id)), None)

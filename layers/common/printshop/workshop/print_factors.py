"""What the shop's own prints taught: a factor of time and of mass for each printer and material."""

from typing import Annotated

from pydantic import Field, computed_field

from printshop.adapters.database import Database
from printshop.kernel.base_model import CamelModel
from printshop.kernel.paging import decode_cursor, encode_cursor
from printshop.pricing.print_factors import Ratio


class TaughtFactor(CamelModel):
    """What prints on one printer in one material took by what the slicer said of them, and how sure that is.

    A completed job counts when it was printed on one printer, in one material, whole from slices.
    """

    printer_id: int
    printer: Annotated[str, Field(examples=["Prusa MK4"])]
    material_id: int
    material: Annotated[str, Field(examples=["PLA"])]
    records: Annotated[int, Field(description="Completed jobs of this pair", examples=[25])]
    out_of_bounds: Annotated[
        int,
        Field(description="Of these, so far off (below 0.2, above 5) that they are ignored", examples=[1]),
    ]
    time: Ratio
    mass: Annotated[Ratio, Field(description="Of the filament, where the shop entered what was used")]

    @computed_field(examples=["1.12 times the slicer's time, give or take 0.02, by 23 prints: sure"])  # type: ignore[prop-decorator]
    @property
    def how_sure(self) -> str:
        return f"{self.time.in_words('time')}; {self.mass.in_words('filament')}"


def list_print_factors(
    database: Database, *, limit: int, cursor: str | None
) -> tuple[list[TaughtFactor], str | None]:
    """A page, by printer and material, and the cursor of the next one. Raises BadRequest CURSOR_INVALID."""
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

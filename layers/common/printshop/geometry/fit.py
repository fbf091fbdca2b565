"""Check which printers a model fits, and by how many mm it is too large for the others.

fit(Box(x=120, y=80, z=233.4), [BuildVolume(1, "Prusa MK4", (250, 210, 210))])[0].reason
# "23.4 mm too tall for Prusa MK4 (210 mm)"
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from printshop.geometry.dimensions import Box
from printshop.kernel.base_model import CamelModel

_SLACK_MM = 0.001
"""A box is rounded to 0.001 mm, so an excess below that is none."""
_TOO_LARGE = ("too wide", "too deep", "too tall")


@dataclass(frozen=True, slots=True)
class BuildVolume:
    """A printer's build volume: width (x), depth (y) and height (z) in mm."""

    printer_id: int
    name: str
    bed_mm: tuple[float, float, float]


class Fit(CamelModel):
    """Whether a model fits one printer, and if not, by how much it is too large."""

    printer_id: Annotated[int, Field(examples=[1])]
    printer: Annotated[str, Field(examples=["Prusa MK4"])]
    fits: bool
    is_turned: Annotated[
        bool, Field(description="Turned by 90° about the vertical axis, because it fits better so")
    ]
    excess: Annotated[
        Box | None, Field(description="By how many mm it is too large on each axis of the printer")
    ]
    reason: Annotated[str | None, Field(examples=["23.4 mm too tall for Prusa MK4 (210 mm)"])]


def fit(box: Box, printers: Sequence[BuildVolume], scale: float = 100, brim_mm: float = 0) -> list[Fit]:
    """Check a model with that box, printed at `scale` % with a brim, against each printer; results in their order.

    The slicers do not check this themselves: none notices a brim beyond the bed's edge, and PrusaSlicer 2.5 does
    not check the height.
    """
    return [_fit(box, printer, scale, brim_mm) for printer in printers]


def _fit(box: Box, printer: BuildVolume, scale: float, brim_mm: float) -> Fit:
    x, y, z = (edge * scale / 100 for edge in (box.x, box.y, box.z))
    x, y = x + 2 * brim_mm, y + 2 * brim_mm
    straight, turned = _excess((x, y, z), printer.bed_mm), _excess((y, x, z), printer.bed_mm)
    excess = min(straight, turned, key=sum)  # if equal, the first: not turned
    is_turned = excess is turned
    fits = not any(excess)
    return Fit(
        printer_id=printer.printer_id,
        printer=printer.name,
        fits=fits,
        is_turned=is_turned,
        excess=None if fits else Box(x=excess[0], y=excess[1], z=excess[2]),
        reason=None if fits else _reason(excess, printer, is_turned=is_turned),
    )


def _excess(edges: Sequence[float], bed: Sequence[float]) -> tuple[float, ...]:
    over = (edge - limit for edge, limit in zip(edges, bed, strict=True))
    return tuple(round(mm, 3) if mm > _SLACK_MM else 0.0 for mm in over)


def _reason(excess: Sequence[float], printer: BuildVolume, *, is_turned: bool) -> str:
    axes = [axis for axis in range(3) if excess[axis]]
    amounts = " and ".join(f"{_millimetres(excess[axis])} mm {_TOO_LARGE[axis]}" for axis in axes)
    limits = " × ".join(f"{printer.bed_mm[axis]:g}" for axis in axes)
    turned = ", even turned by 90°" if is_turned and any(excess[:2]) else ""
    return f"{amounts} for {printer.name} ({limits} mm){turned}"


def _millimetres(mm: float) -> str:
    """Rounded up to 0.1 mm, so that a model made smaller by that much fits."""
    return f"{math.ceil(round(mm * 10, 2)) / 10:.1f}".removesuffix(".0")

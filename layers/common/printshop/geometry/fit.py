"""Which printers a model fits, and by how many mm it does not.

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
"""A box is known to 0.001 mm."""
_TOO = ("too wide", "too deep", "too tall")


@dataclass(frozen=True, slots=True)
class BuildVolume:
    """A printer's build volume: width (x), depth (y) and height (z) in mm."""

    printer_id: int
    name: str
    bed_mm: tuple[float, float, float]


class Fit(CamelModel):
    """How a model stands to one printer."""

    printer_id: Annotated[int, Field(examples=[1])]
    printer: Annotated[str, Field(examples=["Prusa MK4"])]
    fits: bool
    is_turned: Annotated[bool, Field(description="By 90° about the vertical, which is the better way here")]
    excess: Annotated[
        Box | None, Field(description="How many mm it is too large on each axis of the printer")
    ]
    reason: Annotated[str | None, Field(examples=["23.4 mm too tall for Prusa MK4 (210 mm)"])]


def fit(box: Box, printers: Sequence[BuildVolume], scale: float = 100, brim_mm: float = 0) -> list[Fit]:
    """How a model of that box (mm), printed at `scale` % with a brim, stands to each printer, in their order.

    No slicer minds a brim that leaves the bed, and PrusaSlicer 2.5 minds no height: this is the check.
    """
    return [_fit(box, printer, scale, brim_mm) for printer in printers]


def _fit(box: Box, printer: BuildVolume, scale: float, brim_mm: float) -> Fit:
    x, y, z = (edge * scale / 100 for edge in (box.x, box.y, box.z))
    x, y = x + 2 * brim_mm, y + 2 * brim_mm
    straight, turned = _excess((x, y, z), printer.bed_mm), _excess((y, x, z), printer.bed_mm)
    excess = min(straight, turned, key=sum)  # of two that are alike the first: not turned
    is_turned = excess is turned
    fits = not any(excess)
    return Fit(
        printer_id=printer.printer_id,
        printer=printer.name,
        fits=fits,
        is_turned=is_turned,
        excess=None if fits else Box(x=excess[0], y=excess[1], z=excess[2]),
        reason=None if fits else _in_words(excess, printer, is_turned=is_turned),
    )


def _excess(edges: Sequence[float], bed: Sequence[float]) -> tuple[float, ...]:
    over = (edge - limit for edge, limit in zip(edges, bed, strict=True))
    return tuple(round(mm, 3) if mm > _SLACK_MM else 0.0 for mm in over)


def _in_words(excess: Sequence[float], printer: BuildVolume, *, is_turned: bool) -> str:
    axes = [axis for axis in range(3) if excess[axis]]
    over = " and ".join(f"{_millimetres(excess[axis])} mm {_TOO[axis]}" for axis in axes)
    limits = " × ".join(f"{printer.bed_mm[axis]:g}" for axis in axes)
    turned = ", even turned by 90°" if is_turned and any(excess[:2]) else ""
    return f"{over} for {printer.name} ({limits} mm){turned}"


def _millimetres(mm: float) -> str:
    """To 0.1, upwards: a model made smaller by that much fits."""
    return f"{math.ceil(round(mm * 10, 2)) / 10:.1f}".removesuffix(".0")

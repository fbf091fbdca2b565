"""What a customer should look at before he orders: a model that was read, but hardly means what it says.

A plain model gives no warning: the smallest nut and the thinnest emblem of PrusaSlicer's gallery are plain models.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from printshop.geometry.dimensions import UNIT_MM, Box, Geometry

type WarningCode = Literal[
    "LOOKS_LIKE_INCHES",
    "LOOKS_LIKE_METRES",
    "TOO_SMALL",
    "HUGE",
    "FLAT",
    "NO_VOLUME",
    "INSIDE_OUT",
    "UNIT_CONVERTED",
]

INCHES_BELOW_MM = 5.0
"""Longest edge under which a model without a unit may well be one in inches: an M3 nut (6.35 mm) is none."""
METRES_BELOW_MM = 0.5
NOTHING_BELOW_MM = 0.005
"""As metres, still 5 mm."""
HUGE_ABOVE_MM = 1000.0
THINNEST_MM = 0.1
"""Thinner than two of the thinnest layers, or a third of a nozzle."""
_NO_THICKNESS_MM = 0.05
"""Of its walls on the average, 2 × volume / area: the thinnest layer."""


class ModelWarning(BaseModel):
    """One thing to look at: a stable code and a sentence that says what to do."""

    model_config = ConfigDict(frozen=True)

    code: Annotated[WarningCode, Field(examples=["LOOKS_LIKE_INCHES"])]
    message: str


def find_warnings(geometry: Geometry) -> list[ModelWarning]:
    """At most three warnings: about size, about substance, and how a stated unit was read."""
    size = _about_size(geometry)
    found = [size, None if size else _about_substance(geometry), _about_unit(geometry)]
    if geometry.is_inverted:
        found.append(
            _warning("INSIDE_OUT", "The surface faces inwards; it is printed as if it faced outwards.")
        )
    return [warning for warning in found if warning]


def _about_size(geometry: Geometry) -> ModelWarning | None:
    box = geometry.box
    longest = max(box.x, box.y, box.z)
    if longest > HUGE_ABOVE_MM:
        return _warning(
            "HUGE", f"The model is {longest / 1000:.2f} m long; check its unit, or scale it down."
        )
    if geometry.unit or not NOTHING_BELOW_MM <= longest < INCHES_BELOW_MM:
        if longest < METRES_BELOW_MM:
            return _warning("TOO_SMALL", f"The model is {_edges(box)} mm: too small to print; scale it up.")
        return None
    if longest < METRES_BELOW_MM:
        return _warning(
            "LOOKS_LIKE_METRES",
            f"The model is {_edges(box)} mm. If it was drawn in metres, export it in millimetres.",
        )
    inches = Box(x=box.x * 25.4, y=box.y * 25.4, z=box.z * 25.4)
    return _warning(
        "LOOKS_LIKE_INCHES",
        f"The model is {_edges(box)} mm. If it was drawn in inches, print it at scale 2540 ({_edges(inches)} mm).",
    )


def _about_substance(geometry: Geometry) -> ModelWarning | None:
    box = geometry.box
    if min(box.x, box.y, box.z) < THINNEST_MM:
        return _warning("FLAT", f"The model is {_edges(box)} mm: too thin to print; give it a thickness.")
    if 2 * geometry.volume_mm3 < _NO_THICKNESS_MM * geometry.area_mm2:
        return _warning(
            "NO_VOLUME", "The model encloses no volume: it is a surface; make it solid and export it again."
        )
    return None


def _about_unit(geometry: Geometry) -> ModelWarning | None:
    if geometry.unit is None or UNIT_MM[geometry.unit] == 1:
        return None
    return _warning(
        "UNIT_CONVERTED",
        f"The 3MF states {geometry.unit} as its unit: it is read as {_edges(geometry.box)} mm; see that it is meant.",
    )


def _warning(code: WarningCode, message: str) -> ModelWarning:
    return ModelWarning(code=code, message=message)


def _edges(box: Box) -> str:
    return " × ".join(f"{edge:.3g}" if edge < 10 else f"{edge:.1f}" for edge in (box.x, box.y, box.z))

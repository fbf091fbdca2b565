"""Warnings about a model that can be read but is probably not what the customer meant: wrong unit, no volume, …

An ordinary model gives no warning; the limits let the smallest nut and the thinnest emblem of PrusaSlicer's gallery
pass.
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
"""A model without a unit whose longest edge is shorter may be drawn in inches; an M3 nut (6.35 mm) is not."""
METRES_BELOW_MM = 0.5
"""A model without a unit whose longest edge is shorter may be drawn in metres."""
TINY_BELOW_MM = 0.005
"""Below this a model is too small in any unit: read in metres, 0.005 is 5 mm."""
HUGE_ABOVE_MM = 1000.0
THINNEST_MM = 0.1
"""Thinner than two of the thinnest layers, or a third of a nozzle."""
_NO_THICKNESS_MM = 0.05
"""Average wall thickness (2 × volume / area) below which a model is a surface: the height of the thinnest layer."""


class ModelWarning(BaseModel):
    """One warning: a stable code and a sentence that says what to do."""

    model_config = ConfigDict(frozen=True)

    code: Annotated[WarningCode, Field(examples=["LOOKS_LIKE_INCHES"])]
    message: str


def find_warnings(geometry: Geometry) -> list[ModelWarning]:
    """At most three warnings: about size or thickness, about a unit that was converted, about inverted surfaces."""
    size = _size_warning(geometry)
    found = [size, None if size else _thickness_warning(geometry), _unit_warning(geometry)]
    if geometry.is_inverted:
        found.append(
            _warning("INSIDE_OUT", "The surface faces inwards; it is printed as if it faced outwards.")
        )
    return [warning for warning in found if warning]


def _size_warning(geometry: Geometry) -> ModelWarning | None:
    box = geometry.box
    longest = max(box.x, box.y, box.z)
    if longest > HUGE_ABOVE_MM:
        return _warning(
            "HUGE", f"The model is {longest / 1000:.2f} m long; check its unit, or scale it down."
        )
    if geometry.unit or not TINY_BELOW_MM <= longest < INCHES_BELOW_MM:
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


def _thickness_warning(geometry: Geometry) -> ModelWarning | None:
    box = geometry.box
    if min(box.x, box.y, box.z) < THINNEST_MM:
        return _warning("FLAT", f"The model is {_edges(box)} mm: too thin to print; give it a thickness.")
    if 2 * geometry.volume_mm3 < _NO_THICKNESS_MM * geometry.area_mm2:
        return _warning(
            "NO_VOLUME", "The model encloses no volume: it is a surface; make it solid and export it again."
        )
    return None


def _unit_warning(geometry: Geometry) -> ModelWarning | None:
    if geometry.unit is None or UNIT_MM[geometry.unit] == 1:
        return None
    return _warning(
        "UNIT_CONVERTED",
        f"The 3MF states {geometry.unit} as its unit: it is read as {_edges(geometry.box)} mm; check the size.",
    )


def _warning(code: WarningCode, message: str) -> ModelWarning:
    return ModelWarning(code=code, message=message)


def _edges(box: Box) -> str:
    return " × ".join(f"{edge:.3g}" if edge < 10 else f"{edge:.1f}" for edge in (box.x, box.y, box.z))

"""What a model file measures: the figures that need no slicer."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from printshop.kernel.base_model import CamelModel

MAX_COORDINATE = 1e6
"""How far from the origin a corner may lie, in the model's unit and in mm. Keeps infinity and NaN out as well."""

type Unit = Literal["micron", "millimeter", "centimeter", "inch", "foot", "meter"]


UNIT_MM: Mapping[Unit, float] = {
    "micron": 0.001,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "inch": 25.4,
    "foot": 304.8,
    "meter": 1000.0,
}
"""How many mm each unit of a 3MF has."""


class Box(CamelModel):
    """A bounding box's edges in mm, to 0.001."""

    x: Annotated[float, Field(examples=[64.2])]
    y: Annotated[float, Field(examples=[51.6])]
    z: Annotated[float, Field(examples=[48.1])]


class Geometry(CamelModel):
    """A model in mm, as it will stand on the bed: all build items of a 3MF, with their transforms."""

    triangles: Annotated[int, Field(examples=[5682])]
    box: Box
    volume_mm3: Annotated[float, Field(alias="volumeMm3", description="Enclosed, whichever way it is wound")]
    area_mm2: Annotated[float, Field(alias="areaMm2", description="Of the surface")]
    is_inverted: Annotated[bool, Field(description="Wound inside out: its signed volume is negative")]
    unit: Annotated[Unit | None, Field(description="What a 3MF states; an STL states none")]

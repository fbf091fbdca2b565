"""The dimensions of a model: bounding box, volume, area and unit."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from printshop.kernel.base_model import CamelModel

MAX_COORDINATE = 1e6
"""The largest accepted coordinate, in the model's unit and in mm. Comparing with it also rejects infinity and NaN."""

type Unit = Literal["micron", "millimeter", "centimeter", "inch", "foot", "meter"]

UNIT_MM: Mapping[Unit, float] = {
    "micron": 0.001,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "inch": 25.4,
    "foot": 304.8,
    "meter": 1000.0,
}
"""The length of each 3MF unit in mm."""


class Box(CamelModel):
    """The edges of a bounding box in mm, rounded to 0.001."""

    x: Annotated[float, Field(examples=[64.2])]
    y: Annotated[float, Field(examples=[51.6])]
    z: Annotated[float, Field(examples=[48.1])]


class Geometry(CamelModel):
    """A model's dimensions as it stands on the bed: of a 3MF all build items, each with its transform."""

    triangles: Annotated[int, Field(examples=[5682])]
    box: Box
    volume_mm3: Annotated[float, Field(alias="volumeMm3", description="Enclosed volume, always positive")]
    area_mm2: Annotated[float, Field(alias="areaMm2", description="The area of the surface")]
    is_inverted: Annotated[
        bool, Field(description="The surface faces inwards: its signed volume is negative")
    ]
    unit: Annotated[
        Unit | None, Field(description="The unit that a 3MF states; null for an STL, which states none")
    ]

"""Estimate of a print's weight and time from its geometry alone, available before any slicer has run.

A print is a skin (walls, roofs and floors, all about equally thick) around a sparsely filled inside. With
x = thickness × area ÷ volume, the share of the volume that is not skin is exactly 1 - x for a plate and (1 - x/3)³
for a ball or a cube; every other solid lies near or between the two. The time follows from the length of line and
the profile's speeds and accelerations; no layer takes less time than it needs to cool.

Measured by `python -m benchmarks.estimate` on the 13 models of PrusaSlicer 2.5.0's gallery (a screw of 0.1 g to a
bunny of 79 g) as the error of the likely figure, median and worst:

    0.2 mm, 15 %, PLA           mass  3.3 % and 16 %    time  6.5 % and 17 %
    0.1 mm, 15 %, PLA           mass  3.3 % and 10 %    time 11.1 % and 69 %
    0.3 mm, 40 %, PLA           mass  9.4 % and 16 %    time 10.0 % and 21 %
    0.2 mm, 100 %, PLA          mass  2.5 % and 16 %    time  5.8 % and 17 %
    0.2 mm, 15 %, TPU           mass  3.2 % and 15 %    time 15.7 % and 26 %
    0.2 mm, 15 %, half size     mass 10.0 % and 50 %    time 12.0 % and 29 %
    the first with supports     mass 15.8 % and 58 %    time 15.1 % and 62 %

Every figure lay within its range. The high end of a range is about twice the low end for mass and three times for
time. The constants were fitted to this gallery and to generated shapes, with both 2.5.0 and 2.9.2.

The range is wide because geometry alone does not show overhangs (supports), thin walls and details of tiny models.
The time to heat up is not included.
"""

from dataclasses import dataclass
from math import hypot, sqrt
from typing import Annotated

from pydantic import Field

from printshop.geometry.dimensions import Geometry
from printshop.kernel.base_model import CamelModel
from printshop.slicing.profiles import profile_values
from printshop.slicing.settings import PrintProfile, SliceSettings

_LINE_TO_NOZZLE = 1.125
"""The slicer's default line width, as a multiple of the nozzle's width."""
_START_SECONDS = 22
_PURGED_MM3 = 20
"""Of the line that the start g-code draws: PrusaSlicer 2.9 counts it, 2.5 does not."""
_SOLID_SECTION_MM2 = 35
"""A layer whose inside is smaller is filled solid, whatever the infill (the slicer's solid_infill_below_area)."""

# Fitted factors on the time that speed and acceleration alone give: for short lines, corners and travel moves.
_WALL_FACTOR, _SKIN_FACTOR, _SPARSE_FACTOR = 1.08, 0.82, 1.4
_OUTLINE_FACTOR = 0.26

_SUPPORT_SHARE = {"normal": 0.05, "tree": 0.035}
"""Likely support material as a share of the bounding box's free volume; up to twice as much was measured."""
_SUPPORT_TIME_FACTORS = 2.7, 5.0
"""Likely and most time of support against its volume at the support's speed: it consists of many short lines."""


class Range(CamelModel):
    """The lowest, the most likely and the highest figure that the slicer may come to."""

    low: Annotated[int, Field(examples=[5400])]
    likely: Annotated[int, Field(examples=[5900])]
    high: Annotated[int, Field(examples=[6600])]


class Estimate(CamelModel):
    """Mass in milligrams and time in seconds of one piece, before it is sliced."""

    mass_mg: Range
    time_sec: Range


@dataclass(frozen=True, slots=True)
class _Solid:
    """The scaled model: edges of its box in mm, volume in mm³, surface in mm²."""

    x: float
    y: float
    z: float
    volume: float
    area: float

    @property
    def section(self) -> float:
        """The area of an average layer in mm²."""
        return self.volume / self.z

    @property
    def free(self) -> float:
        """The volume of the box outside the model, in mm³."""
        return max(0.0, self.x * self.y * self.z - self.volume)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Volumes in mm³: walls, solid skin inside them, sparse infill."""

    walls: float
    skins: float
    sparse: float

    @property
    def total(self) -> float:
        return self.walls + self.skins + self.sparse


class _Printing:
    """The profile's figures at one layer height and infill (mm, mm/s)."""

    def __init__(self, settings: SliceSettings, profile: PrintProfile) -> None:
        self._values = profile_values(profile)
        self.layer = settings.layer_height
        self.infill = settings.infill / 100
        self.width = profile.nozzle_um / 1000 * _LINE_TO_NOZZLE
        self.first_layer = profile.nozzle_um / 2000
        self.skin = self.value("perimeters") * self.width - 0.03
        self.flow = self.value("extrusion_multiplier")
        self.melt_speed = self.value("filament_max_volumetric_speed") / (self.width * self.layer)

    def value(self, key: str) -> float:
        return float(self._values[key])

    def seconds(self, volume: float, speed: str, acceleration: str, line_mm: float) -> float:
        """Time to print `volume` mm³ as lines of `line_mm` mm, with a stop after each line."""
        speed_mm_s = min(self.melt_speed, self.value(speed))
        per_mm = 1 / speed_mm_s + speed_mm_s / (self.value(acceleration) * line_mm)
        return volume / (self.width * self.layer) * per_mm


def estimate(geometry: Geometry, settings: SliceSettings, profile: PrintProfile) -> Estimate:
    """Estimate the mass and time of one piece.

    `geometry` is the model as uploaded; the scale of `settings` is applied to it. Raises Unprocessable
    UNKNOWN_PROFILE.
    """
    solid = _scaled(geometry, settings.scale / 100)
    printing = _Printing(settings, profile)
    amounts = [_amounts(solid, printing, share) for share in _inside_shares(solid, printing)]
    support = _support(solid, settings)
    brim = 2 * (solid.x + solid.y) * settings.brim_width * printing.first_layer
    # The slicer may print a layer more or less, and rounds to two decimals.
    layers = solid.z / printing.layer
    step = 0.6 / (layers + 0.6)
    mm3 = (
        (amounts[0].total * (0.94 - step) + brim * 0.4) * printing.flow - 5,
        (amounts[1].total + support[1] + brim * 0.8) * printing.flow,
        (amounts[2].total * (1.06 + step * 1.5) + support[2] + brim * 1.6) * printing.flow + _PURGED_MM3 + 5,
    )
    mass = [volume * profile.density_mg_cm3 / 1000 for volume in mm3]
    return Estimate(
        mass_mg=_range(*mass), time_sec=_range(*_seconds(solid, printing, amounts[1], support, brim))
    )


def _scaled(geometry: Geometry, scale: float) -> _Solid:
    box = geometry.box
    return _Solid(
        # The slicer still prints a line or a layer of a model that is flat or open.
        x=max(0.05, box.x * scale),
        y=max(0.05, box.y * scale),
        z=max(0.05, box.z * scale),
        volume=max(0.001, geometry.volume_mm3 * scale**3),
        area=max(0.001, geometry.area_mm2 * scale**2),
    )


def _inside_shares(solid: _Solid, printing: _Printing) -> tuple[float, float, float]:
    """The share of the volume inside the skin, for the lightest, the likely and the heaviest print."""
    thickness = printing.skin * solid.area / solid.volume
    plate = max(0.0, 1 - thickness)
    ball = max(0.0, 1 - thickness / 3) ** 3
    likely = 0.4 * plate + 0.6 * ball if thickness < 1 else 0.5 * ball
    # Steep cones have less skin than a ball; tubes and the thin legs of a table have more than a plate.
    lightest, heaviest = 1 - 0.75 * (1 - ball), max(0.0, 0.99 - 1.4 * thickness)
    inner_section = max(0.0, sqrt(solid.section) - 2 * printing.skin) ** 2
    if printing.infill > 0:
        likely *= min(1.0, max(0.0, inner_section / _SOLID_SECTION_MM2 - 1))
        if inner_section < 4 * _SOLID_SECTION_MM2:
            heaviest = 0.0
    return lightest, likely, heaviest


def _amounts(solid: _Solid, printing: _Printing, inside_share: float) -> _Amounts:
    skin = solid.volume * (1 - inside_share)
    walls = min(skin, printing.skin * solid.area)
    return _Amounts(walls, skin - walls, solid.volume * inside_share * printing.infill)


def _support(solid: _Solid, settings: SliceSettings) -> tuple[float, float, float]:
    """mm³ of support: the least (none), the likely and the most."""
    if not settings.supports.enabled:
        return 0, 0, 0
    share = _SUPPORT_SHARE[settings.supports.pattern]
    # Around a tiny model the support's own outline fills most of the free volume.
    return 0, solid.free * share, solid.free * share * 2 + min(0.75 * solid.free, 150)


def _seconds(
    solid: _Solid,
    printing: _Printing,
    amounts: _Amounts,
    support: tuple[float, float, float],
    brim: float,
) -> tuple[float, float, float]:
    # Half of the wall volume is the visible, slower wall; a wall's line is as long as a layer's outline.
    outline = _OUTLINE_FACTOR * min(solid.area / (4 * solid.z), hypot(solid.x, solid.y) / 2)
    across = 3 * sqrt(max(0.5, solid.section))
    each = amounts.walls / 2
    work = _WALL_FACTOR * (
        printing.seconds(each, "external_perimeter_speed", "perimeter_acceleration", outline)
        + printing.seconds(each, "perimeter_speed", "perimeter_acceleration", outline)
    )
    work += _SKIN_FACTOR * printing.seconds(
        amounts.skins, "solid_infill_speed", "default_acceleration", across
    )
    work += _SPARSE_FACTOR * printing.seconds(amounts.sparse, "infill_speed", "infill_acceleration", across)
    layers = max(1.0, (solid.z - printing.first_layer) / printing.layer + 1)
    likely = _cooled(work, layers, amounts, printing) + _START_SECONDS
    likely += brim / (printing.width * printing.first_layer * printing.value("first_layer_speed"))
    flow = (
        printing.width * printing.layer * min(printing.melt_speed, printing.value("support_material_speed"))
    )
    extra = [mm3 * factor / flow for mm3, factor in zip(support[1:], _SUPPORT_TIME_FACTORS, strict=True)]
    thin = min(1.0, printing.skin * solid.area / solid.volume)
    return (
        likely / (1.25 + 0.35 * thin + 2 / layers),
        likely + extra[0],
        likely * (1.3 + 0.5 * thin + 6 / layers) + extra[1],
    )


def _cooled(work: float, layers: float, amounts: _Amounts, printing: _Printing) -> float:
    """Seconds with every layer slowed down to its cooling time, but never below the material's minimum speed."""
    each = work / layers
    cooling = printing.value("slowdown_below_layer_time")
    slowed = sqrt(hypot(each**2, cooling**2))
    line = amounts.total / (printing.width * printing.layer) / layers
    return layers * max(each, min(slowed, line / printing.value("min_print_speed")))


def _range(low: float, likely: float, high: float) -> Range:
    most = max(1, round(likely))
    return Range(low=max(1, min(most, int(low))), likely=most, high=max(most, int(high) + 1))

"""What a print will weigh and last, from its geometry alone: an answer at once, before any slicer has run.

A print is a skin (walls, roofs and floors, all about as thick) around a sparsely filled inside. How much of the
volume is skin follows from thickness × area ÷ volume, exactly for a plate (1 - x), a ball or a cube ((1 - x/3)³);
every other solid lies near or between the two. The time is what the slicer's own speeds and accelerations need for
that much line, and never less than the layers need to cool.

Measured by `python -m benchmarks.estimate` on the 13 models of PrusaSlicer 2.5.0's gallery (a screw of 0.1 g to a
bunny of 79 g) as the error of the likely figure, median and worst:

    0.2 mm, 15 %, PLA           mass  3.3 % and 16 %    time  6.5 % and 17 %
    0.1 mm, 15 %, PLA           mass  3.3 % and 10 %    time 11.1 % and 69 %
    0.3 mm, 40 %, PLA           mass  9.4 % and 16 %    time 10.0 % and 21 %
    0.2 mm, 100 %, PLA          mass  2.5 % and 16 %    time  5.8 % and 17 %
    0.2 mm, 15 %, TPU           mass  3.2 % and 15 %    time 15.7 % and 26 %
    0.2 mm, 15 %, half size     mass 10.0 % and 50 %    time 12.0 % and 29 %
    the first with supports     mass 15.8 % and 58 %    time 15.1 % and 62 %

Every figure lay in its range, which is about twice as high as low for mass and three times for time. The constants
were fitted to this gallery and to generated shapes, with 2.5.0 and 2.9.2 alike.

What geometry cannot tell makes the range wide: overhangs (supports), thin walls, tiny models. Not in it: heating up.
"""

from dataclasses import dataclass
from math import hypot, sqrt
from typing import Annotated

from pydantic import Field

from printshop.geometry.dimensions import Geometry
from printshop.kernel.base_model import CamelModel
from printshop.slicing.profiles import values
from printshop.slicing.settings import PrintProfile, SliceSettings

_WIDTH_OF_NOZZLE = 1.125
"""The slicer's own line width when none is given."""
_START_SECONDS = 22
_PURGED_MM3 = 20
"""The line that the start g-code draws: PrusaSlicer 2.9 counts it, 2.5 does not."""
_SOLID_SECTION_MM2 = 35
"""A smaller inside of a layer is filled up, whatever the infill (the slicer's solid_infill_below_area)."""

# Seconds against what speed and acceleration alone say, fitted: shorter stretches, corners, travel between lines.
_WALLS, _SKINS, _SPARSE = 1.08, 0.82, 1.4
_STRETCH = 0.26

_SUPPORT_SHARE = {"normal": 0.05, "tree": 0.035}
"""Support material as a share of the box that the model leaves free; as much as twice that was seen."""
_SUPPORT_SLOWNESS = 2.7, 5.0


class Range(CamelModel):
    """Where the slicer's figure is expected, and where most likely."""

    low: Annotated[int, Field(examples=[5400])]
    likely: Annotated[int, Field(examples=[5900])]
    high: Annotated[int, Field(examples=[6600])]


class Estimate(CamelModel):
    """Milligrams and seconds of one piece, before it is sliced."""

    mass_mg: Range
    time_sec: Range


@dataclass(frozen=True, slots=True)
class _Solid:
    """The model as it will be printed: mm, mm², mm³."""

    x: float
    y: float
    z: float
    volume: float
    area: float

    @property
    def section(self) -> float:
        """Of an average layer."""
        return self.volume / self.z

    @property
    def free(self) -> float:
        """What the model leaves of its box."""
        return max(0.0, self.x * self.y * self.z - self.volume)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """mm³ of walls, of solid skin inside them, of sparse infill, of support."""

    walls: float
    skins: float
    sparse: float
    support: float

    @property
    def total(self) -> float:
        return self.walls + self.skins + self.sparse + self.support


class _Printing:
    """The profile's numbers for one layer height."""

    def __init__(self, settings: SliceSettings, profile: PrintProfile) -> None:
        self._said = values(profile)
        self.layer = settings.layer_height
        self.infill = settings.infill / 100
        self.width = profile.nozzle_um / 1000 * _WIDTH_OF_NOZZLE
        self.first_layer = profile.nozzle_um / 2000
        self.skin = self.said("perimeters") * self.width - 0.03
        self.flow = self.said("extrusion_multiplier")
        self.melts = self.said("filament_max_volumetric_speed") / (self.width * self.layer)

    def said(self, key: str) -> float:
        return float(self._said[key])

    def seconds(self, volume: float, speed: str, acceleration: str, stretch: float) -> float:
        """For `volume` as lines of `stretch` mm between two stops."""
        speed_mm_s = min(self.melts, self.said(speed))
        per_mm = 1 / speed_mm_s + speed_mm_s / (self.said(acceleration) * stretch)
        return volume / (self.width * self.layer) * per_mm


def estimate(geometry: Geometry, settings: SliceSettings, profile: PrintProfile) -> Estimate:
    """The range of one piece's weight and time. Pure: the same every time.

    `geometry` is the model as uploaded; the scale of `settings` is applied to it. Raises Unprocessable
    UNKNOWN_PROFILE.
    """
    solid = _scaled(geometry, settings.scale / 100)
    printing = _Printing(settings, profile)
    low, likely, high = _inside(solid, printing)
    amounts = [_amounts(solid, printing, inside) for inside in (low, likely, high)]
    support = _support(solid, settings)
    brim = 2 * (solid.x + solid.y) * settings.brim_width * printing.first_layer
    # A layer more or less, and the rounding of the slicer's two decimals.
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
        # What is flat, or open, is still a line or a layer to the slicer.
        x=max(0.05, box.x * scale),
        y=max(0.05, box.y * scale),
        z=max(0.05, box.z * scale),
        volume=max(0.001, geometry.volume_mm3 * scale**3),
        area=max(0.001, geometry.area_mm2 * scale**2),
    )


def _inside(solid: _Solid, printing: _Printing) -> tuple[float, float, float]:
    """The share of the volume that is not skin, for the lightest, the likely and the heaviest print."""
    thickness = printing.skin * solid.area / solid.volume
    plate = max(0.0, 1 - thickness)
    ball = max(0.0, 1 - thickness / 3) ** 3
    likely = 0.4 * plate + 0.6 * ball if thickness < 1 else 0.5 * ball
    # Steep cones have less skin than a ball, tubes and the thin legs of a table more than a plate.
    lightest, heaviest = 1 - 0.75 * (1 - ball), max(0.0, 0.99 - 1.4 * thickness)
    inner_section = max(0.0, sqrt(solid.section) - 2 * printing.skin) ** 2
    if printing.infill > 0:
        likely *= min(1.0, max(0.0, inner_section / _SOLID_SECTION_MM2 - 1))
        if inner_section < 4 * _SOLID_SECTION_MM2:
            heaviest = 0.0
    return lightest, likely, heaviest


def _amounts(solid: _Solid, printing: _Printing, inside: float) -> _Amounts:
    skin = solid.volume * (1 - inside)
    walls = min(skin, printing.skin * solid.area)
    return _Amounts(walls, skin - walls, solid.volume * inside * printing.infill, 0)


def _support(solid: _Solid, settings: SliceSettings) -> tuple[float, float, float]:
    """mm³ of support: none, the likely, the most."""
    if not settings.supports.enabled:
        return 0, 0, 0
    share = _SUPPORT_SHARE[settings.supports.pattern]
    # Around a tiny model the support's own skin fills all there is.
    return 0, solid.free * share, solid.free * share * 2 + min(0.75 * solid.free, 150)


def _seconds(
    solid: _Solid,
    printing: _Printing,
    amounts: _Amounts,
    support: tuple[float, float, float],
    brim: float,
) -> tuple[float, float, float]:
    # Half of the walls is the visible, slower one; their lines are as long as the outline of a layer goes on.
    outline = _STRETCH * min(solid.area / (4 * solid.z), hypot(solid.x, solid.y) / 2)
    across = 3 * sqrt(max(0.5, solid.section))
    each = amounts.walls / 2
    work = _WALLS * (
        printing.seconds(each, "external_perimeter_speed", "perimeter_acceleration", outline)
        + printing.seconds(each, "perimeter_speed", "perimeter_acceleration", outline)
    )
    work += _SKINS * printing.seconds(amounts.skins, "solid_infill_speed", "default_acceleration", across)
    work += _SPARSE * printing.seconds(amounts.sparse, "infill_speed", "infill_acceleration", across)
    layers = max(1.0, (solid.z - printing.first_layer) / printing.layer + 1)
    likely = _cooled(work, layers, amounts, printing) + _START_SECONDS
    likely += brim / (printing.width * printing.first_layer * printing.said("first_layer_speed"))
    speed = printing.width * printing.layer * min(printing.melts, printing.said("support_material_speed"))
    extra = [mm3 * slowness / speed for mm3, slowness in zip(support[1:], _SUPPORT_SLOWNESS, strict=True)]
    thin = min(1.0, printing.skin * solid.area / solid.volume)
    return (
        likely / (1.25 + 0.35 * thin + 2 / layers),
        likely + extra[0],
        likely * (1.3 + 0.5 * thin + 6 / layers) + extra[1],
    )


def _cooled(work: float, layers: float, amounts: _Amounts, printing: _Printing) -> float:
    """Seconds, with each layer as long as the material needs to set, unless that means less than its least speed."""
    each = work / layers
    cooling = printing.said("slowdown_below_layer_time")
    slowed = sqrt(hypot(each**2, cooling**2))
    line = amounts.total / (printing.width * printing.layer) / layers
    return layers * max(each, min(slowed, line / printing.said("min_print_speed")))


def _range(low: float, likely: float, high: float) -> Range:
    most = max(1, round(likely))
    return Range(low=max(1, min(most, int(low))), likely=most, high=max(most, int(high) + 1))

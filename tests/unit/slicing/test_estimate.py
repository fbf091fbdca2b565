"""The estimate: what must hold whatever its constants are."""

import itertools
import math
from typing import Any

import pytest

from printshop.geometry.dimensions import Box, Geometry
from printshop.kernel.errors import Unprocessable
from printshop.slicing.estimate import Estimate, estimate
from printshop.slicing.profiles import MATERIALS, PRINTERS
from printshop.slicing.settings import PrintProfile, SliceSettings

NORMAL = {"enabled": True, "pattern": "normal", "angle": 45}


def cuboid(x: float, y: float, z: float) -> Geometry:
    return Geometry(
        triangles=12,
        box=Box(x=x, y=y, z=z),
        volume_mm3=x * y * z,
        area_mm2=2 * (x * y + y * z + z * x),
        is_inverted=False,
        unit=None,
    )


def ball(radius: float) -> Geometry:
    return Geometry(
        triangles=1280,
        box=Box(x=2 * radius, y=2 * radius, z=2 * radius),
        volume_mm3=4 / 3 * math.pi * radius**3,
        area_mm2=4 * math.pi * radius**2,
        is_inverted=False,
        unit=None,
    )


def of(geometry: Geometry, printer: str = "generic", material: str = "pla", **changes: Any) -> Estimate:
    off = {"enabled": False, "pattern": "normal", "angle": 45}
    settings = SliceSettings.model_validate({"layerHeight": 0.2, "infill": 15, "supports": off} | changes)
    profile = PrintProfile(
        printer=printer, material=material, bed_mm=(250, 210, 220), nozzle_um=400, density_mg_cm3=1240
    )
    return estimate(geometry, settings, profile)


@pytest.mark.parametrize(("printer", "material"), list(itertools.product(PRINTERS, MATERIALS)))
@pytest.mark.parametrize(
    "geometry",
    [
        cuboid(40, 40, 40),
        cuboid(200, 200, 0.01),
        cuboid(0.01, 0.01, 0.01),
        cuboid(5000, 5000, 5000),
        ball(20),
    ],
    ids=["cube", "sheet", "speck", "house", "ball"],
)
def test_low_likely_and_high_are_in_order_for_every_profile_and_size(
    geometry: Geometry, printer: str, material: str
) -> None:
    for supports in ({"enabled": False, "pattern": "normal", "angle": 45}, NORMAL):
        said = of(geometry, printer, material, supports=supports)
        for figure in (said.mass_mg, said.time_sec):
            assert 1 <= figure.low <= figure.likely <= figure.high


def test_a_model_without_volume_or_area_still_has_an_estimate() -> None:
    nothing = cuboid(10, 10, 10).model_copy(update={"volume_mm3": 0.0, "area_mm2": 0.0})
    assert of(nothing).time_sec.likely >= 1


def test_a_solid_print_weighs_what_its_volume_weighs() -> None:
    said = of(cuboid(40, 40, 40), infill=100).mass_mg
    assert said.likely == 79_360
    assert said.high < 1.2 * said.low


def test_more_infill_thinner_layers_and_supports_cost_more() -> None:
    plain = of(ball(20))
    assert of(ball(20), infill=40).mass_mg.likely > plain.mass_mg.likely
    assert of(ball(20), layerHeight=0.1).time_sec.likely > 1.5 * plain.time_sec.likely
    assert of(ball(20), brimWidth=5).mass_mg.likely > plain.mass_mg.likely


def test_supports_make_the_range_wider_and_never_the_print_lighter() -> None:
    plain, supported = of(ball(20)), of(ball(20), supports=NORMAL)
    assert supported.mass_mg.low == plain.mass_mg.low
    assert supported.mass_mg.high > plain.mass_mg.high
    assert supported.time_sec.high > plain.time_sec.high


def test_a_scaled_model_is_estimated_at_the_size_that_it_is_printed() -> None:
    assert of(cuboid(10, 10, 10), scale=400) == of(cuboid(40, 40, 40))


def test_a_faster_printer_and_a_stiffer_filament_take_less_time() -> None:
    times = [of(ball(40), printer).time_sec.likely for printer in ("core-xy", "bed-slinger", "generic")]
    assert times == sorted(times)
    assert of(ball(40), material="tpu").time_sec.likely > times[-1]


def test_small_layers_take_the_time_that_the_material_needs_to_set() -> None:
    rod = cuboid(8, 8, 100)
    assert of(rod, "core-xy", "abs").time_sec.likely > 1.1 * of(rod, "core-xy", "pla").time_sec.likely


def test_the_unknown_profile_is_refused() -> None:
    with pytest.raises(Unprocessable, match="UNKNOWN_PROFILE"):
        of(ball(20), printer="mk4")

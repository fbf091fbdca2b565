"""What is said about a model's size, substance and unit, and what is not."""

import pytest

from printshop.geometry.dimensions import Box, Geometry, Unit
from printshop.geometry.model_warnings import find_warnings


def solid(
    x: float,
    y: float,
    z: float,
    *,
    unit: Unit | None = None,
    inverted: bool = False,
    volume: float | None = None,
) -> Geometry:
    """A block, as intake measures it."""
    return Geometry(
        triangles=12,
        box=Box(x=x, y=y, z=z),
        volume_mm3=x * y * z if volume is None else volume,
        area_mm2=2 * (x * y + y * z + z * x),
        is_inverted=inverted,
        unit=unit,
    )


@pytest.mark.parametrize(
    ("geometry", "codes"),
    [
        (solid(20, 20, 20), []),
        (solid(1000, 10, 10), []),
        (solid(30, 30, 0.2), []),
        (solid(5, 1, 1), []),
        (solid(4.9, 1, 1), ["LOOKS_LIKE_INCHES"]),
        (solid(0.5, 0.5, 0.5), ["LOOKS_LIKE_INCHES"]),
        (solid(0.4, 0.1, 0.1), ["LOOKS_LIKE_METRES"]),
        (solid(0.005, 0.005, 0.005), ["LOOKS_LIKE_METRES"]),
        (solid(0.004, 0.004, 0.004), ["TOO_SMALL"]),
        (solid(0.4, 0.4, 0.4, unit="millimeter"), ["TOO_SMALL"]),
        (solid(4, 4, 4, unit="millimeter"), []),
        (solid(1000.1, 10, 10), ["HUGE"]),
        (solid(30, 30, 0.09), ["FLAT"]),
        (solid(30, 30, 0), ["FLAT"]),
        (solid(30, 30, 30, volume=10), ["NO_VOLUME"]),
        (solid(30, 30, 30, inverted=True), ["INSIDE_OUT"]),
        (solid(50.8, 50.8, 50.8, unit="inch"), ["UNIT_CONVERTED"]),
        (solid(5000, 5000, 5000, unit="meter", inverted=True), ["HUGE", "UNIT_CONVERTED", "INSIDE_OUT"]),
    ],
)
def test_what_is_odd_has_its_code_and_what_is_plain_has_none(geometry: Geometry, codes: list[str]) -> None:
    found = find_warnings(geometry)
    assert [warning.code for warning in found] == codes
    assert all(warning.message.endswith(".") for warning in found)


def test_a_model_in_inches_is_told_the_scale_and_what_it_would_measure() -> None:
    (warning,) = find_warnings(solid(2, 1.5, 1))
    assert "scale 2540 (50.8 × 38.1 × 25.4 mm)" in warning.message


def test_a_wire_across_a_large_box_is_no_empty_surface() -> None:
    # 1 mm thick and 346 mm long: 0.003 % of its box.
    wire = Geometry(
        triangles=64,
        box=Box(x=200, y=200, z=200),
        volume_mm3=272,
        area_mm2=1088,
        is_inverted=False,
        unit=None,
    )
    assert find_warnings(wire) == []

"""Which printers a model fits, and by how much it is too large otherwise."""

import pytest

from printshop.geometry.dimensions import Box
from printshop.geometry.fit import BuildVolume, Fit, fit

MINI = BuildVolume(1, "Prusa MINI", (180, 180, 180))
MK4 = BuildVolume(2, "Prusa MK4", (250, 210, 210))
WIDE = BuildVolume(3, "Wide one", (400, 100, 100))


def one(x: float, y: float, z: float, printer: BuildVolume = MK4, scale: float = 100) -> Fit:
    (found,) = fit(Box(x=x, y=y, z=z), [printer], scale)
    return found


def test_a_model_that_fits_has_no_reason() -> None:
    found = one(250, 210, 210)
    assert (found.fits, found.is_turned, found.excess, found.reason) == (True, False, None, None)


def test_a_model_that_fits_when_turned_is_turned() -> None:
    assert (one(210, 250, 10).fits, one(210, 250, 10).is_turned) == (True, True)


def test_a_model_that_fits_either_way_is_not_turned() -> None:
    assert not one(200, 100, 10).is_turned


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ((120, 80, 233.4), "23.4 mm too tall for Prusa MK4 (210 mm)"),
        ((262, 200, 100), "12 mm too wide for Prusa MK4 (250 mm)"),
        ((200, 262, 100), "12 mm too wide for Prusa MK4 (250 mm), even turned by 90°"),
        ((240, 215, 100), "5 mm too deep for Prusa MK4 (210 mm)"),
        (
            (260, 220, 230),
            "10 mm too wide and 10 mm too deep and 20 mm too tall for Prusa MK4 (250 × 210 × 210 mm)",
        ),
        ((200, 240, 230), "20 mm too tall for Prusa MK4 (210 mm)"),
        ((10, 10, 210.002), "0.1 mm too tall for Prusa MK4 (210 mm)"),
    ],
)
def test_the_reason_says_how_many_mm_on_which_axis(edges: tuple[float, float, float], reason: str) -> None:
    found = one(*edges)
    assert (found.fits, found.reason) == (False, reason)


def test_the_excess_is_that_of_the_better_turn() -> None:
    assert one(90, 430, 130, WIDE).excess == Box(x=30, y=0, z=30)


def test_a_scale_counts() -> None:
    assert not one(10, 10, 10, scale=2540).fits
    assert one(500, 420, 420, scale=50).fits


def test_printers_are_answered_in_their_order_with_their_names() -> None:
    found = fit(Box(x=200, y=200, z=200), [MK4, MINI])
    assert [(one.printer_id, one.printer, one.fits) for one in found] == [
        (2, "Prusa MK4", True),
        (1, "Prusa MINI", False),
    ]


def test_a_brim_stands_on_the_bed_too_and_does_not_grow_with_the_scale() -> None:
    assert fit(Box(x=240, y=100, z=10), [MK4], brim_mm=5)[0].fits
    (found,) = fit(Box(x=120, y=52.5, z=5), [MK4], scale=200, brim_mm=6)
    assert found.reason == "2 mm too wide for Prusa MK4 (250 mm)"

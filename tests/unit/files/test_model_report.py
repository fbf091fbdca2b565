"""Which printer a slice is made for when its customer names none."""

import pytest

from printshop.files.model_report import USUAL_SETTINGS, chosen_printer, printer_fits
from printshop.files.slices import queue_for
from printshop.files.slicing_context import SlicedPrinter
from printshop.geometry.dimensions import Box, Geometry

MINI = SlicedPrinter(id=1, name="Mini", profile="generic", bed_mm=(180, 180, 180), nozzle_um=400)
FINE = SlicedPrinter(id=3, name="Fine", profile="generic", bed_mm=(100, 100, 100), nozzle_um=200)
LARGE = SlicedPrinter(id=2, name="Large", profile="generic", bed_mm=(360, 360, 360), nozzle_um=400)


def model(edge: float, triangles: int = 12) -> Geometry:
    box = Box(x=edge, y=edge, z=edge)
    return Geometry(
        triangles=triangles, box=box, volume_mm3=edge**3, area_mm2=6 * edge**2, is_inverted=False, unit=None
    )


@pytest.mark.parametrize(
    ("edge", "scale", "brim", "printer"),
    [
        (180, 100, 0, MINI),
        (180, 101, 0, LARGE),
        (180, 100, 1, LARGE),
        (500, 100, 0, LARGE),
        (500, 20, 0, MINI),
    ],
)
def test_the_smallest_that_the_model_fits_is_chosen_else_the_largest(
    edge: float, scale: float, brim: float, printer: SlicedPrinter
) -> None:
    settings = USUAL_SETTINGS.model_copy(update={"scale": scale, "brim_width": brim})
    assert chosen_printer(printer_fits([MINI, LARGE], model(edge), settings), settings) == printer


def test_a_shop_without_printers_has_none_to_choose() -> None:
    assert chosen_printer(printer_fits([], model(10), USUAL_SETTINGS), USUAL_SETTINGS) is None


@pytest.mark.parametrize(
    ("layer_height", "edge", "printer"),
    [(0.175, 100, FINE), (0.2, 100, MINI), (0.2, 200, LARGE), (0.35, 100, MINI), (0.35, 500, LARGE)],
)
def test_a_nozzle_that_is_too_fine_for_the_layers_is_passed_over(
    layer_height: float, edge: float, printer: SlicedPrinter
) -> None:
    settings = USUAL_SETTINGS.model_copy(update={"layer_height": layer_height})
    assert chosen_printer(printer_fits([FINE, MINI, LARGE], model(edge), settings), settings) == printer


def test_where_no_nozzle_lays_such_layers_the_smallest_that_fits_is_chosen_and_says_so() -> None:
    settings = USUAL_SETTINGS.model_copy(update={"layer_height": 0.2})
    other = FINE.model_copy(update={"id": 4, "bed_mm": (120, 120, 120)})
    assert chosen_printer(printer_fits([FINE, other], model(110), settings), settings) == other


def test_models_of_many_triangles_or_of_much_room_go_into_the_large_lane() -> None:
    fine = USUAL_SETTINGS.model_copy(update={"layer_height": 0.05})
    tall = USUAL_SETTINGS.model_copy(update={"scale": 200})
    assert queue_for(model(100), USUAL_SETTINGS) == "SMALL"
    assert queue_for(model(100, triangles=600_000), USUAL_SETTINGS) == "LARGE"
    assert queue_for(model(150), USUAL_SETTINGS) == "SMALL"
    assert (queue_for(model(150), fine), queue_for(model(150), tall)) == ("LARGE", "LARGE")

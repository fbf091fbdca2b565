"""The lines of what was printed: what they are made of, and how many pieces are in the lot."""

from typing import Any

import pytest

from printshop.documents.formats import Figures
from printshop.documents.schemas import PrintDetails
from printshop.documents.template import format_print_details, render_html
from printshop.pricing.price_book import lot
from tests.unit.documents.documents import business, invoice, item, quote, receipt
from tests.unit.documents.test_template import text_of


def test_a_print_tells_its_material_settings_weight_and_time() -> None:
    details = {"grams": 83.4, "timeSec": 12_000, "material": "PLA", "layerHeight": 0.2, "infill": 15}
    for pieces in ({}, {"pieces": 1}, {"pieces": None}):
        text = text_of(render_html(invoice(items=[item(1, details={**details, **pieces})]), business()))
        assert "left half PLA · 0.2 mm layers · 15% infill · 83.4 g · 3 h 20 min 1 " in text


@pytest.mark.parametrize("description", ["Brackets, as agreed", lot("bracket.stl", 12, "PETG")])
def test_a_lot_tells_its_pieces_and_that_weight_and_time_are_of_one(description: str) -> None:
    lines = [item(3, description=description)]
    for paper in (invoice(items=lines), quote(items=lines)):
        assert (
            f"{description} 12 pieces · PETG · 0.15 mm layers · 40% infill · 11.2 g and 39 min each 1 $94.80 $94.80"
        ) in text_of(render_html(paper, business()))
    assert f"{description} 12 pieces 1 $94.80" in text_of(render_html(receipt(items=lines), business()))


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"pieces": 3}, "3 pieces"),
        ({"pieces": 3, "grams": 2}, "3 pieces · 2 g each"),
        ({"pieces": 3, "timeSec": 60, "material": "PLA"}, "3 pieces · PLA · 1 min each"),
        ({"grams": 12_345}, "12.35 kg"),
    ],
)
def test_a_line_tells_what_is_known_of_its_print(details: dict[str, Any], words: str) -> None:
    assert format_print_details(PrintDetails.model_validate(details), Figures("en_AU", "AUD")) == words


def test_a_description_of_several_lines_keeps_them() -> None:
    lines = [item(1, description="Housing\r\nwith lid\nand screws")]
    for paper in (invoice(items=lines), receipt(items=lines)):
        assert '<div class="lines" dir="auto">Housing\nwith lid\nand screws</div>' in render_html(
            paper, business()
        )


@pytest.mark.parametrize("details", [None, {}, {"settings": {}, "pieces": 1}])
def test_a_line_without_print_details_shows_none(details: dict[str, Any] | None) -> None:
    html = render_html(invoice(items=[item(1, details=details)]), business())
    assert 'class="aside">PLA' not in html
    assert "None" not in text_of(html)

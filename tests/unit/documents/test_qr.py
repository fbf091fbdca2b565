import re
from xml.etree import ElementTree

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from printshop.documents.qr import qr_code

SCALE, QUIET = 6, 4


def scanned(svg: str) -> list[str]:
    """What a reader finds in the drawing, on white."""
    root = ElementTree.fromstring(svg)
    side = int(root.attrib["viewBox"].split()[2])
    (path,) = root
    picture = Image.new("L", ((side + 2 * QUIET) * SCALE,) * 2, 255)
    draw = ImageDraw.Draw(picture)
    x = y = 0.0
    for command, numbers in re.findall(r"([MmHh])([-\d. ]*)", path.attrib["d"]):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command in "Mm":
            x, y = (values[0], values[1]) if command == "M" else (x + values[0], y + values[1])
            continue
        left, top = (QUIET + x) * SCALE, (QUIET + y - 0.5) * SCALE
        x = values[0] if command == "H" else x + values[0]
        draw.rectangle((left, top, (QUIET + x) * SCALE - 1, top + SCALE - 1), fill=0)
    return [code.text for code in zxingcpp.read_barcodes(picture)]


@pytest.mark.parametrize(
    "link",
    [
        "https://print.layerworks.example/api/pay/pl_8Jx2mWq0c4TtY7vN",
        "http://localhost:3000/api/pay/tok_1",
        "https://shop.example/api/pay/" + "Ab9_-" * 60,
        "https://shop.example/p?a=1&b=%C3%A9#x",
    ],
)
def test_a_phone_reads_the_very_link(link: str) -> None:
    assert scanned(qr_code(link, "Pay")) == [link]


def test_the_label_is_its_alternative_text_and_cannot_leave_it() -> None:
    label = '"><script>alert(1)</script>'
    root = ElementTree.fromstring(qr_code("https://shop.example/", label))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == label
    assert [child.tag.rpartition("}")[2] for child in root] == ["path"]


def test_the_same_link_is_drawn_the_same() -> None:
    qr_code.cache_clear()
    first = qr_code("https://shop.example/1", "Pay")
    qr_code.cache_clear()
    assert qr_code("https://shop.example/1", "Pay") == first

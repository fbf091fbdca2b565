"""What a screen reader, an archive and a search find in a PDF: PDF/UA's rules, as far as a library can see them."""

import io
import re
from collections.abc import Callable, Iterator

import pikepdf
import pytest

from printshop.documents.metadata import describe
from printshop.documents.template import full_title
from tests.unit.documents.documents import business, invoice
from tests.unit.documents.gallery import gallery

SHEETS = [name for name in gallery() if name != "strain-200-lines"]

type Printed = Callable[[str], bytes]


def opened(contents: bytes) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(contents))


def elements(pdf: pikepdf.Pdf) -> Iterator[pikepdf.Object]:
    """The structure tree's elements, in reading order."""

    def below(node: pikepdf.Object) -> Iterator[pikepdf.Object]:
        if isinstance(node, pikepdf.Array):
            for child in node:
                yield from below(child)
        elif isinstance(node, pikepdf.Dictionary):
            if "/S" in node:
                yield node
            yield from below(node.get("/K", pikepdf.Array()))

    yield from below(pdf.Root.StructTreeRoot.K)


def fonts(pdf: pikepdf.Pdf) -> Iterator[pikepdf.Object]:
    for sheet in pdf.pages:
        yield from sheet.Resources.Font.values()


def links(pdf: pikepdf.Pdf) -> list[pikepdf.Object]:
    return [mark for sheet in pdf.pages for mark in sheet.get("/Annots", []) if mark.Subtype == "/Link"]


def scope(cell: pikepdf.Object) -> set[str]:
    return {str(entry["/Scope"]) for entry in cell.A if "/Scope" in entry}


@pytest.mark.parametrize("name", SHEETS)
def test_every_sheet_is_sound_tagged_titled_and_in_its_language(printed: Printed, name: str) -> None:
    sheet, pdf = gallery()[name](), opened(printed(name))
    title = full_title(sheet.document, sheet.business)
    assert pdf.check_pdf_syntax() == []
    assert pdf.Root.MarkInfo.Marked
    assert str(pdf.Root.Lang) == "en-AU"
    assert pdf.Root.ViewerPreferences.DisplayDocTitle
    assert str(pdf.docinfo["/Title"]) == title
    assert all(page.get("/Tabs") == "/S" for page in pdf.pages)
    assert "/OpenAction" not in pdf.Root
    assert "/JavaScript" not in pdf.Root.get("/Names", {})


@pytest.mark.parametrize("name", SHEETS)
def test_every_sheet_has_its_headings_in_order_and_heads_every_cell(printed: Printed, name: str) -> None:
    pdf = opened(printed(name))
    found = list(elements(pdf))
    headings = [str(element.S) for element in found if re.fullmatch(r"/H\d", str(element.S))]
    assert headings[0] == "/H1"
    assert set(headings[1:]) == {"/H2"}
    heads = [element for element in found if element.S == "/TH"]
    assert all(len(scope(head)) == 1 for head in heads)
    assert set().union(*map(scope, heads)) == ({"/Row"} if name == "statement-empty" else {"/Column", "/Row"})
    assert [element for element in found if element.S == "/Figure" and not str(element.get("/Alt", ""))] == []


@pytest.mark.parametrize("name", SHEETS)
def test_every_font_is_embedded_as_the_part_that_is_used(printed: Printed, name: str) -> None:
    pdf = opened(printed(name))
    for font in fonts(pdf):
        assert re.fullmatch(
            r"/[A-Z]{6}\+(SourceSans3|SourceSerif4|Noto\w+)-(Regular|SemiBold)", str(font.BaseFont)
        )
        assert "/ToUnicode" in font
        assert "/FontFile2" in font.DescendantFonts[0].FontDescriptor


@pytest.mark.parametrize("name", [name for name in SHEETS if "hostile" not in name])
def test_the_links_are_those_of_the_document_and_each_has_a_name(printed: Printed, name: str) -> None:
    document = gallery()[name]().document
    wanted = getattr(document, "pay_url", None) or getattr(document, "accept_url", None)
    pdf = opened(printed(name))
    found = links(pdf)
    assert {str(link.A.URI) for link in found} == ({wanted} if wanted else set())
    assert all(str(link.Contents) == wanted for link in found)


def test_the_pictures_have_alternative_texts(printed: Printed) -> None:
    pdf = opened(printed("strain-pictures"))
    alternatives = [str(element.Alt) for element in elements(pdf) if element.S == "/Figure"]
    assert alternatives[0] == "Layerworks 3D Printing"
    assert alternatives[1:4] == ["Picture of the model"] * 3
    assert alternatives[4].startswith("QR code of the address https://")


def test_author_subject_number_and_day_stand_inside_twice(printed: Printed) -> None:
    pdf = opened(printed("invoice-paid"))
    assert {name: str(text) for name, text in pdf.docinfo.items()} == {
        "/Title": "Tax invoice INV-0042",
        "/Author": "Layerworks 3D Printing",
        "/Subject": "Tax invoice for Harbour Robotics Pty Ltd",
        "/Keywords": "INV-0042",
        "/Producer": "printshop, Chromium, Skia/PDF",
        "/CreationDate": "D:20261123000000+00'00'",
        "/ModDate": "D:20261123000000+00'00'",
    }
    with pdf.open_metadata() as xmp:
        assert xmp["dc:title"] == "Tax invoice INV-0042"
        assert xmp["dc:creator"] == ["Layerworks 3D Printing"]
        assert xmp["dc:description"] == "Tax invoice for Harbour Robotics Pty Ltd"
        assert xmp["pdf:Keywords"] == "INV-0042"
        assert xmp["xmp:CreateDate"] == "2026-11-23T00:00:00Z"


@pytest.mark.parametrize("text", ["Müller & Söhne <x> (1) \\", "山田 😀", ")>> endobj", "]]>", "\x01\x7f x"])
def test_any_name_stands_inside_as_it_was_written(printed: Printed, text: str) -> None:
    document, shop = invoice(client={"name": text}), business(name=text)
    plain = printed("strain-one-line").split(b"%%EOF\n")[0] + b"%%EOF\n"
    pdf = opened(describe(plain, document, shop, document.issue_date))
    assert pdf.check_pdf_syntax() == []
    assert str(pdf.docinfo["/Author"]) == shop.name
    with pdf.open_metadata() as xmp:
        assert xmp["dc:creator"] == [shop.name]


def test_a_second_description_changes_nothing(printed: Printed) -> None:
    once, document = printed("invoice-paid"), gallery()["invoice-paid"]().document
    assert describe(once, document, business(), document.issue_date) == once

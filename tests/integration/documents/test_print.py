"""The finished PDF against the data it was made of."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject, IndirectObject

from printshop.adapters.chromium.renderer import Renderer
from printshop.documents.schemas import Invoice, Paper, Quote
from printshop.documents.service import pin_dates
from printshop.documents.template import render_html
from tests.integration.documents.probes import Run, read, text_of
from tests.unit.documents.documents import LOGO, business, invoice, quote, receipt


@pytest.fixture(scope="module")
def paid(renderer: Renderer, run: Run) -> bytes:
    contents: bytes = run(renderer.pdf(render_html(invoice(paid=True), business(logoDataUrl=LOGO))))
    return contents


@pytest.fixture(scope="module")
def pending(renderer: Renderer, run: Run) -> bytes:
    contents: bytes = run(renderer.pdf(render_html(invoice(), business())))
    return contents


@pytest.fixture(scope="module")
def long(renderer: Renderer, run: Run) -> bytes:
    contents: bytes = run(renderer.pdf(render_html(invoice(60), business())))
    return contents


def elements(reader: PdfReader) -> Iterator[DictionaryObject]:
    """Every element of the structure tree."""

    def below(node: Any) -> Iterator[DictionaryObject]:
        node = node.get_object() if isinstance(node, IndirectObject) else node
        if isinstance(node, list):
            for child in node:
                yield from below(child)
        elif isinstance(node, DictionaryObject):
            yield node
            yield from below(node.get("/K", []))

    yield from below(reader.root_object["/StructTreeRoot"])


def tags(reader: PdfReader) -> list[str]:
    return [str(element["/S"]) for element in elements(reader) if "/S" in element]


def addresses(reader: PdfReader) -> list[str]:
    found = []
    for sheet in reader.pages:
        for annotation in sheet.get("/Annots", []):
            action = annotation.get_object().get("/A", {})
            if "/URI" in action:
                found.append(str(action["/URI"]))
    return found


def test_the_paper_is_a4(long: bytes) -> None:
    for sheet in read(long).pages:
        assert [float(side) for side in sheet.mediabox] == pytest.approx([0, 0, 595.28, 841.89], abs=0.7)


def test_an_invoice_carries_its_number_lines_gst_and_total(pending: bytes) -> None:
    text = text_of(pending)
    for part in (
        "Tax invoice INV-0042",
        "ABN 51 824 753 556",
        "Harbour Robotics Pty Ltd",
        "ABN 53 004 085 616",
        "Issued 23 November 2026",
        "Due 7 December 2026",
        "Gearbox housing, left half",
        "1 $97.00 – $97.00",
        "12 pieces · PETG · 0.15 mm layers · 40% infill · 11.2 g and 39 min each 1 $94.80 10% $85.32",
        "1.5 $90.00 – $135.00",
        "Subtotal $414.32",
        "Discount −$25.00",
        "Shipping metro $12.50",
        "GST 10% $40.18",
        "Total AUD $442.00",
        "Balance due $442.00",
        "BSB 062-000",
        "page 1 of 1",
    ):
        assert part in text


def test_a_paid_invoice_says_so(paid: bytes) -> None:
    text = text_of(paid)
    assert "PAID" in text
    assert "Balance due $0.00" in text
    assert "25 November 2026 Bank transfer $100.00" in text


def test_a_quote_carries_its_validity_and_total(renderer: Renderer, run: Run) -> None:
    text = text_of(run(renderer.pdf(render_html(quote(), business()))))
    for part in ("Quote QT-0007", "Valid until 23 December 2026", "Total AUD $493.68", "Accept this quote"):
        assert part in text


def test_the_pay_link_can_be_followed_from_button_and_address(pending: bytes) -> None:
    links = addresses(read(pending))
    assert set(links) == {"https://print.layerworks.example/api/pay/pl_8Jx2mWq0c4TtY7vN"}
    assert len(links) >= 2


def test_a_paid_invoice_has_no_link(paid: bytes) -> None:
    assert addresses(read(paid)) == []


@pytest.mark.parametrize(
    ("document", "title"),
    [(invoice(1), "Tax invoice INV-0042"), (quote(1), "Quote QT-0007")],
    ids=["invoice", "quote"],
)
def test_title_and_language_are_set(
    renderer: Renderer, run: Run, document: Invoice | Quote, title: str
) -> None:
    reader = read(run(renderer.pdf(render_html(document, business()))))
    assert reader.metadata is not None
    assert reader.metadata.title == title
    assert str(reader.root_object["/Lang"]) == "en-AU"
    assert "'/DisplayDocTitle': True" in str(reader.root_object["/ViewerPreferences"])


def test_the_pdf_is_tagged_with_headings_tables_and_links(pending: bytes) -> None:
    reader = read(pending)
    assert "'/Marked': True" in str(reader.root_object["/MarkInfo"])
    found = tags(reader)
    assert found.count("/H1") == 1
    assert found.count("/H2") >= 5
    assert {"/Table", "/TR", "/TH", "/TD", "/Link", "/P"} <= set(found)
    columns = [element for element in elements(reader) if element.get("/S") == "/TH"]
    scopes = re.findall(r"/Scope', '/(\w+)|'/Scope': '/(\w+)", str([dict(column) for column in columns]))
    assert {"".join(scope) for scope in scopes} == {"Column", "Row"}


def test_the_logo_has_an_alternative_text(paid: bytes) -> None:
    figures = [element for element in elements(read(paid)) if element.get("/S") == "/Figure"]
    assert [figure.get("/Alt") for figure in figures] == ["Layerworks 3D Printing"]


def test_the_outline_leads_to_the_headings(pending: bytes) -> None:
    titles = str(read(pending).outline)
    assert "Tax invoice" in titles


def test_every_font_is_embedded_and_reduced_to_what_is_used(pending: bytes) -> None:
    for sheet in read(pending).pages:
        fonts = sheet["/Resources"]["/Font"].values()  # type: ignore[index]
        for font in (font.get_object() for font in fonts):
            assert re.fullmatch(r"/[A-Z]{6}\+Source(Sans3|Serif4)-(Regular|SemiBold)", font["/BaseFont"])
            described = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
            assert "/FontFile2" in described
    assert len(pending) < 100_000


@pytest.mark.parametrize(("lines", "pages"), [(1, 1), (4, 1), (60, 4), (200, 10)])
def test_lines_fill_as_many_pages_as_they_need(renderer: Renderer, run: Run, lines: int, pages: int) -> None:
    reader = read(run(renderer.pdf(render_html(invoice(lines), business()))))
    assert len(reader.pages) == pages
    for number, sheet in enumerate(reader.pages, 1):
        text = " ".join(sheet.extract_text().split())
        assert f"INV-0042 · page {number} of {pages}" in text
        assert "Layerworks 3D Printing · ABN 51 824 753 556" in text


def test_the_table_head_is_repeated_and_no_line_is_torn_or_lost(long: bytes) -> None:
    texts = [" ".join(sheet.extract_text().split()) for sheet in read(long).pages]
    assert all("Description Quantity Unit price Discount Amount" in text for text in texts)
    assert sum(text.count("Gearbox housing, left half") for text in texts) == 15
    for text in texts:
        assert text.count("Gearbox housing") == text.count("PLA · 0.2 mm layers")
        assert text.count("Mounting bracket") == text.count("PETG · 0.15 mm layers")


def payments(count: int) -> list[dict[str, Any]]:
    return [{"date": "2026-11-25", "method": "CASH", "amountCents": 100}] * count


@pytest.mark.parametrize(
    ("make", "sizes", "sums"),
    [
        (quote, range(9, 14), ("Subtotal", "Shipping", "GST 10%", "Total AUD")),
        (invoice, range(8, 13), ("Subtotal", "Discount", "Shipping", "GST 10%", "Total AUD", "Balance due")),
        (
            lambda count: receipt(payments=payments(count)),
            range(12, 18),
            ("GST included", "Invoice total", "Amount received", "Balance due"),
        ),
    ],
    ids=["quote", "invoice", "receipt"],
)
def test_the_sums_are_kept_together_on_one_page(
    renderer: Renderer, run: Run, make: Callable[[int], Paper], sizes: range, sums: tuple[str, ...]
) -> None:
    held = set()
    for count in sizes:
        printed = read(run(renderer.pdf(render_html(make(count), business()))))
        texts = [" ".join(sheet.extract_text().split()) for sheet in printed.pages]
        (number,) = (number for number, text in enumerate(texts) if sums[0] in text)
        below = texts[number][texts[number].index(sums[0]) :]
        assert [part for part in sums if part not in below] == []
        held.add(number)
    assert held == {0, 1}, "sizes at which the sums move to the second page"


def test_the_date_inside_is_the_documents(pending: bytes) -> None:
    pinned = pin_dates(pending, invoice().issue_date)
    metadata = read(pinned).metadata
    assert metadata is not None
    assert str(metadata.creation_date) == str(metadata.modification_date) == "2026-11-23 00:00:00+00:00"
    assert len(pinned) == len(pending)


def test_the_same_document_prints_the_same_text_and_size(
    renderer: Renderer, run: Run, pending: bytes
) -> None:
    again = run(renderer.pdf(render_html(invoice(), business())))
    assert text_of(again) == text_of(pending)

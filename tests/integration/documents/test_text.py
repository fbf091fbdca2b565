"""Every word and figure of a document is in its PDF, as text."""

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2
import pytest
import zxingcpp

from printshop.adapters.chromium.renderer import Renderer
from printshop.documents.formats import Figures
from printshop.documents.schemas import Paper, Statement
from printshop.documents.template import format_pieces
from scripts.preview import pages_of, print_sheet
from tests.integration.documents.probes import CountingServer, Run
from tests.unit.documents.gallery import HOSTILE, gallery, hostile_papers

MM = 72 / 25.4
"""Points."""

OTHERWISE = ("strain-every-script", "strain-hostile", "strain-long-words", "strain-ten-thousand-letters")
"""Right to left, with tags, over several pages: seen by eyes, or below."""

type Printed = Callable[[str], bytes]


def folded(text: str) -> str:
    """Without white space, which a line's end eats, and with every letter in its usual shape."""
    return "".join(unicodedata.normalize("NFKC", text).split()).replace("\ufffe", "").replace("\u00ad", "")


def text_of(contents: bytes) -> str:
    with pypdfium2.PdfDocument(contents) as pdf:
        return folded("".join(page.get_textpage().get_text_bounded() for page in pdf))


def figures_of(document: Paper) -> Iterator[str]:
    if document.kind == "statement":
        yield from entries_of(document)
        return
    figures = Figures("en_AU", document.currency)
    for item in document.items:
        yield figures.quantity(item.quantity)
        yield figures.money(item.total_cents)
    yield figures.money(document.tax_cents)
    yield figures.money(document.total_cents)
    yield figures.percent(document.tax_rate_bps)
    yield figures.day(document.issue_date)
    if document.kind != "quote":
        for cents in (
            document.received_cents, document.refunded_cents, document.written_off_cents, document.credited_cents,
            document.in_credit_cents,
        ):  # fmt: skip
            yield figures.money(cents) if cents else ""
    for payment in getattr(document, "payments", ()):
        yield figures.money(payment.amount_cents)
        yield figures.day(payment.date)


def entries_of(statement: Statement) -> Iterator[str]:
    for account in statement.accounts:
        figures = Figures("en_AU", account.currency)
        for entry in account.entries:
            yield from (entry.number, figures.day(entry.day), figures.money(abs(entry.amount_cents)))
            yield figures.money(entry.balance_cents)
        yield from (figures.money(account.opening_cents), figures.money(abs(account.closing_cents)))


def words_of(document: Paper) -> Iterator[str]:
    client = document.client
    yield from filter(None, (client.name, client.company, client.email, client.phone))
    yield from client.address.lines if client.address else ()
    if document.kind == "statement":
        return
    yield document.number
    yield from (item.description for item in document.items)
    yield from (format_pieces(item.details) for item in document.items if item.details)
    remarks = (document.notes, None if document.kind == "receipt" else document.terms)
    yield from (line for text in remarks if text for line in text.split("\n"))


@pytest.mark.parametrize("name", [name for name in gallery() if name not in OTHERWISE])
def test_every_word_and_figure_of_the_document_is_on_its_paper(printed: Printed, name: str) -> None:
    document, text = gallery()[name]().document, text_of(printed(name))
    assert [part for part in (*words_of(document), *figures_of(document)) if folded(part) not in text] == []


def test_no_letter_of_a_long_word_is_cut_off(printed: Printed) -> None:
    text = text_of(printed("strain-long-words"))
    assert [text.count(letter) >= length for letter, length in (("W", 3000), ("M", 2000), ("N", 400))] == [
        True
    ] * 3


@pytest.mark.parametrize("text", HOSTILE[:5])
def test_hostile_text_is_on_its_paper_as_text(printed: Printed, text: str) -> None:
    assert text_of(printed("strain-hostile")).count(folded(text)) >= 3


@pytest.mark.parametrize("text", HOSTILE)
def test_no_kind_of_paper_asks_for_anything_whatever_its_fields_say(
    renderer: Renderer, run: Run, text: str, outside: CountingServer, blocked: list[dict[str, Any]]
) -> None:
    text = text.replace("http://127.0.0.1:9", outside.url)
    seen = folded(text.replace("\x00", "").replace("left\u202ethgir", "right"))
    for sheet in hostile_papers(text):
        shown = text_of(run(print_sheet(renderer, sheet)))
        assert shown.count(seen) >= 8
        assert "·page1of" in shown
    assert (outside.hits, blocked) == (0, [])


@pytest.mark.parametrize("name", gallery())
def test_no_text_leaves_its_margins(printed: Printed, name: str) -> None:
    left, right = 16 * MM - 1, 194 * MM + 1
    with pypdfium2.PdfDocument(printed(name)) as pdf:
        for page in pdf:
            words = page.get_textpage()
            boxes = [words.get_rect(number) for number in range(words.count_rects())]
            assert [box for box in boxes if box[0] < left or box[2] > right] == []
            assert [box for box in boxes if box[1] < 0 or box[3] > 297 * MM] == []


@pytest.mark.parametrize("name", ["invoice-pending", "invoice-overdue", "quote-pending", "strain-pictures"])
def test_the_code_on_the_paper_is_read_as_the_buttons_link(printed: Printed, name: str) -> None:
    document = gallery()[name]().document
    link = getattr(document, "pay_url", None) or getattr(document, "accept_url", None)
    (page,) = pages_of(printed(name), 150)
    assert [code.text for code in zxingcpp.read_barcodes(page)] == [link]

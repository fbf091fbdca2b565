import asyncio
import base64
import re
import time
from datetime import date
from pathlib import Path

import pytest

from printshop.documents.cache import PdfCache
from printshop.documents.schemas import Invoice
from printshop.documents.service import Pdf, PdfService, input_hash, pin_dates, stored_url
from printshop.kernel.errors import PayloadTooLarge, Unavailable
from tests.unit.documents.documents import business, invoice, item, quote, receipt, statement
from tests.unit.documents.fakes import DOWN, FakePrinter, FakeStore

KEY = "invoice-INV-0042.pdf"


class Shop:
    """A service on fakes; `restarted` is another process, with an empty cache, on the same store."""

    def __init__(
        self, folder: Path, store: FakeStore | None = None, printer: FakePrinter | None = None
    ) -> None:
        self.folder = folder
        self.store = store or FakeStore()
        self.printer = printer or FakePrinter()
        self.service = PdfService(self.printer, self.store, PdfCache(folder))

    def invoice(self, **changes: object) -> Pdf:
        return asyncio.run(self.service.invoice_pdf(invoice(2, **changes), business()))

    def restarted(self, version: str = "147") -> "Shop":
        return Shop(self.folder / "other", self.store, FakePrinter(version))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "pdfs")


def test_a_new_document_is_printed_stored_and_cached(shop: Shop) -> None:
    pdf = shop.invoice()
    assert (pdf.source, pdf.filename, pdf.storage_key) == ("rendered", KEY, KEY)
    contents, metadata = shop.store.objects[KEY]
    assert contents == pdf.contents
    assert re.fullmatch(r"[0-9a-f]{64}", metadata["hash"])
    assert shop.invoice().source == "cache"


def test_a_quote_has_a_key_of_its_own(shop: Shop) -> None:
    pdf = asyncio.run(shop.service.quote_pdf(quote(), business()))
    assert pdf.storage_key == "quote-QT-0007.pdf"
    assert "quote-QT-0007.pdf" in shop.store.objects


def test_an_unchanged_document_starts_no_printer_and_asks_no_storage(shop: Shop) -> None:
    first = shop.invoice()
    shop.store.calls.clear()
    assert shop.invoice().contents == first.contents
    assert (len(shop.printer.printed), shop.printer.prepared) == (1, 1)
    assert shop.store.calls == []


def test_another_process_takes_the_stored_pdf(shop: Shop) -> None:
    first = shop.invoice()
    other = shop.restarted()
    pdf = other.invoice()
    assert (pdf.source, pdf.contents) == ("storage", first.contents)
    assert (other.printer.printed, other.printer.prepared) == ([], 0)
    assert other.invoice().source == "cache"


def test_a_stored_pdf_costs_the_wait_of_one_request(shop: Shop) -> None:
    first = shop.invoice()
    other = shop.restarted()
    shop.store.delay = 0.4
    start = time.monotonic()
    assert other.invoice().contents == first.contents
    assert time.monotonic() - start < 0.75


@pytest.mark.parametrize(
    "change", [{"status": "PAID"}, {"notes": "New"}, {"payUrl": None}, {"totalCents": 1}]
)
def test_a_changed_document_is_printed_again_over_the_old_one(shop: Shop, change: dict[str, object]) -> None:
    before = shop.invoice()
    after = shop.invoice(**change)
    assert after.source == "rendered"
    assert after.contents != before.contents
    assert shop.store.objects[KEY][0] == after.contents


def test_a_changed_business_prints_again(shop: Shop) -> None:
    shop.invoice()
    moved = business(address="1 New Street")
    assert asyncio.run(shop.service.invoice_pdf(invoice(2), moved)).source == "rendered"


def pictured(*keys: str) -> Invoice:
    """An invoice whose lines are prints of files 1, 2 … with these pictures."""
    lines = [item(n) | {"details": {"fileId": n}} for n in range(1, len(keys) + 1)]
    return invoice(items=lines, pictures={str(n): key for n, key in enumerate(keys, 1)})


def test_the_pictures_of_its_models_are_printed_with_a_document(shop: Shop) -> None:
    shop.store.pictures = {"7/a/preview.png": b"\x89PNG a", "7/b/preview.png": b"\x89PNG b"}
    document = pictured("7/a/preview.png", "7/b/preview.png")
    asyncio.run(shop.service.pdf(document, business()))
    (html,) = shop.printer.printed
    for picture in shop.store.pictures.values():
        assert isinstance(picture, bytes)
        assert f"data:image/png;base64,{base64.b64encode(picture).decode()}" in html
    assert asyncio.run(shop.service.pdf(document, business())).source == "cache"
    assert input_hash(document, business(), "147") != input_hash(pictured("7/c/p.png"), business(), "147")


def test_a_picture_that_is_gone_leaves_the_line_plain_for_good(shop: Shop) -> None:
    document = pictured("7/a/preview.png")
    asyncio.run(shop.service.pdf(document, business()))
    assert "data:image/png" not in shop.printer.printed[0]
    assert asyncio.run(shop.service.pdf(document, business())).source == "cache"


def test_a_picture_that_does_not_come_leaves_the_line_plain_this_once(shop: Shop) -> None:
    document = pictured("7/a/preview.png")
    shop.store.pictures = {"7/a/preview.png": DOWN}
    assert asyncio.run(shop.service.pdf(document, business())).source == "rendered"
    assert shop.store.objects == {}
    shop.store.pictures = {"7/a/preview.png": b"\x89PNG"}
    assert asyncio.run(shop.service.pdf(document, business())).source == "rendered"
    assert "data:image/png" in shop.printer.printed[1]


def test_so_many_pictures_are_printed_as_go_through_the_gateway(shop: Shop) -> None:
    keys = [f"7/{n}/preview.png" for n in range(50)]
    shop.store.pictures = dict.fromkeys(keys, b"\x89PNG".ljust(100_000))
    asyncio.run(shop.service.pdf(pictured(*keys), business()))
    assert shop.printer.printed[0].count("data:image/png") == 25


def test_another_browser_prints_again(shop: Shop) -> None:
    shop.invoice()
    assert shop.restarted(version="148").invoice().source == "rendered"


def test_the_hash_covers_every_input() -> None:
    known = {
        input_hash(invoice(1), business(), "147"),
        input_hash(invoice(1, notes="x"), business(), "147"),
        input_hash(invoice(1), business(phone="x"), "147"),
        input_hash(invoice(1), business(), "148"),
        input_hash(quote(1), business(), "147"),
    }
    assert len(known) == 5
    assert input_hash(invoice(1), business(), "147") in known


def test_a_pdf_missing_in_storage_is_made_again(shop: Shop) -> None:
    shop.invoice()
    shop.store.objects.clear()
    assert shop.restarted().invoice().source == "rendered"
    assert KEY in shop.store.objects


def test_a_pdf_stored_without_a_hash_is_made_again(shop: Shop) -> None:
    shop.store.objects[KEY] = (b"old", {})
    assert shop.invoice().source == "rendered"
    assert "hash" in shop.store.objects[KEY][1]


def test_a_pdf_is_served_from_the_print_when_storage_is_down(shop: Shop) -> None:
    shop.store.failure = DOWN
    assert shop.invoice().source == "rendered"
    assert "upload" not in shop.store.calls
    assert shop.invoice().source == "cache"


def test_a_pdf_is_served_when_storage_refuses_it(shop: Shop) -> None:
    shop.store.failure = PayloadTooLarge("FILE_TOO_LARGE", "The file is larger than this bucket takes.")
    assert shop.invoice().source == "rendered"
    assert shop.store.calls.count("upload") == 1


def test_storage_that_hangs_delays_a_pdf_by_no_more_than_its_limit(shop: Shop, tmp_path: Path) -> None:
    shop.store.delay = 0.6
    service = PdfService(shop.printer, shop.store, PdfCache(tmp_path), storage_limit=0.1)

    async def timed() -> tuple[Pdf, float]:
        start = time.monotonic()
        pdf = await service.invoice_pdf(invoice(2), business())
        return pdf, time.monotonic() - start

    pdf, seconds = asyncio.run(timed())
    assert pdf.source == "rendered"
    assert seconds < 0.5
    assert "upload" not in shop.store.calls


def test_a_large_pdf_that_is_not_stored_is_stored_before_its_address_is_told(shop: Shop) -> None:
    shop.store.failure = DOWN
    pdf = shop.invoice()
    shop.store.failure = None
    assert stored_url(shop.store, pdf, 60) == f"https://storage.example/{KEY}?seconds=60&as={KEY}"
    assert shop.restarted().invoice().source == "storage"
    shop.store.calls.clear()
    stored_url(shop.store, pdf, 60)
    assert shop.store.calls == ["info", "signed_url"]


def test_the_address_is_never_that_of_an_older_paper(shop: Shop) -> None:
    shop.invoice()
    shop.store.failure = DOWN
    shop.invoice(notes="Paid since")
    shop.store.failure = None
    newer = shop.invoice(notes="Paid since")
    assert newer.source == "cache"
    stored_url(shop.store, newer, 60)
    assert shop.store.objects[KEY][0] == newer.contents


def test_what_lacks_a_picture_can_be_fetched_and_is_printed_anew_all_the_same(shop: Shop) -> None:
    document = pictured("7/a/preview.png")
    shop.store.pictures = {"7/a/preview.png": DOWN}
    lacking = asyncio.run(shop.service.pdf(document, business()))
    stored_url(shop.store, lacking, 60)
    assert shop.store.objects[KEY][0] == lacking.contents
    shop.store.pictures = {"7/a/preview.png": b"\x89PNG"}
    assert asyncio.run(shop.restarted().service.pdf(document, business())).source == "rendered"


def test_a_receipt_has_a_key_of_its_own_and_goes_with_its_invoice(shop: Shop) -> None:
    shop.invoice(paid=True)
    paper = receipt(2)
    pdf = asyncio.run(shop.service.receipt_pdf(paper, business()))
    assert (pdf.source, pdf.storage_key) == ("rendered", "receipt-INV-0042.pdf")
    assert set(shop.store.objects) == {KEY, pdf.storage_key}
    assert asyncio.run(shop.service.delete("invoice", "INV-0042")) is True
    assert shop.store.objects == {}
    assert asyncio.run(shop.service.receipt_pdf(paper, business())).source == "rendered"


def test_a_statement_is_cached_and_not_stored(shop: Shop) -> None:
    paper = statement(3)
    pdf = asyncio.run(shop.service.statement_pdf(paper, business()))
    assert (pdf.source, pdf.filename) == ("rendered", "statement-7-2025-12-01-2026-11-24.pdf")
    assert asyncio.run(shop.service.statement_pdf(paper, business())).source == "cache"
    assert asyncio.run(shop.service.statement_pdf(statement(4), business())).source == "rendered"
    assert (shop.store.calls, shop.store.objects) == ([], {})


def test_a_print_that_fails_stores_nothing(shop: Shop) -> None:
    shop.printer.failure = Unavailable("RENDER_FAILED", "The PDF could not be made; try again.")
    with pytest.raises(Unavailable, match="RENDER_FAILED"):
        shop.invoice()
    assert shop.store.objects == {}


def test_a_deleted_pdf_leaves_storage_and_cache(shop: Shop) -> None:
    shop.invoice()
    assert asyncio.run(shop.service.delete("invoice", "INV-0042")) is True
    assert shop.store.objects == {}
    assert asyncio.run(shop.service.delete("invoice", "INV-0042")) is False
    assert shop.invoice().source == "rendered"


def test_the_date_inside_is_the_documents_and_the_length_stays() -> None:
    printed = b"/CreationDate (D:20300101123456+00'00') /ModDate (D:20300101123456+00'00') D:2030"
    pinned = pin_dates(printed, date(2026, 7, 3))
    assert pinned == b"/CreationDate (D:20260703000000+00'00') /ModDate (D:20260703000000+00'00') D:2030"
    assert len(pinned) == len(printed)

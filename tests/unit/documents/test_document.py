import pytest
from pydantic import ValidationError

from printshop.documents.schemas import Business, Invoice, Quote, pdf_filename
from tests.unit.documents.documents import (
    BUSINESS,
    CLIENT,
    LOGO,
    business,
    invoice,
    invoice_json,
    item,
    quote_json,
    receipt,
)


def test_an_invoice_of_the_database_is_read_with_its_camel_case_names() -> None:
    read = Invoice.model_validate(invoice_json(2, id=7, payToken="unused", creditCents=0))
    assert read.number == "INV-0042"
    assert read.items[0].unit_price_cents == 9700
    assert read.issue_date.isoformat() == "2026-11-23"


def test_a_quote_needs_no_payment_fields() -> None:
    read = Quote.model_validate(quote_json(1))
    assert read.valid_until is not None
    assert read.valid_until.isoformat() == "2026-12-23"


def test_a_blank_field_counts_as_absent() -> None:
    read = invoice(1, notes="  ", terms="", shippingLabel="")
    assert (read.notes, read.terms, read.shipping_label) == (None, None, None)


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\ud800"])
def test_a_character_that_no_page_can_show_is_dropped(character: str) -> None:
    assert invoice(1, notes=f"a{character}b").notes == "ab"


def test_line_ends_of_every_system_become_one() -> None:
    assert business(address="a\r\nb\rc").address == "a\nb\nc"


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", 'https://x"y', ""]
)
def test_a_pay_link_that_is_not_http_is_refused(link: str) -> None:
    with pytest.raises(ValidationError):
        invoice(1, payUrl=link)


@pytest.mark.parametrize("logo", ["https://x.example/logo.png", "data:text/html;base64,PGI+", "x", 7])
def test_a_logo_that_is_not_an_inline_picture_counts_as_absent(logo: object) -> None:
    assert business(logoDataUrl=logo).logo_data_url is None


def test_an_inline_logo_is_kept() -> None:
    assert Business.model_validate(BUSINESS | {"logoDataUrl": LOGO}).logo_data_url == LOGO


def test_a_quantity_keeps_three_decimals_and_no_more() -> None:
    assert str(invoice(1, items=[item(1, quantity=0.125)]).items[0].quantity) == "0.125"
    with pytest.raises(ValidationError):
        invoice(1, items=[item(1, quantity=0.1255)])


def test_a_receipt_fetches_no_pictures_for_it_shows_none() -> None:
    lines = [item(1, details={"fileId": 1, "material": "PLA"})]
    pictures = {"1": "models/1.png"}
    assert invoice(items=lines, pictures=pictures).picture_keys == pictures
    assert receipt(items=lines, pictures=pictures).picture_keys == {}


def test_an_address_reads_as_on_an_envelope() -> None:
    client = invoice(1).client
    assert client.address is not None
    assert client.address.lines == ["Level 2, 40 Bridge Street", "Sydney NSW 2000"]
    assert invoice(1, client={**CLIENT, "address": None}).client.address is None


@pytest.mark.parametrize(
    ("code", "named"),
    [("AU", []), ("", []), ("NZ", ["New Zealand"]), ("CI", ["Côte d’Ivoire"]), ("XX", ["XX"])],
)
def test_a_country_is_named_in_words_unless_it_is_the_shops(code: str, named: list[str]) -> None:
    address = {**CLIENT["address"], "country": code}
    read = invoice(1, client={**CLIENT, "address": address}).client.address
    assert read is not None
    assert read.lines[2:] == named


@pytest.mark.parametrize(
    ("kind", "number", "filename"),
    [
        ("invoice", "INV-0042", "invoice-INV-0042.pdf"),
        ("quote", "QT-10000", "quote-QT-10000.pdf"),
        ("invoice", "../../etc/passwd", "invoice-.._.._etc_passwd.pdf"),
        ("quote", "A/1 é\n", "quote-A_1___.pdf"),
    ],
)
def test_a_file_name_holds_the_number_and_nothing_dangerous(kind: str, number: str, filename: str) -> None:
    assert pdf_filename(kind, number) == filename

import re
from decimal import Decimal
from html import escape, unescape

import pytest

from printshop.documents.qr import qr_code
from printshop.documents.template import (
    css_string,
    format_abn,
    format_duration,
    format_percent,
    format_quantity,
    isolated,
    render_html,
)
from tests.unit.documents.documents import (
    CLIENT,
    LOGO,
    business,
    invoice,
    item,
    quote,
    receipt,
)
from tests.unit.documents.gallery import gallery

EXTERNAL = re.compile(
    r"""(?:src|url|@import|<link|<script|<iframe|<object|<embed|<base|http-equiv)\b[^>]{0,3}""", re.I
)


def text_of(html: str) -> str:
    """What a reader sees, tags dropped and white space folded."""
    body = html.partition("<body>")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_an_invoice_is_titled_as_the_tax_office_wants_it() -> None:
    html = render_html(invoice(), business())
    assert "<h1>Tax invoice</h1>" in html
    assert "<title>Tax invoice INV-0042</title>" in html
    assert '<html lang="en-AU">' in html


def test_a_quote_is_titled_quote_and_has_no_balance() -> None:
    html = render_html(quote(), business())
    assert "<h1>Quote</h1>" in html
    assert "Valid until 23 December 2026" in text_of(html)
    assert "Balance" not in text_of(html)


def test_every_stored_figure_is_shown_and_none_is_computed() -> None:
    document = invoice(
        1,
        items=[item(1, totalCents=11)],
        subtotalCents=22,
        discountCents=33,
        shippingCents=44,
        taxCents=55,
        totalCents=66,
        receivedCents=77,
        refundedCents=99,
        writtenOffCents=111,
        creditedCents=122,
        inCreditCents=133,
        balanceCents=88,
    )
    text = text_of(render_html(document, business()))
    for part in (
        "$97.00 $0.11",
        "Subtotal $0.22",
        "Discount −$0.33",
        "Shipping metro $0.44",
        "GST 10% $0.55",
        "Total AUD $0.66",
        "Paid −$0.77",
        "Refunded $0.99",
        "Written off −$1.11",
        "Credited for the refund −$1.22",
        "To your credit $1.33",
        "Balance due $0.88",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("currency", "total"), [("AUD", "$1,234.56"), ("JPY", "JPY 123,456"), ("KWD", "KWD 123.456")]
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, total: str) -> None:
    text = text_of(render_html(invoice(1, currency=currency, totalCents=123456), business()))
    note = "" if currency in total else f"{currency} "
    assert f"Total {note}{total}" in text


@pytest.mark.parametrize(("bps", "rate"), [(1000, "10%"), (1250, "12.5%"), (875, "8.75%"), (0, "0%")])
def test_gst_shows_its_real_rate(bps: int, rate: str) -> None:
    assert f"GST {rate} $" in text_of(render_html(invoice(1, taxRateBps=bps), business()))


def test_the_discount_column_is_there_when_a_line_has_one() -> None:
    lines = [item(1, discount=("PERCENT", 1250)), item(2, discount=("FIXED", 500)), item(3)]
    text = text_of(render_html(invoice(items=lines), business()))
    assert "Unit price Discount Amount" in text
    assert "$97.00 12.5% $84.87" in text
    assert "$97.00 $5.00 $92.00" in text
    assert "$94.80 – $94.80" in text
    assert "Unit price Amount" in text_of(render_html(invoice(items=[item(1)]), business()))


def test_lines_stand_in_their_order() -> None:
    text = text_of(render_html(invoice(items=[item(3), item(1), item(2)]), business()))
    assert text.index("left half") < text.index("right half") < text.index("Mounting bracket")


@pytest.mark.parametrize(
    ("status", "stamp"),
    [
        ("PAID", "PAID"),
        ("OVERDUE", "OVERDUE"),
        ("VOID", "VOID"),
        ("WRITTEN_OFF", "WRITTEN OFF"),
        ("REFUNDED", "REFUNDED"),
    ],
)
def test_an_invoice_that_is_settled_or_late_is_stamped(status: str, stamp: str) -> None:
    assert f">{stamp}</p>" in render_html(invoice(1, status=status), business())


@pytest.mark.parametrize("status", ["ACCEPTED", "DECLINED", "EXPIRED"])
def test_a_quote_that_is_decided_is_stamped(status: str) -> None:
    assert f">{status}</p>" in render_html(quote(1, status=status), business())


def test_a_pending_document_has_no_stamp() -> None:
    assert 'class="stamp' not in render_html(invoice(1), business())
    assert 'class="stamp' not in render_html(quote(1), business())


def test_a_pay_link_is_a_button_and_readable_on_paper() -> None:
    html = render_html(invoice(1, payUrl="https://shop.example/api/pay/abc", balanceCents=12045), business())
    assert '<a class="button" href="https://shop.example/api/pay/abc">Pay $120.45</a>' in html
    assert '<a href="https://shop.example/api/pay/abc">https://shop.example/api/pay/abc</a>' in html


def test_without_a_pay_link_the_reason_is_given() -> None:
    html = render_html(invoice(1, payUrl=None, payNote="Pay by bank transfer, please."), business())
    assert "Pay by bank transfer, please." in html
    assert 'class="button"' not in html


def test_a_quote_offers_its_acceptance() -> None:
    assert ">Accept this quote</a>" in render_html(quote(1), business())
    assert 'class="button"' not in render_html(quote(1, acceptUrl=None), business())


def test_bank_details_are_shown_while_something_is_owed() -> None:
    assert "BSB 062-000" in render_html(invoice(1), business())
    assert "BSB 062-000" not in render_html(invoice(1, paid=True), business())


def test_payments_are_listed_with_date_and_method() -> None:
    text = text_of(render_html(invoice(4, paid=True), business()))
    assert "25 November 2026 Bank transfer $100.00" in text
    assert "1 December 2026 Card $342.00" in text


def test_the_business_stands_with_its_abn() -> None:
    assert "ABN 51 824 753 556" in text_of(render_html(invoice(1), business()))
    assert "ABN 51" not in render_html(invoice(1), business(abn=None))


def test_the_logo_has_an_alternative_text_and_its_absence_a_wordmark() -> None:
    assert 'alt="Layerworks 3D Printing"' in render_html(invoice(1), business(logoDataUrl=LOGO))
    assert 'class="wordmark"' in render_html(invoice(1), business())


def test_a_client_with_nothing_but_a_name_is_enough() -> None:
    text = text_of(render_html(invoice(1, client={"name": "Jo"}), business()))
    assert "Bill to Jo Details" in text


def test_headings_table_heads_and_captions_carry_structure() -> None:
    html = render_html(invoice(), business())
    assert html.count("<h1>") == 1
    assert '<th scope="col"' in html
    assert '<th scope="row">' in html
    assert "<thead>" in html


HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=http://127.0.0.1:1/x>",
    '"><iframe src="http://127.0.0.1:1/">',
    "{{ 7 * 7 }} {% include '/etc/passwd' %}",
    "url(http://127.0.0.1:1/)",
    "'; } @import 'http://127.0.0.1:1/'; a {",
    "&lt;b&gt; & \\22 \\000041",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_any_field_stays_text(text: str) -> None:
    client = {name: text for name in CLIENT if name != "address"} | {
        "address": dict.fromkeys(("line1", "line2", "suburb", "state", "postcode", "country"), text)
    }
    details = {"material": text}
    document = invoice(
        number=text,
        client=client,
        items=[item(1, description=text, details=details)],
        notes=text,
        terms=text,
        shippingLabel=text,
        payNote=text,
        payUrl=None,
        payments=[{"date": "2026-11-25", "method": text, "amountCents": 1}],
    )
    shop = business(**dict.fromkeys(("name", "address", "phone", "email", "abn", "bankDetails"), text))
    harmless = render_html(invoice(1), business())
    html = render_html(document, shop)
    assert text_of(html).count(" ".join(text.split())) >= 15
    assert "49" not in text_of(html).replace(" ".join(text.split()), "").replace("$", "")[:200]
    assert html.count("<style>") == harmless.count("<style>") == 1
    assert html.count("</style>") == 1
    for tag in ("<script", "<img", "<iframe", "@import"):
        assert tag not in html.partition("<body>")[2].replace("@import &#39;", "")


@pytest.mark.parametrize("text", [*HOSTILE, '"', "\\", "\n", "a;}", "*/", "é😀"])
def test_a_css_string_holds_only_letters_digits_and_escapes(text: str) -> None:
    escaped = str(css_string(text))
    assert re.fullmatch(r'"(?:[A-Za-z0-9]|\\[0-9a-f]{6})*"', escaped)
    back = re.sub(r"\\([0-9a-f]{6})", lambda match: chr(int(match[1], 16)), escaped[1:-1])
    assert back == text


def test_the_page_names_nothing_outside_itself() -> None:
    html = render_html(invoice(paid=True), business(logoDataUrl=LOGO))
    assert [found for found in EXTERNAL.findall(html) if not found.startswith("src=")] == []
    assert html.count("src=") == html.count('src="data:image/') == 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "1 min"), (2340, "39 min"), (7200, "2 h"), (93_780, "26 h 3 min")]
)
def test_a_duration_reads_in_hours_and_minutes(seconds: int, words: str) -> None:
    assert format_duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"), [("1.500", "1.5"), ("12", "12"), ("100", "100"), ("0.125", "0.125")]
)
def test_a_quantity_has_no_empty_decimals(value: str, words: str) -> None:
    assert format_quantity(Decimal(value)) == words


def test_a_percentage_is_exact() -> None:
    assert [format_percent(bps) for bps in (0, 1, 50, 1000, 10_000)] == ["0%", "0.01%", "0.5%", "10%", "100%"]


def test_an_abn_that_is_not_eleven_digits_is_left_alone() -> None:
    assert format_abn("51824753556") == "51 824 753 556"
    assert format_abn("pending") == "pending"


def test_without_a_name_an_abn_or_gst_it_is_no_tax_invoice() -> None:
    assert "<h1>Invoice</h1>" in render_html(invoice(), business(name=" "))
    assert "<h1>Invoice</h1>" in render_html(invoice(), business(abn=None))
    assert "<h1>Invoice</h1>" in render_html(invoice(taxRateBps=0, taxCents=0), business())


def test_an_invoice_of_a_thousand_dollars_shows_the_buyers_name_address_and_abn() -> None:
    text = text_of(render_html(invoice(totalCents=100_000), business()))
    assert (
        "Bill to Harbour Robotics Pty Ltd Imogen Castellano Level 2, 40 Bridge Street Sydney NSW 2000 "
        "ABN 53 004 085 616"
    ) in text


def test_the_qr_code_carries_the_buttons_link() -> None:
    url = "https://shop.example/api/pay/abc?a=1&b=2"
    html = render_html(invoice(1, payUrl=url), business())
    assert qr_code(url, f"QR code of the address {url}") in html
    assert f'<a class="button" href="{escape(url)}">' in html
    assert "<svg" not in render_html(invoice(1, payUrl=None, payNote="By bank, please."), business())


def test_a_receipt_tells_method_day_and_reference_of_each_payment() -> None:
    html = render_html(receipt(), business())
    text = text_of(html)
    for part in (
        "Receipt for invoice INV-0042",
        "Received from Harbour Robotics Pty Ltd",
        "25 November 2026 Bank transfer NAB 4471 0032 $100.00",
        "1 December 2026 Card pi_3QKz8rLkdIwHu7ix $342.00",
        "Received $442.00",
        "GST included 10% $40.18",
        "Invoice total AUD $442.00",
        "Amount received −$442.00",
        "Balance due $0.00",
        "Gearbox housing, left half 2 pieces 1 $97.00",
        "PAID",
    ):
        assert part in text
    assert "<title>Receipt INV-0042</title>" in html
    assert "<h1>Receipt</h1>" in html


@pytest.mark.parametrize(("terms", "beside"), [("Payment within 14 days.", True), ("Long. " * 200, False)])
def test_short_remarks_stand_beside_the_sums_and_long_ones_below(terms: str, beside: bool) -> None:
    text = text_of(render_html(invoice(1, terms=terms), business()))
    assert (text.index("Terms") < text.index("Subtotal")) is beside
    assert text.count("Terms") == 1


def test_a_locale_forms_amounts_and_days() -> None:
    html = render_html(invoice(1, currency="USD", totalCents=123_456), business(locale="en-US"))
    assert '<html lang="en-US">' in html
    assert "Issued November 23, 2026" in text_of(html)
    assert "Total USD $1,234.56" in text_of(html)


@pytest.mark.parametrize("name", gallery())
def test_every_paper_of_the_gallery_is_made_and_none_says_none(name: str) -> None:
    sheet = gallery()[name]()
    text = text_of(render_html(sheet.document, sheet.business, sheet.pictures))
    assert (sheet.document.kind == "statement") is (sheet.document.number not in text)
    assert "None" not in text


@pytest.mark.parametrize("text", ["שלום", "left\u202ethgir", "\u2069\u202e7", "a\u2066é"])
def test_a_text_turns_nothing_that_shares_its_line(text: str) -> None:
    written = isolated(text)
    assert written[0] + written[-1] == "\u2068\u2069"
    assert not set(written[1:-1]) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    assert isolated("INV-0042") == "INV-0042"

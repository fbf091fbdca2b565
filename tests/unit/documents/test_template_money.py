"""What came and went back: told payment by payment, and in a column that adds up."""

import re

import pytest

from printshop.documents.template import render_html
from tests.unit.documents.documents import business, invoice, receipt
from tests.unit.documents.gallery import gallery
from tests.unit.documents.test_template import text_of


def test_money_given_back_says_so() -> None:
    payments = [{"date": "2026-12-02", "method": "STRIPE", "amountCents": -500}]
    for document in (receipt(payments=payments), invoice(payments=payments)):
        text = text_of(render_html(document, business()))
        assert "2 December 2026 Card refund" in text
        assert "−$5.00" in text


BILLS = [name for name in gallery() if name.startswith(("invoice-", "receipt-"))]


@pytest.mark.parametrize("name", BILLS)
def test_the_sums_of_every_bill_add_up_on_paper(name: str) -> None:
    sheet = gallery()[name]()
    html = render_html(sheet.document, sheet.business)
    column = re.search(r'<table class="totals">(.*?)</table>', html, re.DOTALL)
    assert column
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(−?)\$([\d.]+)</td>', column[1])
    labels = [re.sub("<.*?>", "", label).split(" AUD")[0] for label, _, _ in rows]
    cents = [int(figure.replace(".", "")) * (-1 if minus else 1) for _, minus, figure in rows]
    total = labels.index("Invoice total" if sheet.document.kind == "receipt" else "Total")
    assert labels[-1] == "Balance due"
    assert sum(cents[total:-1]) == cents[-1]
    if sheet.document.kind == "invoice":
        assert sum(cents[:total]) == cents[total]


def test_what_became_of_the_money_is_told_row_by_row() -> None:
    told = {name: text_of(render_html(gallery()[name]().document, business())) for name in BILLS}
    assert (
        "Total AUD $442.00 Paid −$100.00 Written off −$342.00 Balance due $0.00"
        in told["invoice-written-off"]
    )
    back = "Refunded $50.00 Credited for the refund −$50.00 Balance due $0.00"
    assert f"Total AUD $442.00 Paid −$442.00 {back}" in told["invoice-partly-refunded"]
    assert f"Invoice total AUD $442.00 Amount received −$442.00 {back}" in told["receipt-partly-refunded"]
    assert "Total AUD $442.00 Voided −$442.00 Balance due $0.00" in told["invoice-void"]
    assert "Paid −$500.00 To your credit $58.00 Balance due $0.00" in told["invoice-overpaid"]


def test_the_last_payment_of_a_receipt_is_the_last_that_came_not_the_refund_after_it() -> None:
    text = text_of(render_html(gallery()["receipt-partly-refunded"]().document, business()))
    assert "Last payment 25 November 2026 Refunded $50.00 Received $442.00" in text


def test_a_payment_without_a_reference_shows_a_dash() -> None:
    payments = [{"date": "2026-12-02", "method": "CASH", "amountCents": 500, "reference": " "}]
    text = text_of(render_html(receipt(payments=payments), business()))
    assert "2 December 2026 Cash – $5.00" in text

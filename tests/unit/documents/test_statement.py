"""Receipts and statements of account, as pages."""

from printshop.documents.template import render_html
from tests.unit.documents.documents import account_json, business, receipt, statement
from tests.unit.documents.test_template import text_of


def test_a_receipt_says_what_was_paid_and_asks_for_nothing() -> None:
    html = render_html(receipt(2, payUrl="https://print.example/api/pay/1"), business())
    assert "<h1>Receipt</h1>" in html
    for gone in ("Pay by card", "Pay by bank transfer", "api/pay"):
        assert gone not in html
    assert "25 November 2026" in html


def test_a_statement_runs_from_its_opening_to_its_closing_balance() -> None:
    text = text_of(render_html(statement(2), business()))
    for shown in (
        "Statement of account", "From 1 December 2025 To 24 November 2026",
        "1 December 2025 Opening balance $120.00",
        "2 March 2026 Invoice INV-0001 due 16 March 2026 $442.00 $562.00",
        "2 March 2026 Payment for INV-0001 Card $442.00 $120.00",
        "Amount $120.00 $0.00 $0.00 $0.00 $0.00", "Balance due $120.00",
        "Pay by bank transfer",
    ):  # fmt: skip
        assert shown in text
    assert "In credit" not in text


def test_every_currency_is_an_account_of_its_own() -> None:
    accounts = (account_json(1), account_json(1, "JPY", opening=0))
    text = text_of(render_html(statement(0, *accounts), business()))
    assert "Account in AUD" in text
    assert "Account in JPY" in text
    assert "JPY 44,200" in text
    assert "$562.00" in text


def test_money_to_the_clients_credit_is_shown_as_such_and_no_bank_is_named() -> None:
    ageing = dict.fromkeys(account_json(0)["ageing"], 0) | {"creditCents": 500}
    account = account_json(0, closingCents=-500, ageing=ageing)
    text = text_of(render_html(statement(0, account), business()))
    assert "In credit $5.00" in text
    assert "Over 90 days In credit Amount $0.00 $0.00 $0.00 $0.00 $0.00 −$5.00" in text
    assert "bank transfer" not in text


def test_a_statement_of_nothing_says_so() -> None:
    html = render_html(statement().model_copy(update={"accounts": ()}), business())
    assert "Nothing was billed or paid in these days" in html


def test_hostile_names_and_numbers_are_text_on_a_statement() -> None:
    hostile = "</style><script>alert(1)</script>{{ 7 * 7 }}"
    entry = {**account_json(1)["entries"][0], "number": hostile, "kind": "WRITE_OFF"}
    paper = statement(0, {**account_json(0), "entries": [entry]}, client={"name": hostile})
    html = render_html(paper, business(name=hostile, bankDetails=hostile))
    assert "<script>" not in html
    assert html.count("{{ 7 * 7 }}") >= 3


def test_a_statement_tells_each_account_its_days_and_how_long_it_is_owed() -> None:
    usd = account_json(2, "USD", -9_000)
    text = text_of(render_html(statement(0, account_json(2), usd), business()))
    for part in (
        "Statement of account 24 November 2026",
        "Account of Harbour Robotics Pty Ltd",
        "From 1 December 2025 To 24 November 2026 Balance due $120.00 In credit USD 90.00",
        "Account in AUD",
        "1 December 2025 Opening balance $120.00",
        "2 March 2026 Invoice INV-0001 due 16 March 2026 $442.00 $562.00",
        "2 March 2026 Payment for INV-0001 Card $442.00 $120.00",
        "Amount $120.00 $0.00 $0.00 $0.00 $0.00",
        "Account in USD",
        "Opening balance −USD 90.00",
    ):
        assert part in text

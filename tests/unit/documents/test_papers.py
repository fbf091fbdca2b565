from typing import Any
from uuid import UUID

import pytest

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings, load_settings
from printshop.documents.loaders import read_invoice, read_quote, read_receipt
from printshop.payments.links import NO_CARD_PAYMENTS
from tests.unit.documents.documents import BUSINESS, invoice_json, quote_json


class AnsweringDatabase(Database):
    """Answers one document, as `get_document` does, and keeps what it was asked."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.asked: dict[str, Any] = {}

    def call(self, function: str, /, **params: Any) -> Any:
        assert function == "get_document"
        self.asked = params
        return {"document": self.document, "business": BUSINESS}


def user(client_id: int | None) -> User:
    role: Any = "ADMIN" if client_id is None else "CLIENT"
    return User(id=1, auth_user_id=UUID(int=0), email="a@b.example", name="A", role=role, client_id=client_id)


def settings(**changes: str) -> Settings:
    return load_settings(
        {
            "NEXT_PUBLIC_APP_URL": "https://shop.example",
            "NEXT_PUBLIC_SUPABASE_URL": "https://x.supabase.example",
            "NEXT_PUBLIC_SUPABASE_ANON_KEY": "anon",
            "SUPABASE_SERVICE_ROLE_KEY": "service",
            "STRIPE_SECRET_KEY": "sk_test_1",
            **changes,
        }
    )


def stored_invoice(**changes: Any) -> AnsweringDatabase:
    document = invoice_json(1, payToken="tok_1", **changes)
    del document["payUrl"], document["payNote"]
    return AnsweringDatabase(document)


@pytest.mark.parametrize("status", ["PENDING", "OVERDUE"])
def test_an_owed_invoice_carries_its_pay_link(status: str) -> None:
    invoice, business = read_invoice(stored_invoice(status=status), settings(), user(None), 7)
    assert invoice.pay_url == "https://shop.example/api/pay/tok_1"
    assert invoice.pay_note is None
    assert business.name == BUSINESS["name"]


@pytest.mark.parametrize("status", ["PAID", "VOID", "WRITTEN_OFF", "REFUNDED"])
def test_an_invoice_that_is_not_owed_carries_none(status: str) -> None:
    invoice, _ = read_invoice(stored_invoice(status=status), settings(), user(None), 7)
    assert (invoice.pay_url, invoice.pay_note, invoice.balance_cents) == (None, None, 0)


def test_without_stripe_the_reason_stands_in_place_of_the_link() -> None:
    invoice, _ = read_invoice(stored_invoice(), settings(STRIPE_SECRET_KEY=""), user(None), 7)
    assert (invoice.pay_url, invoice.pay_note) == (None, NO_CARD_PAYMENTS)


@pytest.mark.parametrize(
    ("status", "linked"), [("DRAFT", False), ("PENDING", True), ("ACCEPTED", False), ("EXPIRED", False)]
)
def test_only_an_open_quote_offers_its_acceptance(status: str, linked: bool) -> None:
    document = quote_json(1, status=status, publicToken="tok_2")
    del document["acceptUrl"]
    quote, _ = read_quote(AnsweringDatabase(document), settings(), user(None), 7)
    assert (quote.accept_url is not None) is linked


@pytest.mark.parametrize(
    ("processor", "reference"),
    [("pi_3QKz8rLkdIwHu7ix", "pi_3QKz8rLkdIwHu7ix"), (None, None), ("cs_test_a1", None)],
)
def test_a_card_payment_is_named_by_its_intent_never_by_the_page_it_was_paid_on(
    processor: str | None, reference: str | None
) -> None:
    session = f"cs_test_{'a1' * 29}"
    card = {
        "date": "2026-11-25", "method": "STRIPE", "amountCents": 44_200, "reference": session,
        "processorId": processor,
    }  # fmt: skip
    refund = {**card, "amountCents": -5_000, "reference": "Disputed", "processorId": "dp_1"}
    bank = {**card, "method": "BANK_TRANSFER", "reference": "NAB 4471", "processorId": None}
    database = stored_invoice(paid=True, payments=[card, refund, bank])
    receipt, _ = read_receipt(database, user(None), 7)
    invoice, _ = read_invoice(database, settings(), user(None), 7)
    for paper in (receipt, invoice):
        assert [payment.reference for payment in paper.payments] == [reference, "Disputed", "NAB 4471"]


@pytest.mark.parametrize("client_id", [None, 3])
def test_a_document_is_read_with_the_rights_of_who_asks(client_id: int | None) -> None:
    database = stored_invoice()
    read_invoice(database, settings(), user(client_id), 7)
    assert database.asked == {"p_kind": "invoice", "p_id": 7, "p_client_id": client_id}

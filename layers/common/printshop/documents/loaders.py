"""What goes on paper: a document, its business, and the link to act on it."""

from datetime import date
from typing import Any, Final

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings
from printshop.documents.schemas import Business, Invoice, Quote, Receipt, Statement
from printshop.kernel.errors import Conflict
from printshop.payments.links import OWED, accept_link, card_payment
from printshop.pricing.price_book import for_customer

STATEMENT_ENTRIES: Final = 1000
"""At most on one statement: so many pages still go through the gateway, in its time and in its size."""


def read_invoice(
    database: Database, settings: Settings, user: User, invoice_id: int
) -> tuple[Invoice, Business]:
    """An invoice for print, with a link to pay while it is owed. Raises NotFound, also for another client's."""
    answer = _read(database, user, "invoice", invoice_id)
    return invoice_paper(answer["document"], settings), Business.model_validate(answer["business"])


def read_receipt(database: Database, user: User, invoice_id: int) -> tuple[Receipt, Business]:
    """The receipt of an invoice, for what was paid of it so far.

    Raises NotFound, also for another client's, and Conflict NOT_PAID.
    """
    answer = _read(database, user, "invoice", invoice_id)
    document = answer["document"]
    if not document["payments"]:
        raise Conflict(
            "NOT_PAID", f"Nothing is paid of invoice {document['number']} yet; ask again once it is."
        )
    receipt = Receipt.model_validate(
        {**document, **_money(document), "kind": "receipt", "items": _lines(document)}
    )
    return receipt, Business.model_validate(answer["business"])


def read_statement(
    database: Database, user: User, client_id: int, first: date | None, last: date | None
) -> tuple[Statement, Business]:
    """A client's account from `first` to `last`, by default the year that ends today.

    Raises NotFound, also for another client's, and Unprocessable PERIOD_REVERSED or STATEMENT_TOO_LONG.
    """
    answer = database.call(
        "client_statement",
        p_client_scope=user.client_scope,
        p_client_id=client_id,
        p_from=first.isoformat() if first else None,
        p_to=last.isoformat() if last else None,
        p_max_entries=STATEMENT_ENTRIES,
    )
    return Statement.model_validate(answer["document"]), Business.model_validate(answer["business"])


def read_quote(database: Database, settings: Settings, user: User, quote_id: int) -> tuple[Quote, Business]:
    """A quote for print, with a link to accept it while it is open. Raises NotFound, also for another client's."""
    answer = _read(database, user, "quote", quote_id)
    return quote_paper(answer["document"], settings), Business.model_validate(answer["business"])


def invoice_paper(document: dict[str, Any], settings: Settings) -> Invoice:
    """An invoice of the database as it is printed: while it is owed, with its pay link or why there is none."""
    return Invoice.model_validate(
        {**document, **card_payment(settings, document), **_money(document), "items": _lines(document)}
    )


def quote_paper(document: dict[str, Any], settings: Settings) -> Quote:
    """A quote of the database as it is printed: while it is open, with the link to accept it."""
    if document["status"] == "PENDING":
        document = {**document, "acceptUrl": accept_link(settings, document["publicToken"])}
    return Quote.model_validate({**document, "items": _lines(document)})


def _money(document: dict[str, Any]) -> dict[str, Any]:
    """What came, and what is left to pay. What was refunded of a paid invoice is not paid, and not owed either."""
    return {
        "balanceCents": document["balanceCents"] if document["status"] in OWED else 0,
        "payments": [{**payment, "reference": _reference(payment)} for payment in document["payments"]],
    }


def _reference(payment: dict[str, Any]) -> str | None:
    """By what a customer finds a payment again: by card it is Stripe's payment intent, for what the ledger calls its
    reference is the page that it was paid on."""
    reference: str | None = payment["reference"]
    if payment["method"] != "STRIPE" or payment["amountCents"] <= 0:
        return reference
    intent: str = payment.get("processorId") or ""
    return intent if intent.startswith("pi_") else None


def _lines(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines as a customer reads them, each with the file whose picture stands beside it."""
    items = document["items"]
    return [
        {**shown, "details": {**shown["details"], "fileId": item["details"].get("fileId")}}
        if item["details"]
        else shown
        for item, shown in zip(items, for_customer(items), strict=True)
    ]


def _read(database: Database, user: User, kind: str, document_id: int) -> dict[str, Any]:
    answer = database.call("get_document", p_kind=kind, p_id=document_id, p_client_id=user.client_scope)
    return dict(answer)

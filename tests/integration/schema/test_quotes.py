"""Quotes in the database: every move of their life once, whoever comes at the same moment."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.schema.shop import DOCUMENT, ITEM, Customer, Shop, call, checkout

ROUNDS = 50
"""Of a race between two."""

PRICED = {
    **DOCUMENT,
    "discountType": "NONE",
    "discountBps": 0,
    "discountFixedCents": 0,
    "notes": "Black, please",
    "terms": "As agreed",
}
FREE = {**PRICED, **dict.fromkeys(("subtotalCents", "shippingCents", "taxCents", "totalCents"), 0)}
SNAPSHOT = {"ruleVersion": 1, "items": []}


@pytest.fixture
def customer(shop: Shop) -> Customer:
    return shop.customer()


def order_file(customer: Customer, filename: str = "bunny.stl", settings_hash: str = "h") -> dict[str, Any]:
    return {
        "storageKey": f"{customer.client_id}/{uuid4()}/{filename}",
        "filename": filename,
        "fileType": "model",
        "mimeType": "model/stl",
        "sizeBytes": 684,
        "metadata": {"settingsHash": settings_hash},
    }


def written(customer: Customer, **changes: Any) -> dict[str, Any]:
    """Parameters of create_quote, and with p_quote_id of update_quote."""
    return {
        "p_user_id": customer.user_id,
        "p_client_id": customer.client_id,
        "p_valid_until": None,
        "p_document": PRICED,
        "p_items": [ITEM],
        "p_files": [],
        "p_snapshot": SNAPSHOT,
        **changes,
    }


def draft(shop: Shop, customer: Customer, **changes: Any) -> Any:
    return shop.call("create_quote", **written(customer, **changes))


def sending(customer: Customer, quote: Any, **changes: Any) -> dict[str, Any]:
    return {
        "p_user_id": customer.user_id,
        "p_quote_id": quote["id"],
        "p_key": str(uuid4()),
        "p_body_hash": "a" * 64,
        "p_email": False,
        "p_to": None,
        "p_message": "",
        **changes,
    }


def send(shop: Shop, customer: Customer, quote: Any, **changes: Any) -> Any:
    return shop.call("send_quote", **sending(customer, quote, **changes))


def deciding(customer: Customer, quote: Any, *, accept: bool, **changes: Any) -> dict[str, Any]:
    return {
        "p_quote_id": quote["id"],
        "p_token": None,
        "p_client_id": customer.client_id,
        "p_user_id": customer.user_id,
        "p_accept": accept,
        "p_note": None,
        **changes,
    }


def decide(shop: Shop, customer: Customer, quote: Any, *, accept: bool, **changes: Any) -> Any:
    return shop.call("decide_quote", **deciding(customer, quote, accept=accept, **changes))


def convert(shop: Shop, customer: Customer, quote: Any) -> Any:
    return shop.call("convert_quote", p_user_id=customer.user_id, p_quote_id=quote["id"])


@pytest.fixture
def sent(shop: Shop, customer: Customer) -> Any:
    return send(shop, customer, draft(shop, customer))


def in_state(shop: Shop, customer: Customer, status: str) -> Any:
    """A quote that is in this state, put there past the functions."""
    quote = draft(shop, customer)
    shop.rows.execute("update quotes set status = %s where id = %s", (status, quote["id"]))
    return quote


def past_its_validity(shop: Shop, quote: Any) -> None:
    shop.rows.execute("update quotes set valid_until = business_today() - 1 where id = %s", (quote["id"],))


def refused(answer: Any, status: int, code: str) -> Any:
    assert (answer["error"]["status"], answer["error"]["code"]) == (status, code)
    assert answer["error"]["message"].endswith(".")
    return answer["error"]


def actions(shop: Shop, quote: Any) -> list[tuple[str, Any]]:
    return shop.rows.execute(
        "select action, metadata -> 'userId' from activity_logs where quote_id = %s order by id",
        (quote["id"],),
    ).fetchall()


# -- written -----------------------------------------------------------------------------------------------------


def test_a_draft_is_dated_today_and_valid_for_the_shops_usual_days(shop: Shop, customer: Customer) -> None:
    quote = draft(shop, customer, p_files=[order_file(customer)])
    assert (quote["status"], quote["totalCents"], quote["sentAt"]) == ("DRAFT", 12_375, None)
    assert quote["issueDate"] == shop.value("select business_today()::text")
    validity = date.fromisoformat(quote["validUntil"]) - date.fromisoformat(quote["issueDate"])
    assert validity == timedelta(days=30)
    assert actions(shop, quote) == [("QUOTE_CREATED", customer.user_id)]
    assert len(shop.call("list_quote_files", p_quote_id=quote["id"], p_client_id=None)) == 1


@pytest.mark.parametrize("write", ["create_quote", "update_quote"])
def test_a_quote_needs_a_client_and_a_day_to_come(shop: Shop, customer: Customer, write: str) -> None:
    named = {"p_quote_id": draft(shop, customer)["id"]} if write == "update_quote" else {}
    before = shop.value("select last_number from number_sequences where kind = 'quote'")
    yesterday = shop.value("select business_today() - 1")
    refused(shop.call(write, **named, **written(customer, p_client_id=0)), 422, "UNKNOWN_CLIENT")
    late = shop.call(write, **named, **written(customer, p_valid_until=yesterday))
    assert refused(late, 422, "VALID_UNTIL_PAST")["details"] == [{"field": "validUntil"}]
    assert shop.value("select last_number from number_sequences where kind = 'quote'") == before


def test_amounts_that_do_not_fit_leave_nothing_and_draw_no_number(shop: Shop, customer: Customer) -> None:
    before = shop.value("select last_number from number_sequences where kind = 'quote'")
    for document in ({**PRICED, "totalCents": 1}, {**PRICED, "subtotalCents": 9000, "totalCents": 11_375}):
        with pytest.raises(psycopg.errors.CheckViolation):
            draft(shop, customer, p_document=document)
    assert shop.value("select last_number from number_sequences where kind = 'quote'") == before
    assert shop.value("select count(*) from quotes where client_id = %s", customer.client_id) == 0


def test_an_edit_replaces_amounts_lines_and_the_files_that_come_again(shop: Shop, customer: Customer) -> None:
    kept, old = order_file(customer, "kept.stl"), order_file(customer)
    quote = draft(shop, customer, p_files=[kept, old])
    new = order_file(customer)
    edited = shop.call(
        "update_quote",
        p_quote_id=quote["id"],
        **written(customer, p_document=FREE, p_items=[{**ITEM, "unitPriceCents": 0, "totalCents": 0}] * 2,
                  p_files=[new], p_snapshot={"ruleVersion": 2}),
    )  # fmt: skip
    assert edited["storageKeys"] == [old["storageKey"]]
    assert (edited["quote"]["number"], edited["quote"]["totalCents"]) == (quote["number"], 0)
    assert len(edited["quote"]["items"]) == 2
    files = shop.call("list_quote_files", p_quote_id=quote["id"], p_client_id=None)
    assert [file["storageKey"] for file in files] == [kept["storageKey"], new["storageKey"]]
    assert shop.value("select snapshot from quotes where id = %s", quote["id"]) == {"ruleVersion": 2}
    assert actions(shop, quote)[1:] == [("QUOTE_EDITED", customer.user_id)]


def test_a_quote_with_files_keeps_its_client(shop: Shop, customer: Customer) -> None:
    other = shop.customer()
    bare, filed = draft(shop, customer), draft(shop, customer, p_files=[order_file(customer)])
    changed = {"p_client_id": other.client_id}
    moved = shop.call("update_quote", p_quote_id=bare["id"], **written(customer, **changed))
    assert moved["quote"]["clientId"] == other.client_id
    refused(
        shop.call("update_quote", p_quote_id=filed["id"], **written(customer, **changed)),
        409,
        "FILES_OF_CLIENT",
    )


def test_a_deleted_draft_is_in_the_log_and_its_number_stays_retired(shop: Shop, customer: Customer) -> None:
    file = order_file(customer)
    quote = draft(shop, customer, p_files=[file])
    gone = shop.call("delete_quote", p_user_id=customer.user_id, p_quote_id=quote["id"])
    assert gone == {"number": quote["number"], "storageKeys": [file["storageKey"]]}
    refused(shop.call("get_quote", p_quote_id=quote["id"], p_client_id=None), 404, "QUOTE_NOT_FOUND")
    log = shop.rows.execute(
        "select action, metadata ->> 'number' from activity_logs where client_id = %s order by id desc limit 2",
        (customer.client_id,),
    ).fetchall()
    assert log == [("QUOTE_DELETED", quote["number"]), ("ORDER_FILE_DELETED", None)]
    assert draft(shop, customer)["number"] > quote["number"]


@pytest.mark.parametrize("status", ["PENDING", "ACCEPTED", "DECLINED", "EXPIRED", "CONVERTED"])
def test_only_a_draft_is_edited_or_deleted(shop: Shop, customer: Customer, status: str) -> None:
    quote = in_state(shop, customer, status)
    edit = shop.call("update_quote", p_quote_id=quote["id"], **written(customer))
    assert status in refused(edit, 409, "NOT_A_DRAFT")["message"]
    refused(shop.call("delete_quote", p_user_id=customer.user_id, p_quote_id=quote["id"]), 409, "NOT_A_DRAFT")


def test_a_duplicate_is_a_new_draft_that_owns_its_files(shop: Shop, customer: Customer) -> None:
    quote = draft(shop, customer, p_files=[order_file(customer), order_file(customer, "other.stl")])
    send(shop, customer, quote)
    shop.rows.execute("update quotes set issue_date = issue_date - 10 where id = %s", (quote["id"],))
    named = {"p_user_id": customer.user_id, "p_quote_id": quote["id"]}
    asked = shop.call("duplicate_quote", **named, p_copies=[])
    assert [file["filename"] for file in asked["copy"]] == ["bunny.stl", "other.stl"]
    assert shop.value("select count(*) from quotes where client_id = %s", customer.client_id) == 1
    keys = [f"{customer.client_id}/{uuid4()}/bunny.stl", None]
    copies = [{"id": file["id"], "storageKey": key} for file, key in zip(asked["copy"], keys, strict=True)]
    made = shop.call("duplicate_quote", **named, p_copies=copies)["quote"]
    changed = {
        "id",
        "number",
        "status",
        "sentAt",
        "publicToken",
        "createdAt",
        "updatedAt",
        "issueDate",
        "validUntil",
    }
    assert {name: made[name] for name in made.keys() - changed} == {
        name: quote[name] for name in quote.keys() - changed
    }
    assert (made["status"], made["sentAt"]) == ("DRAFT", None)
    assert made["issueDate"] == shop.value("select business_today()::text")
    assert made["publicToken"] != quote["publicToken"]
    assert shop.value("select snapshot from quotes where id = %s", made["id"]) == SNAPSHOT
    (file,) = shop.call("list_quote_files", p_quote_id=made["id"], p_client_id=None)
    assert (file["storageKey"], file["metadata"]) == (keys[0], {"settingsHash": "h"})
    refused(shop.call("duplicate_quote", **{**named, "p_quote_id": 0}, p_copies=[]), 404, "QUOTE_NOT_FOUND")


# -- sent --------------------------------------------------------------------------------------------------------


def test_sending_makes_a_draft_pending_and_queues_its_mail(shop: Shop, customer: Customer) -> None:
    quote = draft(shop, customer)
    sent = send(shop, customer, quote, p_email=True, p_message="Hello")
    assert (sent["status"], sent["mail"]["status"]) == ("PENDING", "QUEUED")
    assert sent["sentAt"]
    mail = shop.rows.execute(
        "select kind::text, quote_id, to_address, message, status::text, created_by from mails where id = %s",
        (sent["mail"]["id"],),
    ).fetchone()
    to = shop.value("select email from clients where id = %s", customer.client_id)
    assert mail == ("QUOTE", quote["id"], to, "Hello", "QUEUED", customer.user_id)
    assert ("QUOTE_SENT", customer.user_id) in actions(shop, quote)


def test_a_pending_quote_is_sent_again_to_whom_the_shop_names(
    shop: Shop, customer: Customer, sent: Any
) -> None:
    again = send(shop, customer, sent, p_email=True, p_to="boss@example.com")
    assert again["status"] == "PENDING"
    assert shop.value("select to_address from mails where id = %s", again["mail"]["id"]) == "boss@example.com"


def test_without_e_mail_a_quote_is_sent_and_kept_on_paper(shop: Shop, sent: Any) -> None:
    assert (sent["status"], sent["mail"]) == ("PENDING", None)
    row = shop.rows.execute("select id, to_address from mails where quote_id = %s", (sent["id"],)).fetchall()
    assert row == [(sent["mailId"], None)]


def test_a_key_sends_once_and_belongs_to_its_body(shop: Shop, customer: Customer) -> None:
    quote = draft(shop, customer)
    params = sending(customer, quote, p_email=True)
    answers = shop.at_once(4, lambda connection, _: call(connection, "send_quote", **params))
    assert all(answer == answers[0] for answer in answers)
    assert shop.value("select count(*) from mails where quote_id = %s", quote["id"]) == 1
    other = shop.call("send_quote", **{**params, "p_body_hash": "b" * 64})
    refused(other, 422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("status", ["ACCEPTED", "DECLINED", "EXPIRED", "CONVERTED"])
def test_what_was_decided_is_not_sent(shop: Shop, customer: Customer, status: str) -> None:
    answer = send(shop, customer, in_state(shop, customer, status))
    error = refused(answer, 409, "NOT_SENDABLE")
    assert error["details"] == {"status": status, "legal": ["CONVERTED"] if status == "ACCEPTED" else []}


def test_a_quote_past_its_validity_is_not_sent(shop: Shop, customer: Customer) -> None:
    quote = draft(shop, customer)
    past_its_validity(shop, quote)
    refused(send(shop, customer, quote), 409, "QUOTE_EXPIRED")


def test_mail_needs_an_address(shop: Shop, customer: Customer) -> None:
    shop.rows.execute("update clients set email = '' where id = %s", (customer.client_id,))
    quote = draft(shop, customer)
    refused(send(shop, customer, quote, p_email=True), 422, "NO_EMAIL")
    assert shop.value("select status::text from quotes where id = %s", quote["id"]) == "DRAFT"
    assert send(shop, customer, quote)["status"] == "PENDING"


def test_a_review_is_sent_only_once_it_has_a_price(shop: Shop, customer: Customer) -> None:
    review = shop.call("checkout_quick_order", **checkout(customer, p_review=True))
    refused(send(shop, customer, review), 409, "NEEDS_PRICE")
    shop.call("update_quote", p_quote_id=review["id"], **written(customer))
    sent = send(shop, customer, review)
    assert (sent["status"], sent["needsReview"]) == ("PENDING", False)


# -- read --------------------------------------------------------------------------------------------------------


def test_a_client_reads_his_own_quotes_once_they_are_sent(shop: Shop, customer: Customer) -> None:
    quote, stranger = draft(shop, customer), shop.customer()
    for function in ("get_quote", "list_quote_files"):
        hidden = shop.call(function, p_quote_id=quote["id"], p_client_id=customer.client_id)
        refused(hidden, 404, "QUOTE_NOT_FOUND")
    refused(shop.call("get_public_quote", p_token=quote["publicToken"]), 404, "QUOTE_NOT_FOUND")
    assert shop.call("get_quote", p_quote_id=quote["id"], p_client_id=None)["snapshot"] == SNAPSHOT
    send(shop, customer, quote)
    assert shop.call("get_quote", p_quote_id=quote["id"], p_client_id=customer.client_id)["snapshot"] is None
    assert shop.call("get_public_quote", p_token=quote["publicToken"])["canBeDecided"] is True
    for function in ("get_quote", "list_quote_files"):
        foreign = shop.call(function, p_quote_id=quote["id"], p_client_id=stranger.client_id)
        refused(foreign, 404, "QUOTE_NOT_FOUND")


def test_a_rotated_token_opens_the_quote_and_the_old_one_nothing(
    shop: Shop, customer: Customer, sent: Any
) -> None:
    fresh = shop.call("rotate_quote_token", p_user_id=customer.user_id, p_quote_id=sent["id"])
    refused(shop.call("get_public_quote", p_token=sent["publicToken"]), 404, "QUOTE_NOT_FOUND")
    assert shop.call("get_public_quote", p_token=fresh["publicToken"])["number"] == sent["number"]
    assert actions(shop, sent)[-1] == ("QUOTE_LINK_CHANGED", customer.user_id)
    assert shop.value(
        "select count(*) from activity_logs where quote_id = %s and (message || metadata::text) like %s",
        sent["id"], f"%{fresh['publicToken']}%",
    ) == 0  # fmt: skip


# -- decided and converted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("accept", "status"), [(True, "ACCEPTED"), (False, "DECLINED")])
def test_the_owner_decides_with_a_note(
    shop: Shop, customer: Customer, sent: Any, accept: bool, status: str
) -> None:
    decided = decide(shop, customer, sent, accept=accept, p_note="In black")
    assert (decided["status"], decided["decisionNote"]) == (status, "In black")
    assert decided["decidedAt"]
    assert actions(shop, sent)[-1] == (f"QUOTE_{status}", customer.user_id)
    error = refused(decide(shop, customer, sent, accept=not accept), 409, "NOT_PENDING")
    assert status in error["message"]


def test_the_link_decides_without_a_login(shop: Shop, customer: Customer, sent: Any) -> None:
    nobody = {"p_quote_id": None, "p_client_id": None, "p_user_id": None}
    wrong = decide(shop, customer, sent, accept=True, **nobody, p_token="wrong")
    refused(wrong, 404, "QUOTE_NOT_FOUND")
    decided = decide(shop, customer, sent, accept=True, **nobody, p_token=sent["publicToken"])
    assert decided["status"] == "ACCEPTED"
    assert actions(shop, sent)[-1] == ("QUOTE_ACCEPTED", None)


def test_a_draft_is_nobodys_to_decide(shop: Shop, customer: Customer) -> None:
    quote = draft(shop, customer)
    refused(decide(shop, customer, quote, accept=True), 404, "QUOTE_NOT_FOUND")
    refused(decide(shop, customer, quote, accept=True, p_token=quote["publicToken"]), 404, "QUOTE_NOT_FOUND")
    refused(decide(shop, customer, quote, accept=True, p_client_id=None), 409, "NOT_PENDING")
    refused(decide(shop, shop.customer(), quote, accept=True), 404, "QUOTE_NOT_FOUND")


def test_validity_ends_with_its_last_day_before_and_after_the_janitor(
    shop: Shop, customer: Customer, sent: Any
) -> None:
    shop.rows.execute("update quotes set valid_until = business_today() where id = %s", (sent["id"],))
    assert shop.call("get_public_quote", p_token=sent["publicToken"])["canBeDecided"] is True
    past_its_validity(shop, sent)
    assert shop.call("get_public_quote", p_token=sent["publicToken"])["canBeDecided"] is False
    for _ in range(2):
        refused(decide(shop, customer, sent, accept=True), 409, "QUOTE_EXPIRED")
        assert convert(shop, customer, sent)["error"]["status"] == 409
        shop.call("age_documents")
    assert shop.value("select status::text from quotes where id = %s", sent["id"]) == "EXPIRED"


def test_the_janitor_expires_no_accepted_quote(shop: Shop, customer: Customer, sent: Any) -> None:
    decide(shop, customer, sent, accept=True)
    past_its_validity(shop, sent)
    shop.call("age_documents")
    assert shop.value("select status::text from quotes where id = %s", sent["id"]) == "ACCEPTED"
    assert convert(shop, customer, sent)["quoteId"] == sent["id"]


@pytest.mark.parametrize("accepted", [False, True])
def test_a_conversion_takes_everything_along_and_sets_the_due_date(
    shop: Shop, customer: Customer, accepted: bool
) -> None:
    shop.rows.execute("update clients set payment_term = 'NET14' where id = %s", (customer.client_id,))
    quote = draft(
        shop,
        customer,
        p_files=[order_file(customer)],
        p_document={**PRICED, "discountType": "FIXED", "discountFixedCents": 1000, "discountCents": 1000,
                    "taxCents": 1025, "totalCents": 11_275},
    )  # fmt: skip
    send(shop, customer, quote)
    if accepted:
        decide(shop, customer, quote, accept=True)
    invoice = convert(shop, customer, quote)
    same = (
        "clientId", "currency", "discountType", "discountFixedCents", "subtotalCents", "discountCents",
        "shippingCents", "shippingLabel", "taxRateBps", "taxCents", "totalCents", "notes", "terms", "items",
    )  # fmt: skip
    assert {name: invoice[name] for name in same} == {name: quote[name] for name in same}
    assert (invoice["status"], invoice["quoteId"], invoice["balanceCents"]) == (
        "PENDING",
        quote["id"],
        11_275,
    )
    assert shop.value("select due_date - issue_date from invoices where id = %s", invoice["id"]) == 14
    files = shop.call("list_quote_files", p_quote_id=quote["id"], p_client_id=customer.client_id)
    assert [file["invoiceId"] for file in files] == [invoice["id"]]
    after = shop.call("get_quote", p_quote_id=quote["id"], p_client_id=None)
    assert (after["status"], after["convertedInvoiceId"]) == ("CONVERTED", invoice["id"])
    assert actions(shop, quote)[-1] == ("QUOTE_CONVERTED", customer.user_id)
    twice = refused(convert(shop, customer, quote), 409, "ALREADY_CONVERTED")
    assert twice["details"]["convertedInvoiceId"] == invoice["id"]


@pytest.mark.parametrize("status", ["DRAFT", "DECLINED", "EXPIRED"])
def test_what_nobody_may_buy_is_not_converted(shop: Shop, customer: Customer, status: str) -> None:
    refused(convert(shop, customer, in_state(shop, customer, status)), 409, "NOT_CONVERTIBLE")


def test_a_reverted_invoice_lets_its_quote_convert_again(shop: Shop, customer: Customer, sent: Any) -> None:
    first = convert(shop, customer, sent)
    # As the revert of an invoice leaves it.
    shop.rows.execute("update invoices set status = 'VOID' where id = %s", (first["id"],))
    shop.rows.execute(
        "update quotes set status = 'ACCEPTED', converted_invoice_id = null where id = %s", (sent["id"],)
    )
    second = convert(shop, customer, sent)
    assert second["number"] > first["number"]
    assert shop.value("select converted_invoice_id from quotes where id = %s", sent["id"]) == second["id"]


def test_a_free_quote_is_a_paid_invoice_with_its_job(shop: Shop, customer: Customer) -> None:
    quote = draft(shop, customer, p_document=FREE, p_items=[{**ITEM, "unitPriceCents": 0, "totalCents": 0}])
    send(shop, customer, quote)
    invoice = convert(shop, customer, quote)
    assert (invoice["status"], invoice["job"]["priority"]) == ("PAID", "FAST_TRACK")


def test_a_shop_that_prints_on_invoice_gets_its_job_at_conversion(
    shop: Shop, customer: Customer, sent: Any
) -> None:
    shop.rows.execute("update settings set job_policy = 'ON_INVOICE'")
    try:
        invoice = convert(shop, customer, sent)
    finally:
        shop.rows.execute("update settings set job_policy = 'ON_PAYMENT'")
    assert (invoice["status"], invoice["job"]["status"]) == ("PENDING", "QUEUED")


# -- races -------------------------------------------------------------------------------------------------------


def at_once(shop: Shop, function: str, *calls: dict[str, Any]) -> tuple[Any, Any]:
    """The same function for each, let go at the same moment: the one answer, and the one refusal."""
    answers = shop.at_once(len(calls), lambda connection, number: call(connection, function, **calls[number]))
    (winner,) = [answer for answer in answers if "error" not in answer]
    (loser,) = [answer for answer in answers if "error" in answer]
    return winner, loser


def test_two_conversions_make_one_invoice(shop: Shop, customer: Customer) -> None:
    for _ in range(ROUNDS):
        quote = send(shop, customer, draft(shop, customer))
        params = {"p_user_id": customer.user_id, "p_quote_id": quote["id"]}
        invoice, loser = at_once(shop, "convert_quote", params, params)
        assert refused(loser, 409, "ALREADY_CONVERTED")["details"]["convertedInvoiceId"] == invoice["id"]
        assert shop.value("select count(*) from invoices where quote_id = %s", quote["id"]) == 1


@pytest.mark.parametrize("second", [True, False], ids=["accept", "decline"])
def test_two_decisions_at_once_have_one_winner(shop: Shop, customer: Customer, second: bool) -> None:
    for _ in range(ROUNDS):
        quote = send(shop, customer, draft(shop, customer))
        by_owner = deciding(customer, quote, accept=True)
        by_link = deciding(customer, quote, accept=second, p_token=quote["publicToken"])
        winner, loser = at_once(shop, "decide_quote", by_owner, by_link)
        assert refused(loser, 409, "NOT_PENDING")["details"]["status"] == winner["status"]
        decided = [
            action for action, _ in actions(shop, quote) if action in {"QUOTE_ACCEPTED", "QUOTE_DECLINED"}
        ]
        assert decided == [f"QUOTE_{winner['status']}"]

"""Quick order in the database: the inputs of a price, and one invoice a key."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.schema.shop import DOCUMENT, ITEM, Customer, Shop, call, checkout


def order_file(customer: Customer) -> dict[str, Any]:
    return {
        "storageKey": f"{customer.client_id}/{uuid4()}/bunny.stl",
        "filename": "bunny.stl",
        "fileType": "model",
        "mimeType": "model/stl",
        "sizeBytes": 684,
        "metadata": {"settingsHash": "h"},
    }


def counts(shop: Shop, customer: Customer) -> tuple[int, int, int]:
    """invoices, quotes, order files"""
    row = shop.rows.execute(
        "select (select count(*) from invoices where client_id = %(c)s),"
        " (select count(*) from quotes where client_id = %(c)s),"
        " (select count(*) from order_files where client_id = %(c)s)",
        {"c": customer.client_id},
    ).fetchone()
    assert row is not None
    return (row[0], row[1], row[2])


def test_a_checkout_makes_the_invoice_with_its_lines_files_and_log(shop: Shop) -> None:
    customer = shop.customer()
    invoice = shop.call("checkout_quick_order", **checkout(customer, p_files=[order_file(customer)]))
    assert (invoice["kind"], invoice["status"], invoice["clientId"]) == (
        "invoice",
        "PENDING",
        customer.client_id,
    )
    assert (invoice["totalCents"], invoice["balanceCents"], invoice["taxCents"]) == (12_375, 12_375, 1125)
    assert [line["description"] for line in invoice["items"]] == [ITEM["description"]]
    assert invoice["dueDate"] == invoice["issueDate"]  # cash on delivery
    assert invoice["job"] is None
    assert counts(shop, customer) == (1, 0, 1)
    log = shop.rows.execute(
        "select action, metadata from activity_logs where invoice_id = %s", (invoice["id"],)
    ).fetchall()
    assert log == [("INVOICE_CREATED", {"userId": customer.user_id})]


def test_ten_concurrent_checkouts_of_one_key_make_one_invoice(shop: Shop) -> None:
    customer = shop.customer()
    params = checkout(customer, p_files=[order_file(customer)])
    answers = shop.at_once(10, lambda connection, _: call(connection, "checkout_quick_order", **params))
    assert len({answer["number"] for answer in answers}) == 1
    assert all(answer == answers[0] for answer in answers)
    assert counts(shop, customer) == (1, 0, 1)


def test_concurrent_checkouts_of_several_keys_make_an_invoice_each(shop: Shop) -> None:
    customer = shop.customer()
    answers = shop.at_once(
        8, lambda connection, _: call(connection, "checkout_quick_order", **checkout(customer))
    )
    numbers = sorted(int(answer["number"].removeprefix("INV-")) for answer in answers)
    assert numbers == list(range(numbers[0], numbers[0] + 8))


def test_a_key_with_another_body_is_refused(shop: Shop) -> None:
    customer = shop.customer()
    params = checkout(customer)
    shop.call("checkout_quick_order", **params)
    answer = shop.call("checkout_quick_order", **{**params, "p_body_hash": "b" * 64})
    assert (answer["error"]["status"], answer["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert counts(shop, customer) == (1, 0, 0)


def test_a_key_belongs_to_its_user(shop: Shop) -> None:
    first, second = shop.customer(), shop.customer()
    key = str(uuid4())
    one = shop.call("checkout_quick_order", **checkout(first, p_key=key))
    other = shop.call("checkout_quick_order", **checkout(second, p_key=key))
    assert one["id"] != other["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"p_document": {**DOCUMENT, "totalCents": 12_374}},
        {"p_document": {**DOCUMENT, "subtotalCents": 9000, "totalCents": 11_375}},
        {"p_document": {**DOCUMENT, "taxRateBps": 10_001}},
        {"p_items": [{**ITEM, "totalCents": 9999}]},
        {"p_items": [{**ITEM, "quantityMilli": 0}]},
    ],
    ids=["total", "subtotal", "rate", "line", "quantity"],
)
def test_amounts_that_do_not_fit_leave_nothing_and_draw_no_number(
    shop: Shop, changes: dict[str, Any]
) -> None:
    customer = shop.customer()
    before = shop.value("select last_number from number_sequences where kind = 'invoice'")
    with pytest.raises(psycopg.errors.CheckViolation):
        shop.call("checkout_quick_order", **checkout(customer, **changes))
    assert counts(shop, customer) == (0, 0, 0)
    assert shop.value("select last_number from number_sequences where kind = 'invoice'") == before


def test_a_stored_key_taken_by_another_file_rolls_everything_back(shop: Shop) -> None:
    customer = shop.customer()
    file = order_file(customer)
    shop.call("checkout_quick_order", **checkout(customer, p_files=[file]))
    with pytest.raises(psycopg.errors.UniqueViolation):
        shop.call("checkout_quick_order", **checkout(customer, p_files=[file]))
    assert counts(shop, customer) == (1, 0, 1)


def test_the_clients_own_payment_term_sets_the_due_date(shop: Shop) -> None:
    customer = shop.customer()
    shop.rows.execute("update clients set payment_term = 'NET14' where id = %s", (customer.client_id,))
    invoice = shop.invoice(customer)
    days = shop.value("select due_date - issue_date from invoices where id = %s", invoice["id"])
    assert days == 14


def test_the_issue_date_is_the_business_day(shop: Shop) -> None:
    invoice = shop.invoice(shop.customer())
    today = shop.value("select (now() at time zone 'Australia/Sydney')::date::text")
    assert invoice["issueDate"] == today


def test_an_order_that_costs_nothing_is_paid_and_queued_at_once(shop: Shop) -> None:
    free = dict.fromkeys(("subtotalCents", "shippingCents", "taxCents", "totalCents"), 0)
    item = {**ITEM, "unitPriceCents": 0, "totalCents": 0}
    invoice = shop.call(
        "checkout_quick_order", **checkout(shop.customer(), p_document={**DOCUMENT, **free}, p_items=[item])
    )
    assert (invoice["status"], invoice["job"]["priority"]) == ("PAID", "FAST_TRACK")


def test_a_shop_that_prints_on_invoice_gets_its_job_at_checkout(shop: Shop) -> None:
    shop.rows.execute("update settings set job_policy = 'ON_INVOICE'")
    try:
        invoice = shop.invoice(shop.customer())
    finally:
        shop.rows.execute("update settings set job_policy = 'ON_PAYMENT'")
    assert (invoice["status"], invoice["job"]["status"]) == ("PENDING", "QUEUED")
    estimate = shop.rows.execute(
        "select estimated_seconds, estimated_mass_mg from jobs where invoice_id = %s", (invoice["id"],)
    ).fetchone()
    assert estimate == (200, 8300)  # two pieces


def test_a_review_makes_a_draft_quote_without_a_price(shop: Shop) -> None:
    customer = shop.customer()
    params = checkout(customer, p_review=True, p_files=[order_file(customer)])
    quote = shop.call("checkout_quick_order", **params)
    assert (quote["kind"], quote["status"], quote["needsReview"], quote["totalCents"]) == (
        "quote",
        "DRAFT",
        True,
        0,
    )
    assert quote["number"].startswith("QT-")
    assert shop.call("checkout_quick_order", **params) == quote
    assert counts(shop, customer) == (0, 1, 1)


# -- what a price is made of -------------------------------------------------------------------------------------


def inputs(shop: Shop, customer: Customer, items: list[dict[str, Any]], **changes: Any) -> Any:
    params = {
        "p_client_id": customer.client_id,
        "p_reserve": False,
        "p_key": None,
        "p_body_hash": None,
        **changes,
    }
    return shop.call("quick_order_inputs", p_user_id=customer.user_id, p_items=items, **params)


def item_of(status: Any) -> dict[str, Any]:
    return {"file": str(status["id"]), "settingsHash": status["settingsHash"]}


def test_a_price_reads_the_stored_slice_and_the_current_rates(shop: Shop) -> None:
    customer = shop.customer()
    status = shop.sliced(customer)
    found = inputs(shop, customer, [item_of(status)])
    model = found["models"][0]
    assert (model["slice"]["volumeMm3"], model["slice"]["timeSec"]) == (3346, 1234)
    assert (model["material"]["name"], model["material"]["costPerKgCents"]) == ("PLA", 3500)
    assert model["output"]["storageKey"].startswith("gcode/")
    assert (model["output"]["filename"], model["output"]["sizeBytes"]) == ("bunny.gcode.gz", 1000)
    assert (found["settings"]["currency"], found["settings"]["taxRateBps"]) == (None, 1000)


def test_models_come_in_the_order_asked_and_foreign_ones_as_nothing(shop: Shop) -> None:
    customer, stranger = shop.customer(), shop.customer()
    mine, other, theirs = shop.sliced(customer), shop.sliced(customer), shop.sliced(stranger)
    found = inputs(shop, customer, [item_of(other), item_of(theirs), item_of(mine)])["models"]
    assert [model and model["fileId"] for model in found] == [other["id"], None, mine["id"]]


def test_a_fallback_is_marked_and_has_no_slice(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    shop.fail(shop.claim(requested), final=True)
    model = inputs(shop, customer, [item_of(requested)])["models"][0]
    assert (model["fallback"], model["slice"]) == (True, None)


def test_a_slice_of_other_settings_is_no_slice_of_these(shop: Shop) -> None:
    customer = shop.customer()
    status = shop.sliced(customer)
    model = inputs(shop, customer, [{"file": str(status["id"]), "settingsHash": "0" * 64}])["models"][0]
    assert (model["slice"], model["output"], model["isCurrent"]) == (None, None, False)


def test_two_materials_of_one_density_are_priced_each_by_its_own_cost(shop: Shop) -> None:
    dear = shop.value(
        "insert into materials (name, cost_per_kg_cents, density_mg_cm3) values ('PLA Silk', 9900, 1240) returning id"
    )
    try:
        customer = shop.customer()
        first = shop.sliced(customer)  # in PLA
        requested = shop.request(customer, first["id"], p_material_id=dear)
        shop.complete(shop.claim(requested))
        model = inputs(shop, customer, [item_of(requested)])["models"][0]
        assert (model["material"]["name"], model["material"]["costPerKgCents"]) == ("PLA Silk", 9900)
    finally:
        shop.rows.execute("update materials set is_active = false where id = %s", (dear,))


def test_a_finished_checkout_answers_its_key_before_anything_is_looked_up(shop: Shop) -> None:
    customer = shop.customer()
    params = checkout(customer)
    made = shop.call("checkout_quick_order", **params)
    known = {"p_key": params["p_key"], "p_body_hash": params["p_body_hash"], "p_reserve": True}
    assert inputs(shop, customer, [], **known) == {"replay": made}
    refused = inputs(shop, customer, [], **{**known, "p_body_hash": "b" * 64})
    assert refused["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_an_unknown_client_is_refused(shop: Shop) -> None:
    assert inputs(shop, shop.customer(), [], p_client_id=0)["error"]["code"] == "UNKNOWN_CLIENT"


def test_a_checkout_reserves_its_own_files_only(shop: Shop) -> None:
    customer, stranger = shop.customer(), shop.customer()
    mine, theirs = shop.sliced(customer), shop.sliced(stranger)
    inputs(shop, customer, [item_of(mine), item_of(theirs)], p_reserve=True)
    reserved = "select reserved_until > now() from tmp_files where id = %s"
    assert (shop.value(reserved, mine["id"]), shop.value(reserved, theirs["id"])) == (True, None)

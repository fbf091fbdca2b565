"""The portal: what clients see of their own, and nothing of what the shop keeps to itself."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.integration.api.refusals import refused
from tests.integration.schema.shop import Customer, Shop, checkout

PREFERENCES = {
    "materialId": None,
    "layerHeight": 0.15,
    "infill": 20,
    "supports": {"enabled": True, "pattern": "tree", "angle": 50},
    "shipping": {"state": "NSW", "postcode": "2000"},
    "notifications": {"email": False},
}
NONE_SET = {
    "materialId": None,
    "layerHeight": None,
    "infill": None,
    "supports": None,
    "shipping": None,
    "notifications": {"email": True},
}


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Shop]:
    """The database's functions, for what other routes would make."""
    with Shop(stack.postgres.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def regular(stack: Stack) -> Client:
    return sign_up(stack, "Regular")


def as_customer(client: Client) -> Customer:
    return Customer(client.user["id"], client.user["clientId"])


def pay(office: Shop, invoice_id: int, cents: int) -> None:
    """A manual payment of the whole, and the job that follows."""
    with office.rows.transaction():
        office.rows.execute(
            "insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', %s)",
            (invoice_id, cents),
        )
        office.rows.execute("select update_invoice_status(%s, '{}')", (invoice_id,))


def quote(office: Shop, client: Client, status: str, valid_until: str = "2999-01-01") -> None:
    made = office.call(
        "checkout_quick_order",
        **checkout(
            as_customer(client),
            p_review=True,
            p_document={"currency": "AUD", "taxRateBps": 1000, "notes": "", "snapshot": {}},
            p_items=[{"description": "3D print", "quantityMilli": 1000, "details": {}}],
        ),
    )
    office.rows.execute(
        "update quotes set status = %s, valid_until = %s where id = %s", (status, valid_until, made["id"])
    )


def test_the_dashboard_counts_what_waits_for_this_client_alone(
    office: Shop, customer: Client, regular: Client, shop: Client
) -> None:
    empty = {"openInvoices": 0, "outstanding": [], "quotesWaiting": 0, "activeJobs": [], "unreadMessages": 0}
    assert customer.data("GET", "client/dashboard") == empty
    office.invoice(as_customer(regular))
    quote(office, regular, "PENDING")
    open_one, foreign, paid = (office.invoice(as_customer(customer)) for _ in range(3))
    office.rows.execute("update invoices set currency = 'NZD' where id = %s", (foreign["id"],))
    pay(office, paid["id"], 12_375)
    for status, valid_until in (
        ("PENDING", "2999-01-01"),
        ("PENDING", "2020-01-01"),
        ("DRAFT", "2999-01-01"),
        ("ACCEPTED", "2999-01-01"),
    ):
        quote(office, customer, status, valid_until)
    sender = shop.data("GET", "auth/me")["id"]
    for author, read in ((sender, "null"), (None, "null"), (sender, "now()"), (customer.user["id"], "null")):
        office.rows.execute(
            "insert into user_messages (user_id, sender_id, body, read_at)"
            f" values (%s, %s, 'Hello', {read})".encode(),
            (customer.user["id"], author),
        )
    seen = customer.data("GET", "client/dashboard")
    (job,) = seen.pop("activeJobs")
    assert seen == {
        "openInvoices": 2,
        "outstanding": [
            {"currency": "AUD", "cents": open_one["totalCents"]},
            {"currency": "NZD", "cents": 12_375},
        ],
        "quotesWaiting": 1,
        "unreadMessages": 2,
    }
    assert (job["invoiceId"], job["status"], job["priority"]) == (paid["id"], "QUEUED", "FAST_TRACK")


def test_a_job_shows_how_far_it_is_and_nothing_of_the_workshop(office: Shop, customer: Client) -> None:
    invoice = office.invoice(as_customer(customer))
    pay(office, invoice["id"], 12_375)
    office.rows.execute(
        "update jobs set notes = 'SECRET', held_reason = 'SECRET', title = 'SECRET', estimated_seconds = 5400"
        " where invoice_id = %s",
        (invoice["id"],),
    )
    response = customer.get("client/jobs")
    assert "SECRET" not in response.text
    assert "SECRET" not in customer.get("client/dashboard").text
    (job,) = response.json()["data"]
    assert job == {
        **job,
        "invoiceId": invoice["id"],
        "invoiceNumber": invoice["number"],
        "status": "QUEUED",
        "priority": "FAST_TRACK",
        "estimatedHours": 1.5,
        "completedAt": None,
    }
    assert set(job) == {
        "id",
        "invoiceId",
        "invoiceNumber",
        "status",
        "priority",
        "estimatedHours",
        "createdAt",
        "updatedAt",
        "completedAt",
    }


@pytest.mark.parametrize("path", ["client/invoices", "client/jobs"])
def test_a_list_is_walked_newest_first_while_more_come(office: Shop, customer: Client, path: str) -> None:
    def order() -> int:
        invoice = office.invoice(as_customer(customer))
        pay(office, invoice["id"], 12_375)
        return int(invoice["id"])

    made = [order() for _ in range(3)]
    name = "invoiceId" if path.endswith("jobs") else "id"
    first = customer.get(path, params={"limit": 2}).json()
    order()
    second = customer.get(path, params={"limit": 2, "cursor": first["nextCursor"]}).json()
    assert [row[name] for row in first["data"] + second["data"]] == made[::-1]
    assert second["nextCursor"] is None
    refused(customer.get(path, params={"cursor": "made up"}), 400, "CURSOR_INVALID")


def test_an_invoice_has_a_link_to_pay_while_it_is_owed(
    office: Shop, customer: Client, other_customer: Client
) -> None:
    owed, paid = (office.invoice(as_customer(customer)) for _ in range(2))
    pay(office, paid["id"], 12_375)
    rows = {row["id"]: row for row in customer.data("GET", "client/invoices")}
    assert "/api/pay/" in rows[owed["id"]]["payUrl"]
    assert (rows[paid["id"]]["payUrl"], rows[paid["id"]]["balanceCents"]) == (None, 0)
    only = customer.data("GET", "client/invoices", params={"status": "PAID"})
    assert [row["id"] for row in only] == [paid["id"]]
    theirs = {row["id"] for row in other_customer.data("GET", "client/invoices")}
    assert not theirs & rows.keys()


def test_materials_are_the_active_ones_without_what_they_cost(
    regular: Client, database: psycopg.Connection
) -> None:
    with_retired = database.execute(
        "insert into materials (name, cost_per_kg_cents, density_mg_cm3, is_active)"
        " values ('Retired', 1, 1000, false) returning id"
    ).fetchone()
    assert with_retired is not None
    materials = regular.data("GET", "client/materials")
    names = [material["name"] for material in materials]
    assert names == sorted(names)
    assert {"PLA", "PETG"} <= set(names)
    assert "Retired" not in names
    pla = materials[names.index("PLA")]
    assert pla == {"id": pla["id"], "name": "PLA", "densityMgCm3": 1240, "isDefault": True}
    refused(
        regular.request("PUT", "client/preferences", json={"materialId": with_retired[0]}),
        422,
        "UNKNOWN_MATERIAL",
    )
    database.execute("delete from materials where id = %s", with_retired)


def test_preferences_are_kept_whole_and_replaced_whole(
    customer: Client, shop: Client, database: psycopg.Connection
) -> None:
    assert customer.data("GET", "client/preferences") == NONE_SET
    material = customer.data("GET", "client/materials")[0]["id"]
    wanted = {**PREFERENCES, "materialId": material}
    assert customer.data("PUT", "client/preferences", wanted) == wanted
    assert customer.data("GET", "client/preferences") == wanted
    assert shop.data("GET", f"clients/{customer.user['clientId']}")["preferences"] == wanted
    assert customer.data("PUT", "client/preferences", {"infill": 33.333}) == {**NONE_SET, "infill": 33.33}
    logged = database.execute(
        "select count(*) from activity_logs where action = 'PREFERENCES_CHANGED' and client_id = %s"
        " and metadata ->> 'userId' = %s",
        (customer.user["clientId"], str(customer.user["id"])),
    ).fetchone()
    assert logged == (2,)


def test_a_preferred_material_that_is_no_longer_offered_is_forgotten(
    customer: Client, database: psycopg.Connection
) -> None:
    row = database.execute(
        "insert into materials (name, cost_per_kg_cents, density_mg_cm3) values ('Fad', 1, 1000) returning id"
    ).fetchone()
    assert row is not None
    assert customer.data("PUT", "client/preferences", {"materialId": row[0]})["materialId"] == row[0]
    database.execute("delete from materials where id = %s", row)
    assert customer.data("GET", "client/preferences")["materialId"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"layerHeight": 0.04},
        {"layerHeight": "0.2"},
        {"infill": 101},
        {"supports": {"enabled": True, "pattern": "normal"}},
        {"supports": {"enabled": True, "pattern": "normal", "angle": 90}},
        {"materialId": 0},
        {"materialId": 2**53},
        {"shipping": {"state": "x" * 41}},
        {"notifications": {"email": "yes"}},
        {"notifications": {"sms": True}},
        {"discount": 100},
    ],
)
def test_preferences_are_held_to_what_a_slice_takes(regular: Client, change: dict[str, Any]) -> None:
    before = regular.data("GET", "client/preferences")
    response = regular.request("PUT", "client/preferences", json=change)
    assert response.status_code == 422, response.text
    assert regular.data("GET", "client/preferences") == before


@pytest.mark.parametrize("path", ["dashboard", "invoices", "jobs", "materials", "preferences"])
def test_the_portal_is_no_place_for_the_shop_or_for_nobody(shop: Client, nobody: Client, path: str) -> None:
    refused(shop.get(f"client/{path}"), 403, "CLIENT_ONLY")
    refused(nobody.get(f"client/{path}"), 401, "NO_TOKEN")


def test_the_shop_has_no_preferences_to_write(shop: Client) -> None:
    refused(shop.request("PUT", "client/preferences", json={}), 403, "CLIENT_ONLY")

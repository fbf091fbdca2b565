"""Printers over HTTP."""

from typing import Any

import psycopg
import pytest

from tests.conftest import Client
from tests.integration.api.workshop import BED, a_name, new_job, new_printer, refused, walk


def listed(shop: Client, printer: int) -> Any:
    return next(row for row in shop.get("printers?limit=200").json()["data"] if row["id"] == printer)


def test_a_printer_is_made_replaced_and_deleted(shop: Client, database: psycopg.Connection) -> None:
    name = a_name("Voron")
    made = shop.request("POST", "printers", json={"name": f"  {name} ", **BED})
    assert made.status_code == 201
    printer = made.json()["data"]
    assert (printer["name"], printer["status"], printer["nozzleUm"]) == (name, "ACTIVE", 400)
    assert (printer["activeJobs"], printer["currentJob"]) == (0, None)
    body = {"name": name, "model": "2.4", "status": "OFFLINE", **BED, "bedZMm": 300, "nozzleUm": 600}
    replaced = shop.data("PUT", f"printers/{printer['id']}", body)
    assert body.items() <= replaced.items()
    assert shop.data("PUT", f"printers/{printer['id']}", {"name": name, **BED})["model"] == ""
    assert shop.request("DELETE", f"printers/{printer['id']}").status_code == 204
    assert refused(shop.request("DELETE", f"printers/{printer['id']}")) == (404, "PRINTER_NOT_FOUND")
    assert refused(shop.request("PUT", f"printers/{printer['id']}", json=body)) == (404, "PRINTER_NOT_FOUND")
    logged = database.execute(
        "select action, metadata ? 'userId' from activity_logs where message like %s order by id",
        (f"Printer {name}%",),
    ).fetchall()
    assert logged == [
        ("PRINTER_CREATED", True),
        *[("PRINTER_CHANGED", True)] * 2,
        ("PRINTER_DELETED", True),
    ]


def test_a_printer_tells_what_is_on_its_bed(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    printer, job = new_printer(shop), new_job(database, customer)
    shop.data("PATCH", f"jobs/{job}", {"printerId": printer})
    assert listed(shop, printer)["activeJobs"] == 0  # it waits
    for status in ("PRINTING", "PAUSED"):
        shop.data("POST", f"jobs/{job}/status", {"status": status})
        shown = listed(shop, printer)
        current = shown["currentJob"]
        assert (shown["activeJobs"], current["id"], current["status"]) == (1, job, status)
    assert refused(shop.request("DELETE", f"printers/{printer}")) == (409, "PRINTER_IN_USE")


def test_a_printer_with_a_print_on_its_bed_may_go_offline_and_takes_no_other(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    printer, jobs = new_printer(shop), [new_job(database, customer) for _ in range(2)]
    start = {"status": "PRINTING", "printerId": printer}
    shop.data("POST", f"jobs/{jobs[0]}/status", start)
    name = listed(shop, printer)["name"]
    for status, code in (("OFFLINE", "PRINTER_OFFLINE"), ("MAINTENANCE", "PRINTER_IN_MAINTENANCE")):
        shown = shop.data("PUT", f"printers/{printer}", {"name": name, **BED, "status": status})
        assert (shown["status"], shown["activeJobs"]) == (status, 1)
        assert refused(shop.post(f"jobs/{jobs[1]}/status", start)) == (409, code)
    assert (
        shop.data("POST", f"jobs/{jobs[0]}/status", {"status": "PRINTING_COMPLETE"})["printer"]["id"]
        == printer
    )


def test_a_name_belongs_to_one_printer(shop: Client) -> None:
    taken, other = a_name("Ender"), a_name("Ender")
    first, second = (shop.data("POST", "printers", {"name": name, **BED}) for name in (taken, other))
    assert refused(shop.post("printers", {"name": taken, **BED})) == (409, "NAME_TAKEN")
    rename = shop.request("PUT", f"printers/{second['id']}", json={"name": taken, **BED})
    assert refused(rename) == (409, "NAME_TAKEN")
    assert shop.data("PUT", f"printers/{first['id']}", {"name": taken, **BED})["name"] == taken


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"bedXMm": 0}, "bedXMm"),
        ({"bedYMm": 5001}, "bedYMm"),
        ({"bedZMm": "220"}, "bedZMm"),
        ({"nozzleUm": 99}, "nozzleUm"),
        ({"status": "BROKEN"}, "status"),
        ({"notes": "x" * 2001}, "notes"),
        ({"colour": "orange"}, "colour"),
    ],
)
def test_a_printer_that_cannot_be_names_its_field(shop: Client, change: dict[str, Any], field: str) -> None:
    response = shop.post("printers", {"name": a_name("No"), **BED, **change})
    assert refused(response) == (422, "INVALID_REQUEST")
    assert [detail["field"] for detail in response.json()["error"]["details"]] == [field]


def test_printers_are_walked_by_name_and_by_age(shop: Client) -> None:
    word = a_name("Row")
    names = [f"{letter} {word}" for letter in "cAdBe"]
    ids = {name: shop.data("POST", "printers", {"name": name, **BED})["id"] for name in names}

    def arrive() -> None:
        shop.data("POST", "printers", {"name": f"0 {word}", **BED})

    by_name = [ids[name] for name in sorted(names, key=str.lower)]
    assert walk(shop, f"printers?q={word}", arrive) == by_name
    assert walk(shop, f"printers?q={word}&sort=-createdAt")[1:] == [ids[name] for name in reversed(names)]
    assert refused(shop.get("printers?sort=-createdAt&cursor=WyJ4IiwxXQ")) == (400, "CURSOR_INVALID")


def test_text_to_find_is_taken_literally(shop: Client) -> None:
    odd, plain = a_name('x%_,)*"\\x'), a_name("x-odd-x")
    ids = [shop.data("POST", "printers", {"name": name, **BED})["id"] for name in (odd, plain)]
    for text in ('X%_,)*"\\X', "%", "_", ",", ")", "*", '"', "\\"):
        page = shop.get("printers", params={"q": text, "limit": 200}).json()["data"]
        assert {row["id"] for row in page} & set(ids) == {ids[0]}, text


def test_printers_are_the_shops_alone(shop: Client, nobody: Client, customer: Client) -> None:
    printer = new_printer(shop)
    before = listed(shop, printer)
    for method, path in (
        ("GET", "printers"),
        ("POST", "printers"),
        ("PUT", f"printers/{printer}"),
        ("DELETE", f"printers/{printer}"),
    ):
        body = None if method == "GET" else {"name": a_name("Mine"), **BED}
        assert refused(nobody.request(method, path, json=body)) == (401, "NO_TOKEN")
        assert refused(customer.request(method, path, json=body)) == (403, "ADMIN_ONLY")
    assert listed(shop, printer) == before

"""Jobs over HTTP: lists, changes, moves, the archive, the queue."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.integration.api.workshop import a_name, new_job, new_printer, refused, walk


def activity(database: psycopg.Connection, job: int) -> list[tuple[Any, ...]]:
    return database.execute(
        "select action, printer_id, metadata from activity_logs where job_id = %s order by id", (job,)
    ).fetchall()


# -- one job -----------------------------------------------------------------------------------------------------


def test_a_job_shows_what_is_to_be_done(shop: Client, customer: Client, database: psycopg.Connection) -> None:
    job = new_job(database, customer)
    database.execute(
        "insert into order_files (invoice_id, client_id, filename, storage_key, file_type, mime_type, size_bytes)"
        " select invoice_id, client_id, 'bunny.stl', %s, 'model', 'model/stl', 684 from jobs where id = %s",
        (a_name("key"), job),
    )
    shown = shop.data("GET", f"jobs/{job}")
    invoice = shop.data("GET", f"invoices/{shown['invoiceId']}")
    assert (shown["invoiceNumber"], shown["clientId"], shown["clientName"]) == (
        invoice["number"],
        customer.user["clientId"],
        "Test Customer",
    )
    assert (shown["status"], shown["priority"], shown["printer"]) == ("QUEUED", "FAST_TRACK", None)
    assert (shown["estimatedSeconds"], shown["estimatedMassMg"], shown["printedSeconds"]) == (200, 8300, 0)
    assert shown["legalNext"] == ["PRE_PROCESSING", "IN_QUEUE", "PRINTING", "CANCELLED"]
    assert [(file["filename"], file["fileType"], file["sizeBytes"]) for file in shown["files"]] == [
        ("bunny.stl", "model", 684)
    ]


def test_a_change_keeps_what_was_not_sent(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    job, printer = new_job(database, customer), new_printer(shop)
    first = {"title": "Bunny, big", "notes": "Mind the ears", "priority": "URGENT", "printerId": printer}
    shop.data("PATCH", f"jobs/{job}", first)
    changed = shop.data("PATCH", f"jobs/{job}", {"heldReason": "Disputed", "estimatedSeconds": 900})
    assert (changed["title"], changed["notes"], changed["priority"]) == (
        "Bunny, big",
        "Mind the ears",
        "URGENT",
    )
    assert (changed["printer"]["id"], changed["heldReason"]) == (printer, "Disputed")
    assert (changed["estimatedSeconds"], changed["estimatedMassMg"]) == (900, 8300)
    cleared = shop.data("PATCH", f"jobs/{job}", {"heldReason": None, "printerId": None})
    assert (cleared["heldReason"], cleared["printer"], cleared["title"]) == (None, None, "Bunny, big")
    action, printer_id, metadata = activity(database, job)[1]
    assert (action, printer_id, metadata["changes"]) == ("JOB_CHANGED", printer, first)
    assert metadata["userId"] == shop.data("GET", "auth/me")["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": None}, "title"),
        ({"title": "x" * 301}, "title"),
        ({"priority": "SOON"}, "priority"),
        ({"heldReason": ""}, "heldReason"),
        ({"estimatedSeconds": -1}, "estimatedSeconds"),
        ({"estimatedMassMg": 1.5}, "estimatedMassMg"),
        ({"printerId": 0}, "printerId"),
        ({"status": "PRINTING"}, "status"),
    ],
)
def test_a_change_that_no_job_can_have_names_its_field(shop: Client, body: Any, field: str) -> None:
    response = shop.request("PATCH", "jobs/1", json=body)
    assert refused(response) == (422, "INVALID_REQUEST")
    assert [detail["field"] for detail in response.json()["error"]["details"]] == [field]


def test_a_job_goes_its_way(shop: Client, customer: Client, database: psycopg.Connection) -> None:
    job, printer = new_job(database, customer), new_printer(shop)
    assert refused(shop.post(f"jobs/{job}/status", {"status": "PRINTING"})) == (409, "PRINTER_REQUIRED")
    printing = shop.data("POST", f"jobs/{job}/status", {"status": "PRINTING", "printerId": printer})
    assert printing["printer"]["id"] == printer
    assert printing["printingSince"] is not None
    skipped = shop.post(f"jobs/{job}/status", {"status": "COMPLETED"})
    assert refused(skipped) == (409, "ILLEGAL_TRANSITION")
    assert skipped.json()["error"]["details"]["legalNext"] == printing["legalNext"]
    for status in ("PAUSED", "PRINTING", "PRINTING_COMPLETE", "PACKAGING", "OUT_FOR_DELIVERY"):
        assert shop.data("POST", f"jobs/{job}/status", {"status": status})["status"] == status
    assert refused(shop.post(f"jobs/{job}/archive")) == (409, "NOT_FINISHED")
    done = shop.data("POST", f"jobs/{job}/status", {"status": "COMPLETED"})
    assert (done["legalNext"], done["printer"]) == ([], None)
    archived = shop.data("POST", f"jobs/{job}/archive")
    assert archived["archivedAt"] is not None
    assert refused(shop.request("PATCH", f"jobs/{job}", json={"notes": ""})) == (409, "JOB_ARCHIVED")
    assert [action for action, _, _ in activity(database, job)] == [
        "JOB_CREATED",
        *["JOB_MOVED"] * 7,
        "JOB_ARCHIVED",
    ]


def test_a_job_that_is_not_there_is_404_everywhere(shop: Client) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"notes": "x"}),
        ("POST", "/status", {"status": "PRINTING"}),
        ("POST", "/archive", None),
    ):
        response = shop.request(method, f"jobs/{2**53}{path}", json=body)
        assert refused(response) == (404, "JOB_NOT_FOUND"), path


def test_of_two_starts_on_one_printer_one_wins(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    jobs, printer = [new_job(database, customer) for _ in range(2)], new_printer(shop)
    gate = threading.Barrier(2)

    def start(job: int) -> str:
        gate.wait(10)
        response = shop.post(f"jobs/{job}/status", {"status": "PRINTING", "printerId": printer})
        return "started" if response.is_success else response.json()["error"]["code"]

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(start, jobs)) == ["PRINTER_BUSY", "started"]


# -- lists -------------------------------------------------------------------------------------------------------


def test_the_queue_is_walked_without_loss_or_twin_while_jobs_arrive(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    word = a_name("Walk")
    jobs = [new_job(database, customer) for _ in range(5)]
    database.execute("update jobs set title = %s, queue_position = 7 where id = any (%s)", (word, jobs[1:4]))
    database.execute("update jobs set title = %s where id = any (%s)", (word, [jobs[0], jobs[4]]))

    def arrive() -> None:
        late = new_job(database, customer)
        database.execute("update jobs set title = %s, queue_position = 0 where id = %s", (word, late))

    expected = [
        row[0]
        for row in database.execute(
            "select id from jobs where title = %s order by queue_position, id", (word,)
        ).fetchall()
    ]
    assert walk(shop, f"jobs?q={word}", arrive) == expected
    assert len(expected) == 5


@pytest.mark.parametrize(("sort", "step"), [("-createdAt", -1), ("createdAt", 1)])
def test_jobs_are_walked_by_age(
    shop: Client, customer: Client, database: psycopg.Connection, sort: str, step: int
) -> None:
    word = a_name("Age")
    jobs = [new_job(database, customer) for _ in range(5)]
    database.execute("update jobs set title = %s, created_at = now() where id = any (%s)", (word, jobs))
    assert walk(shop, f"jobs?q={word}&sort={sort}") == jobs[::step]


def test_jobs_are_filtered_by_status_printer_and_archive(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    word, printer = a_name("Filter"), new_printer(shop)
    waiting, printing, done = (new_job(database, customer) for _ in range(3))
    database.execute("update jobs set title = %s where id = any (%s)", (word, [waiting, printing, done]))
    shop.data("POST", f"jobs/{printing}/status", {"status": "PRINTING", "printerId": printer})
    shop.data("POST", f"jobs/{done}/status", {"status": "CANCELLED"})
    shop.data("POST", f"jobs/{done}/archive")
    found = {
        query: [row["id"] for row in shop.get(f"jobs?{query}").json()["data"]]
        for query in (
            f"q={word}",
            f"q={word}&status=QUEUED",
            f"printerId={printer}",
            f"q={word}&archived=true",
            f"q={word}&archived=true&sort=-createdAt&status=CANCELLED",
            f"q={word}&archived=true&status=QUEUED",
        )
    }
    assert list(found.values()) == [[waiting, printing], [waiting], [printing], [done], [done], []]


def test_text_to_find_is_data_and_never_a_filter(
    stack: Stack, shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    def find(text: str) -> set[int]:
        page = shop.get("jobs", params={"q": text, "limit": 200, "sort": "-createdAt"}).json()
        return {row["id"] for row in page["data"]}

    plain, odd = new_job(database, customer), new_job(database, customer)
    shop.data("PATCH", f"jobs/{plain}", {"title": "nothing odd"})
    shop.data("PATCH", f"jobs/{odd}", {"title": '100%, a_b) "c" *\\'})
    for text in ("%", "_", ",", ")", '"', "*", "\\", "A_B", "100%, a_b)", '"c" *\\'):
        assert {plain, odd} & find(text) == {odd}, text
    assert plain not in find("nothing%odd") | find("nothing_odd")
    named = new_job(database, sign_up(stack, 'Ann (50%) "Bo", C\\D_E*'))
    assert find('ann (50%) "bo", c\\d_e*') == {named}


def test_a_cursor_of_another_order_is_refused(shop: Client) -> None:
    queue = shop.get("jobs?limit=1").json()["nextCursor"]
    for query in (f"sort=createdAt&cursor={queue}", "cursor=nonsense", "sort=-createdAt&cursor=WyJ4IiwxXQ"):
        assert refused(shop.get(f"jobs?{query}")) == (400, "CURSOR_INVALID")


# -- the queue's order -------------------------------------------------------------------------------------------


def test_the_queue_is_put_in_order(shop: Client, customer: Client, database: psycopg.Connection) -> None:
    a, b, c = (new_job(database, customer) for _ in range(3))
    assert shop.data("POST", "jobs/reorder", {"jobIds": [c, a, b]})["jobIds"][-3:] == [c, a, b]
    moved = shop.data("POST", "jobs/reorder", {"jobId": c, "afterId": b})
    assert moved["jobIds"][-3:] == [a, b, c]
    assert shop.data("POST", "jobs/reorder", {"jobId": c, "beforeId": a})["jobIds"][-3:] == [c, a, b]
    shown = shop.get(f"jobs?q={customer.user['name']}&limit=200").json()["data"]
    assert [row["id"] for row in shown if row["id"] in {a, b, c}] == [c, a, b]
    logged = database.execute(
        "select action, metadata -> 'jobIds' from activity_logs where job_id = %s order by id desc limit 2",
        (c,),
    ).fetchall()
    assert logged == [("JOBS_REORDERED", [c, a]), ("JOBS_REORDERED", [c, b])]


def test_jobs_outside_the_queue_cannot_be_put_in_order(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    job, done = new_job(database, customer), new_job(database, customer)
    shop.data("POST", f"jobs/{done}/status", {"status": "CANCELLED"})
    assert refused(shop.post("jobs/reorder", {"jobIds": [job, done]})) == (409, "JOB_NOT_QUEUED")
    assert refused(shop.post("jobs/reorder", {"jobId": job, "beforeId": 2**53})) == (404, "JOB_NOT_FOUND")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"jobIds": []},
        {"jobIds": [1, 1]},
        {"jobIds": [1], "jobId": 2},
        {"jobIds": [1], "beforeId": 2},
        {"jobId": 1},
        {"jobId": 1, "beforeId": 2, "afterId": 3},
        {"jobId": 1, "beforeId": 1},
        {"jobIds": [2**53 + 1]},
        {"jobIds": list(range(1, 1002))},
    ],
)
def test_an_order_that_says_nothing_certain_is_refused(shop: Client, body: Any) -> None:
    assert refused(shop.post("jobs/reorder", body)) == (422, "INVALID_REQUEST")


# -- rights ------------------------------------------------------------------------------------------------------


def test_jobs_are_the_shops_alone(
    nobody: Client, customer: Client, other_customer: Client, database: psycopg.Connection
) -> None:
    job = new_job(database, customer)
    before = activity(database, job)
    for method, path, body in (
        ("GET", "jobs", None),
        ("GET", f"jobs/{job}", None),
        ("PATCH", f"jobs/{job}", {"title": "Mine"}),
        ("POST", f"jobs/{job}/status", {"status": "CANCELLED"}),
        ("POST", f"jobs/{job}/archive", None),
        ("POST", "jobs/reorder", {"jobIds": [job]}),
    ):
        assert refused(nobody.request(method, path, json=body)) == (401, "NO_TOKEN")
        for client in (customer, other_customer):
            assert refused(client.request(method, path, json=body)) == (403, "ADMIN_ONLY")
    assert activity(database, job) == before

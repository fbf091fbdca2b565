"""Quotes through the gateway: written by the shop, read and decided by their client or by their link."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from devstack import ROOT, Stack
from printshop.kernel.paging import encode_cursor
from tests.conftest import Client, sign_up
from tests.support.models import cube_stl
from tests.support.orders import order_of, sliced

LINES: list[dict[str, Any]] = [
    {"productTemplateId": 1, "quantity": 1.5},
    {"description": "A cast part", "figures": {"volumeMm3": 100_000, "timeSec": 7200}},
    {
        "description": "Screws",
        "quantity": 2,
        "unitPriceCents": 1250,
        "discountType": "PERCENT",
        "discountBps": 1000,
    },
]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Quoted")


@pytest.fixture(scope="module")
def cube(shop: Client) -> dict[str, Any]:
    """The shop's own sliced cube."""
    return sliced(shop, "cube.stl", cube_stl(11))


def quote_for(client: Client, *items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"clientId": client.user["clientId"], "items": list(items or LINES[2:]), **changes}


def printed(cube: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"print": {"fileId": cube["id"], "settingsHash": cube["settingsHash"], **changes}}


def drafted(shop: Client, client: Client, *items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    quote: dict[str, Any] = shop.data("POST", "quotes", quote_for(client, *items, **changes))
    return quote


def sent(shop: Client, client: Client, *items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    quote = drafted(shop, client, *items, **changes)
    return send(shop, quote)


def send(shop: Client, quote: dict[str, Any], body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Idempotency-Key": str(uuid4())}
    answer: dict[str, Any] = shop.data("POST", f"quotes/{quote['id']}/send", body or {}, headers=headers)
    return answer


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    assert error["message"].endswith(".")
    return error


def stored_keys(database: psycopg.Connection, quote: dict[str, Any]) -> list[str]:
    """Of the quote's files whose object is in storage."""
    return [
        row[0]
        for row in database.execute(
            "select storage_key from order_files join storage.objects on name = storage_key"
            " where bucket_id = 'order-files' and quote_id = %s order by order_files.id",
            (quote["id"],),
        )
    ]


# -- written -----------------------------------------------------------------------------------------------------


def test_a_quote_is_priced_line_by_line_and_keeps_what_priced_it(shop: Client, ada: Client) -> None:
    quote = drafted(
        shop,
        ada,
        *LINES,
        discountType="FIXED",
        discountFixedCents=184,
        shippingCents=1250,
        shippingLabel="Courier",
        notes="Black",
        terms="Half in advance",
        validUntil="2099-12-31",
    )
    assert [line["totalCents"] for line in quote["items"]] == [13_500, 11_434, 2250]
    sums = ("subtotalCents", "discountCents", "shippingCents", "taxCents", "totalCents")
    assert [quote[name] for name in sums] == [27_184, 184, 1250, 2825, 31_075]
    assert (quote["status"], quote["validUntil"], quote["publicUrl"]) == ("DRAFT", "2099-12-31", None)
    read = shop.data("GET", f"quotes/{quote['id']}")
    snapshot = read.pop("snapshot")
    assert read == quote
    assert snapshot["rates"]["hourlyRateCents"] == 4500
    assert snapshot["items"][1]["details"]["densityMgCm3"] == 1240


def test_a_printed_line_brings_its_files_and_its_figures(
    shop: Client, ada: Client, cube: dict[str, Any], database: psycopg.Connection
) -> None:
    quote = drafted(shop, ada, printed(cube, pieces=3, fastTrack=True), printed(cube))
    first = quote["items"][0]
    assert first["description"].startswith("3D print of cube.stl, 3 pieces in PLA")
    assert first["details"]["massMg"] == cube["result"]["massMg"]
    files = shop.data("GET", f"quotes/{quote['id']}/files")
    assert [file["fileType"] for file in files] == ["model", "model", "model", "settings"] * 2
    assert stored_keys(database, quote) == [file["storageKey"] for file in files]
    item = shop.data("GET", f"quotes/{quote['id']}")["snapshot"]["items"][0]["details"]
    assert (item["contentHash"], item["slicerVersion"]) == (
        first["details"]["contentHash"],
        cube["result"]["slicerVersion"],
    )


def test_a_refused_quote_takes_its_copies_back(
    shop: Client, ada: Client, cube: dict[str, Any], database: psycopg.Connection
) -> None:
    kept = (
        "select (select array_agg(name order by name) from storage.objects where bucket_id = 'order-files'),"
        " (select last_number from number_sequences where kind = 'quote'), (select count(*) from order_files)"
    )
    before = database.execute(kept).fetchone()
    unknown = quote_for(ada, printed(cube)) | {"clientId": 2**50}
    refused(shop.post("quotes", unknown), 422, "UNKNOWN_CLIENT")
    late = quote_for(ada, printed(cube), validUntil="2020-01-01")
    refused(shop.post("quotes", late), 422, "VALID_UNTIL_PAST")
    assert database.execute(kept).fetchone() == before


def test_an_edit_replaces_lines_and_files_and_a_deletion_takes_all(
    shop: Client, ada: Client, cube: dict[str, Any], database: psycopg.Connection
) -> None:
    quote = drafted(shop, ada, printed(cube))
    before = stored_keys(database, quote)
    body = quote_for(ada, printed(cube, pieces=2), LINES[2], notes="Two")
    edited = shop.data("PUT", f"quotes/{quote['id']}", body)
    assert (edited["number"], edited["notes"], len(edited["items"])) == (quote["number"], "Two", 2)
    after = stored_keys(database, quote)
    assert len(after) == len(before) == 4
    assert not set(after) & set(before)
    left = "select count(*) from storage.objects where name = any (%s)"
    assert database.execute(left, (before,)).fetchone() == (0,)
    assert shop.request("DELETE", f"quotes/{quote['id']}").status_code == 204
    assert database.execute(left, (after,)).fetchone() == (0,)
    refused(shop.get(f"quotes/{quote['id']}"), 404, "QUOTE_NOT_FOUND")
    refused(shop.request("DELETE", f"quotes/{quote['id']}"), 404, "QUOTE_NOT_FOUND")


def test_a_duplicate_has_copies_of_the_files(
    shop: Client, ada: Client, cube: dict[str, Any], database: psycopg.Connection
) -> None:
    quote = sent(shop, ada, printed(cube), LINES[0])
    made = shop.data("POST", f"quotes/{quote['id']}/duplicate")
    assert (made["status"], made["totalCents"], made["items"]) == (
        "DRAFT",
        quote["totalCents"],
        quote["items"],
    )
    ours, theirs = stored_keys(database, made), stored_keys(database, quote)
    assert len(ours) == len(theirs) == 4
    assert not set(ours) & set(theirs)
    sizes = "select sum((metadata ->> 'size')::bigint) from storage.objects where name = any (%s)"
    assert database.execute(sizes, (ours,)).fetchone() == database.execute(sizes, (theirs,)).fetchone()
    bare = shop.data("POST", f"quotes/{drafted(shop, ada)['id']}/duplicate")
    assert shop.data("GET", f"quotes/{bare['id']}/files") == []


def test_objects_that_are_gone_stop_a_new_quote_and_no_duplicate(
    stack: Stack, shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    thin = sliced(shop, "thin.stl", cube_stl(4))
    quote = drafted(shop, ada, printed(thin))
    kept = stored_keys(database, quote)
    removed(stack, "order-files", next(key for key in kept if key.endswith("gcode.gz")))
    twin = shop.data("POST", f"quotes/{quote['id']}/duplicate")
    assert [file["mimeType"] for file in shop.data("GET", f"quotes/{twin['id']}/files")] == [
        "model/stl",
        "image/png",
        "application/json",
    ]
    gcode = database.execute(
        "select gcode_key from slice_results where id = (select slice_result_id from tmp_files where id = %s)",
        (thin["id"],),
    ).fetchone()
    assert gcode is not None
    removed(stack, "tmp", gcode[0])
    objects = "select count(*) from storage.objects where bucket_id = 'order-files'"
    before = database.execute(objects).fetchone()
    refused(shop.post("quotes", quote_for(ada, printed(thin))), 409, "FILE_EXPIRED")
    assert database.execute(objects).fetchone() == before


def removed(stack: Stack, bucket: str, key: str) -> None:
    """Remove an object past the product."""
    headers = {"Authorization": f"Bearer {stack.supabase.secret_key}", "apikey": stack.supabase.secret_key}
    url = f"{stack.supabase.url}/storage/v1/object/{bucket}"
    httpx.request("DELETE", url, json={"prefixes": [key]}, headers=headers).raise_for_status()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"validUntil": "31.12.2099"}, 422, "INVALID_REQUEST"),
        ({"validUntil": "2099-02-30"}, 422, "INVALID_REQUEST"),
        ({"validUntil": 4_000_000_000}, 422, "INVALID_REQUEST"),
        ({"validUntil": "2020-01-01"}, 422, "VALID_UNTIL_PAST"),
        ({"clientId": 2**50}, 422, "UNKNOWN_CLIENT"),
        ({"clientId": 2**60}, 422, "INVALID_REQUEST"),
        ({"clientId": "1"}, 422, "INVALID_REQUEST"),
        ({"items": []}, 422, "INVALID_REQUEST"),
        ({"items": [{"description": "No price"}]}, 422, "LINE_WITHOUT_PRICE"),
        ({"items": [{"productTemplateId": 2**50}]}, 422, "UNKNOWN_TEMPLATE"),
        ({"items": [{"print": {"fileId": 2**50, "settingsHash": "0" * 64}}]}, 404, "FILE_NOT_FOUND"),
        ({"totalCents": 1}, 422, "INVALID_REQUEST"),
        ({"notes": "nul \0"}, 422, "INVALID_REQUEST"),
        ({"terms": "x" * 5001}, 422, "INVALID_REQUEST"),
    ],
)
def test_a_quote_that_cannot_be_written_says_why(
    shop: Client, ada: Client, changes: dict[str, Any], status: int, code: str
) -> None:
    refused(shop.post("quotes", quote_for(ada) | changes), status, code)


# -- whose it is -------------------------------------------------------------------------------------------------


def test_a_client_sees_a_quote_once_it_is_sent_and_nobody_elses(
    shop: Client, ada: Client, other_customer: Client, nobody: Client
) -> None:
    quote = drafted(shop, ada)
    path = f"quotes/{quote['id']}"
    for hidden in (path, f"{path}/files"):
        refused(ada.get(hidden), 404, "QUOTE_NOT_FOUND")
    refused(ada.post(f"{path}/accept", {}), 404, "QUOTE_NOT_FOUND")
    assert quote["id"] not in [row["id"] for row in ada.get("quotes").json()["data"]]
    assert ada.get("quotes", params={"status": "DRAFT"}).json()["data"] == []
    opened = send(shop, quote)
    assert (opened["status"], opened["needsReview"]) == ("PENDING", False)
    seen = ada.data("GET", path)
    assert (seen["snapshot"], seen["publicUrl"]) == (None, opened["publicUrl"])
    assert "publicToken" not in seen
    assert ada.get("quotes").json()["data"][0]["id"] == quote["id"]
    for method, route in (("GET", ""), ("GET", "/files"), ("POST", "/accept"), ("POST", "/decline")):
        refused(other_customer.request(method, path + route), 404, "QUOTE_NOT_FOUND")
        refused(nobody.request(method, path + route), 401, "NO_TOKEN")


def test_only_the_shop_writes_quotes(
    shop: Client, ada: Client, nobody: Client, database: psycopg.Connection
) -> None:
    path = f"quotes/{drafted(shop, ada)['id']}"
    written = "select jsonb_agg(to_jsonb(q) order by id), (select count(*) from invoices) from quotes q"
    before = database.execute(written).fetchone()
    body = quote_for(ada)
    routes: list[tuple[str, str, Any]] = [
        ("POST", "quotes", body),
        ("PUT", path, body),
        ("DELETE", path, None),
    ]
    routes += [("POST", f"{path}/{word}", None) for word in ("send", "convert", "duplicate", "rotate-token")]
    for method, route, sent_body in routes:
        options = {"json": sent_body, "headers": {"Idempotency-Key": str(uuid4())}}
        refused(ada.request(method, route, **options), 403, "ADMIN_ONLY")
        refused(nobody.request(method, route, **options), 401, "NO_TOKEN")
    assert database.execute(written).fetchone() == before


# -- listed ------------------------------------------------------------------------------------------------------


def test_quotes_are_paged_without_gap_or_double_while_others_are_written(stack: Stack, shop: Client) -> None:
    client = sign_up(stack)
    made = [sent(shop, client)["id"] for _ in range(5)]
    for sort, expected in (("createdAt", made), ("-createdAt", made[::-1])):
        seen: list[int] = []
        params: dict[str, Any] = {"limit": 2, "sort": sort}
        while True:
            page = client.get("quotes", params=params).json()
            seen += [row["id"] for row in page["data"]]
            if page["nextCursor"] is None:
                break
            params["cursor"] = page["nextCursor"]
            if sort == "-createdAt":
                sent(shop, client)
        assert seen == expected
    for cursor in ("nonsense", encode_cursor("no time", 1), encode_cursor(1)):
        refused(client.get("quotes", params={"cursor": cursor}), 400, "CURSOR_INVALID")
    refused(client.get("quotes", params={"sort": "number"}), 422, "INVALID_REQUEST")


def test_quotes_are_found_by_number_or_client_and_search_text_is_data(stack: Stack, shop: Client) -> None:
    name = f'Odd %_*,)"\\ {uuid4().hex[:8]}'
    client = sign_up(stack, name)
    quote = drafted(shop, client)
    for text in (quote["number"], name, name[:10].upper(), '%_*,)"\\'):
        found = shop.get("quotes", params={"q": text}).json()["data"]
        assert [row["id"] for row in found if row["clientName"] == name] == [quote["id"]], text
    for text in ("%%", "o_d", "*odd", "\\%"):
        assert shop.get("quotes", params={"q": text}).json()["data"] == [], text
    listed = shop.get("quotes", params={"q": name, "status": "PENDING"}).json()["data"]
    assert listed == []


# -- sent --------------------------------------------------------------------------------------------------------


def test_sending_needs_a_key_and_answers_it_again(shop: Client, ada: Client) -> None:
    path = f"quotes/{drafted(shop, ada)['id']}/send"
    refused(shop.post(path, {}), 400, "IDEMPOTENCY_KEY_MISSING")
    headers = {"Idempotency-Key": str(uuid4())}
    first = shop.data("POST", path, {"message": "Hello"}, headers=headers)
    assert shop.data("POST", path, {"message": "Hello"}, headers=headers) == first
    refused(shop.post(path, {"message": "Other"}, headers=headers), 422, "IDEMPOTENCY_KEY_REUSED")
    other = f"quotes/{drafted(shop, ada)['id']}/send"
    refused(shop.post(other, {"message": "Hello"}, headers=headers), 422, "IDEMPOTENCY_KEY_REUSED")
    refused(shop.post(path, {"to": "nobody"}, headers=headers), 422, "INVALID_REQUEST")


def test_sending_queues_a_mail_and_tells_the_mailer(
    stack: Stack, shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    quote = drafted(shop, ada)
    mail = send(shop, quote, {"message": "Here it is"})["mail"]
    assert mail["status"] == "QUEUED"
    again = send(shop, quote, {"to": "boss@example.com"})["mail"]
    rows = database.execute(
        "select id, to_address, message from mails where quote_id = %s order by id", (quote["id"],)
    ).fetchall()
    assert rows == [(mail["id"], ada.email, "Here it is"), (again["id"], "boss@example.com", "")]
    lines = stack.gateway.log_of("QuotesFunction").read_text().splitlines()
    told = [json.loads(line) for line in lines if '"mail.queued"' in line]
    assert [line["data"]["mailId"] for line in told][-2:] == [mail["id"], again["id"]]


def test_a_review_shows_no_token_and_is_sent_once_it_is_priced(stack: Stack, shop: Client) -> None:
    client = sign_up(stack)
    status = sliced(client, "nothing.stl", cube_stl(0))
    body = {**order_of(status), "review": True}
    headers = {"Idempotency-Key": str(uuid4())}
    review = client.data("POST", "quick-order/checkout", body, headers=headers)
    assert (review["kind"], review["status"], review["publicUrl"]) == ("quote", "DRAFT", None)
    assert "publicToken" not in review
    path = f"quotes/{review['id']}"
    refused(shop.post(f"{path}/send", {}, headers=headers), 409, "NEEDS_PRICE")
    shop.data("PUT", path, quote_for(client, {"description": "By hand", "unitPriceCents": 9900}))
    assert len(shop.data("GET", f"{path}/files")) == 2
    assert send(shop, review)["totalCents"] == 10_890


# -- decided -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "status"), [("accept", "ACCEPTED"), ("decline", "DECLINED")])
def test_the_owner_the_shop_and_the_link_may_each_decide(
    shop: Client, ada: Client, nobody: Client, word: str, status: str
) -> None:
    for caller in (ada, shop, nobody):
        quote = sent(shop, ada)
        path = f"quotes/{quote['id']}" if caller.token else public_path(quote)
        decided = caller.data("POST", f"{path}/{word}", {"note": "In black"})
        assert (decided["status"], decided["decisionNote"]) == (status, "In black")
        error = refused(caller.post(f"{path}/decline"), 409, "NOT_PENDING")
        assert error["details"]["status"] == status


def test_a_decision_needs_no_body_and_a_note_has_an_end(shop: Client, ada: Client) -> None:
    path = f"quotes/{sent(shop, ada)['id']}"
    refused(ada.post(f"{path}/accept", {"note": "x" * 2001}), 422, "INVALID_REQUEST")
    assert ada.data("POST", f"{path}/accept")["decisionNote"] is None


def public_path(quote: dict[str, Any]) -> str:
    return str(quote["publicUrl"]).split("/api/")[1]


def test_the_link_opens_the_quote_to_whoever_holds_it(shop: Client, ada: Client, nobody: Client) -> None:
    quote = sent(shop, ada, notes="Black")
    response = nobody.get(public_path(quote))
    assert response.headers["cache-control"] == "no-store"
    seen = response.json()["data"]
    assert (seen["number"], seen["canBeDecided"], seen["notes"]) == (quote["number"], True, "Black")
    assert seen["business"]["name"] == "3D Print Bureau"
    assert not {"publicToken", "snapshot"} & seen.keys()
    for method, route in (("GET", ""), ("POST", "/accept"), ("POST", "/decline")):
        refused(nobody.request(method, f"public/quotes/{'0' * 64}{route}"), 404, "QUOTE_NOT_FOUND")


def test_a_new_link_closes_the_old_one(shop: Client, ada: Client, nobody: Client) -> None:
    quote = sent(shop, ada)
    fresh = shop.data("POST", f"quotes/{quote['id']}/rotate-token")
    refused(nobody.get(public_path(quote)), 404, "QUOTE_NOT_FOUND")
    assert nobody.data("GET", public_path(fresh))["id"] == quote["id"]


def test_a_browser_gets_a_page_that_loads_nothing_and_trusts_no_text(
    stack: Stack, shop: Client, nobody: Client
) -> None:
    client = sign_up(stack, "<img src=x onerror=alert(1)>")
    line = {"description": "<script>alert(1)</script> & co", "quantity": 1.25, "unitPriceCents": 100_000}
    quote = sent(shop, client, line, notes='"><b>', shippingLabel="<i>", shippingCents=1)
    path = public_path(quote)
    page = nobody.get(path, headers=BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in page.text
    assert page.text.count("<script>") == 1
    for text in ("<img", '"><b>', "<i>", "http://", "https://"):
        assert text not in page.text
    assert ">$1,375.01<" in page.text
    assert 'value="accept"' in page.text
    nobody.data("POST", f"{path}/decline", {"note": "Too <dear>"})
    decided = nobody.get(path, headers=BROWSER).text
    assert "This quote was declined." in decided
    assert "Too &lt;dear&gt;" in decided
    assert "<form>" not in decided
    unknown = nobody.get("public/quotes/unknown", headers=BROWSER)
    assert (unknown.status_code, "Unknown link" in unknown.text) == (404, True)


def test_an_expired_quote_says_so_and_is_not_decided(
    shop: Client, ada: Client, nobody: Client, database: psycopg.Connection
) -> None:
    quote = sent(shop, ada)
    database.execute("update quotes set valid_until = '2020-02-01' where id = %s", (quote["id"],))
    assert "it was valid until 1 February 2020" in nobody.get(public_path(quote), headers=BROWSER).text
    refused(ada.post(f"quotes/{quote['id']}/accept"), 409, "QUOTE_EXPIRED")


# -- converted ---------------------------------------------------------------------------------------------------


def test_an_accepted_quote_becomes_an_invoice_that_its_client_can_pay(
    shop: Client, ada: Client, cube: dict[str, Any]
) -> None:
    quote = sent(shop, ada, printed(cube), LINES[0])
    ada.data("POST", f"quotes/{quote['id']}/accept")
    invoice = shop.data("POST", f"quotes/{quote['id']}/convert")
    assert (invoice["totalCents"], invoice["quoteId"]) == (quote["totalCents"], quote["id"])
    assert invoice == shop.data("GET", f"invoices/{invoice['id']}")
    assert ada.data("GET", f"invoices/{invoice['id']}")["payUrl"]
    after = ada.data("GET", f"quotes/{quote['id']}")
    assert (after["status"], after["convertedInvoiceId"]) == ("CONVERTED", invoice["id"])
    files = ada.data("GET", f"quotes/{quote['id']}/files")
    assert {file["invoiceId"] for file in files} == {invoice["id"]}
    refused(shop.post(f"quotes/{quote['id']}/convert"), 409, "ALREADY_CONVERTED")
    refused(shop.post(f"quotes/{drafted(shop, ada)['id']}/convert"), 409, "NOT_CONVERTIBLE")


def test_two_conversions_at_once_answer_one_invoice_and_one_conflict(shop: Client, ada: Client) -> None:
    for _ in range(5):
        quote, start = sent(shop, ada), threading.Barrier(2)

        def press(_: int, quote: dict[str, Any] = quote, start: threading.Barrier = start) -> httpx.Response:
            start.wait()
            return shop.post(f"quotes/{quote['id']}/convert")

        with ThreadPoolExecutor(2) as pool:
            won, lost = sorted(pool.map(press, range(2)), key=lambda answer: answer.status_code)
        assert won.status_code == 201
        refused(lost, 409, "ALREADY_CONVERTED")


# -- verified ----------------------------------------------------------------------------------------------------


def verify_quote(stack: Stack, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "layers" / "common"),
        "NEXT_PUBLIC_SUPABASE_URL": stack.supabase.url,
        "SUPABASE_SERVICE_ROLE_KEY": stack.supabase.secret_key,
    }
    command = [sys.executable, "-m", "scripts.verify_quote", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_quote_is_computed_again_from_its_snapshot_and_names_what_differs(
    stack: Stack, shop: Client, ada: Client, cube: dict[str, Any], database: psycopg.Connection
) -> None:
    quote = sent(shop, ada, printed(cube, pieces=2), *LINES, discountType="PERCENT", discountBps=500)
    equal = verify_quote(stack, quote["id"])
    assert (equal.returncode, equal.stderr) == (0, "")
    assert "Every figure is equal." in equal.stdout
    # As a hand in the database would, past every constraint: one line dearer, all sums with it.
    with database.transaction():
        database.execute(
            "update quote_items set unit_price_cents = unit_price_cents + 100, total_cents = total_cents + 100"
            " where quote_id = %s and position = 1",
            (quote["id"],),
        )
        database.execute(
            "update quotes set subtotal_cents = subtotal_cents + 100, total_cents = total_cents + 100 where id = %s",
            (quote["id"],),
        )
    tampered = verify_quote(stack, quote["id"])
    assert tampered.returncode == 1
    price, total = quote["items"][0]["unitPriceCents"], quote["totalCents"]
    for named in (
        f"line 1 unitPriceCents (quote): computed {price}, found {price + 100}",
        f"totalCents (quote): computed {total}, found {total + 100}",
    ):
        assert named in tampered.stdout
    assert verify_quote(stack, "QT-1").returncode == 2

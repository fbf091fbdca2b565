"""Quick order through the gateway, on the real slicer."""

import gzip
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.integration.api.traces import messages, wait_until_quiet
from tests.support.models import binary_stl, cube_3mf, cube_stl, cube_triangles
from tests.support.orders import (
    checked_out,
    order_of,
    put,
    request_upload,
    slice_request,
    sliced,
    uploaded,
    wait_for_slice,
)


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada")


@pytest.fixture(scope="module")
def cube(ada: Client) -> dict[str, Any]:
    return sliced(ada, "cube.stl", cube_stl())


def test_a_sliced_cube_has_figures_and_a_g_code(ada: Client, cube: dict[str, Any]) -> None:
    assert cube["status"] == "completed"
    assert cube["metadata"]["fallback"] is False
    assert cube["metadata"]["attempts"] == 1
    result = cube["result"]
    assert cube["metadata"]["metrics"]["grams"] == result["massMg"] / 1000
    assert abs(result["massMg"] - result["volumeMm3"] * 1.24) <= 0.02 * result["massMg"]
    gcode = ada.get(f"tmp-files/{cube['outputId']}", follow_redirects=True)
    assert gcode.status_code == 200
    assert b"; estimated printing time" in gzip.decompress(gcode.content)


def test_a_completed_upload_says_what_fits_what_to_mind_and_about_what_it_takes(ada: Client) -> None:
    contents = cube_stl(20)
    upload = request_upload(ada, "cube.stl", len(contents))
    put(upload, contents)
    accepted = ada.data("POST", f"quick-order/uploads/{upload['id']}/complete")
    assert accepted["geometry"]["box"] == {"x": 20, "y": 20, "z": 20}
    assert accepted["geometry"]["volumeMm3"] == pytest.approx(8000)
    report = accepted["report"]
    fits = {place["printer"]: place["fits"] for place in report["fits"]}  # other tests' printers, too
    assert (fits["Prusa MK4"], fits["Prusa XL"]) == (True, True)
    assert report["warnings"] == []
    for figure in ("massMg", "timeSec", "priceCents"):
        assert 0 < report["estimate"][figure]["low"] <= report["estimate"][figure]["likely"]
        assert report["estimate"][figure]["likely"] <= report["estimate"][figure]["high"]
    again = ada.data("POST", f"quick-order/uploads/{upload['id']}/complete")
    # Meanwhile the worker may have looked at it.
    assert {**again, "updatedAt": None} == {**accepted, "updatedAt": None}


def test_the_estimate_gives_way_to_the_slicers_figures(ada: Client, cube: dict[str, Any]) -> None:
    before = ada.data("GET", f"quick-order/files/{uploaded(ada, 'new.stl', cube_stl(7))}")
    assert before["report"]["estimate"]["material"] == "PLA"
    assert before["result"] is None
    assert cube["report"]["estimate"] is None


def test_a_model_of_inches_is_noticed(ada: Client) -> None:
    file_id = uploaded(ada, "inches.stl", cube_stl(1.5))
    (warning,) = ada.data("GET", f"quick-order/files/{file_id}")["report"]["warnings"]
    assert warning["code"] == "LOOKS_LIKE_INCHES"
    assert "2540" in warning["message"]


def test_a_model_is_looked_at_and_drawn_by_the_worker(
    ada: Client, other_customer: Client, stack: Stack
) -> None:
    file_id = uploaded(ada, "open box.stl", binary_stl(cube_triangles(20)[:-1]))
    early = ada.get(f"quick-order/files/{file_id}/preview.png")
    assert early.status_code in {302, 404}
    wait_until_quiet(stack)
    status = ada.data("GET", f"quick-order/files/{file_id}")
    assert (status["topology"]["openEdges"], status["topology"]["bodies"]) == (3, 1)
    assert "OPEN_EDGES" in [warning["code"] for warning in status["report"]["warnings"]]
    picture = ada.get(status["previewUrl"].removeprefix("/api/"), follow_redirects=True)
    assert picture.content.startswith(b"\x89PNG")
    assert int.from_bytes(picture.content[16:20]) == 800
    assert other_customer.get(f"quick-order/files/{file_id}/preview.png").status_code == 404


def test_a_model_that_fits_no_printer_is_told_by_how_much_and_goes_to_review(ada: Client) -> None:
    file_id = uploaded(ada, "tower.stl", cube_stl(370))
    request = slice_request(file_id)
    made = ada.data("POST", "quick-order/slice", request)
    assert (made["status"], made["queued"]) == ("failed", False)
    assert made["metadata"]["error"].startswith(
        "MODEL_TOO_LARGE: The model is 10 mm too wide and 10 mm too deep and 10 mm too tall for Prusa XL"
    )
    smaller = ada.data("POST", "quick-order/slice", slice_request(file_id, scale=5))
    assert smaller["queued"] is True
    assert wait_for_slice(ada, file_id)["status"] == "completed"


def test_the_same_model_again_is_answered_at_once_for_anybody(
    ada: Client, other_customer: Client, stack: Stack
) -> None:
    contents = cube_stl(12.5)
    known = sliced(ada, "mine.stl", contents)
    file_id = uploaded(other_customer, "theirs.stl", contents)
    wait_until_quiet(stack)
    made = other_customer.data("POST", "quick-order/slice", slice_request(file_id))
    assert (made["status"], messages(stack)) == ("completed", 0)
    status = other_customer.data("GET", f"quick-order/files/{file_id}")
    assert status["result"] == known["result"]
    gcode = other_customer.get(f"tmp-files/{status['outputId']}", follow_redirects=True)
    assert b"; estimated printing time" in gzip.decompress(gcode.content)
    assert "theirs.gcode.gz" in gcode.headers["content-disposition"]


def test_an_unknown_printer_and_a_layer_too_high_for_its_nozzle_are_refused(
    ada: Client, shop: Client
) -> None:
    file_id = uploaded(ada, "fine.stl", cube_stl(5))
    unknown = ada.post("quick-order/slice", {**slice_request(file_id), "printerId": 999_999})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (422, "UNKNOWN_PRINTER")
    fine = {"name": "Fine nozzle", "bedXMm": 100, "bedYMm": 100, "bedZMm": 100, "nozzleUm": 250}
    printer = shop.data("POST", "printers", fine)
    try:
        refused = ada.post(
            "quick-order/slice", {**slice_request(file_id, layerHeight=0.3), "printerId": printer["id"]}
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "LAYER_HEIGHT_TOO_LARGE")
    finally:
        shop.request("DELETE", f"printers/{printer['id']}")


def test_the_shop_reads_the_slicers_last_lines_and_the_customer_does_not(
    ada: Client, shop: Client, other_customer: Client, database: psycopg.Connection
) -> None:
    file_id = uploaded(ada, "failed.stl", cube_stl(5))
    metadata = Jsonb({"logTail": "bad_alloc", "fallback": True})
    database.execute(
        "update tmp_files set status = 'failed', metadata = %s where id = %s", (metadata, file_id)
    )
    assert ada.data("GET", f"quick-order/files/{file_id}")["slicerLog"] is None
    assert shop.data("GET", f"quick-order/files/{file_id}")["slicerLog"] == "bad_alloc"
    assert other_customer.get(f"quick-order/files/{file_id}").status_code == 404


def test_a_3mf_and_the_same_stl_weigh_the_same(ada: Client, cube: dict[str, Any]) -> None:
    threemf = sliced(ada, "cube.3mf", cube_3mf())
    assert threemf["result"]["massMg"] == cube["result"]["massMg"]


def test_the_settings_hidden_in_a_3mf_change_nothing_and_run_nothing(
    ada: Client, cube: dict[str, Any]
) -> None:
    hidden = "; fill_density = 100%\n; post_process = touch /tmp/printshop-was-here\n; layer_height = 0.05\n"
    hostile = sliced(ada, "hostile.3mf", cube_3mf(extra={"Metadata/Slic3r_PE.config": hidden}))
    assert hostile["result"]["massMg"] == cube["result"]["massMg"]


def test_a_file_is_sliced_one_at_a_time_and_again_afterwards(ada: Client) -> None:
    file_id = uploaded(ada, "twice.stl", cube_stl(15))
    ada.data("POST", "quick-order/slice", slice_request(file_id))
    second = ada.post("quick-order/slice", slice_request(file_id, infill=50))
    assert (second.status_code, second.json()["error"]["code"]) == (409, "SLICE_RUNNING")
    first = wait_for_slice(ada, file_id)
    ada.data("POST", "quick-order/slice", slice_request(file_id, infill=50))
    denser = wait_for_slice(ada, file_id)
    assert denser["result"]["massMg"] > first["result"]["massMg"]
    assert denser["settingsHash"] != first["settingsHash"]
    old_price = ada.data("POST", "quick-order/price", order_of(first))
    assert old_price["items"][0]["massMg"] == first["result"]["massMg"]


def test_the_seeds_storage_key_names_a_file_as_well_as_its_id(ada: Client) -> None:
    file_id = uploaded(ada, "by key.stl", cube_stl(5))
    key = ada.data("GET", f"quick-order/files/{file_id}")["storageKey"]
    request = {"file": {**slice_request(file_id)["file"], "id": key, "filename": "by key.stl"}}
    assert ada.data("POST", "quick-order/slice", request)["id"] == file_id
    assert wait_for_slice(ada, file_id)["status"] == "completed"


def test_a_price_is_made_of_the_slice_and_adds_up(ada: Client, cube: dict[str, Any]) -> None:
    price = ada.data("POST", "quick-order/price", order_of(cube, quantity=3))
    (line,) = price["items"]
    # 20 mm cube: 3 pieces stay below the minimum of 35.00; metro delivery is 12.50; GST is 10 %.
    material = 3 * cube["result"]["volumeMm3"] * 1240 / 1000 * 3500 / 1_000_000
    machine = 3 * cube["result"]["timeSec"] * 4500 / 3600
    assert line["materialCents"] == round(material)
    assert abs(line["machineCents"] - machine) <= 1
    parts = ("materialCents", "machineCents", "setupCents", "minimumTopUpCents", "fastTrackCents")
    assert sum(line[part] for part in parts) == line["totalCents"] == max(3500, line["totalCents"])
    assert price["shippingCents"] == 1250
    assert price["taxCents"] == round((price["subtotalCents"] + 1250) * 0.1)
    assert price["totalCents"] == price["subtotalCents"] + 1250 + price["taxCents"]


def test_a_checkout_makes_an_invoice_with_its_files_once_per_key(
    ada: Client, cube: dict[str, Any], database: psycopg.Connection
) -> None:
    order = order_of(cube)
    total = ada.data("POST", "quick-order/price", order)["totalCents"]
    body = {**order, "expectedTotalCents": total}
    headers = {"Idempotency-Key": str(uuid4())}
    first = ada.data("POST", "quick-order/checkout", body, headers=headers)
    again = ada.data("POST", "quick-order/checkout", body, headers=headers)
    assert first == again
    assert (first["status"], first["totalCents"], first["balanceCents"]) == ("PENDING", total, total)
    other = ada.post("quick-order/checkout", {**body, "notes": "other"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    files = database.execute(
        "select file_type, mime_type, storage_key, size_bytes from order_files where invoice_id = %s order by id",
        (first["id"],),
    ).fetchall()
    assert [(kind, mime) for kind, mime, _, _ in files] == [
        ("model", "model/stl"),
        ("model", "image/png"),
        ("model", "application/gzip"),
        ("settings", "application/json"),
    ]
    stored: dict[str, int] = dict(
        database.execute(
            "select name, (metadata ->> 'size')::bigint from storage.objects where bucket_id = 'order-files'"
        ).fetchall()
    )
    assert [stored.get(key) for _, _, key, _ in files] == [size for _, _, _, size in files]


def test_an_invoice_is_its_owners_and_the_shops(
    ada: Client, cube: dict[str, Any], other_customer: Client, shop: Client
) -> None:
    invoice = checked_out(ada, cube)
    assert ada.data("GET", f"invoices/{invoice['id']}")["number"] == invoice["number"]
    assert shop.data("GET", f"invoices/{invoice['id']}")["number"] == invoice["number"]
    assert other_customer.get(f"invoices/{invoice['id']}").status_code == 404
    listed = ada.get("invoices", params={"q": invoice["number"]}).json()
    assert [row["id"] for row in listed["data"]] == [invoice["id"]]
    assert invoice["id"] not in [row["id"] for row in other_customer.get("invoices").json()["data"]]


def test_invoices_are_listed_by_pages_without_gap_or_double(ada: Client, cube: dict[str, Any]) -> None:
    made = [checked_out(ada, cube)["id"] for _ in range(3)]
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = ada.get("invoices", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen[:3] == made[::-1]
    assert len(seen) == len(set(seen))
    assert ada.get("invoices", params={"cursor": "nonsense"}).status_code == 400


def test_search_text_is_data_and_never_a_filter(ada: Client, cube: dict[str, Any]) -> None:
    checked_out(ada, cube)
    for text in ("%", "*", ",", ")", '"', "_"):
        assert ada.get("invoices", params={"q": text}).json()["data"] == []


def test_an_admin_orders_for_a_client_whom_he_names(shop: Client, ada: Client) -> None:
    status = sliced(shop, "for ada.stl", cube_stl(8))
    order = order_of(status)
    nobody = shop.post("quick-order/price", order)
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (422, "UNKNOWN_CLIENT")
    price = shop.data("POST", "quick-order/price", {**order, "clientId": ada.user["clientId"]})
    invoice = shop.data(
        "POST",
        "quick-order/checkout",
        {**order, "clientId": ada.user["clientId"], "expectedTotalCents": price["totalCents"]},
        headers={"Idempotency-Key": str(uuid4())},
    )
    assert ada.data("GET", f"invoices/{invoice['id']}")["number"] == invoice["number"]


def broken_stl() -> bytes:
    """A binary STL of the right size whose triangles are all one point."""
    return cube_stl(0)


def test_what_cannot_be_sliced_is_never_charged_but_may_be_reviewed(
    stack: Stack, database: psycopg.Connection
) -> None:
    client = sign_up(stack)
    status = sliced(client, "nothing.stl", broken_stl())
    assert status["status"] == "failed"
    assert status["metadata"]["fallback"] is True
    assert status["metadata"]["metrics"] == {"timeSec": 3600, "grams": 80}
    assert status["metadata"]["error"]
    told = database.execute(
        "select body from user_messages where user_id = %s", (client.user["id"],)
    ).fetchall()
    assert len(told) == 1
    order = order_of(status)
    for path in ("quick-order/price", "quick-order/checkout"):
        refused = client.post(path, {**order} | ({"expectedTotalCents": 1} if "checkout" in path else {}),
                              headers={"Idempotency-Key": str(uuid4())})  # fmt: skip
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "NEEDS_REVIEW")
    quote = client.data(
        "POST", "quick-order/checkout", {**order, "review": True}, headers={"Idempotency-Key": str(uuid4())}
    )
    assert (quote["kind"], quote["status"], quote["needsReview"]) == ("quote", "DRAFT", True)
    # The model and its settings; its picture as well, where the worker has drawn it by now.
    kept = database.execute(
        "select count(*) from order_files where quote_id = %s and mime_type <> 'image/png'", (quote["id"],)
    ).fetchone()
    assert kept == (2,)


def test_a_users_files_are_listed_and_deleted_with_their_g_code(ada: Client) -> None:
    status = sliced(ada, "gone.stl", cube_stl(6))
    listed = {row["id"] for row in ada.get("tmp-files").json()["data"]}
    assert {status["id"], status["outputId"]} <= listed
    url = ada.get(f"tmp-files/{status['id']}").headers["location"]
    assert httpx.get(url).status_code == 200
    assert ada.request("DELETE", f"tmp-files/{status['id']}").status_code == 204
    assert ada.get(f"tmp-files/{status['outputId']}").status_code == 404
    assert httpx.get(url).status_code >= 400


def test_the_eleventh_waiting_slice_is_refused(stack: Stack, database: psycopg.Connection) -> None:
    client = sign_up(stack)
    files = [uploaded(client, f"cube-{number}.stl", cube_stl(4)) for number in range(11)]
    database.execute(
        "update tmp_files set queued_at = now(), request_id = gen_random_uuid() where id = any (%s)",
        (files[:10],),
    )
    response = client.post("quick-order/slice", slice_request(files[10]))
    assert (response.status_code, response.json()["error"]["code"]) == (429, "TOO_MANY_WAITING")
    assert response.headers["retry-after"]
    status = client.data("GET", f"quick-order/files/{files[9]}")
    assert status["placeInQueue"] >= 10
    database.execute("update tmp_files set queued_at = null where id = any (%s)", (files[:10],))

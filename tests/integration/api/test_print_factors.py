"""What prints taught, over HTTP: what is weighed, what is listed, and quotes that are priced by it."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from devstack import Stack
from printshop.quotes.verify import verify
from tests.conftest import Client
from tests.integration.api.workshop import a_name, new_job, new_printer, refused

SLICED = {"pieces": 1, "timeSec": 10_000, "massMg": 50_000, "slicer": "PrusaSlicer"}
HASH = "5" * 64


@pytest.fixture
def by_factors(shop: Client, database: psycopg.Connection) -> Iterator[None]:
    """The shop prices by its prints."""
    settings = {**shop.data("GET", "settings"), "updatedAt": None}
    shop.data("PUT", "settings", {**settings, "usePrintFactors": True})
    yield
    shop.data("PUT", "settings", {**settings, "usePrintFactors": False})


def new_material(shop: Client) -> int:
    body = {"name": a_name("PLA"), "costPerKgCents": 3500, "densityMgCm3": 1240}
    return int(shop.data("POST", "materials", body)["id"])


def printed(
    shop: Client, database: psycopg.Connection, client: Client, pair: tuple[int, int], seconds: int
) -> int:
    """A job of a sliced line that printed for `seconds` and is completed; its id."""
    printer, material = pair
    job = new_job(database, client)
    database.execute(
        "update invoice_items set details = %s where invoice_id = (select invoice_id from jobs where id = %s)",
        (Jsonb({**SLICED, "materialId": material}), job),
    )
    shop.data("POST", f"jobs/{job}/status", {"status": "PRINTING", "printerId": printer})
    database.execute(
        "update jobs set printing_since = printing_since - make_interval(secs => %s) where id = %s",
        (seconds, job),
    )
    for status in ("PRINTING_COMPLETE", "COMPLETED"):
        shop.data("POST", f"jobs/{job}/status", {"status": status})
    return job


def sliced_file(stack: Stack, database: psycopg.Connection, user: Client, pair: tuple[int, int]) -> int:
    """A model of the user's, sliced for this printer and material: 100 cm³, 2 hours."""
    printer, material = pair
    content, user_id = uuid4().hex * 2, user.data("GET", "auth/me")["id"]
    key = f"{user_id}/{uuid4()}/bunny.stl"
    httpx.post(
        f"{stack.supabase.url}/storage/v1/object/tmp/{key}",
        content=b"solid bunny",
        headers={"apikey": stack.supabase.secret_key, "content-type": "model/stl"},
    ).raise_for_status()
    row = database.execute(
        "insert into tmp_files (user_id, storage_key, filename, size_bytes, status, uploaded_at, content_hash,"
        " printer_id, material_id, settings_hash)"
        " values (%s, %s, 'bunny.stl', 11, 'completed', now(), %s, %s, %s, %s) returning id",
        (user_id, key, content, printer, material, HASH),
    ).fetchone()
    assert row is not None
    database.execute(
        "insert into slice_results (content_hash, settings_hash, settings, material_id, printer_id, slicer,"
        " slicer_version, profile, mass_mg, volume_mm3, filament_mm, time_sec)"
        " values (%s, %s, '{}', %s, %s, 'PrusaSlicer', '2.9.2', 'generic/pla', 124000, 100000, 41580, 7200)",
        (content, HASH, material, printer),
    )
    return int(row[0])


def taught(shop: Client, pair: tuple[int, int]) -> Any:
    rows = shop.get("print-factors?limit=200").json()["data"]
    return next(row for row in rows if (row["printerId"], row["materialId"]) == pair)


# -- grams -------------------------------------------------------------------------------------------------------


def test_what_the_shop_weighed_is_kept_with_the_job_and_taken_back(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    pair = (new_printer(shop), new_material(shop))
    job = printed(shop, database, customer, pair, 12_000)
    shown = shop.data("GET", f"jobs/{job}")
    assert (shown["printedMassMg"], shown["printRecord"]["massBps"]) == (None, None)
    assert shown["printRecord"]["timeBps"] in range(12_000, 12_010)  # and what the moves themselves took
    weighed = shop.data("PATCH", f"jobs/{job}", {"printedMassMg": 55_000})
    assert (weighed["printedMassMg"], weighed["printRecord"]["massBps"]) == (55_000, 11_000)
    assert shop.data("PATCH", f"jobs/{job}", {"notes": "Fine."})["printedMassMg"] == 55_000
    cleared = shop.data("PATCH", f"jobs/{job}", {"printedMassMg": None})
    assert (cleared["printedMassMg"], cleared["printRecord"]["massBps"]) == (None, None)
    for mass in (0, -1, 1.5, "9", 10**12 + 1):
        assert shop.request("PATCH", f"jobs/{job}", json={"printedMassMg": mass}).status_code == 422


# -- the list ----------------------------------------------------------------------------------------------------


def test_the_factors_are_listed_with_how_sure_they_are(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    pair = (new_printer(shop), new_material(shop))
    for _ in range(4):
        printed(shop, database, customer, pair, 11_000)
    few = taught(shop, pair)
    assert (few["time"]["prints"], few["time"]["plusMinusBps"], few["time"]["sureness"]) == (
        4,
        None,
        "TOO_FEW",
    )
    assert few["howSure"].startswith(
        "4 of the 5 prints that it takes to correct the slicer's time; 0 of the 5"
    )
    printed(shop, database, customer, pair, 11_000)
    enough = taught(shop, pair)
    assert enough["time"]["factorBps"] in range(11_000, 11_010)
    assert (enough["time"]["prints"], enough["time"]["sureness"]) == (5, "SURE")
    assert "1.10 times the slicer's time, give or take 0.00, by 5 prints: sure" in enough["howSure"]
    assert enough["mass"] == {
        "prints": 0, "factorBps": None, "spreadBps": None, "plusMinusBps": None, "sureness": "TOO_FEW",
    }  # fmt: skip


def test_the_list_is_paged_by_printer_and_material(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    printer, materials = new_printer(shop), [new_material(shop) for _ in range(3)]
    for material in materials:
        printed(shop, database, customer, (printer, material), 10_000)
    pairs = []
    cursor = ""
    while True:
        page = shop.get(f"print-factors?limit=2{cursor}").json()
        pairs += [(row["printerId"], row["materialId"]) for row in page["data"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert pairs == sorted(set(pairs))
    assert [pair for pair in pairs if pair[0] == printer] == [(printer, material) for material in materials]
    assert refused(shop.get("print-factors?cursor=x")) == (400, "CURSOR_INVALID")


# -- prices ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_factors")
def test_a_quote_is_priced_by_what_prints_took_and_can_be_computed_again(
    stack: Stack, shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    pair = (new_printer(shop), new_material(shop))
    file = sliced_file(stack, database, shop, pair)
    body = {
        "clientId": customer.user["clientId"],
        "items": [{"print": {"fileId": file, "settingsHash": HASH, "pieces": 2}}],
    }
    for _ in range(4):
        printed(shop, database, customer, pair, 20_000)
    plain = shop.data("POST", "quotes", body)
    assert "printFactor" not in plain["items"][0]["details"]
    printed(shop, database, customer, pair, 20_000)
    database.execute(
        "update jobs set printed_seconds = 12_500 where printer_id is null and %s = any (printed_on)",
        (pair[0],),
    )
    quote = shop.data("POST", "quotes", body)
    details = quote["items"][0]["details"]
    assert details["printFactor"]["time"]["factorBps"] == 12_500
    assert (details["timeSec"], details["correctedTimeSec"]) == (7200, 9000)
    assert "by 5 prints: sure" in details["printFactor"]["howSure"]
    rate = shop.data("GET", "settings")["hourlyRateCents"]
    assert quote["subtotalCents"] - plain["subtotalCents"] == rate  # half an hour more for each of two
    for each in (plain, quote):
        kept = database.execute("select get_quote(%s, null)", (each["id"],)).fetchone()
        assert kept is not None
        assert verify(kept[0]).differences == ()
    shop.post(f"quotes/{quote['id']}/send", {}, headers={"Idempotency-Key": str(uuid4())})
    read = customer.data("GET", f"quotes/{quote['id']}")["items"][0]["details"]
    assert (read["timeSec"], "printFactor" in read, "correctedTimeSec" in read) == (9000, False, False)


@pytest.mark.usefixtures("by_factors")
def test_an_order_is_priced_by_what_prints_took_and_keeps_it_with_its_job(
    stack: Stack, shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    pair = (new_printer(shop), new_material(shop))
    jobs = [printed(shop, database, customer, pair, 20_000) for _ in range(5)]
    database.execute("update jobs set printed_seconds = 12_500 where id = any (%s)", (jobs,))
    order = {
        "items": [{"fileId": sliced_file(stack, database, customer, pair), "settingsHash": HASH}],
        "shipping": {"state": "NSW", "postcode": "2000"},
    }
    price = customer.data("POST", "quick-order/price", order)
    line = price["items"][0]
    assert (line["timeSec"], line["printFactor"]["time"]["factorBps"]) == (7200, 12_500)
    assert line["printFactor"]["howSure"] == (
        "1.25 times the slicer's time, give or take 0.00, by 5 prints: sure"
    )
    rate = shop.data("GET", "settings")["hourlyRateCents"]
    assert line["machineCents"] in {rate * 5 // 2, rate * 5 // 2 + 1}  # 2.5 h; parts add up by their sums
    invoice = customer.data(
        "POST",
        "quick-order/checkout",
        {**order, "expectedTotalCents": price["totalCents"]},
        headers={"Idempotency-Key": str(uuid4())},
    )
    assert invoice["items"][0]["details"]["timeSec"] == 9000
    shop.post(f"invoices/{invoice['id']}/mark-paid", {}, headers={"Idempotency-Key": str(uuid4())})
    job = database.execute(
        "select estimated_seconds from jobs where invoice_id = %s", (invoice["id"],)
    ).fetchone()
    assert job == (7200,)  # as the slicer said: the next factor is learned from that


def test_a_shop_that_does_not_say_so_prices_as_sliced(
    stack: Stack, shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    pair = (new_printer(shop), new_material(shop))
    for _ in range(5):
        printed(shop, database, customer, pair, 20_000)
    line = {"print": {"fileId": sliced_file(stack, database, shop, pair), "settingsHash": HASH}}
    quote = shop.data("POST", "quotes", {"clientId": customer.user["clientId"], "items": [line]})
    assert "printFactor" not in quote["items"][0]["details"]


# -- profiles ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noun", "body", "default", "other"),
    [
        ("printers", {"bedXMm": 250, "bedYMm": 210, "bedZMm": 220}, "generic", "core-xy"),
        ("materials", {"costPerKgCents": 3500, "densityMgCm3": 1240}, "pla", "petg"),
    ],
)
def test_a_profile_is_one_that_the_slicer_has(
    shop: Client, noun: str, body: dict[str, Any], default: str, other: str
) -> None:
    body = {**body, "name": a_name(noun)}
    made = shop.data("POST", noun, body)
    assert made["profile"] == default
    path = f"{noun}/{made['id']}"
    assert shop.data("PUT", path, {**body, "profile": other})["profile"] == other
    listed = shop.get(f"{noun}?limit=200&sort=-createdAt").json()["data"]
    assert next(row for row in listed if row["id"] == made["id"])["profile"] == other
    for answer in (
        shop.post(noun, {**body, "name": a_name(noun), "profile": "delta"}),
        shop.request("PUT", path, json={**body, "profile": "delta"}),
    ):
        assert refused(answer) == (422, "UNKNOWN_PROFILE")
        assert {default, other} <= set(answer.json()["error"]["details"][0]["names"])


def test_the_seeded_printers_and_materials_have_profiles_of_their_own(shop: Client) -> None:
    profiles = {
        row["name"]: row["profile"]
        for noun in ("printers", "materials")
        for row in shop.get(f"{noun}?limit=200").json()["data"]
    }
    assert (profiles["Prusa MK4"], profiles["Prusa XL"]) == ("bed-slinger", "core-xy")
    assert (profiles["PLA"], profiles["PETG"]) == ("pla", "petg")

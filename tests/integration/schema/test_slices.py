"""A model's way through the slicer, as the database sees it."""

import hashlib
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from printshop.slicing.settings import SliceSettings, settings_hash
from tests.integration.schema.shop import GEOMETRY, PROFILE, SETTINGS, Shop, call
from tests.integration.schema.workshop import printer


def error(answer: Any) -> tuple[int, str]:
    return answer["error"]["status"], answer["error"]["code"]


def test_a_request_is_named_by_the_hash_that_the_product_computes(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    pla = shop.value("select id from materials where name = 'PLA'")
    assert requested["settingsHash"] == settings_hash(
        SliceSettings.model_validate(SETTINGS), PROFILE, material_id=pla
    )
    assert (requested["status"], requested["queued"]) == ("idle", True)
    assert requested["metadata"] == {
        "attempts": 0, "settings": SETTINGS, "metrics": None, "fallback": False, "error": None, "output": None,
    }  # fmt: skip


def test_a_file_is_named_by_its_id_or_by_its_storage_key(shop: Shop) -> None:
    customer = shop.customer()
    file_id = shop.uploaded(customer)
    key = shop.value("select storage_key from tmp_files where id = %s", file_id)
    assert shop.request(customer, key)["id"] == file_id
    assert shop.status(customer, file_id)["storageKey"] == key


@pytest.mark.parametrize("name", ["id", "key"])
def test_a_foreign_file_does_not_exist(shop: Shop, name: str) -> None:
    owner, stranger = shop.customer(), shop.customer()
    file: Any = shop.uploaded(owner)
    if name == "key":
        file = shop.value("select storage_key from tmp_files where id = %s", file)
    assert error(shop.request(stranger, file)) == (404, "FILE_NOT_FOUND")
    assert error(shop.status(stranger, file)) == (404, "FILE_NOT_FOUND")
    gone = shop.call("delete_tmp_files", p_user_id=stranger.user_id, p_files=[str(file)])
    assert error(gone) == (404, "FILE_NOT_FOUND")
    assert shop.value("select queued_at from tmp_files where user_id = %s", owner.user_id) is None


@pytest.mark.parametrize("file", ["0", "999999999999999999", "9" * 40, "", "nothing", "1/2/3.stl", "-1"])
def test_a_file_that_is_not_there_is_refused(shop: Shop, file: str) -> None:
    assert error(shop.request(shop.customer(), file)) == (404, "FILE_NOT_FOUND")


def test_one_slice_of_a_file_at_a_time(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    assert error(shop.request(customer, requested["id"])) == (409, "SLICE_RUNNING")
    shop.claim(requested)
    assert error(shop.request(customer, requested["id"])) == (409, "SLICE_RUNNING")
    gone = shop.call("delete_tmp_files", p_user_id=customer.user_id, p_files=[str(requested["id"])])
    assert error(gone) == (409, "SLICE_RUNNING")


def test_concurrent_requests_of_one_file_make_one_slice(shop: Shop) -> None:
    customer = shop.customer()
    file_id = shop.uploaded(customer)
    params = shop.slice_request(customer, file_id)
    answers = shop.at_once(6, lambda connection, _: call(connection, "request_slice", **params))
    assert sorted("requestId" in answer for answer in answers) == [False] * 5 + [True]


def test_the_waiting_limit_holds_under_concurrent_requests(shop: Shop) -> None:
    customer = shop.customer()
    requests = [shop.slice_request(customer, shop.uploaded(customer), p_waiting_limit=3) for _ in range(6)]

    def ask(connection: Any, number: int) -> Any:
        return call(connection, "request_slice", **requests[number])

    answers = shop.at_once(6, ask)
    assert [error(answer) for answer in answers if "error" in answer] == [(429, "TOO_MANY_WAITING")] * 3


def test_what_has_not_arrived_and_what_is_no_model_are_refused(shop: Shop) -> None:
    customer = shop.customer()
    status = shop.sliced(customer)
    assert error(shop.request(customer, status["outputId"])) == (422, "NOT_A_MODEL")
    row = {"storageKey": f"k/{uuid4()}", "filename": "a.stl", "sizeBytes": 1, "mimeType": "model/stl"}
    saved = shop.call("save_tmp_files", p_user_id=customer.user_id, p_files=[row], p_uploaded=False)
    assert error(shop.request(customer, saved[0]["id"])) == (409, "UPLOAD_INCOMPLETE")


def test_a_claim_carries_the_job_and_counts_the_attempt(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    claimed = shop.claim(requested)
    assert claimed["outcome"] == "claimed"
    assert (claimed["fileId"], claimed["attempt"]) == (requested["id"], 1)
    assert (claimed["settings"], claimed["geometry"]) == (SETTINGS, GEOMETRY)
    assert claimed["profile"] == PROFILE.model_dump(mode="json", by_alias=True)
    assert (claimed["filename"], claimed["sizeBytes"]) == ("bunny.stl", 684)
    status = shop.status(customer, requested["id"])
    assert (status["status"], status["metadata"]["attempts"], status["placeInQueue"]) == ("running", 1, None)


def test_a_second_worker_finds_the_job_busy(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    shop.claim(requested, lease_seconds=60)
    second = shop.claim(requested)
    assert second["outcome"] == "busy"
    assert 0 < second["retryAfterSeconds"] <= 60


def test_concurrent_claims_give_the_job_to_one_worker(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    params = {"p_file_id": requested["id"], "p_request_id": requested["requestId"], "p_lease_seconds": 60}
    answers = shop.at_once(8, lambda connection, _: call(connection, "claim_slice", **params))
    assert sorted(answer["outcome"] for answer in answers) == ["busy"] * 7 + ["claimed"]
    assert shop.value("select attempts from tmp_files where id = %s", requested["id"]) == 1


def test_a_finished_slice_stores_figures_g_code_and_status_together(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    assert shop.complete(shop.claim(requested)) == {"outcome": "stored"}
    status = shop.status(customer, requested["id"])
    assert (status["status"], status["progressPercent"], status["queued"]) == ("completed", 100, False)
    assert status["metadata"]["metrics"] == {"timeSec": 1234, "grams": 4.15}
    assert (status["metadata"]["fallback"], status["metadata"]["error"]) == (False, None)
    assert (status["result"]["massMg"], status["result"]["slicerVersion"]) == (4150, "2.5.0")
    output = shop.call("get_tmp_file", p_user_id=customer.user_id, p_file=status["metadata"]["output"])
    assert (output["id"], output["mimeType"]) == (status["outputId"], "application/gzip")
    assert shop.claim(requested) == {"outcome": "done"}
    assert shop.value("select count(*) from slice_results where content_hash = %s",
                      hashlib.sha256(str(requested["id"]).encode()).hexdigest()) == 1  # fmt: skip


def test_a_late_worker_stores_nothing(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    late = shop.claim(requested)
    shop.expire_lease(requested["id"])
    current = shop.claim(requested)
    assert current["attempt"] == 2
    assert shop.complete(late, massMg=1) == {"outcome": "late"}
    assert shop.fail(late) == {"outcome": "late"}
    progress = {
        "p_file_id": requested["id"], "p_percent": 50, "p_stage": "Making infill", "p_lease_seconds": 60,
    }  # fmt: skip
    assert shop.call("report_slice_progress", p_claim_token=late["claimToken"], **progress) is False
    assert shop.call("report_slice_progress", p_claim_token=current["claimToken"], **progress) is True
    assert shop.complete(current) == {"outcome": "stored"}
    assert shop.complete(current) == {"outcome": "late"}
    assert shop.status(customer, requested["id"])["result"]["massMg"] == 4150
    assert shop.value("select count(*) from tmp_files where parent_id = %s", requested["id"]) == 1


def test_progress_is_seen_by_the_customer(shop: Shop) -> None:
    customer = shop.customer()
    claimed = shop.claim(shop.request(customer, shop.uploaded(customer)))
    shop.call("report_slice_progress", p_file_id=claimed["fileId"], p_claim_token=claimed["claimToken"],
              p_percent=45, p_stage="Making infill", p_lease_seconds=60)  # fmt: skip
    status = shop.status(customer, claimed["fileId"])
    assert (status["progressPercent"], status["progressStage"]) == (45, "Making infill")


def assert_fallback(shop: Shop, user_id: int, status: Any, code: str) -> None:
    metadata = status["metadata"]
    assert (status["status"], status["queued"], status["result"]) == ("failed", False, None)
    assert (metadata["metrics"], metadata["fallback"]) == ({"timeSec": 3600, "grams": 80}, True)
    assert metadata["error"].startswith(f"{code}: ")
    told = shop.rows.execute("select body from user_messages where user_id = %s", (user_id,)).fetchall()
    assert len(told) == 1
    assert "bunny.stl" in told[0][0]
    assert "review" in told[0][0]


def test_two_failures_end_in_the_flagged_fallback_and_a_message(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    assert shop.fail(shop.claim(requested)) == {"outcome": "retry"}
    between = shop.status(customer, requested["id"])
    assert (between["status"], between["queued"], between["metadata"]["fallback"]) == ("idle", True, False)
    assert shop.fail(shop.claim(requested)) == {"outcome": "failed"}
    assert_fallback(shop, customer.user_id, shop.status(customer, requested["id"]), "SLICER_FAILED")
    assert shop.claim(requested) == {"outcome": "done"}


def test_a_final_failure_is_not_tried_again(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    assert shop.fail(shop.claim(requested), final=True) == {"outcome": "failed"}
    assert_fallback(shop, customer.user_id, shop.status(customer, requested["id"]), "SLICER_FAILED")


def test_two_killed_workers_end_in_the_fallback_at_the_third_delivery(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    for attempt in (1, 2):
        assert shop.claim(requested)["attempt"] == attempt
        shop.expire_lease(requested["id"])
    assert shop.claim(requested) == {"outcome": "done"}
    assert shop.claim(requested) == {"outcome": "done"}
    assert_fallback(shop, customer.user_id, shop.status(customer, requested["id"]), "SLICER_LOST")


def test_a_message_of_a_superseded_request_does_nothing(shop: Shop) -> None:
    customer = shop.customer()
    first = shop.request(customer, shop.uploaded(customer))
    shop.fail(shop.claim(first), final=True)
    second = shop.request(customer, first["id"])
    assert second["requestId"] != first["requestId"]
    assert shop.claim(first) == {"outcome": "done"}
    assert shop.status(customer, first["id"])["queued"] is True
    assert shop.claim(second)["attempt"] == 1


def test_a_message_of_a_deleted_file_does_nothing(shop: Shop) -> None:
    assert shop.claim({"id": 0, "requestId": str(uuid4())}) == {"outcome": "done"}


def test_progress_renews_the_claim_and_never_falls(shop: Shop) -> None:
    customer = shop.customer()
    claimed = shop.claim(shop.request(customer, shop.uploaded(customer)), lease_seconds=1)
    for percent in (60, 30):
        shop.call("report_slice_progress", p_file_id=claimed["fileId"], p_claim_token=claimed["claimToken"],
                  p_percent=percent, p_stage="", p_lease_seconds=100)  # fmt: skip
    left = shop.value(
        "select extract(epoch from lease_until - now())::float from tmp_files where id = %s",
        claimed["fileId"],
    )
    assert 90 < left <= 100
    assert shop.status(customer, claimed["fileId"])["progressPercent"] == 60


def test_the_place_in_the_queue_counts_who_came_first(shop: Shop) -> None:
    shop.rows.execute("update tmp_files set queued_at = null where queued_at is not null")
    customers = [shop.customer() for _ in range(3)]
    files = [shop.request(customer, shop.uploaded(customer))["id"] for customer in customers]
    places = [
        shop.status(customer, file)["placeInQueue"] for customer, file in zip(customers, files, strict=True)
    ]
    assert places == [1, 2, 3]
    large = shop.request(customers[0], shop.uploaded(customers[0]), p_queue="LARGE")
    assert shop.status(customers[0], large["id"])["placeInQueue"] == 1


def test_a_files_results_are_kept_by_settings(shop: Shop) -> None:
    customer = shop.customer()
    first = shop.sliced(customer)
    petg = shop.value("select id from materials where name = 'PETG'")
    requested = shop.request(customer, first["id"], p_material_id=petg)
    shop.complete(shop.claim(requested), massMg=4250)
    second = shop.status(customer, first["id"])
    assert second["settingsHash"] != first["settingsHash"]
    kept = shop.rows.execute(
        "select settings_hash, mass_mg from slice_results where content_hash ="
        " (select content_hash from tmp_files where id = %s) order by mass_mg",
        (first["id"],),
    ).fetchall()
    assert kept == [(first["settingsHash"], 4150), (second["settingsHash"], 4250)]


def test_printers_that_are_all_away_are_the_ones_to_choose_from_until_one_is_back(shop: Shop) -> None:
    customer, beds = shop.customer(), [printer(shop, "ACTIVE"), printer(shop, "MAINTENANCE")]

    def offered(**named: Any) -> list[int]:
        context = shop.call(
            "slicing_context",
            **{
                "p_user_id": customer.user_id,
                "p_file": "",
                "p_material_id": None,
                "p_printer_id": None,
                **named,
            },
        )
        return [each["id"] for each in context["printers"] if each["id"] in beds]

    assert offered() == beds[:1]
    active = shop.rows.execute("select id from printers where status = 'ACTIVE'").fetchall()
    ids = [row[0] for row in active]
    shop.rows.execute("update printers set status = 'OFFLINE' where id = any (%s)", (ids,))
    try:
        assert offered() == beds
        assert offered(p_printer_id=beds[1]) == beds[1:]
    finally:
        shop.rows.execute("update printers set status = 'ACTIVE' where id = any (%s)", (ids,))


def test_of_uploads_at_once_only_as_many_wait_for_their_inspection_as_may(shop: Shop) -> None:
    customer = shop.customer()
    rows = [
        {"storageKey": f"{customer.user_id}/{uuid4()}/a.stl", "filename": "a.stl", "sizeBytes": 684,
         "mimeType": "model/stl"}
        for _ in range(6)
    ]  # fmt: skip
    saved = shop.call("save_tmp_files", p_user_id=customer.user_id, p_files=rows, p_uploaded=False)

    def accept(connection: psycopg.Connection, n: int) -> Any:
        return call(
            connection, "accept_upload", p_user_id=customer.user_id, p_file=str(saved[n]["id"]), p_size_bytes=684,
            p_content_hash="c" * 64, p_geometry=GEOMETRY, p_waiting_limit=3,
        )  # fmt: skip

    answers = shop.at_once(6, accept)
    refused = [n for n, answer in enumerate(answers) if "error" in answer]
    assert [error(answers[n]) for n in refused] == [(429, "TOO_MANY_WAITING")] * 3
    accepted = next(n for n in range(6) if n not in refused)
    assert accept(shop.rows, accepted)["id"] == saved[accepted]["id"]  # completed twice
    shop.call("store_inspection", p_file_id=saved[accepted]["id"], p_inspection={}, p_preview_key=None)
    assert accept(shop.rows, refused[0])["uploaded"] is True

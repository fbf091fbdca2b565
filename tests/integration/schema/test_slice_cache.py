"""One slice for everybody: by content, settings and slicer, whoever uploaded it."""

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.schema.shop import Customer, Shop, call


@pytest.fixture(autouse=True)
def _beating_slicer(shop: Shop) -> None:
    beat(shop, "2.5.0")


def beat(shop: Shop, version: str) -> None:
    detail = {"product": "PrusaSlicer", "version": version, "tmpWritable": True}
    shop.call("record_heartbeat", p_component="slicer", p_detail=detail)


def sliced(shop: Shop, customer: Customer, content: str, **result: Any) -> Any:
    claimed = shop.claim(shop.request(customer, shop.uploaded(customer, content=content)))
    assert shop.complete(claimed, **result) == {"outcome": "stored"}
    return shop.status(customer, claimed["fileId"])


def test_the_same_model_again_is_answered_without_the_queue(shop: Shop) -> None:
    first, second, content = shop.customer(), shop.customer(), uuid4().hex
    known = sliced(shop, first, content)
    requested = shop.request(second, shop.uploaded(second, "other name.3mf", content=content))
    assert (requested["status"], requested["queued"]) == ("completed", False)
    assert requested["metadata"]["metrics"] == known["metadata"]["metrics"]
    status = shop.status(second, requested["id"])
    assert status["result"] == known["result"]
    output = shop.call("get_tmp_file", p_user_id=second.user_id, p_file=str(status["outputId"]))
    theirs = shop.call("get_tmp_file", p_user_id=first.user_id, p_file=str(known["outputId"]))
    assert output["filename"] == "other name.gcode.gz"
    assert output["objectKey"] == theirs["objectKey"]
    assert shop.claim(requested) == {"outcome": "done"}


def test_nothing_of_a_cached_slice_tells_whose_it_was(shop: Shop) -> None:
    first, second, content = shop.customer(), shop.customer(), uuid4().hex
    sliced(shop, first, content)
    requested = shop.request(second, shop.uploaded(second, content=content))
    output_id = shop.status(second, requested["id"])["outputId"]
    output = shop.call("get_tmp_file", p_user_id=second.user_id, p_file=str(output_id))
    assert output["storageKey"].startswith(f"{second.user_id}/")
    assert output["objectKey"].startswith("gcode/")
    assert str(first.user_id) not in output["objectKey"].split("/")


@pytest.mark.parametrize(
    "change", [{"p_settings_hash": "0" * 64}, {"content": "something else"}], ids=["settings", "content"]
)
def test_another_content_or_another_setting_is_sliced(shop: Shop, change: dict[str, str]) -> None:
    customer, content = shop.customer(), uuid4().hex
    sliced(shop, customer, content)
    file_id = shop.uploaded(customer, content=change.pop("content", content))
    assert shop.request(customer, file_id, **change)["queued"] is True


def test_a_new_slicer_slices_anew_and_the_old_figures_stay_with_their_file(shop: Shop) -> None:
    customer, content = shop.customer(), uuid4().hex
    old = sliced(shop, customer, content)
    beat(shop, "2.9.2")
    requested = shop.request(customer, shop.uploaded(customer, content=content))
    assert requested["queued"] is True
    assert shop.complete(shop.claim(requested), slicerVersion="2.9.2", massMg=5000) == {"outcome": "stored"}
    assert shop.status(customer, old["id"])["result"]["massMg"] == 4150
    assert shop.status(customer, requested["id"])["result"]["massMg"] == 5000
    items = [{"file": str(old["id"]), "settingsHash": old["settingsHash"]}]
    (model,) = shop.call("models_with_slices", p_user_id=customer.user_id, p_items=items)
    assert model["slice"]["massMg"] == 4150


def test_of_two_slices_at_once_one_result_stays_and_one_g_code_goes(shop: Shop) -> None:
    first, second, content = shop.customer(), shop.customer(), uuid4().hex
    claims = [
        shop.claim(shop.request(each, shop.uploaded(each, content=content))) for each in (first, second)
    ]
    assert shop.complete(claims[0]) == {"outcome": "stored"}
    assert shop.complete(claims[1], massMg=4151) == {"outcome": "surplus"}
    results = [
        shop.status(each, claim["fileId"])["result"]["massMg"]
        for each, claim in zip((first, second), claims, strict=True)
    ]
    assert results == [4150, 4150]


def test_completions_at_once_store_one_result(shop: Shop) -> None:
    content = uuid4().hex
    owners = [shop.customer() for _ in range(6)]
    claims = [shop.claim(shop.request(each, shop.uploaded(each, content=content))) for each in owners]
    result = {
        "massMg": 1, "volumeMm3": 1, "filamentMm": 1, "timeSec": 1, "slicer": "PrusaSlicer",
        "slicerVersion": "2.5.0", "profile": "generic/pla", "notes": [], "gcodeBytes": 1,
    }  # fmt: skip

    def complete(connection: Any, number: int) -> Any:
        return call(
            connection, "complete_slice", p_file_id=claims[number]["fileId"],
            p_claim_token=claims[number]["claimToken"], p_result={**result, "gcodeKey": f"gcode/{uuid4()}.gcode.gz"},
        )  # fmt: skip

    outcomes = sorted(answer["outcome"] for answer in shop.at_once(6, complete))
    assert outcomes == ["stored"] + ["surplus"] * 5


def test_figures_that_came_while_a_job_waited_end_it_at_its_claim(shop: Shop) -> None:
    first, second, content = shop.customer(), shop.customer(), uuid4().hex
    waiting = shop.request(second, shop.uploaded(second, content=content))
    sliced(shop, first, content)
    assert shop.claim(waiting) == {"outcome": "done"}
    assert shop.status(second, waiting["id"])["result"]["massMg"] == 4150


def test_a_customer_who_deletes_his_g_code_leaves_the_cache_and_the_order_alone(shop: Shop) -> None:
    customer, content = shop.customer(), uuid4().hex
    status = sliced(shop, customer, content)
    gone = shop.call("delete_tmp_files", p_user_id=customer.user_id, p_files=[str(status["outputId"])])
    assert gone == {"storageKeys": []}
    items = [{"file": str(status["id"]), "settingsHash": status["settingsHash"]}]
    (model,) = shop.call("models_with_slices", p_user_id=customer.user_id, p_items=items)
    assert model["output"]["storageKey"].startswith("gcode/")
    assert shop.request(customer, shop.uploaded(customer, content=content))["status"] == "completed"


def test_g_code_ages_out_only_when_no_file_refers_to_it_and_is_made_anew(shop: Shop) -> None:
    customer, content = shop.customer(), uuid4().hex
    status = sliced(shop, customer, content)
    key = shop.value(
        "update slice_results set used_at = now() - interval '2 days' where id ="
        " (select slice_result_id from tmp_files where id = %s) returning gcode_key",
        status["id"],
    )
    params = {"p_retention_hours": 24, "p_limit": 500}
    assert key not in shop.call("expire_gcode", **params)["storageKeys"]
    shop.call("delete_tmp_files", p_user_id=customer.user_id, p_files=[str(status["id"])])
    assert key in shop.call("expire_gcode", **params)["storageKeys"]
    assert key not in shop.call("expire_gcode", **params)["storageKeys"]
    requested = shop.request(customer, shop.uploaded(customer, content=content))
    assert requested["queued"] is True
    assert shop.complete(shop.claim(requested), massMg=4155) == {"outcome": "stored"}
    assert shop.status(customer, requested["id"])["result"]["massMg"] == 4155


def test_a_model_that_fits_no_printer_fails_at_once_with_the_reason(shop: Shop) -> None:
    customer = shop.customer()
    reason = "The model is 23.4 mm too tall for Prusa MK4 (220 mm); scale it down or split it."
    failure = {"code": "MODEL_TOO_LARGE", "reason": reason}
    requested = shop.request(customer, shop.uploaded(customer), p_failure=failure)
    assert (requested["status"], requested["queued"]) == ("failed", False)
    assert requested["metadata"]["error"] == f"MODEL_TOO_LARGE: {reason}"
    assert requested["metadata"]["fallback"] is True


def test_an_inspection_is_kept_once_and_its_picture_goes_with_the_file(shop: Shop) -> None:
    customer = shop.customer()
    file_id = shop.uploaded(customer)
    asked = shop.call("get_inspection_input", p_file_id=file_id)
    assert asked["fileId"] == file_id
    key = asked["storageKey"].rsplit("/", 1)[0] + "/preview.png"
    store = {"p_file_id": file_id, "p_inspection": {"openEdges": 0}, "p_preview_key": key}
    assert shop.call("store_inspection", **store) is True
    assert shop.call("store_inspection", **store | {"p_inspection": {"openEdges": 9}}) is True
    assert shop.status(customer, file_id)["inspection"] == {"openEdges": 0}
    assert shop.call("get_inspection_input", p_file_id=file_id) is None
    gone = shop.call("delete_tmp_files", p_user_id=customer.user_id, p_files=[str(file_id)])
    assert sorted(gone["storageKeys"]) == sorted([asked["storageKey"], key])
    assert shop.call("store_inspection", **store) is False


def test_only_the_shop_sees_anothers_file_and_the_slicers_last_lines(shop: Shop) -> None:
    customer, stranger = shop.customer(), shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    shop.fail(shop.claim(requested), final=True)
    file = str(requested["id"])
    assert shop.status(customer, file)["slicerLog"] is None
    seen = shop.call("slice_status", p_user_id=stranger.user_id, p_file=file, p_for_shop=True)
    assert seen["slicerLog"] == "the end of the log"
    refused = shop.call("slice_status", p_user_id=stranger.user_id, p_file=file, p_for_shop=False)
    assert refused["error"]["code"] == "FILE_NOT_FOUND"


def test_a_file_that_is_no_model_is_not_sliced(shop: Shop) -> None:
    customer = shop.customer()
    row = {"storageKey": f"k/{uuid4()}", "filename": "a.csv", "sizeBytes": 1, "mimeType": "text/csv"}
    saved = shop.call("save_tmp_files", p_user_id=customer.user_id, p_files=[row], p_uploaded=True)
    refused = shop.request(customer, saved[0]["id"])
    assert refused["error"]["code"] == "NOT_A_MODEL"


def test_the_factor_of_a_slice_is_its_printers_whichever_slice_of_the_file_came_last(shop: Shop) -> None:
    customer = shop.customer()
    printers = [row[0] for row in shop.rows.execute("select id from printers order by id limit 2").fetchall()]
    first = shop.request(
        customer, shop.uploaded(customer), p_printer_id=printers[0], p_settings_hash="1" * 64
    )
    shop.complete(shop.claim(first))
    second = shop.request(customer, first["id"], p_printer_id=printers[1], p_settings_hash="2" * 64)
    shop.complete(shop.claim(second))
    kept = shop.rows.execute(
        "select settings_hash, printer_id from slice_results where settings_hash in (%s, %s) and content_hash ="
        " (select content_hash from tmp_files where id = %s) order by 1",
        ("1" * 64, "2" * 64, first["id"]),
    ).fetchall()
    assert kept == [("1" * 64, printers[0]), ("2" * 64, printers[1])]

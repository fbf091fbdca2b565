"""What a job is expected to take follows the lines of its invoice, until it is finished."""

from typing import Any

from tests.integration.schema.invoices import document
from tests.integration.schema.print_records import SLICED_MG, SLICED_SECONDS, material, ordered, sliced_line
from tests.integration.schema.shop import Shop
from tests.integration.schema.workshop import move, printer


def edit(shop: Shop, job: int, *details: dict[str, Any]) -> None:
    """The job's invoice, with one free line for each of `details`."""
    invoice, client = shop.rows.execute(
        "select invoice_id, client_id from jobs where id = %s", (job,)
    ).fetchone() or (0, 0)
    lines = [
        {
            "description": f"Part {n}",
            "quantityMilli": 1000,
            "unitPriceCents": 0,
            "totalCents": 0,
            "details": of,
        }
        for n, of in enumerate(details)
    ]
    answer = shop.call(
        "update_invoice", p_user_id=None, p_invoice_id=invoice, p_client_id=client, p_due_date=None,
        p_payment_term=None, **{**document(0), "p_items": lines},
    )  # fmt: skip
    assert "error" not in answer


def estimates(shop: Shop, job: int) -> tuple[int, int, str]:
    shown = shop.call("get_job", p_job_id=job)
    return shown["estimatedSeconds"], shown["estimatedMassMg"], shown["priority"]


def test_a_job_follows_an_edited_invoice_and_says_so(shop: Shop) -> None:
    line = sliced_line(material(shop))["details"]
    job = ordered(shop, sliced_line(material(shop)))
    assert estimates(shop, job) == (SLICED_SECONDS, SLICED_MG, "NORMAL")
    edit(shop, job, {**line, "pieces": 3}, {**line, "fastTrack": True})
    assert estimates(shop, job) == (4 * SLICED_SECONDS, 4 * SLICED_MG, "FAST_TRACK")
    logged = shop.rows.execute(
        "select action, metadata -> 'changes' from activity_logs where job_id = %s order by id desc limit 1",
        (job,),
    ).fetchone()
    changes = {"estimatedSeconds": 4 * SLICED_SECONDS, "estimatedMassMg": 4 * SLICED_MG}
    assert logged == ("JOB_CHANGED", {**changes, "priority": "FAST_TRACK"})
    edit(shop, job)
    assert estimates(shop, job) == (0, 0, "FAST_TRACK")


def test_the_shops_own_estimate_stays_while_the_lines_ask_for_the_same(shop: Shop) -> None:
    line = sliced_line(material(shop))["details"]
    job = ordered(shop, sliced_line(material(shop)))
    own = {"estimatedSeconds": 7, "estimatedMassMg": 8}
    shop.call("update_job", p_job_id=job, p_changes=own, p_user_id=None)
    edit(shop, job, line, {})
    assert estimates(shop, job) == (7, 8, "NORMAL")
    edit(shop, job, {**line, "timeSec": 9})
    assert estimates(shop, job) == (9, 8, "NORMAL")


def test_a_finished_job_keeps_what_it_was_expected_to_take(shop: Shop) -> None:
    for end in ("CANCELLED", "COMPLETED"):
        job = ordered(shop, sliced_line(material(shop)))
        if end == "COMPLETED":
            move(shop, job, "PRINTING", printer(shop))
            move(shop, job, "PRINTING_COMPLETE")
        move(shop, job, end)
        edit(shop, job)
        assert estimates(shop, job) == (SLICED_SECONDS, SLICED_MG, "NORMAL")


def test_a_print_under_way_follows_too(shop: Shop) -> None:
    job = ordered(shop, sliced_line(material(shop)))
    move(shop, job, "PRINTING", printer(shop))
    edit(shop, job)
    assert estimates(shop, job) == (0, 0, "NORMAL")

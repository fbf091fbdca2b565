"""What completed jobs teach: one record each, which of them count, and the factor that they make."""

from typing import Any

import psycopg
import pytest

from tests.integration.schema.print_records import (
    SLICED_MG,
    SLICED_SECONDS,
    completed,
    material,
    ordered,
    prints_for,
    record,
    sliced_line,
    taught,
    weigh,
)
from tests.integration.schema.shop import ITEM, PROFILE, Shop, call
from tests.integration.schema.workshop import code, move, move_params, printer

RACES = 20


def test_a_completed_job_leaves_what_it_took_against_what_the_slicer_said(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    job = completed(shop, bed, pla, 12_500)
    assert record(shop, job) == {
        "slicedSeconds": SLICED_SECONDS,
        "slicedMassMg": SLICED_MG,
        "timeBps": 12_500,
        "massBps": None,
        "leftOut": None,
    }
    kept = shop.rows.execute("select printer_id, material_id from print_records where job_id = %s", (job,))
    assert kept.fetchone() == (bed, pla)  # though the job has let its printer go


def test_a_job_that_is_not_completed_teaches_nothing(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    job = ordered(shop, sliced_line(pla))
    prints_for(shop, job, bed, 12_500)
    assert record(shop, job) is None
    move(shop, job, "CANCELLED")
    assert record(shop, job) is None
    assert taught(shop, bed, pla) is None


def test_grams_may_come_before_or_after_the_end_and_be_taken_back(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    job = ordered(shop, sliced_line(pla))
    prints_for(shop, job, bed, 10_000)
    assert weigh(shop, job, 60_000)["printedMassMg"] == 60_000
    move(shop, job, "COMPLETED")
    assert record(shop, job)["massBps"] == 12_000
    assert weigh(shop, job, 55_003)["printRecord"]["massBps"] == 11_001  # 11000.6
    assert weigh(shop, job, None)["printRecord"]["massBps"] is None
    assert record(shop, job)["timeBps"] == 10_000
    actions = shop.rows.execute("select action from activity_logs where job_id = %s order by id", (job,))
    assert [action for (action,) in actions][-3:] == ["JOB_MOVED", "JOB_CHANGED", "JOB_CHANGED"]


def test_a_corrected_clock_and_a_reopened_job_keep_the_record_right(shop: Shop) -> None:
    job = completed(shop, printer(shop), material(shop), 20_000)
    shop.rows.execute("update jobs set printed_seconds = 11_000 where id = %s", (job,))
    assert record(shop, job)["timeBps"] == 11_000
    shop.rows.execute("update jobs set status = 'POST_PROCESSING' where id = %s", (job,))
    assert record(shop, job) is None
    move(shop, job, "COMPLETED")
    assert record(shop, job)["timeBps"] == 11_000


def test_an_edit_after_the_end_does_not_change_what_was_printed(shop: Shop) -> None:
    job = completed(shop, printer(shop), material(shop), 12_500)
    shop.rows.execute(
        "update invoice_items set details = '{}'"
        " where invoice_id = (select invoice_id from jobs where id = %s)",
        (job,),
    )
    assert weigh(shop, job, 60_000)["printRecord"] == {
        "slicedSeconds": SLICED_SECONDS,
        "slicedMassMg": SLICED_MG,
        "timeBps": 12_500,
        "massBps": 12_000,
        "leftOut": None,
    }


def test_hours_of_several_times_on_one_printer_add_up(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    job = ordered(shop, sliced_line(pla))
    for seconds in (4_000, 7_000):
        prints_for(shop, job, bed, seconds)
        move(shop, job, "IN_QUEUE")
    prints_for(shop, job, bed, 0)
    move(shop, job, "COMPLETED")
    assert (record(shop, job)["timeBps"], record(shop, job)["leftOut"]) == (11_000, None)


# -- which do not count ------------------------------------------------------------------------------------------


def _line(**details: Any) -> dict[str, Any]:
    return {**ITEM, "details": details}


def test_a_job_that_cannot_say_of_what_it_took_is_kept_and_left_out(shop: Shop) -> None:
    first, second = printer(shop), printer(shop)
    pla, petg = material(shop), material(shop)
    by_hand = _line(pieces=1, timeSec=100, massMg=100, materialId=pla)
    jobs = {
        "NOT_SLICED": (first, [sliced_line(pla), by_hand]),
        "SEVERAL_MATERIALS": (first, [sliced_line(pla), sliced_line(petg)]),
        "SEVERAL_PRINTERS": (second, [sliced_line(pla)]),
        "NOT_PRINTED": (None, [sliced_line(pla)]),
    }
    for left_out, (bed, lines) in jobs.items():
        job = ordered(shop, *lines)
        if bed is None:
            move(shop, job, "PRE_PROCESSING")
            move(shop, job, "POST_PROCESSING")
        else:
            prints_for(shop, job, first, 10_000)
            move(shop, job, "IN_QUEUE")
            prints_for(shop, job, bed, 10_000)
        move(shop, job, "COMPLETED")
        assert record(shop, job)["leftOut"] == left_out
    assert [taught(shop, bed, of) for bed in (first, second) for of in (pla, petg)] == [None] * 4


@pytest.mark.parametrize(
    ("profile", "nozzle_um", "left_out"),
    [("generic/pla", 400, None), ("generic/pla", 600, "OTHER_PRINTER"), ("other/pla", 400, "OTHER_PRINTER")],
)
def test_a_slice_for_a_printer_of_another_profile_or_nozzle_teaches_nothing_of_this_one(
    shop: Shop, profile: str, nozzle_um: int, left_out: str | None
) -> None:
    bed, pla = printer(shop), material(shop)  # generic, 400 µm
    usual = sliced_line(pla, profile="generic/pla", nozzleUm=400)
    job = ordered(shop, usual, sliced_line(pla, profile=profile, nozzleUm=nozzle_um))
    prints_for(shop, job, bed, 10_000)
    move(shop, job, "COMPLETED")
    assert record(shop, job)["leftOut"] == left_out
    assert (taught(shop, bed, pla) is None) == (left_out is not None)


def test_a_model_comes_with_the_nozzle_that_it_was_sliced_for(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    shop.complete(shop.claim(requested))
    asked = [{"file": str(requested["id"]), "settingsHash": requested["settingsHash"]}]
    (model,) = shop.call("models_with_slices", p_user_id=customer.user_id, p_items=asked)
    assert model["slice"]["nozzleUm"] == PROFILE.nozzle_um


def test_lines_that_are_no_print_do_not_stand_in_the_way(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    job = ordered(shop, sliced_line(pla), {**ITEM, "description": "Design hour", "details": {}})
    prints_for(shop, job, bed, 10_000)
    move(shop, job, "COMPLETED")
    assert record(shop, job)["leftOut"] is None


@pytest.mark.parametrize("details", [{"timeSec": 0, "massMg": 0}, {"timeSec": 1, "massMg": 0}])
def test_a_print_without_figures_has_no_ratio(shop: Shop, details: dict[str, int]) -> None:
    bed, pla = printer(shop), material(shop)
    job = ordered(shop, sliced_line(pla, **details))
    prints_for(shop, job, bed, 0)
    move(shop, job, "COMPLETED")
    weigh(shop, job, 1)
    assert (record(shop, job)["timeBps"], record(shop, job)["massBps"]) == (None, None)
    assert taught(shop, bed, pla)["time"] == {"prints": 0, "factorBps": None, "spreadBps": None}


def test_a_job_left_printing_over_a_weekend_is_kept_and_ignored(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    for seconds in (11_000,) * 5:
        completed(shop, bed, pla, seconds)
    weekend = completed(shop, bed, pla, 60 * 3600)
    slip = completed(shop, bed, pla, 1_999)
    assert (record(shop, weekend)["timeBps"], record(shop, slip)["timeBps"]) == (216_000, 1_999)
    learned = taught(shop, bed, pla)
    assert learned["time"] == {"prints": 5, "factorBps": 11_000, "spreadBps": 0}
    assert (learned["records"], learned["outOfBounds"]) == (7, 2)


# -- the factor --------------------------------------------------------------------------------------------------


def test_the_factor_is_the_median_and_the_spread_the_middle_half(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    for seconds, grams in (
        (10_000, 50),
        (11_000, 51),
        (12_000, 52),
        (13_000, 53),
        (14_001, None),
        (40_000, None),
    ):
        completed(shop, bed, pla, seconds, grams)
    learned = taught(shop, bed, pla)
    # Of 10000, 11000, 12000, 13000, 14001, 40000: quartiles 11250, 12500 and 13750.75.
    assert learned["time"] == {"prints": 6, "factorBps": 12_500, "spreadBps": 2501}
    # Of 10000, 10200, 10400, 10600: quartiles 10150, 10300 and 10450.
    assert learned["mass"] == {"prints": 4, "factorBps": 10_300, "spreadBps": 300}


def test_the_last_fifty_prints_count(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    job = completed(shop, bed, pla, 20_000)
    shop.rows.execute(
        "update print_records set completed_at = now() - interval '1 year' where job_id = %s",
        (job,),
    )
    for _ in range(50):
        completed(shop, bed, pla, 11_000)
    assert taught(shop, bed, pla)["time"] == {"prints": 50, "factorBps": 11_000, "spreadBps": 0}
    assert taught(shop, bed, pla)["records"] == 51


def test_a_factor_is_applied_from_five_prints_on_when_the_shop_says_so(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)

    def applied() -> Any:
        return shop.value("select applied_print_factor(%s, %s)", bed, pla)

    try:
        for seconds in (11_000,) * 4:
            completed(shop, bed, pla, seconds, 60)
        shop.rows.execute("update settings set use_print_factors = true")
        assert applied() is None
        completed(shop, bed, pla, 11_000)
        ratio = {"prints": 5, "factorBps": 11_000, "spreadBps": 0}
        name = shop.value("select name from printers where id = %s", bed)
        assert applied() == {"printerId": bed, "printer": name, "time": ratio, "mass": None}
        completed(shop, bed, pla, 11_000, 60)
        assert applied()["mass"] == {"prints": 5, "factorBps": 12_000, "spreadBps": 0}
        assert shop.value("select applied_print_factor(null, %s)", pla) is None
        shop.rows.execute("update settings set use_print_factors = false")
        assert applied() is None
    finally:
        shop.rows.execute("update settings set use_print_factors = false")


def test_a_model_comes_with_the_factor_of_the_printer_that_each_slice_was_for(shop: Shop) -> None:
    bed, other, pla, customer = printer(shop), printer(shop), material(shop), shop.customer()
    for seconds in (11_000,) * 5:
        completed(shop, bed, pla, seconds)
    file_id, taught_one, plain_one = shop.uploaded(customer), "a" * 64, "b" * 64
    for settings_hash, chosen in ((taught_one, bed), (plain_one, other)):  # the other printer's comes last
        requested = shop.request(
            customer, file_id, p_settings_hash=settings_hash, p_printer_id=chosen, p_material_id=pla
        )
        shop.complete(shop.claim(requested))
    asked = [{"file": str(file_id), "settingsHash": named} for named in (taught_one, plain_one)]
    try:
        shop.rows.execute("update settings set use_print_factors = true")
        models = shop.call("models_with_slices", p_user_id=customer.user_id, p_items=asked)
    finally:
        shop.rows.execute("update settings set use_print_factors = false")
    assert models[0]["printFactor"]["time"]["factorBps"] == 11_000
    assert models[1]["printFactor"] is None
    models = shop.call("models_with_slices", p_user_id=customer.user_id, p_items=asked)
    assert models[0]["printFactor"] is None


def test_a_deleted_printer_or_material_takes_its_lessons_with_it(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    job = completed(shop, bed, pla, 11_000)
    assert shop.call("delete_printer", p_printer_id=bed, p_user_id=None) == {"deleted": bed}
    assert shop.call("delete_material", p_material_id=pla, p_user_id=None) == {"deleted": pla}
    assert record(shop, job)["timeBps"] == 11_000
    assert taught(shop, bed, pla) is None


# -- at the same moment ------------------------------------------------------------------------------------------


def test_of_two_completions_at_once_one_makes_the_record_every_time(shop: Shop) -> None:
    bed, pla = printer(shop), material(shop)
    for _ in range(RACES):
        job = ordered(shop, sliced_line(pla))
        prints_for(shop, job, bed, 11_000)

        def act(connection: psycopg.Connection, _n: int, job: int = job) -> Any:
            return call(connection, "move_job", **move_params(job, "COMPLETED"))

        assert sorted(str(code(answer)) for answer in shop.at_once(2, act)) == ["ILLEGAL_TRANSITION", "None"]
        assert shop.value("select count(*) from print_records where job_id = %s", job) == 1


def test_an_end_and_the_deletion_of_what_it_was_printed_on_and_in_come_one_after_the_other(
    shop: Shop,
) -> None:
    for _ in range(RACES):
        bed, pla = printer(shop), material(shop)
        job = ordered(shop, sliced_line(pla))
        prints_for(shop, job, bed, 11_000)
        shop.rows.execute("update jobs set printer_id = null where id = %s", (job,))

        def act(
            connection: psycopg.Connection, n: int, job: int = job, bed: int = bed, pla: int = pla
        ) -> Any:
            match n:
                case 0:
                    return call(connection, "move_job", **move_params(job, "COMPLETED"))
                case 1:
                    return call(connection, "delete_printer", p_printer_id=bed, p_user_id=None)
                case _:
                    return call(connection, "delete_material", p_material_id=pla, p_user_id=None)

        assert [code(answer) for answer in shop.at_once(3, act)] == [None, None, None]
        assert record(shop, job)["timeBps"] == 11_000
        assert taught(shop, bed, pla) is None

"""Jobs in the database: their way, the clock, the printers' capacity, the end, and their lists."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from tests.integration.schema.shop import Shop
from tests.integration.schema.workshop import code, move, printer, queued, refused, status_of

WAY = {
    "QUEUED": "PRE_PROCESSING IN_QUEUE PRINTING CANCELLED",
    "PRE_PROCESSING": "QUEUED IN_QUEUE PRINTING POST_PROCESSING CANCELLED",
    "IN_QUEUE": "QUEUED PRE_PROCESSING PRINTING CANCELLED",
    "PRINTING": "IN_QUEUE PAUSED PRINTING_COMPLETE CANCELLED",
    "PAUSED": "IN_QUEUE PRINTING CANCELLED",
    "PRINTING_COMPLETE": "IN_QUEUE POST_PROCESSING PACKAGING OUT_FOR_DELIVERY COMPLETED CANCELLED",
    "POST_PROCESSING": "IN_QUEUE PRINTING_COMPLETE PACKAGING OUT_FOR_DELIVERY COMPLETED CANCELLED",
    "PACKAGING": "POST_PROCESSING OUT_FOR_DELIVERY COMPLETED CANCELLED",
    "OUT_FOR_DELIVERY": "PACKAGING COMPLETED CANCELLED",
    "COMPLETED": "",
    "CANCELLED": "",
}


@pytest.fixture
def settings(shop: Shop) -> Iterator[psycopg.Connection]:
    """The settings are put back as they were."""
    yield shop.rows
    shop.rows.execute(
        "update settings set guard_offline_printers = true, guard_maintenance_printers = true,"
        " max_active_prints_per_printer = 1, auto_detach_on_complete = true"
    )


# -- the way of a job --------------------------------------------------------------------------------------------


def test_the_legal_moves_are_those_that_the_trade_needs(shop: Shop) -> None:
    statuses = shop.value("select enum_range(null::job_status)::text[]")
    assert {
        status: shop.value("select job_transitions(%s::job_status)::text[]", status) for status in statuses
    } == {status: way.split() for status, way in WAY.items()}


def test_every_job_can_come_to_its_end_and_be_cancelled_before(shop: Shop) -> None:
    def reachable(status: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
        for after in WAY[status].split():
            if after not in seen:
                seen = reachable(after, seen | {after})
        return seen

    for status, way in WAY.items():
        if way:
            assert "COMPLETED" in reachable(status)
            assert "CANCELLED" in way.split()
    assert reachable("QUEUED") == set(WAY)  # it may be put back to where it began


@pytest.mark.parametrize("status", WAY)
def test_a_move_is_made_when_it_is_legal_and_refused_with_the_legal_ones_otherwise(
    shop: Shop, status: str
) -> None:
    bed = printer(shop)
    job = queued(shop, printer_id=bed)
    for target, way in WAY.items():
        shop.rows.execute("update jobs set status = %s where id = %s", (status, job))
        answer = move(shop, job, target)
        if target in WAY[status].split():
            assert (answer["status"], answer["legalNext"]) == (target, way.split())
        else:
            assert refused(answer) == (409, "ILLEGAL_TRANSITION")
            assert answer["error"]["details"] == {"status": status, "legalNext": WAY[status].split()}
            assert status_of(shop, job) == status


def test_a_move_is_in_the_activity_log_with_job_printer_and_actor(shop: Shop) -> None:
    job, bed, user = queued(shop), printer(shop), shop.customer().user_id
    shop.call("move_job", p_job_id=job, p_status="PRINTING", p_printer_id=bed, p_user_id=user)
    row = shop.rows.execute(
        "select action, printer_id, metadata from activity_logs where job_id = %s order by id desc limit 1",
        (job,),
    ).fetchone()
    assert row == ("JOB_MOVED", bed, {"userId": user, "from": "QUEUED", "to": "PRINTING"})


def test_the_clock_runs_while_it_prints_and_stands_while_it_is_paused(shop: Shop) -> None:
    def pass_time() -> None:
        shop.rows.execute(
            "update jobs set printing_since = printing_since - interval '100.9 seconds' where id = %s", (job,)
        )

    job = queued(shop)
    move(shop, job, "PRINTING", printer(shop))
    pass_time()
    assert shop.call("get_job", p_job_id=job)["printedSeconds"] in {100, 101}
    paused = move(shop, job, "PAUSED")
    assert (paused["printedSeconds"], paused["printingSince"]) == (100, None)
    assert move(shop, job, "PRINTING")["printingSince"] is not None
    pass_time()
    assert move(shop, job, "PRINTING_COMPLETE")["printedSeconds"] == 200
    assert move(shop, job, "COMPLETED")["printedSeconds"] == 200


def test_a_failed_print_goes_back_to_the_queue_and_to_another_printer(shop: Shop) -> None:
    job, first, second = queued(shop), printer(shop), printer(shop)
    move(shop, job, "PRINTING", first)
    assert move(shop, job, "IN_QUEUE", second)["printer"]["id"] == second
    assert move(shop, job, "PRINTING")["printer"]["id"] == second


def test_a_completed_job_lets_its_printer_go_if_the_settings_say_so(
    shop: Shop, settings: psycopg.Connection
) -> None:
    for detach in (True, False):
        settings.execute("update settings set auto_detach_on_complete = %s", (detach,))
        job, bed = queued(shop), printer(shop)
        move(shop, job, "PRINTING", bed)
        move(shop, job, "PRINTING_COMPLETE")
        done = move(shop, job, "COMPLETED")
        assert (done["printer"] is None) == detach
        assert done["completedAt"] is not None
        assert done["cancelledAt"] is None


def test_a_held_job_does_not_print_until_it_is_cleared(shop: Shop) -> None:
    job, bed = queued(shop, held_reason="Disputed"), printer(shop)
    answer = move(shop, job, "PRINTING", bed)
    assert (refused(answer), answer["error"]["details"]) == ((409, "JOB_HELD"), {"heldReason": "Disputed"})
    assert move(shop, job, "IN_QUEUE")["status"] == "IN_QUEUE"  # the rest of its way is open
    shop.call("update_job", p_job_id=job, p_changes={"heldReason": None}, p_user_id=None)
    assert move(shop, job, "PRINTING", bed)["status"] == "PRINTING"
    move(shop, job, "PAUSED")
    shop.rows.execute("update jobs set held_reason = 'Refunded' where id = %s", (job,))
    assert code(move(shop, job, "PRINTING")) == "JOB_HELD"


# -- printers ----------------------------------------------------------------------------------------------------


def test_printing_needs_a_printer(shop: Shop) -> None:
    job = queued(shop)
    assert refused(move(shop, job, "PRINTING")) == (409, "PRINTER_REQUIRED")
    assert refused(move(shop, job, "PRINTING", 2**53)) == (422, "UNKNOWN_PRINTER")
    assert status_of(shop, job) == "QUEUED"


@pytest.mark.parametrize(
    ("status", "refusal", "guard"),
    [
        ("OFFLINE", "PRINTER_OFFLINE", "guard_offline_printers"),
        ("MAINTENANCE", "PRINTER_IN_MAINTENANCE", "guard_maintenance_printers"),
    ],
)
def test_a_printer_that_is_not_active_is_refused_unless_the_settings_relax(
    shop: Shop, settings: psycopg.Connection, status: str, refusal: str, guard: str
) -> None:
    job, bed = queued(shop), printer(shop, status)
    assert refused(move(shop, job, "PRINTING", bed)) == (409, refusal)
    settings.execute(f"update settings set {guard} = false".encode())
    assert move(shop, job, "PRINTING", bed)["status"] == "PRINTING"


def test_a_paused_print_still_fills_the_bed_and_may_go_on(shop: Shop) -> None:
    bed, first, second = printer(shop), queued(shop), queued(shop)
    move(shop, first, "PRINTING", bed)
    for status in ("PRINTING", "PAUSED"):
        busy = move(shop, second, "PRINTING", bed)
        assert refused(busy) == (409, "PRINTER_BUSY"), status
        assert busy["error"]["details"] == {"printerId": bed, "jobIds": [first], "maxActivePrints": 1}
        name = shop.value("select name from printers where id = %s", bed)
        assert name in busy["error"]["message"]
        move(shop, first, "PAUSED")
    assert move(shop, first, "PRINTING")["status"] == "PRINTING"
    move(shop, first, "PRINTING_COMPLETE")
    assert move(shop, second, "PRINTING", bed)["status"] == "PRINTING"


def test_the_capacity_is_the_settings(shop: Shop, settings: psycopg.Connection) -> None:
    settings.execute("update settings set max_active_prints_per_printer = 2")
    bed, jobs = printer(shop), [queued(shop) for _ in range(3)]
    assert [code(move(shop, job, "PRINTING", bed)) for job in jobs] == [None, None, "PRINTER_BUSY"]
    move(shop, jobs[0], "PAUSED")
    settings.execute("update settings set max_active_prints_per_printer = 1")
    assert move(shop, jobs[0], "PRINTING")["status"] == "PRINTING"  # it is on the bed already


def test_a_print_on_a_bed_does_not_change_its_printer(shop: Shop) -> None:
    job, bed, other = queued(shop), printer(shop), printer(shop)
    move(shop, job, "PRINTING", bed)
    for printer_id in (other, None):
        changed = {"p_job_id": job, "p_changes": {"printerId": printer_id}, "p_user_id": None}
        assert refused(shop.call("update_job", **changed)) == (409, "JOB_ON_PRINTER")
    assert refused(move(shop, job, "PAUSED", other)) == (409, "JOB_ON_PRINTER")
    move(shop, job, "PAUSED")
    assert refused(move(shop, job, "PRINTING", other)) == (409, "JOB_ON_PRINTER")
    assert move(shop, job, "PRINTING", bed)["status"] == "PRINTING"


# -- the end -----------------------------------------------------------------------------------------------------


def test_completed_and_cancelled_jobs_alike_are_archived_by_the_janitor(shop: Shop) -> None:
    done, dropped, open_one = queued(shop, status="PACKAGING"), queued(shop), queued(shop)
    move(shop, done, "COMPLETED")
    assert move(shop, dropped, "CANCELLED")["cancelledAt"] is not None
    shop.rows.execute(
        "update jobs set completed_at = completed_at - interval '8 days',"
        " cancelled_at = cancelled_at - interval '8 days' where id = any (%s)",
        ([done, dropped, open_one],),
    )
    assert shop.call("age_documents")["jobsArchived"] == 2
    archived = "select archived_at is not null from jobs where id = %s"
    assert [shop.value(archived, job) for job in (done, dropped, open_one)] == [True, True, False]


def test_an_archived_job_is_read_only(shop: Shop) -> None:
    job = queued(shop)
    archive = {"p_job_id": job, "p_user_id": None}
    assert refused(shop.call("archive_job", **archive)) == (409, "NOT_FINISHED")
    move(shop, job, "CANCELLED")
    archived = shop.call("archive_job", **archive)
    assert (archived["legalNext"], archived["archivedAt"] is None) == ([], False)
    changes = {"p_job_id": job, "p_changes": {"notes": "later"}, "p_user_id": None}
    for answer in (
        shop.call("archive_job", **archive),
        shop.call("update_job", **changes),
        move(shop, job, "QUEUED"),
    ):
        assert refused(answer) == (409, "JOB_ARCHIVED")


def test_a_printer_that_is_deleted_is_let_go_by_finished_jobs_only(shop: Shop) -> None:
    bed, job = printer(shop), queued(shop)
    delete = {"p_printer_id": bed, "p_user_id": None}
    for status in ("PRINTING", "PAUSED", "IN_QUEUE"):
        move(shop, job, status, bed)
        answer = shop.call("delete_printer", **delete)
        assert (refused(answer), answer["error"]["details"]) == ((409, "PRINTER_IN_USE"), {"jobIds": [job]})
    move(shop, job, "CANCELLED")
    assert shop.call("delete_printer", **delete) == {"deleted": bed}
    assert shop.value("select printer_id from jobs where id = %s", job) is None
    logged = "select metadata ->> 'printerId' from activity_logs where action = %s order by id desc limit 1"
    assert shop.value(logged, "PRINTER_DELETED") == str(bed)


# -- lists -------------------------------------------------------------------------------------------------------


def plan(shop: Shop, order: str, conditions: str) -> str:
    with shop.rows.transaction():
        shop.rows.execute("set local enable_seqscan = off")
        shop.rows.execute("set local enable_sort = off")
        rows = shop.rows.execute(
            f"explain select * from jobs j where {conditions} order by {order} limit 50".encode()
        ).fetchall()
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize(
    ("order", "conditions", "index"),
    [
        ("j.queue_position, j.id", "j.archived_at is null", "jobs_by_queue"),
        ("j.queue_position, j.id", "j.archived_at is not null", "jobs_archived_by_queue"),
        ("j.created_at desc, j.id desc", "j.archived_at is null", "jobs_by_created"),
        ("j.created_at, j.id", "j.archived_at is null", "jobs_by_created"),
        ("j.created_at desc, j.id desc", "j.archived_at is not null", "jobs_archived_by_created"),
    ],
)
def test_every_order_of_the_jobs_runs_on_an_index(
    shop: Shop, order: str, conditions: str, index: str
) -> None:
    assert f"using {index}" in plan(shop, order, conditions)


def test_a_job_is_found_by_its_clients_new_name(shop: Shop) -> None:
    job = queued(shop)
    name = f"Zoë {uuid4().hex[:6]}"
    shop.rows.execute(
        "update clients set name = %s where id = (select client_id from jobs where id = %s)", (name, job)
    )
    found = shop.call(
        "list_jobs",
        p_status=None,
        p_printer_id=None,
        p_archived=False,
        p_query=name.upper(),
        p_sort="queue",
        p_limit=5,
        p_after_position=None,
        p_after_created=None,
        p_after_id=None,
    )
    assert [row["id"] for row in found] == [job]

"""What two people in the workshop do at the same moment. Each of these fails when its lock is taken away."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from tests.integration.schema.shop import Shop, call
from tests.integration.schema.workshop import (
    code,
    maintenance,
    move,
    move_params,
    places,
    printer,
    queue,
    queued,
    reorder,
    reorder_params,
)

RACES = 50


def test_of_two_last_capacity_starts_one_wins_every_time(shop: Shop) -> None:
    bed, jobs = printer(shop), [queued(shop) for _ in range(2)]
    for _ in range(RACES):
        answers = shop.at_once(
            2, lambda connection, n: call(connection, "move_job", **move_params(jobs[n], "PRINTING", bed))
        )
        assert sorted(str(code(answer)) for answer in answers) == ["None", "PRINTER_BUSY"]
        shop.rows.execute("update jobs set status = 'QUEUED', printer_id = null where id = any (%s)", (jobs,))


def test_of_two_moves_of_one_job_one_wins_every_time(shop: Shop) -> None:
    job, beds = queued(shop), [printer(shop) for _ in range(2)]
    for _ in range(RACES):
        answers = shop.at_once(
            2, lambda connection, n: call(connection, "move_job", **move_params(job, "PRINTING", beds[n]))
        )
        assert sorted(str(code(answer)) for answer in answers) == ["ILLEGAL_TRANSITION", "None"]
        winner = next(answer for answer in answers if code(answer) is None)
        held = shop.value("select printer_id from jobs where id = %s", job)
        assert winner["printer"]["id"] == held
        shop.rows.execute("update jobs set status = 'QUEUED', printer_id = null where id = %s", (job,))


def test_a_start_and_a_printers_maintenance_come_one_after_the_other_every_time(shop: Shop) -> None:
    bed = printer(shop)
    job, service = queued(shop, printer_id=bed), maintenance(shop, bed)

    def act(connection: psycopg.Connection, n: int) -> Any:
        if n:
            return call(connection, "save_printer", **service)
        return call(connection, "move_job", **move_params(job, "PRINTING"))

    for _ in range(RACES):
        started, served = shop.at_once(2, act)
        assert code(started) in {None, "PRINTER_IN_MAINTENANCE"}
        assert served["status"] == "MAINTENANCE"
        if code(started) is None:
            order = shop.rows.execute(
                "select action from activity_logs where printer_id = %s order by id desc limit 2", (bed,)
            ).fetchall()
            assert order == [("PRINTER_CHANGED",), ("JOB_MOVED",)]  # it began before the service did
        shop.rows.execute("update jobs set status = 'QUEUED' where id = %s", (job,))
        shop.rows.execute("update printers set status = 'ACTIVE' where id = %s", (bed,))


def test_a_start_waits_for_a_printer_that_is_being_changed(shop: Shop) -> None:
    bed = printer(shop)
    job = queued(shop, printer_id=bed)
    with shop.service(autocommit=False) as changing, ThreadPoolExecutor(1) as pool:
        call(changing, "save_printer", **maintenance(shop, bed))
        start = pool.submit(move, shop, job, "PRINTING")
        time.sleep(0.2)
        assert not start.done()
        changing.commit()
        assert code(start.result(10)) == "PRINTER_IN_MAINTENANCE"


def test_a_start_and_the_deletion_of_its_printer_come_one_after_the_other(shop: Shop) -> None:
    for _ in range(10):
        bed, job = printer(shop), queued(shop)

        def act(connection: psycopg.Connection, n: int, bed: int = bed, job: int = job) -> Any:
            if n:
                return call(connection, "delete_printer", p_printer_id=bed, p_user_id=None)
            return call(connection, "move_job", **move_params(job, "PRINTING", bed))

        outcome = [code(answer) for answer in shop.at_once(2, act)]
        assert outcome in ([None, "PRINTER_IN_USE"], ["UNKNOWN_PRINTER", None])


def test_two_reorders_at_once_leave_each_job_a_place_of_its_own_every_time(shop: Shop) -> None:
    for job in [queued(shop) for _ in range(4)]:
        reorder(shop, p_job_id=job, p_before_id=queue(shop)[0])
    for _ in range(RACES):
        a, b, _, d = queue(shop)[:4]
        orders = [reorder_params([b, a]), reorder_params(p_job_id=d, p_before_id=a)]

        def act(connection: psycopg.Connection, n: int, orders: Any = orders) -> Any:
            return call(connection, "reorder_jobs", **orders[n])

        answers = shop.at_once(2, act)
        assert [code(answer) for answer in answers] == [None, None]
        assert places(shop) == list(range(1, len(queue(shop)) + 1))
        assert queue(shop) in [answer["jobIds"] for answer in answers]  # the last one's, from the first one's


def test_a_reorder_waits_for_the_one_before_and_starts_from_its_order(shop: Shop) -> None:
    a, b, c, d = (queued(shop) for _ in range(4))
    rest = reorder(shop, [a, b, c, d])["jobIds"][:-4]
    with shop.service(autocommit=False) as first, ThreadPoolExecutor(1) as pool:
        call(first, "reorder_jobs", **reorder_params(p_job_id=d, p_before_id=a))
        second = pool.submit(reorder, shop, [b, a])
        time.sleep(0.2)
        assert not second.done()
        first.commit()
        assert second.result(10)["jobIds"] == queue(shop) == [*rest, d, b, a, c]
    assert places(shop) == list(range(1, len(queue(shop)) + 1))


def test_reorders_moves_and_new_jobs_at_once_do_not_get_in_each_others_way(shop: Shop) -> None:
    jobs, bed = [queued(shop) for _ in range(4)], printer(shop)
    customers = [shop.customer() for _ in range(10)]
    invoices = [shop.invoice(customer)["id"] for customer in customers]
    for invoice in invoices:

        def act(connection: psycopg.Connection, n: int, invoice: int = invoice) -> Any:
            match n:
                case 0:
                    return call(connection, "reorder_jobs", **reorder_params(jobs[::-1]))
                case 1:
                    return call(connection, "move_job", **move_params(jobs[0], "PRINTING", bed))
                case 2:
                    return {"id": call(connection, "ensure_job", p_invoice_id=invoice, p_actor={})}
                case _:
                    return call(connection, "move_job", **move_params(jobs[0], "IN_QUEUE"))

        answers = shop.at_once(4, act)
        assert {code(answer) for answer in answers} <= {None, "ILLEGAL_TRANSITION"}
    reorder(shop, jobs)
    assert places(shop) == list(range(1, len(queue(shop)) + 1))

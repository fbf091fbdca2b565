"""The queue's order in the database."""

from tests.integration.schema.shop import Shop
from tests.integration.schema.workshop import places, queue, queued, refused, reorder


def test_a_new_job_goes_to_the_end_of_the_queue(shop: Shop) -> None:
    jobs = [queued(shop) for _ in range(3)]
    assert queue(shop)[-3:] == jobs
    assert reorder(shop, jobs[::-1])["jobIds"][-3:] == jobs[::-1]
    later = queued(shop)
    assert queue(shop)[-1] == later


def test_named_jobs_change_places_among_themselves_and_the_others_stay(shop: Shop) -> None:
    a, b, c, d, e = (queued(shop) for _ in range(5))
    before = queue(shop)
    answer = reorder(shop, [e, a, c])
    assert answer["jobIds"] == queue(shop) == [*before[:-5], e, b, a, d, c]
    assert places(shop) == list(range(1, len(before) + 1))


def test_a_job_goes_right_before_or_after_another(shop: Shop) -> None:
    a, b, c, d = (queued(shop) for _ in range(4))
    rest = queue(shop)[:-4]
    reorder(shop, p_job_id=d, p_before_id=a)
    assert queue(shop) == [*rest, d, a, b, c]
    reorder(shop, p_job_id=d, p_after_id=b)
    assert queue(shop) == [*rest, a, b, d, c]
    reorder(shop, p_job_id=a, p_after_id=c)
    assert queue(shop) == [*rest, b, d, c, a]
    reorder(shop, p_job_id=c, p_before_id=queue(shop)[0])
    assert queue(shop) == [c, *rest, b, d, a]


def test_a_reorder_parts_what_stood_on_one_place(shop: Shop) -> None:
    a, b, c = (queued(shop) for _ in range(3))
    shop.rows.execute("update jobs set queue_position = 999999 where id = any (%s)", ([a, b, c],))
    assert queue(shop)[-3:] == [a, b, c]  # by id
    reorder(shop, [b, c])
    assert queue(shop)[-3:] == [a, b, c]
    assert places(shop) == list(range(1, len(queue(shop)) + 1))


def test_jobs_that_stand_in_no_queue_are_refused_by_name(shop: Shop) -> None:
    job, done, archived = queued(shop), queued(shop, status="COMPLETED"), queued(shop, archived_at="now")
    unknown = reorder(shop, [job, 2**53, done])
    assert (refused(unknown), unknown["error"]["details"]) == ((404, "JOB_NOT_FOUND"), {"jobIds": [2**53]})
    gone = reorder(shop, [done, job, archived])
    assert (refused(gone), gone["error"]["details"]) == (
        (409, "JOB_NOT_QUEUED"),
        {"jobIds": [done, archived]},
    )
    assert refused(reorder(shop, p_job_id=job, p_before_id=done)) == (409, "JOB_NOT_QUEUED")

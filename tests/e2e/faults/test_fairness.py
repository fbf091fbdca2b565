"""Two lanes that do not wait for each other, and requests that were committed while the queue was away."""

from functools import partial

import pytest

from tests.conftest import Client
from tests.e2e.faults.plant import Gate, Plant, cube, named, pillars
from tests.support.orders import slice_request, uploaded, wait_for_slice

LANES = {"LARGE": pillars, "SMALL": cube}


def models(client: Client, lane: str, count: int) -> list[int]:
    """Uploaded models for this lane; their files' ids."""
    return [uploaded(client, "part.stl", LANES[lane]()) for _ in range(count)]


def ask(plant: Plant, client: Client, lane: str, file_ids: list[int]) -> None:
    """Put them into this lane's queue."""
    for file_id in file_ids:
        plant.ask(client, file_id)
    lanes = plant.rows("select distinct queue::text from tmp_files where id = any (%s)", file_ids)
    assert lanes == [(lane,)]


@pytest.mark.parametrize("busy, free", [("LARGE", "SMALL"), ("SMALL", "LARGE")])
def test_a_lane_whose_workers_are_all_busy_leaves_the_other_alone(
    plant: Plant, customer: Client, busy: str, free: str
) -> None:
    gate = Gate()
    other = plant.customer()
    held, waiting, between = models(customer, busy, 2), models(customer, busy, 2), models(other, free, 1)
    # Two workers a lane: all of them stand before the end of their jobs.
    with plant.supabase.fault("rpc/complete_slice", strike=gate, times=2, cuts=False):
        ask(plant, customer, busy, held)
        gate.wait(2)
        ask(plant, customer, busy, waiting)
        ask(plant, other, free, between)
        assert wait_for_slice(other, between[0])["status"] == "completed"
        statuses = [customer.data("GET", f"quick-order/files/{file_id}") for file_id in held + waiting]
        gate.open()
        ended = [wait_for_slice(customer, file_id)["status"] for file_id in held + waiting]
    assert [status["status"] for status in statuses] == ["running", "running", "idle", "idle"]
    assert [status["placeInQueue"] for status in statuses] == [None, None, 1, 2]
    assert ended == ["completed"] * 4


def test_a_request_while_the_queue_is_away_is_sent_by_the_janitor_less_and_less_often(
    plant: Plant, customer: Client
) -> None:
    file_id = uploaded(customer, "part.stl", cube())
    with plant.queues.fault(r"AmazonSQS\.SendMessage\b", times=None) as away:
        request = customer.post("quick-order/slice", slice_request(file_id, layerHeight=0.3))
        assert (request.status_code, request.json()["data"]["queued"]) == (202, True)
    assert away.fired == 3, "tried three times, well within the request's 30 s"
    sent = partial(sent_after, plant, file_id)
    with plant.one_result(customer, file_id, attempts=1):
        # Workers take the messages, and cannot say so: the request goes on waiting.
        with plant.supabase.fault("rpc/claim_slice", named(file_id), times=None) as claims:
            assert [sent(1), sent(3)] == [0, 1], "2 minutes after the first, which never left"
            assert [sent(3), sent(5)] == [0, 1], "4 minutes after the second"
            assert [sent(5), sent(9)] == [0, 1], "8 minutes after the third"
            claims.wait(3)
        assert sent(17) == 1
        wait_for_slice(customer, file_id)


def sent_after(plant: Plant, file_id: int, minutes: int) -> int:
    """How many messages the janitor sends so many minutes after the last one."""
    plant.rows(
        "update tmp_files set sent_at = now() - make_interval(mins => %s) where id = %s", minutes, file_id
    )
    return int(plant.janitor()["slices"]["sent"])

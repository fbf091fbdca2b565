"""What can never be worked off reaches the dead letters, stays there, and its file says that it failed."""

import json
from functools import partial

import pytest

from tests.conftest import Client
from tests.e2e.faults.conftest import RECEIVES, Doomed
from tests.e2e.faults.plant import Killed, Plant, cube, named
from tests.support.orders import uploaded


def letters_of(plant: Plant, file_id: int) -> list[str]:
    return [letter for letter in plant.dead_letters() if f'"fileId": {file_id},' in letter]


def test_a_message_that_nobody_can_read_ends_among_the_dead_letters(plant: Plant, doomed: Doomed) -> None:
    plant.until_true(lambda: plant.letters("SliceDeadLetters") == 1, 90)
    assert "failed" not in plant.janitor()["deadLetters"], "the janitor reads past it"
    assert plant.letters("SliceDeadLetters") == 1


def test_a_file_whose_message_is_dead_while_it_waits_says_that_it_failed(
    plant: Plant, doomed: Doomed
) -> None:
    """Its worker dies at each delivery, before the database hears of it."""
    plant.until_true(lambda: plant.letters("LargeSliceDeadLetters") > 0, 90)
    assert doomed.fault.fired >= RECEIVES
    plant.janitor_reads_letters()
    assert not plant.is_settled(doomed.file_id), "its message may only have waited out an outage"
    plant.sent_again_long_ago(doomed.file_id)
    plant.janitor_reads_letters()
    status = doomed.client.data("GET", f"quick-order/files/{doomed.file_id}")
    assert (status["status"], status["queued"], status["metadata"]["fallback"]) == ("failed", False, True)
    assert status["metadata"]["error"].startswith("SLICER_GAVE_UP: ")
    assert len(plant.messages_to(doomed.client)) == 1
    assert plant.letters("LargeSliceDeadLetters") > 0, "the letter is the shop's to look at"


@pytest.mark.full
def test_letters_are_read_again_and_again_and_settle_a_file_once(plant: Plant, doomed: Doomed) -> None:
    plant.until_true(lambda: bool(letters_of(plant, doomed.file_id)), 120)
    plant.until_true(lambda: doomed.poison in plant.dead_letters(), 120)
    for _ in range(2):
        plant.janitor_reads_letters()
    assert len(plant.messages_to(doomed.client)) == 1, "said once"
    plant.until_true(lambda: bool(letters_of(plant, doomed.file_id)), 40)


@pytest.mark.full
def test_a_file_whose_worker_never_reaches_the_database_says_that_it_failed(
    plant: Plant, customer: Client
) -> None:
    """The worker lives; SQS, too, hears none of its wishes, and shows the message again after its own time."""
    kept = plant.redeliver_within(3, plant.stack.queue_url)
    plant.stack.gateway.recycle("SlicerFunction")
    file_id = uploaded(customer, "part.stl", cube())
    with (
        plant.supabase.fault("rpc/claim_slice", named(file_id), times=None) as cut,
        plant.queues.fault("ChangeMessageVisibility", times=None),
    ):
        plant.ask(customer, file_id)
        plant.until_true(lambda: bool(letters_of(plant, file_id)), 120)
    plant.redeliver_within(kept, plant.stack.queue_url)
    assert cut.fired == RECEIVES
    plant.sent_again_long_ago(file_id)
    plant.janitor_reads_letters()
    status = customer.data("GET", f"quick-order/files/{file_id}")
    assert (status["status"], status["metadata"]["fallback"]) == ("failed", True)
    assert status["metadata"]["error"].startswith("SLICER_GAVE_UP: ")


@pytest.mark.full
def test_a_new_request_of_a_file_is_not_ended_by_the_letters_of_an_old_one(
    plant: Plant, doomed: Doomed
) -> None:
    plant.until_true(lambda: bool(letters_of(plant, doomed.file_id)), 90)
    plant.sent_again_long_ago(doomed.file_id)
    plant.janitor_reads_letters()
    doomed.end()
    plant.ask(doomed.client, doomed.file_id)
    plant.janitor_reads_letters()
    plant.until("status = 'completed'", doomed.file_id)


@pytest.mark.full
def test_a_hundred_old_letters_hide_no_new_one(plant: Plant, customer: Client) -> None:
    sqs, url = plant.stack.aws.client("sqs"), plant.stack.gateway.queue_url("SliceDeadLetters")
    old = {"fileId": 1, "requestId": "00000000-0000-0000-0000-000000000000"}
    for _ in range(150):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(old))
    file_id, killed = uploaded(customer, "part.stl", cube()), Killed()
    with plant.supabase.fault(
        "rpc/claim_slice", named(file_id), strike=partial(plant.kill_worker, killed)
    ) as fault:
        answer = plant.ask(customer, file_id)
        fault.wait()
        new = {"fileId": file_id, "requestId": plant.request_of(file_id)}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(new))
        plant.sent_again_long_ago(file_id)
        plant.janitor_reads_letters()
    assert answer["queued"] is True
    assert plant.rows("select status::text from tmp_files where id = %s", file_id) == [("failed",)]

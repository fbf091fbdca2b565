"""Slices through the queue: the same figures as by hand, and one result whatever dies on the way."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from devstack import Stack
from devstack.gateway import LONG_POLL_SECONDS
from scripts.sample_models import gallery_model
from tests.conftest import Client, sign_up
from tests.e2e.by_hand import found_by_hand
from tests.support.models import cube_stl, write_large_stl
from tests.support.orders import put, request_upload, slice_request, sliced, uploaded, wait_for_slice


@pytest.mark.parametrize("name", ["box.stl", "bunny.stl", "M3x10_screw.stl"])
def test_figures_through_the_queue_are_those_of_a_run_by_hand(
    customer: Client, tmp_path: Path, name: str
) -> None:
    model = gallery_model(name)
    result = sliced(customer, name, model.read_bytes())["result"]
    assert found_by_hand(model, tmp_path, result["massMg"] / 1000, result["timeSec"])


@pytest.fixture
def quick_redelivery(stack: Stack) -> Iterator[None]:
    """Messages of a dead worker come back after seconds, not after the function's timeout."""
    sqs = stack.aws.client("sqs")
    name: Literal["VisibilityTimeout"] = "VisibilityTimeout"
    kept = sqs.get_queue_attributes(QueueUrl=stack.queue_url, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=stack.queue_url, Attributes={name: "3"})
    time.sleep(
        LONG_POLL_SECONDS + 0.5
    )  # a poll that is under way still hides what it receives for the old time
    yield
    sqs.set_queue_attributes(QueueUrl=stack.queue_url, Attributes={name: kept[name]})


def test_a_worker_killed_mid_job_is_redelivered_to_one_result(
    stack: Stack, customer: Client, database: psycopg.Connection, quick_redelivery: None
) -> None:
    file_id = uploaded(customer, "bunny.stl", gallery_model("bunny.stl").read_bytes())
    customer.data("POST", "quick-order/slice", slice_request(file_id, layerHeight=0.05))
    deadline = time.monotonic() + 60
    while customer.data("GET", f"quick-order/files/{file_id}")["status"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers = stack.gateway.processes("SlicerFunction")
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert workers
    # The claim's lease would run out in minutes.
    database.execute("update tmp_files set lease_until = now() where id = %s", (file_id,))
    status = wait_for_slice(customer, file_id)
    assert (status["status"], status["metadata"]["attempts"], status["metadata"]["fallback"]) == (
        "completed",
        2,
        False,
    )
    outputs = database.execute("select count(*) from tmp_files where parent_id = %s", (file_id,)).fetchone()
    assert outputs == (1,)
    results = database.execute(
        "select count(*) from slice_results where settings_hash = %s", (status["settingsHash"],)
    ).fetchone()
    assert results == (1,)


def test_two_invocations_overlap_in_time(stack: Stack, shop: Client, database: psycopg.Connection) -> None:
    """While a lock holds the database up, two requests to one function wait in it side by side."""
    waiting = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%readiness%'"
    )
    answers: list[int] = []
    callers = [
        threading.Thread(target=lambda: answers.append(shop.get("health/ready").status_code), daemon=True)
        for _ in range(2)
    ]
    with psycopg.connect(stack.postgres.url) as holder:
        holder.execute("lock table settings in access exclusive mode")
        for caller in callers:
            caller.start()
        deadline = time.monotonic() + 7
        seen = 0
        while seen < 2 and time.monotonic() < deadline:
            row = database.execute(waiting).fetchone()
            seen = max(seen, row[0] if row else 0)
        holder.rollback()
    for caller in callers:
        caller.join()
    assert seen == 2
    assert answers == [200, 200]


def test_a_model_of_100_mb_is_uploaded_and_accepted(stack: Stack, tmp_path: Path) -> None:
    client = sign_up(stack)
    model = tmp_path / "large.stl"
    size = write_large_stl(model, 100 * 1024 * 1024)
    upload = request_upload(client, model.name, size)
    assert put(upload, model).is_success
    accepted = client.data("POST", f"quick-order/uploads/{upload['id']}/complete")
    assert (accepted["sizeBytes"], accepted["uploaded"]) == (size, True)
    assert client.request("DELETE", f"tmp-files/{upload['id']}").status_code == 204


def test_a_small_cube_is_sliced_while_another_runs(customer: Client) -> None:
    first = uploaded(customer, "first.stl", gallery_model("bunny.stl").read_bytes())
    second = uploaded(customer, "second.stl", cube_stl(9))
    for file_id in (first, second):
        customer.data("POST", "quick-order/slice", slice_request(file_id))
    assert wait_for_slice(customer, second)["status"] == "completed"
    assert wait_for_slice(customer, first)["status"] == "completed"

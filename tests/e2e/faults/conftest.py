"""One stack for the faults: what kills workers and databases must not reach other tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest

from devstack import Stack
from tests.conftest import Client
from tests.e2e.faults.plant import Killed, Plant, named, pillars
from tests.e2e.faults.proxy import Fault, Proxy
from tests.support.orders import uploaded


@pytest.fixture(scope="package")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with (
        Stack(tmp_path_factory.mktemp("plant")) as stack,
        Proxy(stack.supabase.url) as supabase,
        Proxy(stack.aws.endpoint_url) as queues,
    ):
        yield Plant(stack, supabase, queues)


@pytest.fixture
def customer(plant: Plant) -> Client:
    """A new customer for each test, in this stack."""
    return plant.customer()


RECEIVES = 5
"""The template's maxReceiveCount."""


@dataclass
class Doomed:
    """A message that nobody can read, and a file whose worker dies at each delivery, before its claim."""

    poison: str
    file_id: int
    client: Client
    fault: Fault
    end: Callable[[], None]


@pytest.fixture(scope="package")
def doomed(plant: Plant) -> Iterator[Doomed]:
    """Made early: it takes its time, a minute, beside the other tests."""
    sqs, client, poison = plant.stack.aws.client("sqs"), plant.customer(), "no message of ours"
    plant.redeliver_within(3, plant.stack.large_queue_url)
    sqs.send_message(QueueUrl=plant.stack.queue_url, MessageBody=poison)
    file_id = uploaded(client, "doomed.stl", pillars())
    with ExitStack() as life:
        kill = partial(plant.kill_worker, Killed())
        fault = life.enter_context(
            plant.supabase.fault("rpc/claim_slice", named(file_id), strike=kill, times=None)
        )
        plant.ask(client, file_id)
        yield Doomed(poison, file_id, client, fault, life.close)

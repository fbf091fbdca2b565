"""One stack for the faults: what kills workers and databases must not reach other tests."""

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.conftest import Client
from tests.e2e.faults.plant import Plant
from tests.e2e.faults.proxy import Proxy


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
    """A customer of his own for each test, in this stack."""
    return plant.customer()

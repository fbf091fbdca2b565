"""Kill -9 of the whole database server at the steps of a job: started again, the job ends once, with one result."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import psycopg
import pytest

from tests.conftest import Client
from tests.e2e.faults.plant import Plant, bunny, cube, named
from tests.e2e.faults.proxy import Moment
from tests.support.orders import put, request_upload, uploaded, wait_for_slice

type When = Literal["within", "behind"]
"""In the middle of the transaction, which is lost with it; behind its commit, of which nobody hears."""


@dataclass(frozen=True)
class Death:
    """The function at which the server dies, and when; what is left of the job then."""

    function: str
    when: When
    attempts: int = 1
    strays: int = 0


DEATHS = {
    "within the claim": Death("claim_slice", "within"),
    "behind the claim": Death("claim_slice", "behind", attempts=2),
    "within a word of progress": Death("report_slice_progress", "within"),
    "behind a word of progress": Death("report_slice_progress", "behind"),
    "within the completion": Death("complete_slice", "within", attempts=2, strays=1),
    "behind the completion": Death("complete_slice", "behind"),
}
SMALL = {"behind the claim", "within the completion"}


@pytest.fixture(autouse=True)
def server_afterwards(plant: Plant) -> Iterator[None]:
    """Whatever a test did, the next one finds the database up."""
    yield
    plant.stack.postgres.kill()
    plant.stack.postgres.start()
    plant.until_it_answers()


@contextlib.contextmanager
def struck(plant: Plant, function: str, when: When, file_id: int) -> Iterator[None]:
    """The server dies at this function, called for this file, and is up again when the block begins."""
    postgres = plant.stack.postgres
    locks: list[psycopg.Connection] = []

    def lock_its_row(_port: int) -> None:
        connection = psycopg.connect(postgres.url)
        connection.execute("select from tmp_files where id = %s for update", (file_id,))
        locks.append(connection)

    def die(_port: int) -> None:
        postgres.kill()

    strike, moment = (lock_its_row, Moment.REQUEST) if when == "within" else (die, Moment.ANSWER)
    words = (f"rpc/{function}", named(file_id))
    with plant.supabase.fault(*words, strike=strike, moment=moment, cuts=when == "behind") as fault:
        yield
        fault.wait()
        if when == "within":
            waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike %s"
            deadline = time.monotonic() + 7
            while not plant.rows(waits, f"%{function}%"):
                assert time.monotonic() < deadline, "it does not wait for its row"
                time.sleep(0.02)
            postgres.kill()
        for connection in locks:
            connection.close()
        postgres.start()
        plant.until_it_answers()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SMALL else pytest.mark.full) for name in DEATHS]
)
def test_a_database_killed_at_a_step_of_a_slice_leaves_one_result(
    plant: Plant, customer: Client, name: str
) -> None:
    death = DEATHS[name]
    is_long = "progress" in death.function
    file_id = uploaded(customer, "part.stl", bunny() if is_long else cube())
    with plant.one_result(customer, file_id, attempts=death.attempts, strays=death.strays):
        with struck(plant, death.function, death.when, file_id):
            plant.ask(customer, file_id, layerHeight=0.08 if is_long else 0.3)
        if not is_long:  # a word of progress is a courtesy: the slice goes on without
            plant.round_after(file_id)
        wait_for_slice(customer, file_id)
        plant.round_after(file_id)


@pytest.mark.full
@pytest.mark.parametrize(
    ("function", "when"),
    # What only reads waits for nobody, and so cannot be met within.
    [("get_inspection_input", "behind"), ("store_inspection", "within"), ("store_inspection", "behind")],
)
def test_a_database_killed_at_a_step_of_an_inspection_leaves_one_picture(
    plant: Plant, customer: Client, function: str, when: When
) -> None:
    model = cube()
    upload = request_upload(customer, "part.stl", len(model))
    assert put(upload, model).is_success
    file_id = int(upload["id"])
    with struck(plant, function, when, file_id):
        customer.data("POST", f"quick-order/uploads/{file_id}/complete")
    plant.round_after(file_id)
    plant.until("inspection is not null", file_id)
    status = customer.data("GET", f"quick-order/files/{file_id}")
    assert status["topology"]["bodies"] == 1
    folder = upload["storageKey"].rsplit("/", 1)[0]
    objects = plant.rows("select name from storage.objects where name like %s", f"{folder}/%")
    assert len(objects) == 2, "the model and its picture"

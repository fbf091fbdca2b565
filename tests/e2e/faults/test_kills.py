"""Kill -9 of the worker, of the slicer and of the API, at each step of a job: it ends once, with one result."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import pytest

from tests.conftest import Client
from tests.e2e.faults.plant import Killed, Plant, bunny, cube, named
from tests.e2e.faults.proxy import Fault, Moment
from tests.support.orders import put, request_upload, slice_request, uploaded, wait_for_slice

pytestmark = pytest.mark.usefixtures("doomed")  # it takes its time; test_poison looks at its end

UPLOADS_GCODE = "POST /storage/v1/object/tmp/gcode/"


@dataclass(frozen=True)
class Step:
    """Where the worker dies: at which of its requests, and when. `{id}`, `{key}`, `{folder}`: the file's."""

    words: tuple[str, ...]
    moment: Moment = Moment.REQUEST
    attempts: int = 2
    strays: int = 0
    slices: bool = False
    works: bool = True
    """Whether it has a scratch folder by then."""

    def of(self, plant: Plant, file_id: int) -> list[str]:
        key = plant.key_of(file_id)
        folder = PurePosixPath(key).parent
        return [word.format(id=named(file_id), key=key, folder=folder) for word in self.words]


CLAIM = ("rpc/claim_slice", "{id}")
PROGRESS = ("rpc/report_slice_progress", "{id}")
COMPLETE = ("rpc/complete_slice", "{id}")
MODEL = ("GET /storage/v1/object/tmp/{key}",)
STEPS = {
    "before the claim": Step(CLAIM, attempts=1, works=False),
    "after the claim": Step(CLAIM, Moment.ANSWER, works=False),
    "before the download": Step(MODEL),
    "while downloading": Step(MODEL, Moment.MIDDLE),
    "while slicing": Step(PROGRESS, slices=True),
    "before the g-code's upload": Step((UPLOADS_GCODE,)),
    "after the g-code's upload": Step((UPLOADS_GCODE,), Moment.ANSWER, strays=1),
    "before completing": Step(COMPLETE, strays=1, works=False),
    "after completing": Step(COMPLETE, Moment.ANSWER, attempts=1, works=False),
}
SMALL = {"after the claim", "while slicing", "before completing", "after completing"}


@pytest.fixture
def quick_redelivery(plant: Plant) -> Iterator[None]:
    kept = plant.redeliver_within(3, plant.stack.queue_url)
    yield
    plant.redeliver_within(kept, plant.stack.queue_url)


def steps() -> list[object]:
    return [pytest.param(name, marks=() if name in SMALL else pytest.mark.full) for name in STEPS]


@pytest.mark.parametrize("name", steps())
def test_a_worker_killed_at_a_step_of_a_slice_leaves_one_result(
    plant: Plant, customer: Client, name: str
) -> None:
    step, killed = STEPS[name], Killed()
    is_long = step.slices or step.moment is Moment.MIDDLE
    file_id = uploaded(customer, "part.stl", bunny() if is_long else cube())
    if step.words == MODEL:
        plant.until("inspection is not null", file_id)  # which fetches the model, too
    with (
        plant.one_result(customer, file_id, attempts=step.attempts, strays=step.strays),
        plant.supabase.fault(
            *step.of(plant, file_id), moment=step.moment, strike=partial(plant.kill_worker, killed)
        ) as fault,
    ):
        plant.ask(customer, file_id, layerHeight=0.08 if step.slices else 0.3)
        fault.wait()
        plant.round_after(file_id)
        wait_for_slice(customer, file_id)
    assert killed.workers
    assert bool(killed.slicers) is step.slices
    assert bool(killed.scratch) is step.works
    plant.start_if_left(killed, file_id)
    assert not [folder for folder in killed.scratch if folder.exists()], "swept at the next start"


@pytest.mark.full
@pytest.mark.parametrize("name", STEPS)
def test_redelivery_alone_ends_the_job_of_a_killed_worker(
    plant: Plant, customer: Client, quick_redelivery: None, name: str
) -> None:
    step = STEPS[name]
    file_id = plant.inspected(customer, bunny())
    with (
        plant.one_result(customer, file_id, attempts=step.attempts, strays=step.strays),
        plant.supabase.fault(
            *step.of(plant, file_id), moment=step.moment, strike=partial(plant.kill_worker, Killed())
        ) as fault,
    ):
        plant.ask(customer, file_id, layerHeight=0.08 if step.slices else 0.3)
        fault.wait()
        plant.expire(file_id)
        wait_for_slice(customer, file_id)


@pytest.mark.full
@pytest.mark.parametrize(("moment", "attempts"), [(Moment.REQUEST, 2), (Moment.ANSWER, 1)])
def test_a_worker_killed_as_it_tells_of_a_failure_leaves_one_fallback_and_one_message(
    plant: Plant, customer: Client, moment: Moment, attempts: int
) -> None:
    file_id, killed = plant.inspected(customer, cube(0)), Killed()
    with plant.supabase.fault(
        "rpc/fail_slice", named(file_id), moment=moment, strike=partial(plant.kill_worker, killed)
    ) as fault:
        plant.ask(customer, file_id)
        fault.wait()
        plant.round_after(file_id)
        status = wait_for_slice(customer, file_id)
    assert killed.workers
    assert (status["status"], status["metadata"]["attempts"], status["metadata"]["fallback"]) == (
        "failed",
        attempts,
        True,
    )
    assert not status["metadata"]["error"].startswith("SLICER_LOST: ")
    assert len(plant.messages_to(customer)) == 1
    assert plant.rows("select count(*) from tmp_files where parent_id = %s", file_id) == [(0,)]


SEEN = ("rpc/store_inspection", "{id}")
LOOKS = {
    "before it begins": Step(("rpc/get_inspection_input", "{id}"), works=False),
    "while downloading": Step(MODEL, Moment.MIDDLE),
    "before the picture's upload": Step(("POST /storage/v1/object/tmp/{folder}/preview.png",)),
    "after the picture's upload": Step(("POST /storage/v1/object/tmp/{folder}/preview.png",), Moment.ANSWER),
    "before it is kept": Step(SEEN, works=False),
    "after it was kept": Step(SEEN, Moment.ANSWER, works=False),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "before it is kept" else pytest.mark.full) for name in LOOKS],
)
def test_a_worker_killed_at_a_step_of_an_inspection_leaves_one_picture(
    plant: Plant, customer: Client, name: str
) -> None:
    step, killed = LOOKS[name], Killed()
    model = bunny()
    upload = request_upload(customer, "part.stl", len(model))
    assert put(upload, model).is_success
    file_id, folder = int(upload["id"]), str(PurePosixPath(upload["storageKey"]).parent)
    with plant.supabase.fault(
        *step.of(plant, file_id), moment=step.moment, strike=partial(plant.kill_worker, killed)
    ) as fault:
        customer.data("POST", f"quick-order/uploads/{file_id}/complete")
        fault.wait()
        plant.round_after(file_id)
        plant.until("inspection is not null", file_id)
    status = customer.data("GET", f"quick-order/files/{file_id}")
    assert status["topology"]["bodies"] == 1
    assert customer.get(status["previewUrl"].removeprefix("/api/"), follow_redirects=True).is_success
    objects = plant.rows("select name from storage.objects where name like %s order by 1", f"{folder}/%")
    assert len(objects) == 2, "the model and its picture"
    assert killed.workers
    plant.start_if_left(killed, file_id)
    assert not [scratch for scratch in killed.scratch if scratch.exists()]


@pytest.mark.full
def test_a_slicer_killed_once_is_tried_again(plant: Plant, customer: Client) -> None:
    file_id, killed = uploaded(customer, "part.stl", bunny()), Killed()
    with (
        plant.one_result(customer, file_id, attempts=2),
        plant.supabase.fault(
            PROGRESS[0], named(file_id), strike=partial(plant.kill_slicer, killed), cuts=False
        ) as fault,
    ):
        plant.ask(customer, file_id, layerHeight=0.08)
        fault.wait()
        plant.until("status = 'idle'", file_id)
        plant.round_after(file_id)
        wait_for_slice(customer, file_id)
    assert killed.slicers


def test_a_slicer_killed_twice_ends_in_the_fallback_and_a_message(plant: Plant, customer: Client) -> None:
    file_id, killed = uploaded(customer, "part.stl", bunny()), Killed()
    with plant.supabase.fault(
        PROGRESS[0],
        named(file_id),
        strike=partial(plant.kill_slicer, killed),
        cuts=False,
        times=None,
    ):
        plant.ask(customer, file_id, layerHeight=0.08)
        plant.until("status = 'idle' and attempts = 1", file_id)
        plant.round_after(file_id)
        status = wait_for_slice(customer, file_id)
    assert len(killed.slicers) == 2
    assert (status["status"], status["metadata"]["attempts"], status["metadata"]["fallback"]) == (
        "failed",
        2,
        True,
    )
    assert status["metadata"]["error"].startswith("SLICER_CRASHED: ")
    assert len(plant.messages_to(customer)) == 1


def test_a_worker_killed_at_every_attempt_ends_in_the_fallback_and_a_message(
    plant: Plant, customer: Client
) -> None:
    file_id, killed = uploaded(customer, "part.stl", cube()), Killed()
    with plant.supabase.fault(UPLOADS_GCODE, strike=partial(plant.kill_worker, killed), times=None) as fault:
        plant.ask(customer, file_id)
        fault.wait(1)
        plant.round_after(file_id)
        fault.wait(2)
        assert plant.round_after(file_id)["slices"]["settled"] == 1
        status = wait_for_slice(customer, file_id)
    assert (status["status"], status["metadata"]["attempts"], status["metadata"]["fallback"]) == (
        "failed",
        2,
        True,
    )
    assert status["metadata"]["error"].startswith("SLICER_LOST: ")
    assert len(plant.messages_to(customer)) == 1
    assert plant.rows("select count(*) from tmp_files where parent_id = %s", file_id) == [(0,)]


def test_an_answer_that_is_lost_after_completing_leaves_the_g_code_where_it_is(
    plant: Plant, customer: Client
) -> None:
    file_id = uploaded(customer, "part.stl", cube())
    with (
        plant.one_result(customer, file_id, attempts=1),
        plant.supabase.fault(COMPLETE[0], named(file_id), moment=Moment.ANSWER) as fault,
    ):
        request = plant.ask(customer, file_id)
        fault.wait()
        assert wait_for_slice(customer, file_id)["metadata"]["attempts"] == 1
        plant.deliver(file_id)
        wait_for_slice(customer, file_id)
    assert request["queued"] is True


def api_killed_as_it_sends(plant: Plant, file_id: int, killed: Killed) -> AbstractContextManager[Fault]:
    """Kill -9 of the API behind its commit, before SQS has heard of the file."""
    strike = partial(plant.kill_worker, killed, function="QuickOrderFunction")
    return plant.queues.fault(r"AmazonSQS\.SendMessage\b", rf"fileId\W+{file_id}\b", strike=strike)


@pytest.mark.full
def test_an_api_killed_behind_its_request_of_a_slice_leaves_one_result(
    plant: Plant, customer: Client
) -> None:
    file_id, killed = plant.inspected(customer, cube()), Killed()
    with plant.one_result(customer, file_id, attempts=1):
        with api_killed_as_it_sends(plant, file_id, killed):
            answer = customer.post("quick-order/slice", slice_request(file_id, layerHeight=0.3))
            assert answer.status_code >= 500
        again = customer.post("quick-order/slice", slice_request(file_id, layerHeight=0.3))
        assert (again.status_code, again.json()["error"]["code"]) == (409, "SLICE_RUNNING")
        plant.round_after(file_id)
        wait_for_slice(customer, file_id)
    assert killed.workers


@pytest.mark.full
def test_an_api_killed_behind_its_acceptance_of_an_upload_leaves_one_picture(
    plant: Plant, customer: Client
) -> None:
    model, killed = cube(), Killed()
    upload = request_upload(customer, "part.stl", len(model))
    assert put(upload, model).is_success
    file_id = int(upload["id"])
    with api_killed_as_it_sends(plant, file_id, killed):
        assert customer.post(f"quick-order/uploads/{file_id}/complete", {}).status_code >= 500
    assert customer.data("POST", f"quick-order/uploads/{file_id}/complete")["uploaded"] is True
    plant.round_after(file_id)
    plant.until("inspection is not null", file_id)
    status = customer.data("GET", f"quick-order/files/{file_id}")
    assert status["topology"]["bodies"] == 1
    assert customer.get(status["previewUrl"].removeprefix("/api/"), follow_redirects=True).is_success
    assert killed.workers

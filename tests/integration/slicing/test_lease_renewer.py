"""A claim is kept, and a worker lives, whatever the database's end answers once."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from devstack.testing.serving import QuietHandler, serving
from printshop.adapters.database import Database
from printshop.adapters.storage.objects import Storage
from printshop.slicing.claims import Claim, Claims, SliceMessage
from slicer_worker.factory import beat
from slicer_worker.lease_renewer import LeaseRenewer
from slicer_worker.worker import SliceWorker
from tests.integration.slicing.stores import Job, MemoryDatabase, worker_settings

STATUSES = [500, 520, 503]
"""A defect's answer; that of a proxy in front, in HTML; that of a database that is away."""


class Answers:
    """Supabase's end: answers the given status once, then yes to everything."""

    def __init__(self, status: int) -> None:
        self.url = ""
        self.status = status
        self.asked: list[str] = []
        self.twice = threading.Event()


@pytest.fixture(params=STATUSES)
def answers(request: pytest.FixtureRequest) -> Iterator[Answers]:
    answers = Answers(request.param)

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            self.body()
            answers.asked.append(self.path)
            if len(answers.asked) == 1:
                self.answer(answers.status, b"<html>an error of the proxy's own</html>", "text/html")
            else:
                self.answer(200, b"true")
                answers.twice.set()

    with serving(Handler) as answers.url:
        yield answers


def test_the_claim_is_kept_after_an_answer_that_is_none(answers: Answers) -> None:
    settings = worker_settings(next_public_supabase_url=answers.url)
    database = MemoryDatabase()
    database.jobs[1] = Job(storage_key="7/a/part.stl", filename="part.stl")
    claim = Claims(database).claim(SliceMessage(file_id=1, request_id="any"), 60)
    assert isinstance(claim, Claim)
    with (
        httpx.Client() as client,
        LeaseRenewer(Claims(Database(settings, client)), claim, threading.Event()) as keeper,
    ):
        assert keeper.tell(10, "Slicing")
        percent = 10
        while not answers.twice.wait(0.5) and percent < 40:
            percent += 1
            assert keeper.tell(percent, "Slicing")
    assert answers.asked[:2] == ["/rest/v1/rpc/report_slice_progress"] * 2


def test_a_heartbeat_that_is_refused_does_not_end_the_worker(answers: Answers) -> None:
    settings = worker_settings(next_public_supabase_url=answers.url)
    with httpx.Client() as client:
        worker = SliceWorker(Claims(Database(settings, client)), Storage(settings, client), settings)
        beat(worker)
        beat(worker)
    assert answers.asked == ["/rest/v1/rpc/record_heartbeat"] * 2

"""The worker's two homes on a real SQS interface: the Lambda handler and the Fargate poller."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from printshop.slicing.claims import Claims
from slicer_worker.lambda_handler import SqsHandler
from slicer_worker.queue import SliceQueue
from slicer_worker.worker import LATER, SOON, SliceWorker
from tests.integration.slicing.by_hand import BUNNY
from tests.integration.slicing.stores import FolderObjects, Job, MemoryDatabase, worker_settings
from tests.unit.slicing.model_makers import binary_stl, box

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

EVENT = json.loads(Path("events/slicer-sqs.json").read_text())
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "ap-southeast-2",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def sqs(endpoint: str) -> "Iterator[SQSClient]":
    session = boto3.Session("test", "test", region_name="ap-southeast-2")
    client = session.client("sqs", endpoint_url=endpoint)
    yield client
    client.close()


@pytest.fixture
def queue_url(sqs: "SQSClient", request: pytest.FixtureRequest) -> str:
    name = f"slices-{abs(hash(request.node.nodeid))}"
    return sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "180"})["QueueUrl"]


def send(sqs: "SQSClient", url: str, file_id: int) -> None:
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"fileId": file_id, "requestId": f"r{file_id}"}))


def counts(sqs: "SQSClient", url: str) -> tuple[int, int]:
    """(visible, hidden) messages."""
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(attributes[names[0]]), int(attributes[names[1]])


class Home:
    """The Lambda handler over one queue, and what it tells SQS about visibility."""

    def __init__(self, sqs: "SQSClient", url: str, folder: Path) -> None:
        self.sqs, self.url = sqs, url
        self.objects = FolderObjects(folder / "tmp")
        self.database = MemoryDatabase()
        (folder / "scratch").mkdir()
        binary = os.environ.get("SLICER_BIN", "prusaslicer")
        worker = SliceWorker(
            Claims(self.database),
            self.objects,
            worker_settings(slicer_bin=binary),
            scratch_parent=folder / "scratch",
        )
        self.handler = SqsHandler(worker, SliceQueue(sqs, url))
        self.visibility: list[int] = []
        sqs.meta.events.register("provide-client-params.sqs.ChangeMessageVisibility", self._watch)

    def _watch(self, params: dict[str, Any], **_: Any) -> None:
        self.visibility.append(params["VisibilityTimeout"])

    def invoke(self, body: str | None = None) -> dict[str, Any]:
        """What Lambda does with the next message: the sample event around it."""
        if body is not None:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)
        (message,) = self.sqs.receive_message(QueueUrl=self.url)["Messages"]
        record = EVENT["Records"][0] | {"receiptHandle": message["ReceiptHandle"], "body": message["Body"]}
        return self.handler({"Records": [record]})


FAILED = {"batchItemFailures": [{"itemIdentifier": EVENT["Records"][0]["messageId"]}]}
DONE: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture
def home(sqs: "SQSClient", queue_url: str, tmp_path: Path) -> Home:
    return Home(sqs, queue_url, tmp_path)


def put_job(home: Home, data: bytes) -> Job:
    file_id = json.loads(EVENT["Records"][0]["body"])["fileId"]
    job = Job(storage_key=home.objects.put("7/aaaa/part.stl", data), filename="part.stl")
    home.database.jobs[file_id] = job
    return job


def test_the_lambda_slices_the_file_of_its_event(home: Home) -> None:
    job = put_job(home, binary_stl(box(20)))
    assert home.invoke(EVENT["Records"][0]["body"]) == DONE
    assert job.status == "completed"
    assert home.visibility == []


def test_the_lambda_hands_back_a_message_whose_file_is_busy(home: Home) -> None:
    put_job(home, binary_stl(box(20)))
    home.database.take_over(12)
    assert home.invoke(EVENT["Records"][0]["body"]) == FAILED
    assert home.visibility == [LATER]


def test_the_lambda_hands_back_a_message_while_the_database_is_away(home: Home) -> None:
    put_job(home, binary_stl(box(20)))
    home.database.away_for.add("claim_slice")
    assert home.invoke(EVENT["Records"][0]["body"]) == FAILED
    assert home.visibility == [LATER]


def test_the_lambda_hands_back_what_it_cannot_read(home: Home) -> None:
    assert home.invoke("not json") == FAILED
    assert home.visibility == [SOON]


def test_the_lambda_acknowledges_a_model_that_can_never_be_sliced(home: Home) -> None:
    job = put_job(home, binary_stl(box(20))[:-1])
    assert home.invoke(EVENT["Records"][0]["body"]) == DONE
    assert job.status == "failed"


class PollerProcess:
    """A poller of two threads; its lines are read until the expected one comes."""

    def __init__(self, endpoint: str, url: str, model: Path, grace_seconds: float) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.integration.slicing.poller_process",
                url,
                model,
                str(grace_seconds),
            ],
            env={
                **AWS,
                "AWS_ENDPOINT_URL": endpoint,
                "PATH": os.environ["PATH"],
                "PYTHONPATH": "layers/common:slicer-container:.",
                "SLICER_BIN": os.environ.get("SLICER_BIN", "prusaslicer"),
                "LOG_LEVEL": "CRITICAL",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def wait_for(self, *expected: str) -> None:
        assert self._process.stdout is not None
        while not set(expected) <= set(self.lines):
            line = self._process.stdout.readline()
            assert line, f"the poller ended after {self.lines}"
            self.lines.append(line.strip())

    def terminate(self) -> tuple[int, float]:
        """(exit code, seconds until it came)."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self.wait_for("exit with 0 folders in scratch")
        return self._process.wait(10), time.monotonic() - began

    def __enter__(self) -> "PollerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.communicate()


def test_the_poller_works_off_the_queue_and_ends_on_sigterm(
    endpoint: str, sqs: "SQSClient", queue_url: str, tmp_path: Path
) -> None:
    model = tmp_path / "cube.stl"
    model.write_bytes(binary_stl(box(20)))
    for file_id in (1, 2, 3):
        send(sqs, queue_url, file_id)
    with PollerProcess(endpoint, queue_url, model, 30) as poller:
        poller.wait_for("1 completed", "2 completed", "3 completed")
        code, seconds = poller.terminate()
    assert (code, counts(sqs, queue_url)) == (0, (0, 0))
    assert seconds < 5


def test_sigterm_lets_a_running_slice_finish_within_the_grace_time(
    endpoint: str, sqs: "SQSClient", queue_url: str
) -> None:
    with PollerProcess(endpoint, queue_url, BUNNY, 30) as poller:
        poller.wait_for("polling")
        send(sqs, queue_url, 1)
        poller.wait_for("1 running")
        code, _ = poller.terminate()
        assert "1 completed" in poller.lines
    assert (code, counts(sqs, queue_url)) == (0, (0, 0))


def test_sigterm_without_time_to_finish_hands_the_message_back(
    endpoint: str, sqs: "SQSClient", queue_url: str
) -> None:
    with PollerProcess(endpoint, queue_url, BUNNY, 0) as poller:
        poller.wait_for("polling")
        send(sqs, queue_url, 1)
        poller.wait_for("1 running")
        code, seconds = poller.terminate()
        assert "1 failed:WORKER_STOPPED" in poller.lines
        assert f"visible again in {SOON} s" in poller.lines
    assert code == 0
    assert seconds < 5
    assert counts(sqs, queue_url) == (0, 1)

"""The worker's two homes on a real SQS interface: the Lambda handler and the Fargate poller."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from devstack.image import OFF, ON, EcsAgent
from printshop.adapters.sandbox import MEMORY_BYTES
from printshop.slicing.claims import Claims
from slicer_worker.ecs_task import sandbox_bytes
from slicer_worker.factory import memory_per_child
from slicer_worker.lambda_handler import SqsHandler
from slicer_worker.poller import SMALL_IN_A_ROW
from slicer_worker.slice_queues import SliceQueue, SliceQueues
from slicer_worker.worker import LATER, SOON, SliceWorker
from tests.integration.slicing.command_line import BUNNY
from tests.integration.slicing.own_processes import ALONE, first_inside, needs_own_processes
from tests.integration.slicing.stores import FolderObjects, Job, MemoryDatabase, job_of, worker_settings
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
def lanes(sqs: "SQSClient", request: pytest.FixtureRequest) -> tuple[str, str]:
    """The URLs of a small and a large queue of the test's own."""
    name = f"slices-{abs(hash(request.node.nodeid))}"
    small, large = (
        sqs.create_queue(QueueName=f"{name}-{lane}", Attributes={"VisibilityTimeout": "180"})["QueueUrl"]
        for lane in ("small", "large")
    )
    return small, large


def send(sqs: "SQSClient", url: str, file_id: int) -> None:
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"fileId": file_id, "requestId": f"r{file_id}"}))


def counts(sqs: "SQSClient", url: str) -> tuple[int, int]:
    """(visible, hidden) messages."""
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(attributes[names[0]]), int(attributes[names[1]])


class Home:
    """The Lambda handler over both lanes, and what it tells SQS about visibility."""

    def __init__(self, sqs: "SQSClient", lanes: tuple[str, str], folder: Path) -> None:
        self.sqs, (self.small, self.large) = sqs, lanes
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
        self.handler = SqsHandler(worker, SliceQueues(*(SliceQueue(sqs, url) for url in lanes)))
        self.visibility: list[tuple[str, int]] = []
        sqs.meta.events.register("provide-client-params.sqs.ChangeMessageVisibility", self._watch)

    def _watch(self, params: dict[str, Any], **_: Any) -> None:
        self.visibility.append((params["QueueUrl"], params["VisibilityTimeout"]))

    def invoke(self, body: str, url: str | None = None) -> dict[str, Any]:
        """What Lambda does with the next message of a lane: the sample event around it."""
        url = url or self.small
        self.sqs.send_message(QueueUrl=url, MessageBody=body)
        (message,) = self.sqs.receive_message(QueueUrl=url)["Messages"]
        name: Any = "QueueArn"
        arn = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
        record = EVENT["Records"][0] | {
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "eventSourceARN": arn,
        }
        return self.handler({"Records": [record]})


FAILED = {"batchItemFailures": [{"itemIdentifier": EVENT["Records"][0]["messageId"]}]}
DONE: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture
def home(sqs: "SQSClient", lanes: tuple[str, str], tmp_path: Path) -> Home:
    return Home(sqs, lanes, tmp_path)


def put_job(home: Home, data: bytes) -> Job:
    file_id = json.loads(EVENT["Records"][0]["body"])["fileId"]
    job = job_of(home.objects, home.objects.put("7/aaaa/part.stl", data))
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
    assert home.visibility == [(home.small, LATER)]


def test_the_lambda_hands_back_a_message_while_the_database_is_away(home: Home) -> None:
    put_job(home, binary_stl(box(20)))
    home.database.away_for.add("claim_slice")
    assert home.invoke(EVENT["Records"][0]["body"]) == FAILED
    assert home.visibility == [(home.small, LATER)]


def test_the_lambda_hands_back_what_it_cannot_read(home: Home) -> None:
    assert home.invoke("not json") == FAILED
    assert home.visibility == [(home.small, SOON)]


def test_the_lambda_hands_a_large_models_message_back_to_its_own_lane(home: Home) -> None:
    put_job(home, binary_stl(box(20)))
    home.database.take_over(12)
    assert home.invoke(EVENT["Records"][0]["body"], home.large) == FAILED
    assert home.visibility == [(home.large, LATER)]
    assert counts(home.sqs, home.large) == (0, 1)


def test_the_lambda_acknowledges_a_model_that_can_never_be_sliced(home: Home) -> None:
    job = put_job(home, binary_stl(box(20))[:-1])
    assert home.invoke(EVENT["Records"][0]["body"]) == DONE
    assert job.status == "failed"


@pytest.fixture
def agent() -> Iterator[EcsAgent]:
    agent = EcsAgent()
    yield agent
    agent.close()


def test_a_child_gets_what_the_sandbox_has_beyond_the_worker_itself() -> None:
    megabyte = 1024**2
    assert memory_per_child(3008 * megabyte, 1) == 2752 * megabyte
    assert memory_per_child(4096 * megabyte, 2) == 1920 * megabyte
    assert memory_per_child(64 * 1024 * megabyte, 1) == MEMORY_BYTES


def test_a_task_has_the_memory_that_ecs_tells_it_and_elsewhere_the_machines(agent: EcsAgent) -> None:
    assert sandbox_bytes(agent.metadata_uri) == 4096 * 1024**2
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert sandbox_bytes(None) == sandbox_bytes("http://127.0.0.1:1") == pytest.approx(total, rel=0.05)


class PollerProcess:
    """A poller; its lines are read until the expected one comes."""

    def __init__(
        self, endpoint: str, lanes: tuple[str, str], model: Path, *options: str, agent: EcsAgent | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.slicing.poller_process", *lanes, model, *options],
            env={
                **AWS,
                **({"ECS_AGENT_URI": agent.agent_uri} if agent else {}),
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


def test_the_poller_works_off_both_lanes_and_ends_on_sigterm(
    endpoint: str, sqs: "SQSClient", lanes: tuple[str, str]
) -> None:
    small, large = lanes
    for file_id in (11, 12):
        send(sqs, small, file_id)
    send(sqs, large, 13)
    with PollerProcess(endpoint, lanes, BUNNY) as poller:
        poller.wait_for("11 completed", "12 completed", "13 completed")
        code, seconds = poller.terminate()
    assert (code, counts(sqs, small), counts(sqs, large)) == (0, (0, 0), (0, 0))
    assert seconds < 5


@needs_own_processes
def test_sigterm_ends_a_poller_that_is_pid_1_and_still_starting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        process = subprocess.Popen(
            [*ALONE, sys.executable, "-m", "slicer_worker.poller"],
            env={
                **AWS,
                "NEXT_PUBLIC_SUPABASE_URL": "http://127.0.0.1:1",
                "NEXT_PUBLIC_SUPABASE_ANON_KEY": "anon",
                "SUPABASE_SERVICE_ROLE_KEY": "service",
                "ECS_CONTAINER_METADATA_URI_V4": f"http://{host}:{port}",
                "SLICE_QUEUE_URL": "http://127.0.0.1:1/small",
                "LARGE_SLICE_QUEUE_URL": "http://127.0.0.1:1/large",
                "PATH": os.environ["PATH"],
                "PYTHONPATH": "layers/common:slicer-container",
            },
        )
        asked, _ = silent.accept()  # for the task's memory; it would wait for the answer for three seconds
        with asked:
            began = time.monotonic()
            os.kill(first_inside(process.pid), signal.SIGTERM)
            assert process.wait(20) == 0
            assert time.monotonic() - began < 2


def test_of_several_threads_one_is_always_left_to_small_models(
    endpoint: str, sqs: "SQSClient", lanes: tuple[str, str]
) -> None:
    small, large = lanes
    with PollerProcess(endpoint, lanes, BUNNY) as poller:
        for file_id in (1, 2, 3):
            send(sqs, large, file_id)
        poller.wait_for("1 running")
        send(sqs, small, 11)
        poller.wait_for("11 completed")
        assert not {"2 running", "3 running"} & set(poller.lines)


def test_a_single_thread_takes_small_models_first_and_then_a_large_one(
    endpoint: str, sqs: "SQSClient", lanes: tuple[str, str]
) -> None:
    small, large = lanes
    send(sqs, large, 19)
    for file_id in range(11, 18):
        send(sqs, small, file_id)
    every = [*(f"{number} completed" for number in range(11, 18)), "19 completed"]
    with PollerProcess(endpoint, lanes, BUNNY, "--threads=1") as poller:
        poller.wait_for(*every)
    order = [line for line in poller.lines if line in every]
    assert order.index("19 completed") == SMALL_IN_A_ROW


def test_a_message_at_work_is_hidden_anew_all_the_while(
    endpoint: str, sqs: "SQSClient", lanes: tuple[str, str]
) -> None:
    with PollerProcess(endpoint, lanes, BUNNY, "--renew-seconds=0.3") as poller:
        send(sqs, lanes[1], 1)
        poller.wait_for("1 completed")
        assert poller.lines.count("visible again in 180 s") >= 2
        poller.terminate()
    assert counts(sqs, lanes[1]) == (0, 0)


def test_a_task_is_protected_while_it_slices_and_no_longer(
    endpoint: str, sqs: "SQSClient", lanes: tuple[str, str], agent: EcsAgent
) -> None:
    with PollerProcess(endpoint, lanes, BUNNY, agent=agent) as poller:
        poller.wait_for("polling")
        send(sqs, lanes[1], 1)
        poller.wait_for("1 running")
        assert agent.states[:1] == [ON]
        poller.wait_for("1 completed")
        agent.wait_for(OFF)
        *during, after = agent.states
        assert (set(map(str, during)), after) == ({str(ON)}, OFF)
        assert len(during) >= 2  # a long slice renews it
        send(sqs, lanes[0], 11)
        poller.wait_for("11 completed")
        poller.terminate()
    assert agent.states[len(during) + 1 :] == [ON, OFF]


def test_a_task_whose_protection_is_refused_slices_all_the_same(
    endpoint: str, sqs: "SQSClient", lanes: tuple[str, str], agent: EcsAgent
) -> None:
    agent.refuses = True
    for file_id in (11, 12, 13):
        send(sqs, lanes[0], file_id)
    with PollerProcess(endpoint, lanes, BUNNY, "--threads=1", agent=agent) as poller:
        poller.wait_for("11 completed", "12 completed", "13 completed")
        poller.terminate()
    assert agent.states == [ON]  # and does not ask at every message


def test_sigterm_lets_a_running_slice_finish_within_the_grace_time(
    endpoint: str, sqs: "SQSClient", lanes: tuple[str, str]
) -> None:
    with PollerProcess(endpoint, lanes, BUNNY) as poller:
        poller.wait_for("polling")
        send(sqs, lanes[0], 1)
        poller.wait_for("1 running")
        code, _ = poller.terminate()
        assert "1 completed" in poller.lines
    assert (code, counts(sqs, lanes[0])) == (0, (0, 0))


def test_sigterm_without_time_to_finish_hands_the_message_back(
    endpoint: str, sqs: "SQSClient", lanes: tuple[str, str]
) -> None:
    with PollerProcess(endpoint, lanes, BUNNY, "--grace-seconds=0") as poller:
        poller.wait_for("polling")
        send(sqs, lanes[1], 1)
        poller.wait_for("1 running")
        code, seconds = poller.terminate()
        assert "1 given back" in poller.lines
        assert f"visible again in {SOON} s" in poller.lines
    assert code == 0
    assert seconds < 5
    assert counts(sqs, lanes[1]) == (0, 1)

"""A stack of its own whose slicer speaks to Supabase, and both it and the API to SQS, through faulty proxies."""

import json
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import psycopg

from devstack import Stack
from devstack.aws import REGION
from devstack.gateway import LONG_POLL_SECONDS
from scripts.sample_models import gallery_model
from tests.conftest import Client, sign_up
from tests.e2e.faults.processes import kill, owner_of, scratch_folders_of, slicers_of
from tests.e2e.faults.proxy import Proxy
from tests.support.models import Triangle, binary_stl, cube_stl, cube_triangles
from tests.support.orders import slice_request, uploaded, wait_for_slice

SLICER = "SlicerFunction"
WEBHOOK = "WebhookFunction"
DEAD_LETTERS = ("SliceDeadLetters", "LargeSliceDeadLetters")


def of_its_own(model: bytes) -> bytes:
    """The same binary STL under a header of its own, so that nothing about it is cached."""
    return uuid.uuid4().hex.encode().ljust(80) + model[80:]


def named(file_id: int) -> str:
    """How an rpc's body names a file, as a regular expression."""
    return rf'"p_file_id":{file_id}\b'


def cube(size: float = 6) -> bytes:
    return of_its_own(cube_stl(size))


def pillars() -> bytes:
    """Two thin pillars far apart: their box belongs into the lane of large models, and they are sliced at once."""
    triangles: list[Triangle] = []
    for at in ((0, 0, 0), (236, 196, 0)):
        for triangle in cube_triangles(1):
            a, b, c = ((4 * x + at[0], 4 * y + at[1], 112 * z) for x, y, z in triangle)
            triangles.append((a, b, c))
    return of_its_own(binary_stl(triangles))


def bunny() -> bytes:
    """A model that keeps the slicer for seconds at thin layers."""
    model = gallery_model("bunny.stl").read_bytes()
    assert len(model) == 84 + 50 * struct.unpack("<I", model[80:84])[0], "binary"
    return of_its_own(model)


@dataclass
class Killed:
    """What was at work when a fault struck."""

    workers: list[int] = field(default_factory=list)
    slicers: list[int] = field(default_factory=list)
    scratch: set[Path] = field(default_factory=set)


class Plant:
    """`supabase` stands between the slicer or the webhook and Supabase, `queues` between both functions and SQS."""

    def __init__(self, stack: Stack, supabase: Proxy, queues: Proxy) -> None:
        self.stack = stack
        self.supabase = supabase
        self.queues = queues
        functions = stack.gateway.application.functions
        for function, variable, proxy in (
            (SLICER, "NEXT_PUBLIC_SUPABASE_URL", supabase),
            (WEBHOOK, "NEXT_PUBLIC_SUPABASE_URL", supabase),
            (SLICER, "AWS_ENDPOINT_URL_SQS", queues),
            ("QuickOrderFunction", "AWS_ENDPOINT_URL_SQS", queues),
        ):
            cast("dict[str, str]", functions[function].environment)[variable] = proxy.url

    # ---- the customer

    def customer(self) -> Client:
        return sign_up(self.stack)

    def inspected(self, client: Client, model: bytes) -> int:
        """Upload a model and wait until the worker has looked at it; the file's id."""
        file_id = uploaded(client, "part.stl", model)
        self.until("inspection is not null", file_id)
        return file_id

    def ask(self, client: Client, file_id: int, **changes: Any) -> dict[str, Any]:
        answer: dict[str, Any] = client.data("POST", "quick-order/slice", slice_request(file_id, **changes))
        return answer

    # ---- the database, past the API

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def key_of(self, file_id: int) -> str:
        return str(self.rows("select storage_key from tmp_files where id = %s", file_id)[0][0])

    def request_of(self, file_id: int) -> str:
        return str(self.rows("select request_id from tmp_files where id = %s", file_id)[0][0])

    def until(self, condition: str, file_id: int, seconds: float = 60) -> None:
        """Until the file's row fulfils a condition in SQL."""
        deadline = time.monotonic() + seconds
        while not self.rows(f"select 1 from tmp_files where id = %s and ({condition})", file_id):
            assert time.monotonic() < deadline, f"file {file_id}: never {condition}"
            time.sleep(0.05)

    def until_true(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it does not come"
            time.sleep(0.5)

    def until_it_answers(self, seconds: float = 30) -> None:
        """Until a database that was started again is reached by the API, past the connections that it lost."""
        deadline = time.monotonic() + seconds
        while (
            Client(self.stack.api_url)
            .post("auth/login", {"email": "nobody@example.com", "password": "none"})
            .status_code
            >= 500
        ):
            assert time.monotonic() < deadline, "the API does not find the database again"
            time.sleep(0.1)

    def expire(self, file_id: int) -> None:
        """Make the minutes pass after which a worker's claim has run out and a message counts as lost."""
        self.rows(
            "update tmp_files set lease_until = least(lease_until, now()), sent_at = now() - interval '1 day',"
            " inspection_sent_at = inspection_sent_at - interval '1 day' where id = %s",
            file_id,
        )

    # ---- what happens to it

    def janitor(self) -> dict[str, Any]:
        report: dict[str, Any] = self.stack.gateway.invoke("JanitorFunction", {"source": "aws.scheduler"})
        return report

    def round_after(self, file_id: int) -> dict[str, Any]:
        """The janitor's next round after a worker of this file has died."""
        self.expire(file_id)
        return self.janitor()

    def kill_worker(self, killed: Killed, port: int, function: str = SLICER) -> None:
        """Kill -9 the worker that holds this connection; all of them where that cannot be seen."""
        workers = self.stack.gateway.processes(function)
        owner = owner_of(port, workers)
        victims = workers if owner is None else [owner]
        killed.workers += victims
        killed.scratch |= scratch_folders_of(victims)
        killed.slicers += [slicer for victim in victims for slicer in slicers_of(victim)]
        kill(*victims)

    def kill_slicer(self, killed: Killed, _port: int) -> None:
        """Kill -9 every slicer that runs now."""
        slicers = [pid for worker in self.stack.gateway.processes(SLICER) for pid in slicers_of(worker)]
        killed.slicers += slicers
        kill(*slicers)

    # ---- what came of it

    def gcode_objects(self) -> set[str]:
        found = self.rows("select name from storage.objects where bucket_id = 'tmp' and name like 'gcode/%%'")
        return {name for (name,) in found}

    @contextmanager
    def one_result(self, client: Client, file_id: int, *, attempts: int, strays: int = 0) -> Iterator[None]:
        """After the block the file ends completed, once: one result, one output, one g-code, and so many strays."""
        before = self.gcode_objects()
        yield
        status = wait_for_slice(client, file_id)
        assert status["status"] == "completed", status
        assert (status["metadata"]["attempts"], status["metadata"]["fallback"]) == (attempts, False)
        content_hash = "(select content_hash from tmp_files where id = %s)"
        results = self.rows(
            f"select gcode_key from slice_results where content_hash = {content_hash} and settings_hash = %s",
            file_id,
            status["settingsHash"],
        )
        outputs = self.rows("select object_key from tmp_files where parent_id = %s", file_id)
        assert len(results) == 1
        assert outputs == results, "one output, and it is the result's g-code"
        self.janitor()
        made = self.gcode_objects() - before
        known = {key for (key,) in self.rows("select key from stray_objects where bucket = 'tmp'")}
        assert results[0][0] in made
        assert results[0][0] not in known
        assert len(made & known) == strays
        assert made == {results[0][0]} | (made & known)
        download = client.get(f"tmp-files/{status['outputId']}", follow_redirects=True)
        assert download.content.startswith(b"\x1f\x8b"), "the g-code is there, gzipped"

    def messages_to(self, client: Client) -> list[str]:
        """What the shop wrote to this user."""
        return [
            body
            for (body,) in self.rows("select body from user_messages where user_id = %s", client.user["id"])
        ]

    # ---- the queues

    def letters(self, name: str) -> int:
        """How many letters a dead-letter queue holds, those too that are being read."""
        counts = self.stack.aws.client("sqs").get_queue_attributes(
            QueueUrl=self.stack.gateway.queue_url(name),
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return sum(int(count) for count in counts["Attributes"].values())

    def is_settled(self, file_id: int) -> bool:
        return bool(self.rows("select 1 from tmp_files where id = %s and status = 'failed'", file_id))

    def sent_again_long_ago(self, file_id: int) -> None:
        """As if the janitor had sent the file's message once more, in vain, and time had passed."""
        ((lane, request),) = self.rows(
            "update tmp_files set sends = 1, sent_at = now() - interval '10 minutes' where id = %s"
            " returning queue::text, request_id::text",
            file_id,
        )
        url = self.stack.gateway.queue_url("LargeSliceDeadLetters" if lane == "LARGE" else "SliceDeadLetters")
        letter = json.dumps({"fileId": file_id, "requestId": request})
        self.stack.aws.client("sqs").send_message(QueueUrl=url, MessageBody=letter)

    def dead_letters(self) -> list[str]:
        """Bodies that the slice queues gave up on, but for those that somebody reads now; they stay."""
        sqs, bodies = self.stack.aws.client("sqs"), []
        for name in DEAD_LETTERS:
            url = self.stack.gateway.queue_url(name)
            for _ in range(30):
                answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1)
                bodies += [message["Body"] for message in answer.get("Messages", [])]
                if not answer.get("Messages"):
                    break
        return bodies

    def janitor_reads_letters(self) -> None:
        """A round, once no letter is hidden from it by an earlier reader."""
        sqs = self.stack.aws.client("sqs")
        hidden: Literal["ApproximateNumberOfMessagesNotVisible"] = "ApproximateNumberOfMessagesNotVisible"
        urls = [self.stack.gateway.queue_url(name) for name in DEAD_LETTERS]
        self.until_true(
            lambda: all(
                sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[hidden])["Attributes"][hidden] == "0"
                for url in urls
            ),
            40,
        )
        self.janitor()

    def redeliver_within(self, seconds: int, url: str) -> int:
        """Messages of dead workers come back after so many seconds; how many they were before."""
        sqs = self.stack.aws.client("sqs")
        name: Literal["VisibilityTimeout"] = "VisibilityTimeout"
        kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(seconds)})
        time.sleep(
            LONG_POLL_SECONDS + 0.5
        )  # a poll that is under way still hides what it receives for the old time
        return int(kept)

    def deliver(self, file_id: int, **message: str) -> None:
        """The file's message once more, straight to the worker, which has to be done with it."""
        body = json.dumps({"fileId": file_id, **(message or {"requestId": self.request_of(file_id)})})
        queue = self.stack.queue_url.rsplit("/", 1)[-1]
        record = {"messageId": "again", "receiptHandle": "none", "body": body}
        record["eventSourceARN"] = f"arn:aws:sqs:{REGION}:123456789012:{queue}"
        assert self.stack.gateway.invoke(SLICER, {"Records": [record]}) == {"batchItemFailures": []}

    def start_if_left(self, killed: Killed, file_id: int) -> None:
        """Have a worker start, unless one did since: another that was warm may have ended the job."""
        if any(folder.exists() for folder in killed.scratch):
            self.stack.gateway.recycle(SLICER)
            self.deliver(file_id, task="inspect")


class Gate:
    """A strike that holds requests until the gate is opened."""

    def __init__(self) -> None:
        self._came = threading.Semaphore(0)
        self._open = threading.Event()

    def __call__(self, _port: int) -> None:
        self._came.release()
        self._open.wait(120)

    def wait(self, requests: int, seconds: float = 60) -> None:
        """Until so many requests stand before it."""
        for _ in range(requests):
            assert self._came.acquire(timeout=seconds), "nothing comes to the gate"

    def open(self) -> None:
        self._open.set()

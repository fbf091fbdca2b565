"""The Fargate home: SLICER_CONCURRENCY threads that poll the two lanes.

    python -m slicer_worker.poller [--grace-seconds 90] [--renew-seconds 60]

SIGTERM ends the polling; running slices have the grace time to finish, then they give their messages back.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from printshop.config.settings_provider import current
from printshop.kernel.log import get_logger
from slicer_worker.ecs_task import ScaleInProtection, sandbox_bytes
from slicer_worker.factory import beat, build_worker, memory_per_child
from slicer_worker.slice_queues import Message, SliceQueue, SliceQueues, slice_queues
from slicer_worker.worker import SliceWorker

HEARTBEAT_SECONDS = 60
LONG_POLL_SECONDS = 20
LOOK_SECONDS = 2
"""How long a thread that takes both lanes looks at one: long enough for SQS to ask all its servers (1 s)."""
SMALL_IN_A_ROW = 4
"""After so many small ones a large one's turn comes, if one waits."""
QUEUE_PAUSE_SECONDS = 5
GRACE_SECONDS = 90
"""Less than the task's stopTimeout (120 s at most), after which Fargate kills."""

log = get_logger()


class Poller:
    """Threads that take messages one by one and keep them hidden while they work.

    The first of several threads takes small ones only, so that never all of them are at large ones. The others, or
    the only one, look for a small one first, and for a large one first after SMALL_IN_A_ROW small ones.
    """

    def __init__(
        self,
        worker: SliceWorker,
        lanes: SliceQueues,
        threads: int,
        protection: ScaleInProtection,
        *,
        renew_seconds: float | None = None,
        long_poll_seconds: int = LONG_POLL_SECONDS,
        look_seconds: int = LOOK_SECONDS,
    ) -> None:
        """`renew_seconds`: how often a message at work is hidden anew; a third of the lease unless given."""
        self._worker = worker
        self._lanes = lanes
        self._protection = protection
        self._renew_seconds = renew_seconds or worker.lease_seconds / 3
        self._long_poll_seconds = long_poll_seconds
        self._look_seconds = look_seconds
        self._draining = threading.Event()
        loops = [
            self._take_small if number == 0 and threads > 1 else self._take_both for number in range(threads)
        ]
        self._threads = [
            threading.Thread(target=loop, name=f"slice-{number}", daemon=True)
            for number, loop in enumerate(loops)
        ]

    def drain(self, *_: object) -> None:
        """Take no more messages. Also the handler of SIGTERM."""
        self._draining.set()

    def run(self, grace_seconds: float = GRACE_SECONDS) -> int:
        """Poll until drained; the process's exit code: 1 when a thread died of a defect."""
        for thread in self._threads:
            thread.start()
        next_beat = time.monotonic() + HEARTBEAT_SECONDS
        while not self._draining.wait(1.0):
            if not all(thread.is_alive() for thread in self._threads):
                log.warn(scope="slicer.poller", message="A polling thread died; the task ends")
                break
            self._protection.tick()
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + HEARTBEAT_SECONDS
                beat(self._worker)
        crashed = not self._draining.is_set()
        self._finish(grace_seconds)
        return 1 if crashed else 0

    def _finish(self, grace_seconds: float) -> None:
        self.drain()
        deadline = time.monotonic() + grace_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._worker.stopping.set()
        for thread in self._threads:
            thread.join(10)
        self._protection.end()

    def _take_small(self) -> None:
        while not self._draining.is_set():
            self._take_from(self._lanes.small, self._long_poll_seconds)

    def _take_both(self) -> None:
        small, large = self._lanes.small, self._lanes.large
        in_a_row = 0
        while not self._draining.is_set():
            if in_a_row < SMALL_IN_A_ROW and self._take_from(small, self._look_seconds):
                in_a_row += 1
                continue
            in_a_row = 0
            self._take_from(large, self._look_seconds)

    def _take_from(self, lane: SliceQueue, wait_seconds: int) -> bool:
        """Work on the lane's next message, if one comes within that time; whether one did."""
        try:
            message = lane.receive(self._worker.lease_seconds, wait_seconds)
        except (BotoCoreError, ClientError) as error:
            log.error(scope="slicer.queue", message="The queue does not answer", error=error)
            self._draining.wait(QUEUE_PAUSE_SECONDS)
            return False
        if message and self._draining.is_set():
            lane.change_visibility(message.receipt, 0)
        elif message:
            self._deliver(lane, message)
        return message is not None

    def _deliver(self, lane: SliceQueue, message: Message) -> None:
        with self._protection.held(), self._kept_hidden(lane, message):
            seconds = self._worker.deliver(message.body)
        if seconds is None:
            lane.delete(message.receipt)
        else:
            lane.change_visibility(message.receipt, seconds)

    @contextmanager
    def _kept_hidden(self, lane: SliceQueue, message: Message) -> Iterator[None]:
        """Renew the message's visibility well before it runs out, for as long as the block takes."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(self._renew_seconds):
                lane.change_visibility(message.receipt, self._worker.lease_seconds)

        thread = threading.Thread(target=renew, name="visibility", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(description="Poll the slice queues until SIGTERM.")
    parser.add_argument("--grace-seconds", type=float, default=GRACE_SECONDS)
    parser.add_argument("--renew-seconds", type=float)
    options = parser.parse_args()
    # PID 1 is not ended by a signal that it does not handle. Until it polls, there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = current.read()
    threads = settings.slicer_concurrency
    memory = memory_per_child(sandbox_bytes(os.environ.get("ECS_CONTAINER_METADATA_URI_V4")), threads)
    poller = Poller(
        build_worker(settings, memory),
        slice_queues(settings),
        threads,
        ScaleInProtection(os.environ.get("ECS_AGENT_URI")),
        renew_seconds=options.renew_seconds,
    )
    signal.signal(signal.SIGTERM, poller.drain)
    signal.signal(signal.SIGINT, poller.drain)
    log.info(
        scope="slicer.poller",
        message="Polling",
        data={"threads": threads, "sliceMemoryMb": memory // 1024**2},
    )
    return poller.run(options.grace_seconds)


if __name__ == "__main__":
    sys.exit(main())

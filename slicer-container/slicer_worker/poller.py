"""The Fargate home: SLICER_CONCURRENCY threads that poll the queue.

    python -m slicer_worker.poller [--grace-seconds 90]

SIGTERM ends the polling; running slices have the grace time to finish, then they give their messages back.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from printshop.log import get_logger
from printshop.settings import load_settings
from slicer_worker.queue import Message, SliceQueue, slice_queue
from slicer_worker.start import beat, start_worker
from slicer_worker.worker import SliceWorker

HEARTBEAT_SECONDS = 60
LONG_POLL_SECONDS = 20
QUEUE_PAUSE_SECONDS = 5
GRACE_SECONDS = 90
"""Less than the task's stopTimeout (120 s at most), after which Fargate kills."""

log = get_logger()


class Poller:
    """Threads that take messages one by one and keep them hidden while they work."""

    def __init__(
        self, worker: SliceWorker, queue: SliceQueue, threads: int, wait_seconds: int = LONG_POLL_SECONDS
    ) -> None:
        self._worker = worker
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._draining = threading.Event()
        self._threads = [
            threading.Thread(target=self._poll, name=f"slice-{number}", daemon=True)
            for number in range(threads)
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

    def _poll(self) -> None:
        while not self._draining.is_set():
            try:
                message = self._queue.receive(self._worker.lease_seconds, self._wait_seconds)
            except (BotoCoreError, ClientError) as error:
                log.error(scope="slicer.queue", message="The queue does not answer", error=error)
                self._draining.wait(QUEUE_PAUSE_SECONDS)
                continue
            if message and self._draining.is_set():
                self._queue.show_again(message.receipt, 0)
            elif message:
                self._deliver(message)

    def _deliver(self, message: Message) -> None:
        with self._kept_hidden(message):
            seconds = self._worker.deliver(message.body)
        if seconds is None:
            self._queue.delete(message.receipt)
        else:
            self._queue.show_again(message.receipt, seconds)

    @contextmanager
    def _kept_hidden(self, message: Message) -> Iterator[None]:
        """Renew the message's visibility well before it runs out, for as long as the block takes."""
        lease = self._worker.lease_seconds
        done = threading.Event()

        def renew() -> None:
            while not done.wait(lease / 3):
                self._queue.show_again(message.receipt, lease)

        thread = threading.Thread(target=renew, name="visibility", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(description="Poll the slice queue until SIGTERM.")
    parser.add_argument("--grace-seconds", type=float, default=GRACE_SECONDS)
    options = parser.parse_args()
    settings = load_settings()
    poller = Poller(start_worker(settings), slice_queue(settings), settings.slicer_concurrency)
    signal.signal(signal.SIGTERM, poller.drain)
    signal.signal(signal.SIGINT, poller.drain)
    log.info(scope="slicer.poller", message="Polling", data={"threads": settings.slicer_concurrency})
    return poller.run(options.grace_seconds)


if __name__ == "__main__":
    sys.exit(main())

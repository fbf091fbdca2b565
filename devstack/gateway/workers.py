"""A function's processes: as many as the load needs, each with one invocation at a time."""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from devstack.gateway.application import Function
from devstack.gateway.invocations import (
    MAX_EVENT_BYTES,
    SHUTTING_DOWN,
    Answer,
    EventTooLargeError,
    Invocation,
)
from devstack.processes import Process

__all__ = ["Pool", "Slots", "Worker"]

INIT_SECONDS = 10.0
"""The time that a process has to start, in addition to the function's timeout."""

RETURN_GRACE_SECONDS = 0.05
"""A process that has answered asks for its next invocation within this time; until then no other is started."""


class Worker:
    """One process; the Runtime API knows it by its port."""

    def __init__(self, pool: "Pool", port: int, process: Process) -> None:
        self.pool = pool
        self.port = port
        self.process = process
        self.invocation: Invocation | None = None
        self.next: asyncio.Future[Invocation] | None = None
        self.reported = False
        self.retiring = False
        self.ending = False
        self.idle_since = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def assign(self, invocation: Invocation) -> bool:
        """Give the waiting process its invocation; False if it no longer waits."""
        if self.next is None or self.next.done():
            return False
        self.invocation = invocation
        self.next.set_result(invocation)
        return True


class Slots:
    """The ports of the Runtime API; their number limits the processes of all functions together."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._free = deque(ports)
        self.pools: list[Pool] = []
        self.workers: dict[int, Worker] = {}

    def take(self) -> int | None:
        """A free port, or None when every process is in use."""
        return self._free.popleft() if self._free else None

    def give_back(self, port: int) -> None:
        """Free the port of an ended process; the invocation that has waited longest may start one."""
        self.workers.pop(port, None)
        self._free.append(port)
        for pool in sorted(self.pools, key=Pool.waiting_since):
            pool.dispatch()

    def on_idle(self) -> None:
        """A process became idle; end it if another function needs its port."""
        if not self._free:
            for pool in self.pools:
                pool.dispatch()

    def reclaim(self, wanting: "Pool") -> None:
        """End the process of another function that has been idle longest, unless one is ending already."""
        if any(worker.ending for worker in self.workers.values()):
            return
        idle = [worker for pool in self.pools if pool is not wanting for worker in pool.idle]
        if idle:
            oldest = min(idle, key=lambda worker: worker.idle_since)
            oldest.pool.end(oldest)


class Pool:
    """The processes of one function. All methods belong to the gateway's event loop."""

    def __init__(
        self,
        function: Function,
        slots: Slots,
        start: Callable[[int], Process],
        log: Callable[[str], None],
    ) -> None:
        self.function = function
        self.idle: list[Worker] = []
        self.workers: set[Worker] = set()
        self._slots = slots
        self._start = start
        self._log = log
        self._limit = function.reserved_concurrency
        self._most_starting = max(2, os.cpu_count() or 2)
        self._pending: deque[tuple[float, Invocation]] = deque()
        self._starting: set[Worker] = set()
        self._returning: set[Worker] = set()
        self._endings: set[asyncio.Task[int]] = set()
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()
        slots.pools.append(self)

    async def invoke(self, event: bytes) -> Answer:
        """Run the function once, as soon as a process is free. Raises EventTooLargeError."""
        if len(event) > MAX_EVENT_BYTES:
            raise EventTooLargeError(f"{len(event)} bytes")
        if self._closed:
            return SHUTTING_DOWN
        invocation = Invocation(event, asyncio.get_running_loop().create_future())
        self._pending.append((time.monotonic(), invocation))
        self.dispatch()
        return await invocation.answer

    def waiting_since(self) -> float:
        """The time at which the oldest waiting invocation came; infinity if none waits."""
        return self._pending[0][0] if self._pending else float("inf")

    def dispatch(self) -> None:
        """Assign waiting invocations to idle processes, and start processes for the rest."""
        while self._pending and self.idle:
            worker = self.idle.pop()
            invocation = self._pending[0][1]
            if worker.assign(invocation):
                self._pending.popleft()
                self._set_deadline(worker, invocation)
        missing = len(self._pending) - len(self._starting) - len(self._returning)
        while missing > 0 and not self._closed and len(self._starting) < self._most_starting:
            if self._limit is not None and len(self.workers) >= self._limit:
                return
            port = self._slots.take()
            if port is None:
                self._slots.reclaim(self)
                return
            self._launch(port)
            missing -= 1

    def _launch(self, port: int) -> None:
        worker = Worker(self, port, self._start(port))
        self.workers.add(worker)
        self._empty.clear()
        self._starting.add(worker)
        self._slots.workers[port] = worker
        loop = asyncio.get_running_loop()
        ended = os.pidfd_open(worker.process.pid)
        loop.add_reader(ended, self._on_exit, worker, ended)
        worker.timer = loop.call_later(INIT_SECONDS + self.function.timeout, self._on_init_timeout, worker)

    def _set_deadline(self, worker: Worker, invocation: Invocation) -> None:
        invocation.deadline_ms = int((time.time() + self.function.timeout) * 1000)
        worker.timer = asyncio.get_running_loop().call_later(self.function.timeout, self._on_deadline, worker)

    # ---- events of the Runtime API

    def on_next(self, worker: Worker) -> asyncio.Future[Invocation]:
        """The process is ready; returns a future of its next invocation, cancelled when there will be none."""
        _stop_timer(worker)
        self._starting.discard(worker)
        self._returning.discard(worker)
        worker.next = asyncio.get_running_loop().create_future()
        if worker.ending:
            worker.next.cancel()
        else:
            worker.idle_since = time.monotonic()
            self.idle.append(worker)
            self.dispatch()
            self._slots.on_idle()
        return worker.next

    def on_answer(self, worker: Worker, request_id: str, answer: Answer) -> bool:
        """The process has answered; False if no invocation waits for that answer any more."""
        invocation = worker.invocation
        if invocation is None or invocation.request_id != request_id:
            return False
        _stop_timer(worker)
        worker.invocation = None
        self._settle(invocation, answer)
        if worker.retiring:
            self.end(worker)
        else:
            self._returning.add(worker)
            worker.timer = asyncio.get_running_loop().call_later(
                RETURN_GRACE_SECONDS, self._on_grace_over, worker
            )
        return True

    def on_init_error(self, worker: Worker, answer: Answer) -> None:
        """The process could not load its handler: the invocation that it was started for fails."""
        worker.reported = True
        self._starting.discard(worker)
        self._fail_oldest(answer)

    def on_disconnect(self, worker: Worker) -> None:
        """The process closed its connection while it waited: it gets no more invocations."""
        if worker in self.idle:
            self.idle.remove(worker)

    # ---- events of timers and of the operating system

    def _on_grace_over(self, worker: Worker) -> None:
        self._returning.discard(worker)
        self.dispatch()

    def _on_deadline(self, worker: Worker) -> None:
        invocation, worker.invocation = worker.invocation, None
        if invocation is not None:
            seconds = self.function.timeout
            message = f"RequestId: {invocation.request_id} Error: Task timed out after {seconds:.2f} seconds"
            self._log(message)
            self._settle(invocation, Answer.error("Sandbox.Timedout", message))
        self.end(worker)

    def _on_init_timeout(self, worker: Worker) -> None:
        self._log(
            message := f"Error: Init timed out after {INIT_SECONDS + self.function.timeout:.2f} seconds"
        )
        self.on_init_error(worker, Answer.error("Sandbox.Timedout", message))
        self.end(worker)

    def _on_exit(self, worker: Worker, ended: int) -> None:
        asyncio.get_running_loop().remove_reader(ended)
        os.close(ended)
        status = worker.process.poll()
        _stop_timer(worker)
        was_starting = worker in self._starting
        self._forget(worker)
        invocation, worker.invocation = worker.invocation, None
        if invocation is not None:
            message = (
                f"RequestId: {invocation.request_id} Error: Runtime exited with error: {_reason(status)}"
            )
            self._log(message)
            self._settle(invocation, Answer.error("Runtime.ExitError", message))
        elif was_starting and not worker.reported and not worker.ending:
            self._log(message := f"Error: Runtime exited with error: {_reason(status)}")
            self._fail_oldest(Answer.error("Runtime.ExitError", message))
        self.workers.discard(worker)
        if not self.workers:
            self._empty.set()
        self._slots.give_back(worker.port)

    def process_ids(self) -> list[int]:
        """The ids of the processes that run the function, oldest first."""
        parents = sorted(worker.process.pid for worker in self.workers)
        return [pid for parent in parents for pid in _children(parent)[:1]]

    # ---- ending

    def recycle(self) -> None:
        """End the idle processes now, and each busy one after its invocation."""
        for worker in list(self.workers):
            worker.retiring = True
            if worker.invocation is None:
                self.end(worker)

    def end(self, worker: Worker) -> None:
        """End one process and everything that it started."""
        worker.ending = True
        self._forget(worker)
        ending = asyncio.get_running_loop().create_task(asyncio.to_thread(worker.process.stop, 5.0))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        """End every process; running invocations fail, and none starts any more."""
        self._closed = True
        while self._pending:
            self._fail_oldest(SHUTTING_DOWN)
        for worker in list(self.workers):
            self.end(worker)
        await asyncio.gather(*self._endings)
        await self._empty.wait()

    def _forget(self, worker: Worker) -> None:
        self._starting.discard(worker)
        self._returning.discard(worker)
        self.on_disconnect(worker)
        if worker.next is not None:
            worker.next.cancel()

    def _fail_oldest(self, answer: Answer) -> None:
        if self._pending:
            self._settle(self._pending.popleft()[1], answer)

    @staticmethod
    def _settle(invocation: Invocation, answer: Answer) -> None:
        if not invocation.answer.done():
            invocation.answer.set_result(answer)


def _stop_timer(worker: Worker) -> None:
    if worker.timer is not None:
        worker.timer.cancel()
        worker.timer = None


def _reason(status: int | None) -> str:
    if status is not None and status > 128:
        return "signal: killed" if status == 137 else f"signal: {status - 128}"
    return f"exit status {status}"


def _children(parent: int) -> list[int]:
    """The process ids of a process's children, oldest first."""
    found: list[tuple[int, int]] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                # After the program's name in brackets: state, parent, …, and the start time as the 22nd field.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.append((int(fields[19]), int(folder.name)))
    return [pid for _, pid in sorted(found)]

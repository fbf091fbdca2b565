"""Starts child processes that never outlive the program that started them.

    server = start(["node", "server.mjs"], env={"PORT": "4000"}, log=run_dir / "server.log")
    wait_for(lambda: server.running() and answers(url), 10, "the server")
    server.stop()

Each child leads a process group of its own. One watchdog process per program holds the read end of a pipe;
when the program ends in any way, `kill -9` included, the pipe closes and the watchdog ends every group.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

__all__ = ["Process", "ProcessError", "free_port", "start", "wait_for"]


class ProcessError(RuntimeError):
    """A child has ended unexpectedly; the message contains the end of its log."""


class Process:
    """A running child and everything in its process group."""

    def __init__(
        self, name: str, child: subprocess.Popen[bytes], log: Path, stop_signal: signal.Signals
    ) -> None:
        self.pid = child.pid
        self.log = log
        self._name = name
        self._child = child
        self._stop_signal = stop_signal
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit status (negative: the signal that ended it), or None while it runs."""
        with self._lock:
            if self._child.returncode is None and self._has_exited():
                # Before the leader is reaped: until then the group's number cannot be used again.
                self._signal(signal.SIGKILL)
                self._child.wait()
                _watchdog.release(self.pid)
            return self._child.returncode

    def running(self) -> bool:
        """True while the child runs; ProcessError with the end of its log once it has ended."""
        status = self.poll()
        if status is not None:
            raise ProcessError(f"{self._name} ended with status {status}:\n{self.log_tail()}")
        return True

    def stop(self, timeout: float = 10.0) -> int:
        """Ask the child to end, kill its group after `timeout` seconds; returns the exit status."""
        if self.poll() is None:
            self._signal(self._stop_signal)
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                return self.kill()
            time.sleep(0.01)
        return status

    def kill(self) -> int:
        """End the whole group at once (SIGKILL); returns the exit status."""
        if self.poll() is None:
            self._signal(signal.SIGKILL)
        while (status := self.poll()) is None:
            time.sleep(0.005)
        return status

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the child's log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _has_exited(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


def start(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path | None = None,
    user: str | int | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Process:
    """Start a program with exactly the environment `env`, its output appended to `log`, its input closed.

    `user` (name or number; root only) also drops the group and all supplementary groups.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(part) for part in argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            user=user,
            group=None if user is None else _group_of(user),
            extra_groups=None if user is None else [],
        )
    _watchdog.watch(child.pid)
    return Process(str(argv[0]), child, log, stop_signal)


def free_port() -> int:
    """A free TCP port on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for[T](check: Callable[[], T], timeout: float, what: str) -> T:
    """Call `check` until its result is true and return that; TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.01
    while not (answer := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready within {timeout:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    return answer


def _group_of(user: str | int) -> int:
    import pwd  # noqa: PLC0415  (the watchdog, this file run as a script, starts without it)

    account = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
    return account.pw_gid


class _Watchdog:
    """The parent's end of the pipe: `+pgid` adds a group, `-pgid` removes it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: IO[bytes] | None = None
        self._lock = threading.Lock()

    def watch(self, group: int) -> None:
        self._send(f"+{group}\n")

    def release(self, group: int) -> None:
        self._send(f"-{group}\n")

    def _send(self, line: str) -> None:
        with self._lock:
            pipe = self._pipe or self._open()
            pipe.write(line.encode())
            pipe.flush()

    def _open(self) -> IO[bytes]:
        # In its own session, so that Ctrl-C in the terminal does not reach it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True
        )
        self._pipe = self._process.stdin
        atexit.register(self._close)
        return cast("IO[bytes]", self._pipe)

    def _close(self) -> None:
        """Make the watchdog end the remaining groups, and wait for it."""
        with self._lock:
            if self._process is not None and self._pipe is not None:
                self._pipe.close()
                self._process.wait()


_watchdog = _Watchdog()


def _run_watchdog() -> None:
    """The watchdog: read until the parent has ended, then end every remaining group."""
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    deadline = time.monotonic() + 3
    _signal_all(groups, signal.SIGTERM)
    while time.monotonic() < deadline and _signal_all(groups, 0):
        time.sleep(0.02)
    _signal_all(groups, signal.SIGKILL)


def _signal_all(groups: set[int], number: int) -> bool:
    """Signal each group; True if any of them still exists."""
    alive = False
    for group in groups:
        try:
            os.killpg(group, number)
            alive = True
        except ProcessLookupError:
            continue
    return alive


if __name__ == "__main__":
    _run_watchdog()

"""One foreign program, run inside a fence: what a container would give, where there are no containers.

The program gets an empty environment (and a home in the scratch folder), closed standard input, limits on
memory, CPU, file size and core dumps, no capability and no way to gain one, a process group of its own, and dies
with the thread that started it. This process is made undumpable first, so that its environment and memory (with
the service key) cannot be read from /proc by a program of the same user.

That closes no other process of this user's, so none may hold what is secret. The Fargate task has none: its PID 1
is the worker itself. On Lambda PID 1 is AWS's init, and all that is known is what others saw: in 2018 (a listing
in lambci's docker-lambda) it ran as the function's user, and /proc/1/environ gave Lambda's variables without the
credentials; in June 2025 (a snapshot of AWS's answer in localstack's pull request 12736) the file was refused. AWS
promises neither, and what its memory holds is not known here.

The fence is made by util-linux's setpriv and prlimit and coreutils' stdbuf, each of which becomes the next, so
that nothing of Python runs between fork and exec in a process that has threads.
"""

import contextlib
import ctypes
import os
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_TAIL_LINES = 40
_LINE_CHARACTERS = 400
_TICK_SECONDS = 1.0
_SWEEP_SECONDS = 5.0
_PAUSE_SECONDS = 0.005

_process_lock = threading.Lock()
"""Held where a program is started and where processes are reaped: meanwhile no number becomes another's."""
_running: set[int] = set()
"""The leaders of all threads that are not reaped yet."""

MEMORY_BYTES = 4 * 1024**3
"""Address space of the program unless the caller says otherwise; some 300 MB more than resident memory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may take."""

    timeout_s: float
    memory_bytes: int = MEMORY_BYTES
    file_bytes: int = 1024**3
    processors: int = os.cpu_count() or 1

    @property
    def cpu_seconds(self) -> int:
        return int(self.timeout_s * self.processors) + 5


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How the program ended. `code` is its exit code, or minus the signal that ended it."""

    code: int
    timed_out: bool
    stopped: bool
    tail: str
    """The last lines that it printed, both streams together."""


def make_undumpable() -> None:
    """Close this process's /proc entries (environment, memory) to others of the same user, and dump no core."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def become_subreaper() -> None:
    """Become, as PID 1 is by itself, the parent of each process below this one whose own parent has ended.

    Then run_sandboxed can end what has left its program's group.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_sandboxed(
    command: Sequence[str],
    *,
    scratch: Path,
    limits: Limits,
    on_line: Callable[[str], None] | None = None,
    keep_going: Callable[[], bool] | None = None,
) -> ProcessResult:
    """Run `command` in `scratch` until it ends, its time is over, or `keep_going` (asked once a second) says no.

    Whatever the outcome, every process of its group is killed on return. In a process that adopts orphans, so are
    those that have left the group, and none stays a zombie. What outruns the killing for five seconds by forking
    is left to the end of the next run.
    """
    child, output = _start(command, scratch, limits)
    # A timer, so that a slow answer to keep_going cannot stretch the program's time.
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill_group(child)

    timer = threading.Timer(limits.timeout_s, expire)
    timer.daemon = True
    timer.start()
    try:
        tail, stopped = _follow(child, output, expired, on_line, keep_going)
    finally:
        timer.cancel()
        timer.join()
        os.close(output)
        code = _end(child)
    timed_out = expired.is_set() and code == -signal.SIGKILL
    return ProcessResult(code=code, timed_out=timed_out, stopped=stopped, tail=tail)


def _start(command: Sequence[str], scratch: Path, limits: Limits) -> "tuple[subprocess.Popen[bytes], int]":
    """The program, running, and the descriptor of its output."""
    make_undumpable()
    output, its_output = os.pipe()
    try:
        with _process_lock:
            child = subprocess.Popen(
                [*_fence(limits), *command],
                cwd=scratch,
                env={"LC_ALL": "C.UTF-8", "HOME": str(scratch), "TMPDIR": str(scratch)},
                stdin=subprocess.DEVNULL,
                stdout=its_output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            _running.add(child.pid)
    except OSError:
        os.close(output)
        raise
    finally:
        os.close(its_output)
    return child, output


def _fence(limits: Limits) -> list[str]:
    fence = ["setpriv", "--no-new-privs", "--pdeathsig=KILL"]
    if os.geteuid() == 0:
        # Only root has capabilities to lose; with them it could read this process after all.
        fence += ["--inh-caps=-all", "--bounding-set=-all"]
    fence += [
        "prlimit",
        f"--as={limits.memory_bytes}",
        f"--cpu={limits.cpu_seconds}",
        f"--fsize={limits.file_bytes}",
        "--core=0",
    ]
    # Into a pipe, a C program prints in blocks of 4 kB: the progress would arrive when all is over.
    return [*fence, "stdbuf", "--output=L"]


def _follow(
    child: "subprocess.Popen[bytes]",
    output: int,
    expired: threading.Event,
    on_line: Callable[[str], None] | None,
    keep_going: Callable[[], bool] | None,
) -> tuple[str, bool]:
    """Read the output to its end, or its time's: (its last lines, whether `keep_going` ended it)."""
    lines: deque[str] = deque(maxlen=_TAIL_LINES)
    rest = b""
    next_tick = time.monotonic() + _TICK_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            readable = selector.select(max(0.0, next_tick - time.monotonic()))
            if readable:
                data = os.read(output, 65536)
                *whole, rest = (rest + data).split(b"\n")
                for line in whole if data else [*whole, rest]:
                    _take(line, lines, on_line)
                if not data:
                    # It may close its output before it ends.
                    while not _has_ended(child) and not expired.wait(_PAUSE_SECONDS):
                        pass
                    return _text(lines), False
                rest = rest[-_LINE_CHARACTERS:]
            elif _has_ended(child):
                # The leader is gone and the pipe is quiet: a straggler holds it open. The group is killed next.
                _take(rest, lines, on_line)
                return _text(lines), False
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + _TICK_SECONDS
                if expired.is_set():
                    # What has left the group may go on printing, or keep the ended leader by tracing it.
                    return _text(lines), False
                if keep_going and not keep_going():
                    return _text(lines), True


def _take(line: bytes, lines: deque[str], on_line: Callable[[str], None] | None) -> None:
    text = line[:_LINE_CHARACTERS].decode("utf-8", "replace").rstrip()
    if text:
        lines.append(text)
        if on_line:
            on_line(text)


def _text(lines: deque[str]) -> str:
    return "\n".join(lines)


def _has_ended(child: "subprocess.Popen[bytes]") -> bool:
    """Whether the leader has ended, without reaping it: until then its group's number cannot be another's."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _end(child: "subprocess.Popen[bytes]") -> int:
    """Kill and reap the program, its group and whatever has left that; its exit code."""
    with _process_lock:
        _kill_group(child)
        deadline = time.monotonic() + _SWEEP_SECONDS
        # Each death may hand us its children. None is waited for alone: one that is traced by another would not come.
        while time.monotonic() < deadline:
            has_ended = child.poll() is not None
            orphans = _orphans()
            if has_ended and not orphans:
                break
            for pid in orphans:
                os.kill(pid, signal.SIGKILL)
            time.sleep(_PAUSE_SECONDS)
            for pid in orphans:
                os.waitpid(pid, os.WNOHANG)
        code = child.wait()
        _running.discard(child.pid)
    return code


def _orphans() -> list[int]:
    """The adopted processes from behind any fence.

    Which run one comes from is not asked: while it runs, an honest program has no orphans.
    """
    return [pid for pid in _children() if pid not in _running and _is_fenced(pid)]


def _children() -> list[int]:
    own = os.getpid()
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if _parent_of(pid) == own]


def _parent_of(pid: int) -> int:
    try:
        # The program's name, in brackets, may hold anything.
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _is_fenced(pid: int) -> bool:
    """Whether the process is under a fence's limit of CPU: all inherit it, and nobody behind a fence can lift it.

    It tells them from children of this process's own.
    """
    try:
        _, limit = resource.prlimit(pid, resource.RLIMIT_CPU)
    except PermissionError:  # another user's: from behind a fence nobody becomes one
        return False
    return limit != resource.getrlimit(resource.RLIMIT_CPU)[1]

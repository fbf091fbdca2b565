"""Runs one process of a function so that everything it started ends with it.

    python -I -S process_box.py [--opt FOLDER] -- PROGRAM ARGUMENT…

Lambda ends a whole virtual machine, and with it the browser or slicer that a function had started, in any process
group. Here this program is a child subreaper: it becomes the parent of every orphan below it, and kills what is left
when the function's process ends, or on SIGTERM. With `--opt` the program sees FOLDER, read-only, as its own
/opt (needs root and a mount namespace). Standard library only, and little of that: it runs for every process.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18

WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Run the program to its end; returns its exit status, or 128 + the number of the signal that ended it."""
    split = arguments.index("--")
    options, program = arguments[:split], arguments[split + 1 :]
    _check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options:
        _mount_as_opt(options[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    child = os.posix_spawn(program[0], program, os.environ, setsigmask=[])
    status = _wait(child)
    _end_children()
    return status


def _mount_as_opt(folder: str) -> None:
    os.unshare(os.CLONE_NEWNS)
    _mount("none", "/", MS_REC | MS_PRIVATE)
    _mount(folder, "/opt", MS_BIND)
    _mount(folder, "/opt", MS_BIND | MS_REMOUNT | MS_RDONLY)


def _mount(source: str, target: str, flags: int) -> None:
    _check(_libc.mount(source.encode(), target.encode(), None, flags, None), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _wait(child: int) -> int:
    """Reap children until the program has ended or a signal arrives."""
    while (number := signal.sigwait(WATCHED)) == signal.SIGCHLD:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if pid == 0:
                break
    return 128 + number


def _end_children() -> None:
    """Kill and reap until no child is left; each death may make us the parent of orphans."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    own = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent_of(name) == own]  # noqa: PTH208


def _parent_of(name: str) -> int:
    try:
        with open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123
            # The program's name, in brackets, may contain any character.
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

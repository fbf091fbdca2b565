"""Which process is at the other end of a connection, what it has started, and where it works, read from /proc."""

import contextlib
import os
import re
import signal
import tempfile
from collections.abc import Iterable
from pathlib import Path


def owner_of(port: int, among: Iterable[int]) -> int | None:
    """Which of these processes holds the end of a TCP connection that has this local port.

    None when that cannot be seen: a process that closed its /proc entries shows them to root alone.
    """
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = {
        f"socket:[{fields[9]}]"
        for line in lines
        if int((fields := line.split())[1].split(":")[1], 16) == port
    }
    for pid in among:
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(entry.readlink()) in sockets:
                        return pid
    return None


def slicers_of(worker: int) -> list[int]:
    """The slicer processes that this worker runs now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if (
                int(parent) == worker
                and state != "Z"
                and b"--export-gcode" in (process / "cmdline").read_bytes()
            ):
                found.append(int(process.name))
    return found


def scratch_folders_of(workers: Iterable[int]) -> set[Path]:
    """The scratch folders that these workers hold locked."""
    locks = re.findall(r"FLOCK +\S+ +WRITE (\d+) \S+:(\d+) ", Path("/proc/locks").read_text())
    inodes = {int(inode) for pid, inode in locks if int(pid) in set(workers)}
    folders = set()
    for folder in Path(tempfile.gettempdir()).glob("slice-*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_ino in inodes:
                folders.add(folder)
    return folders


def kill(*processes: int) -> None:
    """End these at once (SIGKILL)."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

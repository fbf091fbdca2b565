"""Programs in a process namespace of their own, where the first is PID 1 as in a container."""

import subprocess
from pathlib import Path

import pytest

ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Before a command: it becomes PID 1, and /proc shows what it starts alone."""

needs_own_processes = pytest.mark.skipif(
    subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode != 0,
    reason="a namespace of processes is root's to make",
)


def first_inside(unshare: int) -> int:
    """PID 1's number as it is seen from here."""
    (pid,) = [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if stat.read_text().rpartition(")")[2].split()[1] == str(unshare)
    ]
    return pid

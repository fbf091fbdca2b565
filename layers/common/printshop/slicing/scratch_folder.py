"""A folder per job, gone when the job is, and swept later when its worker was killed.

Lambda and local machines start the next worker over the same /tmp: a lock on each folder tells the leftovers of
a dead process from the work of a live one.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "slice-"


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new empty folder, readable by this user only, removed with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep_scratch(parent: Path | None = None) -> int:
    """Remove the folders that killed workers left behind; return how many."""
    swept = 0
    for folder in (parent or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's folder, or one that its owner just removed
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                swept += 1
            finally:
                os.close(lock)
    return swept


def is_writable(folder: Path | None = None) -> bool:
    """Whether a file can be made in the temp folder: what the heartbeat reports as `tmpWritable`."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError:
        return False
    return True

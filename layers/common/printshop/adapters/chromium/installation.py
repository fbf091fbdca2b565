"""Where the browser is: found in the layer, named by CHROMIUM_BIN, or on PATH; unpacked once per environment."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from printshop.kernel.errors import Unavailable
from printshop.kernel.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYER: Final = Path("/opt/chromium")
"""Where Lambda lays the Chromium layer out."""

PACKED: Final = "chromium.zst"
NAMES_ON_PATH: Final = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)

_UNPACKER: Final = Path(__file__).with_name("unpack.py")

log = get_logger()


@dataclass(frozen=True, slots=True)
class Chromium:
    """A browser that can be started, once `unpack()` has seen to a packed one.

    `source` is the executable, or the layer's `chromium.zst` with libraries and fonts beside it.
    """

    source: Path
    version: str
    """Names the renderer in a PDF's cache key: the package's version, or the executable's size and time."""

    @property
    def is_packed(self) -> bool:
        return self.source.name.endswith(".zst")

    @property
    def libraries(self) -> Path | None:
        """The folder of the system libraries that come with a packed browser."""
        folder = self.source.parent / "lib"
        return folder if self.is_packed and folder.is_dir() else None

    @property
    def fonts(self) -> Path | None:
        """The fontconfig file that comes with a packed browser; None means the system's fonts."""
        file = self.source.parent / "fonts.conf"
        return file if self.is_packed and file.is_file() else None

    def unpack(self, workspace: Path) -> Path:
        """The executable; a packed browser is unpacked below `workspace`, by whichever process comes first.

        Raises Unavailable RENDERER_UNAVAILABLE when it cannot be unpacked.
        """
        if not self.is_packed:
            return self.source
        try:
            executable = workspace / f"chromium-{self.version}-{self.source.stat().st_size}"
            if executable.is_file():
                return executable
            with _locked(workspace / "unpack.lock"):
                if not executable.is_file():
                    _remove_others(executable)
                    _unpack(self.source, executable)
        except OSError as error:
            raise _unavailable(f"Chromium cannot be unpacked: {error}") from error
        return executable


def find_chromium(chromium_bin: str | None, *, layer: Path = LAYER) -> Chromium:
    """The browser to print with: the layer's, else CHROMIUM_BIN's, else one on PATH.

    `chromium_bin` is an executable, or a `chromium.zst` laid out as the layer is (layers/chromium/install.sh).
    Raises Unavailable RENDERER_UNAVAILABLE when there is none.
    """
    if (layer / PACKED).is_file():
        return _described(layer / PACKED)
    if chromium_bin:
        named = shutil.which(chromium_bin) or chromium_bin
        if Path(named).is_file():
            return _described(Path(named).absolute())
        log.warn(scope="pdf.chromium", message="CHROMIUM_BIN names no file", data={"path": chromium_bin})
    for name in NAMES_ON_PATH:
        if found := shutil.which(name):
            return _described(Path(found))
    raise _unavailable("no Chromium in the layer, in CHROMIUM_BIN or on PATH")


def make_workspace(root: Path | None = None) -> Path:
    """This user's private folder below the temp folder, for the unpacked browser and its profiles.

    Raises Unavailable RENDERER_UNAVAILABLE when the folder is another user's (a browser in it could be theirs).
    """
    folder = (root or Path(tempfile.gettempdir())) / f"printshop-pdf-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise _unavailable(f"the temp folder cannot be written: {error}") from error
    if status.st_uid != os.geteuid() or folder.is_symlink():
        raise _unavailable(f"{folder} belongs to another user")
    return folder


def _described(source: Path) -> Chromium:
    stamp = source.parent / "VERSION"
    if source.name.endswith(".zst") and stamp.is_file():
        return Chromium(source, stamp.read_text().strip())
    status = source.stat()
    return Chromium(source, f"{source.name}-{status.st_size}-{int(status.st_mtime)}")


def _unpack(packed: Path, executable: Path) -> None:
    """Stream, then rename: a half-written browser is never found under the executable's name."""
    partial = executable.with_name(f"{executable.name}.part")
    try:
        done = subprocess.run(
            [sys.executable, "-S", str(_UNPACKER), str(packed), str(partial)],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OSError(done.stderr.strip()[-300:] or f"it ended with {done.returncode}")
        size = partial.stat().st_size
        partial.chmod(0o700)
        partial.replace(executable)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    log.info(scope="pdf.unpack", message="Chromium unpacked", data={"path": str(executable), "bytes": size})


def _remove_others(executable: Path) -> None:
    """Drop what earlier releases and interrupted unpackings left, so that the temp folder stays bounded.

    A browser that still runs from a removed file keeps running.
    """
    for other in executable.parent.glob("chromium-*"):
        if other != executable:
            other.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> "Iterator[None]":
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unavailable(reason: str) -> Unavailable:
    return Unavailable("RENDERER_UNAVAILABLE", f"PDFs cannot be made: {reason}.")

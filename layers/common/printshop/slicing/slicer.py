"""The slicer program on this machine: found once per process and asked for its version and abilities.

find_slicer("prusaslicer")   # Slicer(binary="/usr/bin/prusa-slicer", product="PrusaSlicer", version=(2, 9, 2), …)
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from printshop.slicing.failures import SliceFailed

DEFAULT_BINARY = "prusaslicer"
_DEBIAN_BINARY = "prusa-slicer"
_HELP_TIMEOUT_SECONDS = 30
_LOGGED_CHARACTERS = 400

_PRODUCT = re.compile(r"\b(PrusaSlicer|Slic3r)[- ](\d+)\.(\d+)(?:\.(\d+))?")
_SUPPORT_STYLES = re.compile(r"--support-material-style\b.*?\(([^()]*);\s*default:", re.S)


@dataclass(frozen=True, slots=True)
class Slicer:
    """A slicer binary and what it can do.

    Slic3r 1.3 reads the same profiles and ignores the keys that it does not know, so its walls and skins are close
    to PrusaSlicer's, not equal. It has no tree supports, does not check the bed's size and writes no print time: its
    slices end as `NO_STATISTICS`, and the shop prices them.
    """

    binary: str
    product: Literal["PrusaSlicer", "Slic3r"]
    version: tuple[int, int, int]
    support_styles: frozenset[str] = frozenset()
    has_binary_gcode: bool = False

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


@lru_cache(maxsize=4)
def find_slicer(binary: str = DEFAULT_BINARY) -> Slicer:
    """The slicer that SLICER_BIN names. Its help texts are read once per process.

    Raises SliceFailed SLICER_MISSING when there is no such program, or it is not a slicer.
    """
    path = shutil.which(binary) or (shutil.which(_DEBIAN_BINARY) if binary == DEFAULT_BINARY else None)
    if path is None:
        raise _missing("it is not installed", f"{binary} is not on PATH")
    help_text = _read_help(path, "--help")
    product = _PRODUCT.search(help_text)
    if product is None:
        raise _missing("it is another program", f"{path} says: {help_text[:_LOGGED_CHARACTERS]}")
    version = (int(product[2]), int(product[3]), int(product[4] or 0))
    if product[1] == "Slic3r":
        return Slicer(path, "Slic3r", version)
    options = _read_help(path, "--help-fff")
    styles = _SUPPORT_STYLES.search(options)
    return Slicer(
        path,
        "PrusaSlicer",
        version,
        support_styles=frozenset(re.findall(r"\w+", styles[1])) if styles else frozenset(),
        has_binary_gcode="--binary-gcode" in options,
    )


def _read_help(path: str, option: str) -> str:
    """The binary's help text. No sandbox is needed: no customer's data is involved."""
    try:
        finished = subprocess.run(
            [path, option],
            env={"LC_ALL": "C.UTF-8", "HOME": "/tmp"},  # noqa: S108
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_HELP_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing("it does not run", f"{path}: {error}") from error
    return finished.stdout.decode("utf-8", "replace")


def _missing(reason: str, detail: str) -> SliceFailed:
    """`detail` may name paths, so it goes to the log, which only the shop reads."""
    message = f"The slicer is not available ({reason}); tell the shop, and try again later."
    return SliceFailed("SLICER_MISSING", message, can_retry=True, log_tail=f"SLICER_BIN: {detail}")

"""Write NOTICE: every package that the bundle ships, with its licence, as the installed metadata states it.

    python -m scripts.notice [--check]

`--check` writes nothing and fails when NOTICE is not what would be written.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTICE = ROOT / "NOTICE"
SHIPPED = (
    "layers/common/requirements.txt",
    "layers/chromium/requirements.txt",
    "functions/*/requirements.txt",
    "slicer-container/requirements.txt",
)
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)

HEAD = """\
printshop ships, or runs, the following works of others. Each keeps its own licence.

Programs
--------
PrusaSlicer          AGPL-3.0-only. In the slicer's image, as Debian packages it, unchanged, run as its own program.
                     Licence: /usr/share/doc/prusa-slicer/copyright in the image. Source: Debian's source package of
                     the same version; `dpkg-query -W prusa-slicer` in the image names the version, and with source
                     packages enabled `apt-get source prusa-slicer=VERSION` fetches it.
Debian, Python       The licences in the image below /usr/share/doc.
Chromium             BSD-3-Clause and the licences that chrome://credits lists. In the Chromium layer, packed by
                     @sparticuz/chromium (MIT).

Typefaces (SIL Open Font License 1.1, each with its licence in the Chromium layer, fonts/LICENSE-*)
---------
Source Sans 3, Source Serif 4, Noto Sans Arabic, Noto Sans Devanagari, Noto Sans Hebrew, Noto Sans KR, Noto Sans SC,
Noto Sans Symbols, Noto Sans Symbols 2, Noto Sans Thai, Noto Emoji

Python packages (in the layers, the functions and the slicer's image)
---------------
"""


def shipped_packages() -> dict[str, str]:
    """Name → version of every package in the requirement files of what is deployed."""
    files = (file for pattern in SHIPPED for file in sorted(ROOT.glob(pattern)))
    return dict(sorted(pin for file in files for pin in PIN.findall(file.read_text())))


def licence(package: Distribution) -> str:
    """The licence that the package's metadata states, the shortest form first."""
    metadata = package.metadata
    classifiers = [
        value.rpartition(" :: ")[2]
        for value in metadata.get_all("Classifier", [])
        if value.startswith("License ::")
    ]
    return (
        metadata.get("License-Expression")
        or ", ".join(classifiers)
        or metadata.get("License")
        or "see the package"
    )


def lines() -> Iterator[str]:
    for name, version in shipped_packages().items():
        yield f"{name:<32} {version:<12} {licence(distribution(name))}"


def main() -> int:
    wanted = HEAD + "\n".join(lines()) + "\n"
    if "--check" not in sys.argv[1:]:
        NOTICE.write_text(wanted)
    elif not NOTICE.exists() or NOTICE.read_text() != wanted:
        print("NOTICE is not up to date: run make notice", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs mypy over the tree: once for all, and once more for each function whose modules import each other.

Lambda puts a function's folder on the path, so `functions/invoices/app.py` imports its neighbours as top-level
modules. In one run, `app` of two such folders would clash.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = [
    "layers/common/printshop",
    "slicer-container/slicer_worker",
    "devstack",
    "scripts",
    "tests",
    "benchmarks",
]


def main() -> int:
    folders = sorted(app.parent for app in ROOT.glob("functions/*/app.py"))
    alone = [folder for folder in folders if not _has_neighbours(folder)]
    passed = [_checks([*SHARED, *(str(folder.relative_to(ROOT)) for folder in alone)])]
    for folder in folders:
        if folder not in alone:
            passed.append(_checks([str(folder.relative_to(ROOT))], import_from=str(folder)))
    return int(not all(passed))


def _has_neighbours(folder: Path) -> bool:
    return len(list(folder.glob("*.py"))) > 1


def _checks(paths: list[str], import_from: str = "") -> bool:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *paths]
    environment = {**os.environ, "MYPYPATH": import_from}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())

"""mypy over the tree. Each function's folder is a program of its own, so each is checked by itself."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    shared = ["layers/common/printshop", "slicer-container/slicer_worker", "local", "tests", "benchmarks"]
    failed = [not _checks(shared)]
    for app in sorted(ROOT.glob("functions/*/app.py")):
        folder = app.parent.relative_to(ROOT)
        failed.append(not _checks([str(path) for path in sorted(app.parent.glob("*.py"))], str(folder)))
    return int(any(failed))


def _checks(paths: list[str], import_from: str = "") -> bool:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *paths]
    environment = {**os.environ, "MYPYPATH": import_from}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())

"""mypy over the tree. Each function's `app.py` is a program of its own, so each is checked by itself."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    functions = sorted(ROOT.glob("functions/*/app.py"))
    groups = [["layers/common/printshop", "slicer-container/slicer_worker", "local", "tests", "benchmarks"]]
    groups += [[str(path.relative_to(ROOT))] for path in functions]
    failed = [
        group
        for group in groups
        if subprocess.run(
            [sys.executable, "-m", "mypy", "--no-error-summary", *group], cwd=ROOT, check=False
        ).returncode
    ]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

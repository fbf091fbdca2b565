"""Import time of each handler against the bare stack that every one of them stands on.

Rival: `python -c "import fastapi, mangum; from aws_lambda_powertools import Logger; Logger()"`, compiled, in the same
run, alternating; the median of each.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 9
BARE = "import fastapi, mangum; from aws_lambda_powertools import Logger; Logger()"
TIMED = """
import sys, time
began = time.perf_counter()
{code}
print(time.perf_counter() - began)
"""
ENVIRONMENT = {
    "NEXT_PUBLIC_SUPABASE_URL": "http://127.0.0.1:1",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "unused",
    "SUPABASE_SERVICE_ROLE_KEY": "unused",
    "SLICE_QUEUE_URL": "http://127.0.0.1:1/queue",
    "LARGE_SLICE_QUEUE_URL": "http://127.0.0.1:1/large",
    "AWS_DEFAULT_REGION": "ap-southeast-2",
    "PYTHONPATH": str(ROOT / "layers" / "common"),
    "PATH": os.environ["PATH"],
}


def import_seconds(code: str, folder: Path) -> float:
    """Seconds that `code` takes in a fresh interpreter in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(code=code)],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    print(f"Imports, median of {RUNS} fresh interpreters each, in ms")
    print(f"  rival: python -c '{BARE}'")
    functions = sorted(path.parent for path in ROOT.glob("functions/*/app.py"))
    times: dict[str, list[float]] = {folder.name: [] for folder in functions}
    bare: list[float] = []
    for _ in range(RUNS):
        bare.append(import_seconds(BARE, ROOT))
        for folder in functions:
            times[folder.name].append(import_seconds("import app", folder))
    rival = statistics.median(bare)
    print(f"  {'bare stack':<14}{rival * 1000:8.0f}    1.00")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"  {name:<14}{median * 1000:8.0f}   {median / rival:5.2f}")


if __name__ == "__main__":
    main()

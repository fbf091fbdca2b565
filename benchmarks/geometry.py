"""Box and volume of a 100 MB STL, binary and text: our single pass with checks against trimesh, in time and memory.

Rival: `m = trimesh.load(PATH); m.bounds; m.volume`, in the same run, taking turns. Each measures in a fresh
process; the import of its library is not counted, its memory is.
"""

import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.models import write_large_stl

ROOT = Path(__file__).parents[1]
SIZE_BYTES = 100_000_000
MAX_MEGABYTES = 400
TIMED = """
import sys, time
from pathlib import Path
{imports}
path = Path(sys.argv[1])
began = time.perf_counter()
{code}
print(time.perf_counter() - began)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
OURS = TIMED.format(
    imports="from printshop.geometry.model_file import check_upload; import printshop.geometry.measure",
    code="check_upload(path, 'model.stl')",
)
RIVAL = TIMED.format(
    imports="import trimesh", code="m = trimesh.load(path, file_type='stl'); m.bounds; m.volume"
)


def measured(program: str, model: Path) -> tuple[float, int]:
    """Seconds and peak resident MB of `program` on `model`, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(model)],
        env={"PYTHONPATH": str(ROOT / "layers" / "common")},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, kilobytes = done.stdout.split()
    return float(seconds), int(kilobytes) // 1024


def write_large_text(path: Path, size_bytes: int) -> None:
    """An ASCII STL of about `size_bytes` as slicers write it: facets of random corners."""
    chance = random.Random(1)

    def three() -> str:
        return " ".join(f"{chance.uniform(-100, 100):.6e}" for _ in range(3))

    facets = "".join(
        f"  facet normal {three()}\n    outer loop\n"
        + "".join(f"      vertex {three()}\n" for _ in range(3))
        + "    endloop\n  endfacet\n"
        for _ in range(3000)
    )
    with path.open("w") as file:
        file.write("solid large\n")
        for _ in range(size_bytes // len(facets)):
            file.write(facets)
        file.write("endsolid large\n")


def compare(kind: str, write: Callable[[Path, int], object], runs: int, max_seconds: float) -> None:
    """Print what both take for a model that `write` makes, and whether we stay within `max_seconds`."""
    print(
        f"Box and volume of a {kind} STL of {SIZE_BYTES // 10**6} MB, median of {runs} fresh processes each"
    )
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.stl"
        write(model, SIZE_BYTES)
        turns = [(measured(OURS, model), measured(RIVAL, model)) for _ in range(runs)]
    (ours, our_memory), (rival, rival_memory) = (
        (statistics.median(seconds for seconds, _ in side), max(memory for _, memory in side))
        for side in zip(*turns, strict=True)
    )
    print(f"  trimesh                      {rival:7.3f} s {rival_memory:6} MB")
    print(f"  checked and measured         {ours:7.3f} s {our_memory:6} MB   {ours / rival:5.2f}")
    verdict = "held" if ours <= max_seconds and our_memory <= MAX_MEGABYTES else "MISSED"
    print(f"  at most {max_seconds} s and {MAX_MEGABYTES} MB: {verdict}")


def main() -> None:
    print("Rival: " + (__doc__ or "").split("`")[1])
    compare("binary", write_large_stl, runs=5, max_seconds=1.5)
    compare("text", write_large_text, runs=3, max_seconds=10)


if __name__ == "__main__":
    main()

"""Box and volume of a 100 MB binary STL: our one pass, checks included, against trimesh; seconds and memory.

Rival: `m = trimesh.load(PATH); m.bounds; m.volume`, in the same run, taking turns. Each measures in a fresh
process; the import of its library is not counted, its memory is.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.models import write_large_stl

ROOT = Path(__file__).parents[1]
SIZE_BYTES = 100_000_000
RUNS = 5
MAX_SECONDS, MAX_MEGABYTES = 1.5, 400
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
    imports="from printshop.intake.model_file import check_upload; import printshop.intake.measure",
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


def main() -> None:
    print(
        f"Box and volume of a binary STL of {SIZE_BYTES // 10**6} MB, median of {RUNS} fresh processes each"
    )
    print("  rival: " + (__doc__ or "").split("`")[1])
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.stl"
        write_large_stl(model, SIZE_BYTES)
        turns = [(measured(OURS, model), measured(RIVAL, model)) for _ in range(RUNS)]
    (ours, our_memory), (rival, rival_memory) = (
        (statistics.median(seconds for seconds, _ in side), max(memory for _, memory in side))
        for side in zip(*turns, strict=True)
    )
    print(f"  trimesh                      {rival:7.3f} s {rival_memory:6} MB")
    print(f"  checked and measured         {ours:7.3f} s {our_memory:6} MB   {ours / rival:5.2f}")
    verdict = "held" if ours <= MAX_SECONDS and our_memory <= MAX_MEGABYTES else "MISSED"
    print(f"  at most {MAX_SECONDS} s and {MAX_MEGABYTES} MB: {verdict}")


if __name__ == "__main__":
    main()

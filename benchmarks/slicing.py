"""The slicer through our worker against the bare command line, on the same file and settings.

Rival: `prusa-slicer` with the same profiles and settings on its command line (`local/by_hand.py`)
"""

import statistics
import tempfile
import time
from pathlib import Path

from local.by_hand import slice_by_hand
from local.models import gallery_model
from local.stack import Stack
from tests.conftest import sign_up
from tests.orders import slice_request, uploaded, wait_for_slice

RUNS = 5


def bare_seconds(model: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        slice_by_hand(model, Path(folder))
        return time.perf_counter() - began


def main() -> None:
    model = gallery_model("bunny.stl")
    print(f"Slicing {model.name}, median of {RUNS}, in s")
    print("  rival: the bare command line with the same profiles and settings (local/by_hand.py)")
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "stack") as stack:
        client = sign_up(stack)
        file_id = uploaded(client, model.name, model.read_bytes())
        for run in range(RUNS + 1):
            began = time.perf_counter()
            client.data("POST", "quick-order/slice", slice_request(file_id))
            wait_for_slice(client, file_id)
            if run:  # the first one starts the worker's process
                ours.append(time.perf_counter() - began)
                bare.append(bare_seconds(model))
    ours_median, bare_median = statistics.median(ours), statistics.median(bare)
    print(f"  bare command line            {bare_median:7.3f}")
    print(
        f"  request to stored result     {ours_median:7.3f}   {ours_median / bare_median:5.2f}   "
        f"(+{(ours_median - bare_median) * 1000:.0f} ms: API, queue, download, g-code upload)"
    )


if __name__ == "__main__":
    main()

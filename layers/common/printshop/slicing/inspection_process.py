"""The child process of an inspection: draws a model and counts its edges, with numpy, inside the fence.

    python -I -B inspector.py MODEL PREVIEW

Writes the PNG to PREVIEW, whole or not at all, and prints one line of JSON: `drawn` (whether it did), `topology`
(the counts, or null) and `lacking`: OUT_OF_MEMORY when either could not be had, UNREADABLE for a model that is none.
The picture comes first: it takes little memory, and is there even if the counting is cut off.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

OUT_OF_MEMORY, UNREADABLE = "OUT_OF_MEMORY", "UNREADABLE"


def report(model: Path, preview: Path) -> dict[str, Any]:
    """Inspect `model`; what the parent is told."""
    from printshop.geometry.errors import ModelError  # noqa: PLC0415
    from printshop.geometry.mesh import load_triangles  # noqa: PLC0415

    told: dict[str, Any] = {"drawn": False, "topology": None, "lacking": None}
    try:
        triangles = load_triangles(model)
    except ModelError:
        return told | {"lacking": UNREADABLE}
    except MemoryError:
        return told | {"lacking": OUT_OF_MEMORY}
    if not len(triangles):
        return told | {"lacking": UNREADABLE}
    for inspect in (_draw, _count):
        try:
            told |= inspect(triangles, preview)
        except MemoryError:
            told["lacking"] = OUT_OF_MEMORY
    return told


def _draw(triangles: "npt.NDArray[np.float32]", preview: Path) -> dict[str, Any]:
    from printshop.geometry.preview import draw_preview  # noqa: PLC0415

    unfinished = preview.with_suffix(".part")
    unfinished.write_bytes(draw_preview(triangles))
    unfinished.rename(preview)
    return {"drawn": True}


def _count(triangles: "npt.NDArray[np.float32]", _: Path) -> dict[str, Any]:
    from printshop.geometry.topology import topology  # noqa: PLC0415

    found = topology(triangles)
    counts = asdict(found) | {"is_watertight": found.is_watertight, "is_consistent": found.is_consistent}
    return {"topology": counts}


if __name__ == "__main__":
    # Two more threads of linear algebra would be 100 MB of address space each, for matrices of three by three.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # The fence passes no PYTHONPATH on.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    print(json.dumps(report(Path(sys.argv[1]), Path(sys.argv[2]))))

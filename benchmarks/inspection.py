"""The worker's inspection: a preview of 200,000 triangles, the topology of a 100 MB STL.

Rivals, in the same run: Pillow's polygons, painted facet by facet from far to near; trimesh's is_watertight and
is_winding_consistent (it would need scipy to count bodies). Each runs in its own process, for its peak memory. Then
the whole inspection of such an STL as in the worker: a Python process in the sandbox, within its limits, which reads
the file, draws it and counts its edges.
"""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from printshop.geometry.preview import HEIGHT, WIDTH, draw_preview
from printshop.geometry.topology import topology
from printshop.slicing.inspection import inspect
from tests.unit.geometry.meshes import stl_of

PREVIEW_RINGS, STL_RINGS = 224, 708
PREVIEW_SECONDS = 1
TOPOLOGY_SECONDS, TOPOLOGY_MEGABYTES = 6, 900


def ball(rings: int) -> npt.NDArray[np.float32]:
    """A bumpy ball of 4 × rings × (rings - 1) triangles."""
    polar = np.linspace(0, np.pi, rings + 1)[:, None]
    around = np.pi * np.arange(2 * rings) / rings
    radius = 30 + np.sin(9 * polar) * np.sin(11 * around)
    points = np.stack(
        [
            radius * np.sin(polar) * np.cos(around),
            radius * np.sin(polar) * np.sin(around),
            radius * np.cos(polar),
        ],
        -1,
    )
    points[[0, -1]] = points[[0, -1], :1]
    turned = np.roll(points, -1, axis=1)
    lower = np.stack([points[:-1], points[1:], turned[1:]], 2)[:-1]
    upper = np.stack([points[:-1], turned[1:], turned[:-1]], 2)[1:]
    return np.concatenate([lower.reshape(-1, 3, 3), upper.reshape(-1, 3, 3)]).astype(np.float32)


def painted(triangles: npt.NDArray[np.float32]) -> None:
    from PIL import Image, ImageDraw  # noqa: PLC0415

    flat = (triangles @ np.array([[0.7, 0.4, -0.6], [0.7, -0.4, 0.6], [0, -0.8, -0.6]])) * 8 + [
        WIDTH,
        HEIGHT,
        0,
    ]
    pencil = ImageDraw.Draw(picture := Image.new("RGBA", (2 * WIDTH, 2 * HEIGHT)))
    for facet in flat[np.argsort(-flat[:, :, 2].mean(axis=1))]:
        pencil.polygon([(x, y) for x, y, _ in facet], fill=(60, 140, 200))
    picture.reduce(2).save("/dev/null", "PNG")


def trimeshed(triangles: npt.NDArray[np.float32]) -> None:
    import trimesh  # noqa: PLC0415

    corners = np.arange(3 * len(triangles)).reshape(-1, 3)
    mesh = trimesh.Trimesh(vertices=triangles.reshape(-1, 3), faces=corners)
    print(
        f"    (trimesh: {mesh.is_watertight}, {mesh.is_winding_consistent}; it counts no bodies without scipy)"
    )


def measured(work: Callable[[npt.NDArray[np.float32]], object], rings: int) -> tuple[float, int]:
    """Seconds, and the peak of memory in MB of the process, mesh included."""
    triangles = ball(rings)
    began = time.perf_counter()
    work(triangles)
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def inspected(model: Path, scratch: Path) -> tuple[float, float, int]:
    """Seconds until the picture is there (start and reading included) and from there to the topology, and the peak
    of memory in MB of the child, of an inspection that lacks nothing."""
    began = time.time()
    found = inspect(model, scratch)
    ended = time.time()
    if not (found.topology and found.preview):
        raise RuntimeError(f"The inspection lacks something: {found.lacking}")
    # A child's peak begins with what its parent had when it was forked, here some 100 MB.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    drawn = found.preview.stat().st_mtime
    return drawn - began, ended - drawn, peak


def verdict(held: bool, limit: str) -> None:
    print(f"  {limit}: {'held' if held else 'MISSED'}")


def compare() -> None:
    """Ours against its rival, and the preview against its limit."""
    for title, rings, ours, rival in (
        ("Preview of 200,000 triangles", PREVIEW_RINGS, draw_preview, painted),
        ("Topology of 2,000,000 triangles (a 100 MB STL)", STL_RINGS, topology, trimeshed),
    ):
        print(title)
        results = []
        for work in (rival, ours):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results.append((work.__name__, *pool.apply(measured, (work, rings))))
        for name, seconds, peak in results:
            print(f"  {name:16} {seconds:7.2f} s {peak:6} MB   {seconds / results[0][1]:5.2f}")
        if ours is draw_preview:
            verdict(results[1][1] <= PREVIEW_SECONDS, f"at most {PREVIEW_SECONDS} s")


def inspect_large_stl() -> None:
    """The child's topology against its limits; the picture comes first and is timed by itself."""
    with tempfile.TemporaryDirectory() as folder:
        model, scratch = Path(folder) / "model.stl", Path(folder) / "scratch"
        scratch.mkdir()
        model.write_bytes(stl_of(ball(STL_RINGS)))
        print(f"Inspection of a binary STL of {model.stat().st_size / 10**6:.0f} MB by the worker's child")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            drawing, seconds, peak = pool.apply(inspected, (model, scratch))
    print(f"  read and drawn   {drawing:7.2f} s")
    print(f"  topology         {seconds:7.2f} s {peak:6} MB (of both)")
    held = seconds <= TOPOLOGY_SECONDS and peak <= TOPOLOGY_MEGABYTES
    verdict(held, f"at most {TOPOLOGY_SECONDS} s and {TOPOLOGY_MEGABYTES} MB")


def main() -> None:
    compare()
    inspect_large_stl()


if __name__ == "__main__":
    main()

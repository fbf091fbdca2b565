"""The worker's inspection: a picture of 200,000 triangles, the topology of a 100 MB STL.

Rivals, in the same run: Pillow's polygons, painted from far to near, facet by facet; trimesh's is_watertight and
is_winding_consistent (counting bodies would take it scipy besides). Each in a process of its own, for its peak of
memory.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from printshop.intake.preview import HEIGHT, WIDTH, draw_preview
from printshop.intake.topology import topology


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


def main() -> None:
    for title, rings, ours, rival in (
        ("Preview of 200,000 triangles", 224, draw_preview, painted),
        ("Topology of 2,000,000 triangles (a 100 MB STL)", 708, topology, trimeshed),
    ):
        print(title)
        results = []
        for work in (rival, ours):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results.append((work.__name__, *pool.apply(measured, (work, rings))))
        for name, seconds, peak in results:
            print(f"  {name:16} {seconds:7.2f} s {peak:6} MB   {seconds / results[0][1]:5.2f}")


if __name__ == "__main__":
    main()

"""Meshes as arrays, (n,3,3) float32, made for the tests of topology, preview and inspection."""

import numpy as np
import numpy.typing as npt

from tests.support.models import cube_triangles
from tests.unit.slicing.model_makers import sphere

type Mesh = npt.NDArray[np.float32]


def box(size: float = 20, at: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    return np.array(cube_triangles(size, at), np.float32)


def ball(rings: int = 20) -> Mesh:
    mesh = np.array(sphere(15, rings), np.float32)
    mesh[np.abs(mesh) < 1e-6] = 0  # the sine of pi: the poles are one place each
    return mesh


def torus(turns: int = 24, sides: int = 12) -> Mesh:
    """A closed ring around the z axis."""
    around = 2 * np.pi * np.arange(turns) / turns
    within = 2 * np.pi * np.arange(sides) / sides
    out = 20 + 6 * np.cos(within)
    points = np.stack(
        [
            np.cos(around)[:, None] * out,
            np.sin(around)[:, None] * out,
            np.broadcast_to(6 * np.sin(within), (turns, sides)),
        ],
        axis=-1,
    )
    next_turn, next_side = np.roll(points, -1, axis=0), np.roll(points, -1, axis=1)
    across = np.roll(next_turn, -1, axis=1)
    triangles = [np.stack([points, next_turn, across], 2), np.stack([points, across, next_side], 2)]
    return np.concatenate([part.reshape(-1, 3, 3) for part in triangles]).astype(np.float32)


def inverted(mesh: Mesh) -> Mesh:
    return np.ascontiguousarray(mesh[:, ::-1])


def together(*meshes: Mesh) -> Mesh:
    return np.concatenate(meshes)


def stl_of(mesh: Mesh) -> bytes:
    records = np.zeros(len(mesh), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    records["corners"] = mesh
    return b"a mesh of the tests".ljust(80) + len(mesh).to_bytes(4, "little") + records.tobytes()

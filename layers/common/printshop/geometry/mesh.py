"""The triangles of a model as arrays, a chunk at a time or all at once. Needs numpy."""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from printshop.geometry import stl
from printshop.geometry.deadline import Deadline
from printshop.geometry.dimensions import UNIT_MM
from printshop.geometry.threemf_model import ObjectId, Placement
from printshop.geometry.threemf_package import open_package
from printshop.geometry.threemf_reader import Contents, read_model

type Triangles = NDArray[np.float32] | NDArray[np.float64]
"""Shape (n, 3, 3): triangle, corner, axis."""

TRIANGLES_AT_ONCE = 4096
"""Small enough for the processor's cache: 65,536 at once take four times as long."""

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_AS_IT_IS = np.eye(4)


def load_triangles(path: Path) -> NDArray[np.float32]:
    """Every triangle of a prepared model (`prepare_slicer_input`), shape (n, 3, 3), in mm as it stands on the bed.

    Of a 3MF: each build item and component in its place, mirrored ones turned right side out. 36 bytes a
    triangle, and for a moment twice that. Raises ModelError.
    """
    if path.suffix == ".3mf":
        model = load_3mf(path, Deadline(math.inf))
        return _gathered(model.chunks(), model.triangles)
    return _gathered(
        binary_chunks(path) if stl.is_binary(path) else stl_text_chunks(path, Deadline(math.inf))
    )


def _gathered(chunks: Iterator[Triangles], count: int = 0) -> NDArray[np.float32]:
    """All chunks in one array, which begins with room for `count` triangles."""
    found = np.empty((count, 3, 3), np.float32)
    used = 0
    for chunk in chunks:
        if used + len(chunk) > len(found):
            found.resize((max(2 * len(found), used + len(chunk)), 3, 3), refcheck=False)
        found[used : used + len(chunk)] = chunk
        used += len(chunk)
    found.resize((used, 3, 3), refcheck=False)
    return found


def binary_chunks(path: Path) -> Iterator[NDArray[np.float32]]:
    """The triangles of a binary STL, in chunks that are valid until the next one is asked for."""
    buffer = bytearray(stl.TRIANGLE_BYTES * TRIANGLES_AT_ONCE)
    with path.open("rb") as file:
        file.seek(stl.HEADER_BYTES)
        while length := file.readinto(buffer):
            yield np.frombuffer(buffer, _RECORD, length // stl.TRIANGLE_BYTES)["corners"]


def stl_text_chunks(path: Path, deadline: Deadline) -> Iterator[NDArray[np.float64]]:
    """The triangles of an ASCII STL. Raises ModelError."""
    for numbers in stl.read_text(path, 9 * TRIANGLES_AT_ONCE, deadline):
        yield np.frombuffer(numbers, np.float64).reshape(-1, 3, 3)


@dataclass(slots=True)
class _Mesh:
    """Corners, three numbers each, and triangles, three indices each, as they are read."""

    corners: array[float] = field(default_factory=lambda: array("f"))
    indices: array[int] = field(default_factory=lambda: array("i"))


class MeshCollector:
    """A GeometrySink that keeps the meshes: 12 bytes a corner and 12 a triangle, whatever their text took."""

    def __init__(self) -> None:
        self.meshes: dict[ObjectId, _Mesh] = {}
        self._mesh = _Mesh()

    def begin(self, unit: str, *, by_prusa: bool) -> None:
        pass

    def open_mesh(self, key: ObjectId, kind: str) -> None:  # noqa: ARG002
        self._mesh = self.meshes[key] = _Mesh()

    def vertices(self, numbers: Sequence[float]) -> None:
        self._mesh.corners.extend(numbers)

    def list_triangles(self) -> None:
        pass

    def triangles(self, indices: Sequence[int]) -> None:
        self._mesh.indices.extend(indices)

    def close_mesh(self) -> None:
        pass


class PlacedMeshes:
    """A 3MF's model: each mesh once, and where it stands."""

    def __init__(self, meshes: Mapping[ObjectId, _Mesh], contents: Contents) -> None:
        self._meshes = meshes
        self._contents = contents
        self.unit = contents.unit
        self.triangles = contents.triangles

    def bodies(self) -> Iterator[Iterator[NDArray[np.float64]]]:
        """For each instance of each mesh its triangles in mm, in chunks."""
        millimetres = np.diag([UNIT_MM[self.unit]] * 3 + [1.0])
        for item in self._contents.items:
            yield from self._place(item, millimetres)

    def chunks(self) -> Iterator[NDArray[np.float64]]:
        """The triangles of all instances in mm."""
        for body in self.bodies():
            yield from body

    def _place(
        self, placement: Placement, outer: NDArray[np.float64]
    ) -> Iterator[Iterator[NDArray[np.float64]]]:
        matrix = _matrix(placement.transform) @ outer
        if mesh := self._meshes.get(placement.object):
            yield _transformed(mesh, matrix)
        else:
            for component in self._contents.composites[placement.object].components:
                yield from self._place(component, matrix)


def load_3mf(path: Path, deadline: Deadline) -> PlacedMeshes:
    """The meshes of the 3MF at `path` and their places. Raises ModelError."""
    collector = MeshCollector()
    with open_package(path) as package:
        contents = read_model(package, collector, deadline)
    return PlacedMeshes(collector.meshes, contents)


def _matrix(transform: tuple[float, ...]) -> NDArray[np.float64]:
    """A 3MF's 12 numbers as a 4 × 4 matrix for row vectors: point @ matrix."""
    if not transform:
        return _AS_IT_IS
    matrix = np.eye(4)
    matrix[:, :3] = np.reshape(transform, (4, 3))
    return matrix


def _transformed(mesh: _Mesh, matrix: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    corners = np.frombuffer(mesh.corners, np.float32).reshape(-1, 3)
    indices = np.frombuffer(mesh.indices, np.int32).reshape(-1, 3)
    if np.linalg.det(matrix[:3, :3]) < 0:
        # The format's rule: what a transform mirrors is still meant to face outwards.
        indices = indices[:, ::-1]
    for start in range(0, len(indices), TRIANGLES_AT_ONCE):
        # Corners are placed as triangles use them, and not all at once: triangles are what is counted per instance.
        used = corners[indices[start : start + TRIANGLES_AT_ONCE]].reshape(-1, 3)
        yield (used @ matrix[:3, :3] + matrix[3, :3]).reshape(-1, 3, 3)

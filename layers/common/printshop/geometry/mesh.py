"""A model's triangles as numpy arrays, chunk by chunk or all at once."""

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
from printshop.geometry.threemf_reader import Build, read_model

type Triangles = NDArray[np.float32] | NDArray[np.float64]
"""Shape (n, 3, 3): triangle, corner, axis."""

TRIANGLES_AT_ONCE = 4096
"""Chunks of this size fit the processor's cache; chunks of 65,536 take four times as long."""

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_IDENTITY = np.eye(4)


def load_triangles(path: Path) -> NDArray[np.float32]:
    """Every triangle of a prepared model (`prepare_slicer_input`), shape (n, 3, 3), in mm as it stands on the bed.

    Each build item and component of a 3MF stands in its place, and mirrored ones are turned right side out. Memory:
    36 bytes a triangle, twice that while the array grows. Raises ModelError.
    """
    if path.suffix == ".3mf":
        model = load_3mf(path, Deadline(math.inf))
        return _concatenate(model.chunks(), model.triangles)
    return _concatenate(
        binary_chunks(path) if stl.is_binary(path) else stl_text_chunks(path, Deadline(math.inf))
    )


def _concatenate(chunks: Iterator[Triangles], count: int = 0) -> NDArray[np.float32]:
    """Copy all chunks into one array, which starts with room for `count` triangles and grows as needed."""
    triangles = np.empty((count, 3, 3), np.float32)
    used = 0
    for chunk in chunks:
        if used + len(chunk) > len(triangles):
            triangles.resize((max(2 * len(triangles), used + len(chunk)), 3, 3), refcheck=False)
        triangles[used : used + len(chunk)] = chunk
        used += len(chunk)
    triangles.resize((used, 3, 3), refcheck=False)
    return triangles


def binary_chunks(path: Path) -> Iterator[NDArray[np.float32]]:
    """The triangles of a binary STL. Each chunk is a view of one buffer, valid until the next chunk is read."""
    buffer = bytearray(stl.TRIANGLE_BYTES * TRIANGLES_AT_ONCE)
    with path.open("rb") as file:
        file.seek(stl.HEADER_BYTES)
        while length := file.readinto(buffer):
            yield np.frombuffer(buffer, _RECORD, length // stl.TRIANGLE_BYTES)["corners"]


def stl_text_chunks(path: Path, deadline: Deadline) -> Iterator[NDArray[np.float64]]:
    """The triangles of an ASCII STL, in chunks. Raises ModelError."""
    for numbers in stl.read_text(path, 9 * TRIANGLES_AT_ONCE, deadline):
        yield np.frombuffer(numbers, np.float64).reshape(-1, 3, 3)


@dataclass(slots=True)
class _Mesh:
    """A mesh as the 3MF holds it: corners of three numbers each, triangles of three corner indices each."""

    corners: array[float] = field(default_factory=lambda: array("f"))
    indices: array[int] = field(default_factory=lambda: array("i"))


class MeshCollector:
    """A GeometrySink that keeps the meshes in memory: 12 bytes a corner and 12 a triangle."""

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
    """The model of a 3MF: each mesh once, with the placements of its instances."""

    def __init__(self, meshes: Mapping[ObjectId, _Mesh], build: Build) -> None:
        self._meshes = meshes
        self._build = build
        self.unit = build.unit
        self.triangles = build.triangles

    def instances(self) -> Iterator[Iterator[NDArray[np.float64]]]:
        """For each instance of each mesh, its triangles in mm, in chunks."""
        millimetres = np.diag([UNIT_MM[self.unit]] * 3 + [1.0])
        for item in self._build.items:
            yield from self._place(item, millimetres)

    def chunks(self) -> Iterator[NDArray[np.float64]]:
        """The triangles of all instances in mm, in chunks."""
        for instance in self.instances():
            yield from instance

    def _place(
        self, placement: Placement, outer: NDArray[np.float64]
    ) -> Iterator[Iterator[NDArray[np.float64]]]:
        matrix = _matrix(placement.transform) @ outer
        if mesh := self._meshes.get(placement.object):
            yield _transformed(mesh, matrix)
        else:
            for component in self._build.composites[placement.object].components:
                yield from self._place(component, matrix)


def load_3mf(path: Path, deadline: Deadline) -> PlacedMeshes:
    """Read the 3MF at `path`: its meshes and their placements. Raises ModelError."""
    collector = MeshCollector()
    with open_package(path) as package:
        build = read_model(package, collector, deadline)
    return PlacedMeshes(collector.meshes, build)


def _matrix(transform: tuple[float, ...]) -> NDArray[np.float64]:
    """The 12 numbers of a 3MF transform as a 4 × 4 matrix for row vectors: point @ matrix."""
    if not transform:
        return _IDENTITY
    matrix = np.eye(4)
    matrix[:, :3] = np.reshape(transform, (4, 3))
    return matrix


def _transformed(mesh: _Mesh, matrix: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    corners = np.frombuffer(mesh.corners, np.float32).reshape(-1, 3)
    indices = np.frombuffer(mesh.indices, np.int32).reshape(-1, 3)
    if np.linalg.det(matrix[:3, :3]) < 0:
        # The 3MF specification: a mirrored mesh still faces outwards, so its winding is reversed.
        indices = indices[:, ::-1]
    for start in range(0, len(indices), TRIANGLES_AT_ONCE):
        # Transforms the corners that this chunk uses: the limits count an instance's triangles, but not its corners.
        used = corners[indices[start : start + TRIANGLES_AT_ONCE]].reshape(-1, 3)
        yield (used @ matrix[:3, :3] + matrix[3, :3]).reshape(-1, 3, 3)

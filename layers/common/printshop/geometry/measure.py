"""Measure box, volume and area of a model in one pass over its triangles, in bounded memory.

The same pass checks that every coordinate is a usable number.
"""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from printshop.geometry import mesh, stl
from printshop.geometry.deadline import Deadline
from printshop.geometry.dimensions import MAX_COORDINATE, Box, Geometry
from printshop.geometry.model_file import ModelKind


def measure(path: Path, kind: ModelKind, seconds: float = math.inf) -> Geometry:
    """Measure the model at `path` as it stands on the bed, in at most `seconds`.

    An open mesh has no defined volume: it is measured about the middle of its box, so that neither the mesh's place
    nor the order of its triangles matters. Each mesh of a 3MF counts as solid whichever way it is wound, as it does
    for the slicer. Raises ModelError.
    """
    deadline = Deadline(seconds)
    if kind is ModelKind.THREE_MF:
        model = mesh.load_3mf(path, deadline)
        sums = [_add_up(deadline.watch(instance)) for instance in model.instances()]
        unit = model.unit
    else:
        is_binary = kind is ModelKind.STL_BINARY
        chunks = mesh.binary_chunks(path) if is_binary else mesh.stl_text_chunks(path, deadline)
        sums = [_add_up(deadline.watch(chunks))]
        unit = None
    low = np.min([each.low for each in sums], axis=0)
    high = np.max([each.high for each in sums], axis=0)
    x, y, z = (round(float(edge), 3) for edge in high - low)
    volumes = [each.signed_volume() for each in sums]
    return Geometry(
        triangles=sum(each.triangles for each in sums),
        box=Box(x=x, y=y, z=z),
        volume_mm3=round(sum(map(abs, volumes)), 3),
        area_mm2=round(sum(each.area for each in sums), 3),
        is_inverted=any(volume < 0 for volume in volumes),
        unit=unit,
    )


class _Sums:
    """Count, area, volume and extent of the triangles added so far.

    The volume is summed about the first corner, because sums about a distant origin would lose digits.
    """

    def __init__(self) -> None:
        self.triangles = 0
        self.area = 0.0
        self.low = np.full(3, np.inf)
        self.high = np.full(3, -np.inf)
        self._origin = np.zeros(3)
        self._volume = 0.0
        self._area_vector = np.zeros(3)

    def add(self, triangles: mesh.Triangles) -> None:
        """Add triangles (n, 3, 3) in mm. Raises ModelError MODEL_BAD_COORDINATES."""
        # Axes first and triangles last, so that every step below reads contiguous memory.
        corners = np.empty((3, 3, len(triangles)))
        corners[:] = triangles.transpose(1, 2, 0)
        low, high = corners.min(axis=(0, 2)), corners.max(axis=(0, 2))
        # min and max of NaN are NaN, which fails every comparison.
        if not (np.all(low > -MAX_COORDINATE) and np.all(high < MAX_COORDINATE)):
            raise stl.bad_coordinates()
        if not self.triangles:
            self._origin = corners[0, :, 0].copy()
        self.triangles += len(triangles)
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        first = corners[0] - self._origin[:, None]
        cross = _cross(corners[1] - corners[0], corners[2] - corners[0])
        self.area += float(np.sqrt(np.einsum("an,an->n", cross, cross)).sum()) / 2
        self._volume += float(np.einsum("an,an->", first, cross)) / 6
        self._area_vector += cross.sum(axis=1) / 2

    def signed_volume(self) -> float:
        """The volume about the middle of the box, in mm³; positive when the surface faces outwards."""
        shift = (self.low + self.high) / 2 - self._origin
        return self._volume - float(shift @ self._area_vector) / 3


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross products of column vectors. numpy's own function takes rows and three times as long."""
    return np.stack((a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]))


def _add_up(chunks: Iterable[mesh.Triangles]) -> _Sums:
    sums = _Sums()
    for chunk in chunks:
        sums.add(chunk)
    return sums

"""A depth buffer in numpy: which triangle is visible at each pixel.

Triangles are cut into lines along their longer side, and lines into pixels, so the work is proportional to the pixels
they cover, whatever their shape and number. Batches bound the memory. Of two triangles at the same depth the first
one is visible, so that the same mesh gives the same picture.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

type Floats = npt.NDArray[np.float32]
type Ints = npt.NDArray[np.int32]

EDGE_REACH = 1 / 256
"""By how many pixels a triangle is widened, so that rounding leaves no gap between neighbours."""

_LINES_AT_ONCE = 1 << 18
_PIXELS_AT_ONCE = 1 << 20
_DEPTH_STEPS = np.float32(2**24 - 1)  # the precision of a float32
_EMPTY = np.uint64(2**64 - 1)
_ID_BITS = np.uint64(32)


class DepthBuffer:
    """`width` × `height` pixels; each holds the nearest triangle that covers its centre."""

    def __init__(self, width: int, height: int, budget: int) -> None:
        self.width, self.height = width, height
        self.budget = budget
        """Pixels and lines that may still be drawn; at 0, `draw` does nothing."""
        # Depth in the high bits, triangle in the low bits of one integer: the smallest value is in front.
        self._cells = np.full(width * height, _EMPTY)

    def draw(self, corners: Floats, ids: Ints, reach: float = EDGE_REACH) -> None:
        """Add triangles: (3,3,n) by axis (x to the right, y down in pixels; depth, 0 near to 1 far) and corner.

        `ids` (n,) are the triangles' numbers. Each is widened by `reach` pixels; above 0.5, even the thinnest is
        visible.
        """
        x, y, depth = corners
        upright = np.ptp(y, axis=0) > np.ptp(x, axis=0)
        for chosen, along, across, strides, sizes in (
            (~upright, x, y, (1, self.width), (self.width, self.height)),
            (upright, y, x, (self.width, 1), (self.height, self.width)),
        ):
            if chosen.any():
                triangles = _Triangles(along, across, depth, ids).select(np.flatnonzero(chosen))
                self._draw(triangles, strides, sizes, np.float32(reach))

    def visible(self) -> tuple[Ints, Floats]:
        """Two arrays (height, width): the triangle at each pixel (-1: none) and its depth (0: none)."""
        shape = (self.height, self.width)
        is_empty = self._cells == _EMPTY
        ids = (self._cells & np.uint64(2**32 - 1)).astype(np.int32)
        ids[is_empty] = -1
        depth = (self._cells >> _ID_BITS).astype(np.float32) / _DEPTH_STEPS
        depth[is_empty] = 0
        return ids.reshape(shape), depth.reshape(shape)

    def _draw(
        self, triangles: "_Triangles", strides: tuple[int, int], sizes: tuple[int, int], reach: np.float32
    ) -> None:
        first, count = _covered(triangles.across.min(axis=0), triangles.across.max(axis=0), reach, sizes[1])
        for batch in _batches(count, _LINES_AT_ONCE):
            lines = _Lines(triangles.select(batch), first[batch], count[batch], reach, sizes[0])
            self.budget -= len(lines.count)
            for pixels in _batches(lines.count, _PIXELS_AT_ONCE):
                if self.budget <= 0:
                    return
                where, cells = lines.pixels(pixels, strides)
                np.minimum.at(self._cells, where, cells)
                self.budget -= len(where)


class _Triangles:
    """Corners of triangles: position along the lines, position across them, depth, each (3,n); ids (n,)."""

    def __init__(self, along: Floats, across: Floats, depth: Floats, ids: Ints) -> None:
        self.along, self.across, self.depth, self.ids = along, across, depth, ids

    def select(self, which: "slice | npt.NDArray[np.intp]") -> "_Triangles":
        if isinstance(which, slice):
            return _Triangles(
                self.along[:, which], self.across[:, which], self.depth[:, which], self.ids[which]
            )
        along, across, depth = (
            np.take(array, which, axis=1) for array in (self.along, self.across, self.depth)
        )
        return _Triangles(along, across, depth, self.ids[which])

    def slopes(self) -> tuple[Floats, Floats, Floats]:
        """Each triangle's depth as a plane: change per pixel along, per pixel across, and value at the origin.

        A triangle seen edge-on has a constant depth.
        """
        a, b, d = self.along, self.across, self.depth
        a1, a2 = a[1] - a[0], a[2] - a[0]
        b1, b2 = b[1] - b[0], b[2] - b[0]
        d1, d2 = d[1] - d[0], d[2] - d[0]
        area = a1 * b2 - a2 * b1
        flat = np.abs(area) < 1e-6
        area[flat] = 1
        along = np.where(flat, np.float32(0), (d1 * b2 - d2 * b1) / area)
        across = np.where(flat, np.float32(0), (a1 * d2 - a2 * d1) / area)
        return along, across, d[0] - along * a[0] - across * b[0]


class _Lines:
    """The pixel lines of some triangles: triangle i has `count[i]` lines, the first of which is `first[i]`."""

    def __init__(self, triangles: _Triangles, first: Ints, count: Ints, reach: np.float32, size: int) -> None:
        owner, step = _runs(count)
        self._triangles, self._owner = triangles, owner
        self._across = np.repeat(first, count) + step
        low, high = self._ends(triangles, count, reach)
        self._first, self.count = _covered(low, high, reach, size)

    def _ends(self, triangles: _Triangles, count: Ints, reach: np.float32) -> tuple[Floats, Floats]:
        """Where each line enters and leaves its triangle: the outermost intersections with the three edges."""
        across = triangles.across
        narrow = np.repeat(np.ptp(across, axis=0) <= 2 * reach, count)
        centre = self._across.astype(np.float32) + np.float32(0.5)
        # A line that passes just outside the triangle is cut at the triangle's nearest corner.
        np.clip(
            centre, np.repeat(across.min(axis=0), count), np.repeat(across.max(axis=0), count), out=centre
        )
        # A triangle narrower than its reach is drawn over its full length.
        low = np.where(narrow, np.repeat(triangles.along.min(axis=0), count), np.float32(np.inf))
        high = np.where(narrow, np.repeat(triangles.along.max(axis=0), count), np.float32(-np.inf))
        for start, end in ((0, 1), (1, 2), (2, 0)):
            rise = across[end] - across[start]
            is_level = rise == 0
            rise[is_level] = 1
            slope = np.where(is_level, np.float32(0), (triangles.along[end] - triangles.along[start]) / rise)
            above = centre - np.repeat(across[start], count)
            cut = np.repeat(triangles.along[start], count) + above * np.repeat(slope, count)
            rise[is_level] = 0
            part = np.repeat(rise, count)
            crossed = (above >= np.minimum(part, 0)) & (above <= np.maximum(part, 0))
            np.minimum(low, cut, out=low, where=crossed)
            np.maximum(high, cut, out=high, where=crossed)
        return low, high

    def pixels(
        self, which: slice, strides: tuple[int, int]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint64]]:
        """The pixels of some lines: their positions in the buffer and the values for these positions."""
        count, owner, across = self.count[which], self._owner[which], self._across[which]
        triangles = self._triangles
        line, step = _runs(count)
        along = self._first[which][line] + step
        per_along, per_across, origin = triangles.slopes()
        half = np.float32(0.5)
        start = origin[owner] + per_across[owner] * (across + half) + per_along[owner] * half
        triangle = owner[line]
        depth = start[line] + per_along[triangle] * along
        # In the widened rim, and by rounding in thin triangles, the plane exceeds the triangle's own depths.
        np.clip(
            depth, triangles.depth.min(axis=0)[triangle], triangles.depth.max(axis=0)[triangle], out=depth
        )
        cells = (depth * _DEPTH_STEPS).astype(np.uint64)
        cells <<= _ID_BITS
        cells |= triangles.ids[triangle].astype(np.uint64)
        return along.astype(np.intp) * strides[0] + (across.astype(np.intp) * strides[1])[line], cells


def _covered(low: Floats, high: Floats, reach: np.float32, size: int) -> tuple[Ints, Ints]:
    """The pixels (or lines) whose centres lie between `low` and `high`: the first one and their number."""
    half = np.float32(0.5)
    first = np.clip(np.ceil(low - half - reach), 0, size).astype(np.int32)
    last = np.clip(np.floor(high - half + reach), -1, size - 1).astype(np.int32)
    return first, np.maximum(last - first + 1, 0)


def _runs(count: Ints) -> tuple[Ints, Ints]:
    """Expand counts: 2, 0, 3 gives the owners 0 0 2 2 2 and the steps 0 1 0 1 2."""
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    begin = np.cumsum(count, dtype=np.int32) - count
    return owner, np.arange(len(owner), dtype=np.int32) - np.repeat(begin, count)


def _batches(count: Ints, limit: int) -> Iterator[slice]:
    """Slices of `count` whose sums do not exceed `limit`, except a slice of one larger count."""
    total = np.cumsum(count, dtype=np.int64)
    begin = 0
    while begin < len(count):
        done = total[begin - 1] if begin else 0
        end = int(np.searchsorted(total, done + limit, side="right"))
        end = max(end, begin + 1)
        yield slice(begin, end)
        begin = end

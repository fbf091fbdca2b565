"""A depth buffer in numpy: which triangle is seen at each pixel.

Triangles are cut into lines along their longer side and lines into pixels, so that the work is the pixels they
cover, whatever their shape and number; memory is bounded by batches. Ties go to the triangle that comes first, so
that the same mesh gives the same picture.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

type Floats = npt.NDArray[np.float32]
type Ints = npt.NDArray[np.int32]

NEAR_ENOUGH = 1 / 256
"""Pixels that a triangle reaches beyond its edge, so that rounding leaves no crack between neighbours."""

_LINES_AT_ONCE = 1 << 18
_PIXELS_AT_ONCE = 1 << 20
_DEPTH_STEPS = np.float32(2**24 - 1)  # all that a float32 can tell apart
_NOTHING = np.uint64(2**64 - 1)
_ID_BITS = np.uint64(32)


class DepthBuffer:
    """`width` × `height` pixels, each with the nearest triangle that covers its centre."""

    def __init__(self, width: int, height: int, budget: int) -> None:
        self.width, self.height = width, height
        self.budget = budget
        """Pixels and lines that may still be drawn; then `draw` does nothing more."""
        # Depth above, triangle below, in one number: the smaller one is in front.
        self._cells = np.full(width * height, _NOTHING)

    def draw(self, corners: Floats, ids: Ints, reach: float = NEAR_ENOUGH) -> None:
        """Add triangles: (3,3,n) by axis (x to the right, y down in pixels; depth, 0 near to 1 far) and corner.

        `ids` (n,) names them. `reach`: pixels by which each is widened; above 0.5, none is
        too thin to be seen.
        """
        x, y, depth = corners
        upright = np.ptp(y, axis=0) > np.ptp(x, axis=0)
        for chosen, along, across, strides, sizes in (
            (~upright, x, y, (1, self.width), (self.width, self.height)),
            (upright, y, x, (self.width, 1), (self.height, self.width)),
        ):
            if chosen.any():
                parts = _Parts(along, across, depth, ids).some(np.flatnonzero(chosen))
                self._draw(parts, strides, sizes, np.float32(reach))

    def seen(self) -> tuple[Ints, Floats]:
        """(height, width): the triangle at each pixel, -1 for none, and its depth, 0 for none."""
        shape = (self.height, self.width)
        nothing = self._cells == _NOTHING
        ids = (self._cells & np.uint64(2**32 - 1)).astype(np.int32)
        ids[nothing] = -1
        depth = (self._cells >> _ID_BITS).astype(np.float32) / _DEPTH_STEPS
        depth[nothing] = 0
        return ids.reshape(shape), depth.reshape(shape)

    def _draw(
        self, parts: "_Parts", strides: tuple[int, int], sizes: tuple[int, int], reach: np.float32
    ) -> None:
        first, count = _covered(parts.across.min(axis=0), parts.across.max(axis=0), reach, sizes[1])
        for batch in _batches(count, _LINES_AT_ONCE):
            lines = _Lines(parts.some(batch), first[batch], count[batch], reach, sizes[0])
            self.budget -= len(lines.count)
            for pixels in _batches(lines.count, _PIXELS_AT_ONCE):
                if self.budget <= 0:
                    return
                where, cells = lines.pixels(pixels, strides)
                np.minimum.at(self._cells, where, cells)
                self.budget -= len(where)


class _Parts:
    """Triangles: place along the lines and across them and depth, each (3,n) by corner; ids (n,)."""

    def __init__(self, along: Floats, across: Floats, depth: Floats, ids: Ints) -> None:
        self.along, self.across, self.depth, self.ids = along, across, depth, ids

    def some(self, which: "slice | npt.NDArray[np.intp]") -> "_Parts":
        if isinstance(which, slice):
            return _Parts(self.along[:, which], self.across[:, which], self.depth[:, which], self.ids[which])
        along, across, depth = (
            np.take(array, which, axis=1) for array in (self.along, self.across, self.depth)
        )
        return _Parts(along, across, depth, self.ids[which])

    def slopes(self) -> tuple[Floats, Floats, Floats]:
        """Depth as a plane: per pixel along, per pixel across, and at the origin. Edge-on: flat."""
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
    """The pixel lines of some triangles: triangle i has `count[i]` of them from `first[i]` on."""

    def __init__(self, parts: _Parts, first: Ints, count: Ints, reach: np.float32, size: int) -> None:
        owner, step = _runs(count)
        self._parts, self._owner = parts, owner
        self._across = np.repeat(first, count) + step
        low, high = self._ends(parts, count, reach)
        self._first, self.count = _covered(low, high, reach, size)

    def _ends(self, parts: _Parts, count: Ints, reach: np.float32) -> tuple[Floats, Floats]:
        """Where each line enters and leaves its triangle: the outermost crossings with the three edges."""
        across = parts.across
        narrow = np.repeat(np.ptp(across, axis=0) <= 2 * reach, count)
        centre = self._across.astype(np.float32) + np.float32(0.5)
        # A line that only comes near takes the nearest cut.
        np.clip(
            centre, np.repeat(across.min(axis=0), count), np.repeat(across.max(axis=0), count), out=centre
        )
        # A triangle narrower than its reach is as good as a line: all of it.
        low = np.where(narrow, np.repeat(parts.along.min(axis=0), count), np.float32(np.inf))
        high = np.where(narrow, np.repeat(parts.along.max(axis=0), count), np.float32(-np.inf))
        for here, there in ((0, 1), (1, 2), (2, 0)):
            rise = across[there] - across[here]
            level = rise == 0
            rise[level] = 1
            lean = np.where(level, np.float32(0), (parts.along[there] - parts.along[here]) / rise)
            above = centre - np.repeat(across[here], count)
            cut = np.repeat(parts.along[here], count) + above * np.repeat(lean, count)
            rise[level] = 0
            part = np.repeat(rise, count)
            crossed = (above >= np.minimum(part, 0)) & (above <= np.maximum(part, 0))
            np.minimum(low, cut, out=low, where=crossed)
            np.maximum(high, cut, out=high, where=crossed)
        return low, high

    def pixels(
        self, which: slice, strides: tuple[int, int]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint64]]:
        """The pixels of some lines: their places in the buffer and what to put there."""
        count, owner, across = self.count[which], self._owner[which], self._across[which]
        parts = self._parts
        line, step = _runs(count)
        along = self._first[which][line] + step
        per_along, per_across, origin = parts.slopes()
        half = np.float32(0.5)
        start = origin[owner] + per_across[owner] * (across + half) + per_along[owner] * half
        triangle = owner[line]
        depth = start[line] + per_along[triangle] * along
        # Widened triangles, and thin ones by rounding, would stick out of their own depth.
        np.clip(depth, parts.depth.min(axis=0)[triangle], parts.depth.max(axis=0)[triangle], out=depth)
        cells = (depth * _DEPTH_STEPS).astype(np.uint64)
        cells <<= _ID_BITS
        cells |= parts.ids[triangle].astype(np.uint64)
        return along.astype(np.intp) * strides[0] + (across.astype(np.intp) * strides[1])[line], cells


def _covered(low: Floats, high: Floats, reach: np.float32, size: int) -> tuple[Ints, Ints]:
    """The pixels (or lines) whose centres lie from `low` to `high`: the first and how many."""
    half = np.float32(0.5)
    first = np.clip(np.ceil(low - half - reach), 0, size).astype(np.int32)
    last = np.clip(np.floor(high - half + reach), -1, size - 1).astype(np.int32)
    return first, np.maximum(last - first + 1, 0)


def _runs(count: Ints) -> tuple[Ints, Ints]:
    """For counts 2, 0, 3: the owners 0 0 2 2 2 and the steps 0 1 0 1 2."""
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    begin = np.cumsum(count, dtype=np.int32) - count
    return owner, np.arange(len(owner), dtype=np.int32) - np.repeat(begin, count)


def _batches(count: Ints, limit: int) -> Iterator[slice]:
    """Slices of `count` that sum to about `limit` each: never above it by more than one count."""
    total = np.cumsum(count, dtype=np.int64)
    begin = 0
    while begin < len(count):
        done = total[begin - 1] if begin else 0
        end = int(np.searchsorted(total, done + limit, side="right"))
        end = max(end, begin + 1)
        yield slice(begin, end)
        begin = end

"""Topology of a mesh: open edges, edges of more than two triangles, winding and separate bodies.

topology(triangles)   (n,3,3) float32  ->  Topology

Two corners are the same if their coordinates are equal, as in the slicer's first step; a gap of any size is open.
Written in numpy by sorting integers, which takes less time and memory than trimesh (benchmarks/inspection.py);
scipy's graph functions would not be faster than `_count_bodies`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

type Ids = npt.NDArray[np.int32]
type Keys = npt.NDArray[np.uint64]

_AT_ONCE = 1 << 16
_MIXERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


@dataclass(frozen=True, slots=True)
class Topology:
    """Counts over a whole mesh. An edge is a pair of corners, regardless of its direction."""

    triangles: int
    degenerate_triangles: int
    """Triangles without area: two corners are the same, or all three lie on a line."""
    open_edges: int
    """Edges of one triangle only: the rim of a hole."""
    non_manifold_edges: int
    """Edges of more than two triangles."""
    misdirected_edges: int
    """Edges that both of their triangles traverse in the same direction: one of the two faces inwards."""
    bodies: int
    """Separate bodies, which share no corner."""

    @property
    def is_watertight(self) -> bool:
        """Every edge has exactly two triangles, and there is at least one body."""
        return self.bodies > 0 and self.open_edges == 0 and self.non_manifold_edges == 0

    @property
    def is_consistent(self) -> bool:
        """Neighbouring triangles face the same way."""
        return self.misdirected_edges == 0


def topology(triangles: npt.NDArray[np.float32]) -> Topology:
    """Count the topology of triangles, shape (n,3,3), all finite. Memory: about 120 bytes a triangle."""
    degenerate = _count_degenerate(triangles)
    faces, corners = _weld(triangles)
    collapsed = (faces[0] == faces[1]) | (faces[1] == faces[2]) | (faces[2] == faces[0])
    edges = _directed_edges(faces[:, ~collapsed] if collapsed.any() else faces)
    del faces
    edges.sort()
    backwards = (edges & np.uint64(1)).astype(np.int8)
    edges >>= np.uint64(1)
    begins = np.flatnonzero(np.concatenate([[True], edges[1:] != edges[:-1]])[: len(edges)])
    uses = np.diff(begins, append=len(edges))
    pairs = begins[uses == 2]
    edges = edges[begins]
    bodies = _count_bodies(edges, corners)
    return Topology(
        triangles=len(triangles),
        degenerate_triangles=degenerate,
        open_edges=int(np.count_nonzero(uses == 1)),
        non_manifold_edges=int(np.count_nonzero(uses > 2)),
        misdirected_edges=int(np.count_nonzero(backwards[pairs] == backwards[pairs + 1])),
        bodies=bodies,
    )


def _weld(triangles: npt.NDArray[np.float32]) -> tuple[Ids, int]:
    """Number the corners, equal ones alike. Returns the numbers as (3,n), and one more than the largest."""
    hashes = _corner_hashes(triangles)
    # Sorting integers is eight times as fast as argsort, so the last bits of each hash are replaced by its position.
    position_bits = np.uint64(len(hashes).bit_length())
    position_mask = (np.uint64(1) << position_bits) - np.uint64(1)
    cut = hashes & ~position_mask
    cut |= np.arange(len(hashes), dtype=np.uint64)
    cut.sort()
    positions = (cut & position_mask).astype(np.int32)
    cut >>= position_bits
    new = np.concatenate([[True], cut[1:] != cut[:-1]])
    del cut
    numbers = np.cumsum(new, dtype=np.int32)
    whole = hashes[positions]
    del hashes
    clashes = ~new[1:] & (whole[1:] != whole[:-1])
    above = int(numbers[-1]) + 1
    if clashes.any():  # a few hashes may differ only in the bits that were replaced
        mixed = np.isin(numbers, np.unique(numbers[1:][clashes]))
        distinct, again = np.unique(whole[mixed], return_inverse=True)
        numbers[mixed] = above + again
        above += len(distinct)
    corners = np.empty(len(numbers), np.int32)
    corners[positions] = numbers
    return np.ascontiguousarray(corners.reshape(-1, 3).T), above


def _corner_hashes(triangles: npt.NDArray[np.float32]) -> Keys:
    """A 64-bit hash of each corner (3n). Of a million corners, two collide in 1 of 10⁷ meshes."""
    coordinates = triangles.reshape(-1, 3)
    hashes = np.zeros(len(coordinates), np.uint64)
    for axis, mixer in enumerate(_MIXERS):
        hashes ^= (coordinates[:, axis] + np.float32(0)).view(np.uint32)  # + 0 turns -0 into 0
        hashes *= np.uint64(mixer)
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _directed_edges(faces: Ids) -> Keys:
    """Each edge of each face as one integer: lower corner, higher corner, and 1 if it runs from higher to lower."""
    start, end = faces.ravel(), faces[[1, 2, 0]].ravel()
    edges = np.minimum(start, end).astype(np.uint64)
    edges <<= np.uint64(32)
    edges |= np.maximum(start, end).astype(np.uint64) << np.uint64(1)
    edges |= start > end
    return edges


def _count_bodies(edges: Keys, corners: int) -> int:
    """Count connected components: join every root to its lowest neighbour until no edge connects two roots.

    Corners are numbered in the order of their hashes, which is random, so a dozen rounds are enough for any mesh.
    """
    first = (edges >> np.uint64(31)).astype(np.int32)
    second = (edges & np.uint64(2**31 - 1)).astype(np.int32)
    root = np.arange(corners, dtype=np.int32)
    on_an_edge = np.zeros(corners, bool)
    on_an_edge[first] = on_an_edge[second] = True
    while len(first):
        np.minimum.at(root, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(parent := root[root], root):
            root = parent
        first, second = root[first], root[second]
        unequal = first != second
        first, second = first[unequal], second[unequal]
    return int(np.count_nonzero(on_an_edge & (root == np.arange(corners))))


def _count_degenerate(triangles: npt.NDArray[np.float32]) -> int:
    count = 0
    for begin in range(0, len(triangles), _AT_ONCE):
        a, b, c = triangles[begin : begin + _AT_ONCE].transpose(1, 2, 0).astype(float)
        (x1, y1, z1), (x2, y2, z2) = b - a, c - a
        flat = (y1 * z2 == z1 * y2) & (z1 * x2 == x1 * z2) & (x1 * y2 == y1 * x2)
        count += int(np.count_nonzero(flat))
    return count

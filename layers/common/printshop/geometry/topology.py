"""How a mesh hangs together: open edges, edges of too many triangles, winding, bodies.

topology(triangles)   (n,3,3) float32  ->  Topology

Corners are one when their coordinates are equal, as the slicer sees it first of all; what lies a hair apart is
open. Plain numpy, by sorting numbers: less time and memory than trimesh takes
(benchmarks/inspection.py), and scipy's graphs would save nothing over `_count_bodies`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

type Ids = npt.NDArray[np.int32]
type Words = npt.NDArray[np.uint64]

_AT_ONCE = 1 << 16
_MIXERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


@dataclass(frozen=True, slots=True)
class Topology:
    """Counts over a whole mesh. An edge is a pair of corners, whichever way it is passed."""

    triangles: int
    degenerate_triangles: int
    """Without area: two corners are one, or all lie in a line."""
    open_edges: int
    """Of one triangle only: the rim of a hole."""
    non_manifold_edges: int
    """Of more than two triangles."""
    misdirected_edges: int
    """Of two triangles that pass it the same way: one of them is wound inside out."""
    bodies: int
    """Pieces that touch nowhere, not in a corner either."""

    @property
    def is_watertight(self) -> bool:
        """Every edge has two triangles, and there is one."""
        return self.bodies > 0 and self.open_edges == 0 and self.non_manifold_edges == 0

    @property
    def is_consistent(self) -> bool:
        """Neighbours are wound alike: the mesh has one outside."""
        return self.misdirected_edges == 0


def topology(triangles: npt.NDArray[np.float32]) -> Topology:
    """Measure (n,3,3) finite corners. Memory: some 120 bytes a triangle."""
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
    """The corners by number, as (3,n), and a number above all of them; equal coordinates have equal numbers."""
    marks = _marks(triangles)
    # Sorting numbers is eight times as fast as sorting indices by them: each mark carries its place along,
    # and gives up its last bits for that.
    place_bits = np.uint64(len(marks).bit_length())
    places_mask = (np.uint64(1) << place_bits) - np.uint64(1)
    cut = marks & ~places_mask
    cut |= np.arange(len(marks), dtype=np.uint64)
    cut.sort()
    places = (cut & places_mask).astype(np.int32)
    cut >>= place_bits
    new = np.concatenate([[True], cut[1:] != cut[:-1]])
    del cut
    numbers = np.cumsum(new, dtype=np.int32)
    whole = marks[places]
    del marks
    clashes = ~new[1:] & (whole[1:] != whole[:-1])
    above = int(numbers[-1]) + 1
    if clashes.any():  # marks that differed in their last bits alone: a handful
        mixed = np.isin(numbers, np.unique(numbers[1:][clashes]))
        distinct, again = np.unique(whole[mixed], return_inverse=True)
        numbers[mixed] = above + again
        above += len(distinct)
    corners = np.empty(len(numbers), np.int32)
    corners[places] = numbers
    return np.ascontiguousarray(corners.reshape(-1, 3).T), above


def _marks(triangles: npt.NDArray[np.float32]) -> Words:
    """A 64-bit mark of each corner (3n). Two corners of a million share one by chance in 1 mesh of 10⁷."""
    coordinates = triangles.reshape(-1, 3)
    marks = np.zeros(len(coordinates), np.uint64)
    for axis, mixer in enumerate(_MIXERS):
        marks ^= (coordinates[:, axis] + np.float32(0)).view(np.uint32)  # + 0 makes -0 the same as 0
        marks *= np.uint64(mixer)
        marks ^= marks >> np.uint64(29)
    return marks


def _directed_edges(faces: Ids) -> Words:
    """Each edge of each face as one number: lower corner, higher corner, and 1 if it is passed downwards."""
    start, end = faces.ravel(), faces[[1, 2, 0]].ravel()
    edges = np.minimum(start, end).astype(np.uint64)
    edges <<= np.uint64(32)
    edges |= np.maximum(start, end).astype(np.uint64) << np.uint64(1)
    edges |= start > end
    return edges


def _count_bodies(edges: Words, corners: int) -> int:
    """Connected components by hooking every root to its lowest neighbour until no edge joins two.

    Corners are numbered by their marks, at random as it were, so that a dozen rounds do for any mesh.
    """
    one = (edges >> np.uint64(31)).astype(np.int32)
    other = (edges & np.uint64(2**31 - 1)).astype(np.int32)
    root = np.arange(corners, dtype=np.int32)
    on_an_edge = np.zeros(corners, bool)
    on_an_edge[one] = on_an_edge[other] = True
    while len(one):
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(above := root[root], root):
            root = above
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return int(np.count_nonzero(on_an_edge & (root == np.arange(corners))))


def _count_degenerate(triangles: npt.NDArray[np.float32]) -> int:
    count = 0
    for begin in range(0, len(triangles), _AT_ONCE):
        a, b, c = triangles[begin : begin + _AT_ONCE].transpose(1, 2, 0).astype(float)
        (x1, y1, z1), (x2, y2, z2) = b - a, c - a
        flat = (y1 * z2 == z1 * y2) & (z1 * x2 == x1 * z2) & (x1 * y2 == y1 * x2)
        count += int(np.count_nonzero(flat))
    return count

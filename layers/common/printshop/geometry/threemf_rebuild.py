"""Rebuild a 3MF from its geometry alone, because settings inside a 3MF can run a shell command in the slicer and
change the price.

Kept: meshes, components, build items, transforms, the unit. Dropped: every config, metadata, name, attachment,
thumbnail, colour and paint. Parts that `p:path` (production extension) refers to are merged into one model. Every
number is parsed and written anew, so no text of the customer's file reaches the slicer. All data is streamed, so
memory does not grow with the model.
"""

import math
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

from printshop.geometry.deadline import Deadline
from printshop.geometry.dimensions import UNIT_MM
from printshop.geometry.near_origin import offset_from_origin
from printshop.geometry.threemf_model import CORE, ObjectId, Placement
from printshop.geometry.threemf_package import open_package
from printshop.geometry.threemf_reader import MODEL_TYPE, ROOT_PART, Build, read_model

_FLUSH_AT = 16_384  # fragments of text
_PRUSA = "http://schemas.slic3r.org/3mf/2017/06"
_CONTENT_TYPES_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>'
)
_RELATIONSHIPS_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="model" Target="/{ROOT_PART}" Type="{MODEL_TYPE}"/></Relationships>'
)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the new package places on the bed: its build items, and the triangles of all instances."""

    items: int
    triangles: int


def rebuild(source: Path, target: Path, seconds: float = math.inf) -> Rebuilt:
    """Write the geometry of the 3MF `source` as the new 3MF `target`. Raises ModelError.

    `seconds` limits processor time, not elapsed time, because the worker may be busy with other work meanwhile.
    """
    # Not compressed: the slicer reads it once, from the same disk.
    with open_package(source) as package, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("[Content_Types].xml", _CONTENT_TYPES_XML)
        archive.writestr("_rels/.rels", _RELATIONSHIPS_XML)
        with archive.open(ROOT_PART, "w") as out:
            writer = GeometryWriter(out.write)
            build = read_model(package, writer, Deadline(seconds, time.thread_time))
            writer.finish(build)
    return Rebuilt(len(build.items), build.triangles)


class GeometryWriter:
    """A GeometrySink that writes the model XML as UTF-8."""

    def __init__(self, write_bytes: Callable[[bytes], object]) -> None:
        self._write_bytes = write_bytes
        self._fragments: list[str] = []
        self._append = self._fragments.append
        self._new_ids: dict[ObjectId, int] = {}
        self._first_corners: dict[ObjectId, Sequence[float]] = {}
        self._mesh: ObjectId = ("", 0)

    def begin(self, unit: str, *, by_prusa: bool) -> None:
        self._append('<?xml version="1.0" encoding="UTF-8"?>')
        self._append(f'<model unit="{unit}" xml:lang="en-US" xmlns="{CORE}" xmlns:slic3rpe="{_PRUSA}">')
        if by_prusa:
            # PrusaSlicer rounds the position of a mesh from its own files differently. It is 0.001 % of the price,
            # but the original file, sliced on the command line, must give the same figures.
            self._append('<metadata name="slic3rpe:Version3mf">1</metadata>')
        self._append("<resources>")

    def open_mesh(self, key: ObjectId, kind: str) -> None:
        self._mesh = key
        self._open_object(key, kind)
        self._append("<mesh><vertices>")

    def vertices(self, numbers: Sequence[float]) -> None:
        if numbers:
            self._first_corners.setdefault(self._mesh, numbers[:3])
        self._fragments += (
            f'<vertex x="{x!r}" y="{y!r}" z="{z!r}"/>' for x, y, z in batched(numbers, 3, strict=True)
        )
        self._flush_when_full()

    def list_triangles(self) -> None:
        self._append("</vertices><triangles>")

    def triangles(self, indices: Sequence[int]) -> None:
        self._fragments += (
            f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in batched(indices, 3, strict=True)
        )
        self._flush_when_full()

    def close_mesh(self) -> None:
        self._append("</triangles></mesh></object>")
        self._flush()

    def finish(self, build: Build) -> None:
        """Write the composites, each after the objects that it refers to, then the build."""
        for key, composite in build.composites.items():
            self._open_object(key, composite.kind)
            self._append("<components>")
            for component in composite.components:
                self._place("component", component)
                self._flush_when_full()
            self._append("</components></object>")
        self._append("</resources><build>")
        offset = self._offset(build)
        for item in build.items:
            self._place("item", _moved(item, offset) if any(offset) else item)
            self._flush_when_full()
        self._append("</build></model>")
        self._flush()

    def _offset(self, build: Build) -> tuple[int, int]:
        """What to subtract from each item's x and y, so that the first item's first corner is near the origin."""
        path = [build.items[0]]
        while composite := build.composites.get(path[-1].object):
            path.append(composite.components[0])
        corner = self._first_corners.get(path[-1].object, (0, 0, 0))
        for placement in reversed(path):
            corner = _transformed(corner, placement.transform)
        return offset_from_origin(corner[0], corner[1], UNIT_MM[build.unit])

    def _open_object(self, key: ObjectId, kind: str) -> None:
        self._append(f'<object id="{self._new_id(key)}" type="{kind}">')

    def _new_id(self, key: ObjectId) -> int:
        """The object's id in the new model, given out in the order of first use."""
        return self._new_ids.setdefault(key, len(self._new_ids) + 1)

    def _place(self, element: str, placement: Placement) -> None:
        numbers = placement.transform
        transform = f' transform="{" ".join(map(repr, numbers))}"' if numbers else ""
        self._append(f'<{element} objectid="{self._new_id(placement.object)}"{transform}/>')

    def _flush_when_full(self) -> None:
        if len(self._fragments) >= _FLUSH_AT:
            self._flush()

    def _flush(self) -> None:
        self._write_bytes("".join(self._fragments).encode())
        self._fragments.clear()


_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


def _transformed(corner: Sequence[float], transform: Sequence[float]) -> tuple[float, float, float]:
    rows = (*corner, 1.0)
    x, y, z = (
        sum(row * number for row, number in zip(rows, (transform or _IDENTITY)[axis::3], strict=True))
        for axis in range(3)
    )
    return x, y, z


def _moved(item: Placement, offset: tuple[int, int]) -> Placement:
    *rotation, x, y, z = item.transform or _IDENTITY
    return Placement(item.object, (*rotation, x - offset[0], y - offset[1], z))

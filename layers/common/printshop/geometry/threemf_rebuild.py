"""A 3MF rebuilt from its geometry alone, because a 3MF is code: its embedded settings can run a shell command
in the slicer and change the price.

Kept: meshes, components, build items, transforms, the unit. Dropped: every config, metadata, name, attachment,
thumbnail, colour and paint. Parts that `p:path` (production extension) points to are folded into one model.
Every number is parsed and written anew, so no text of the customer's file reaches the slicer. Everything streams;
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
from printshop.geometry.threemf_reader import MODEL_TYPE, ROOT_PART, Contents, read_model

_WRITE_AT = 16_384  # pieces of text
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
    """What the new package places on the bed: items, and their triangles with every instance counted."""

    items: int
    triangles: int


def rebuild(source: Path, target: Path, seconds: float = math.inf) -> Rebuilt:
    """Write the geometry of the 3MF `source` as the new 3MF `target`. Raises ModelError.

    It may take so many `seconds` of the processor: what else a worker does meanwhile is not the model's fault.
    """
    # Stored, not deflated: the slicer reads it once, from the same disk.
    with open_package(source) as package, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("[Content_Types].xml", _CONTENT_TYPES_XML)
        archive.writestr("_rels/.rels", _RELATIONSHIPS_XML)
        with archive.open(ROOT_PART, "w") as out:
            writer = GeometryWriter(out.write)
            contents = read_model(package, writer, Deadline(seconds, time.thread_time))
            writer.finish(contents)
    return Rebuilt(len(contents.items), contents.triangles)


class GeometryWriter:
    """A GeometrySink that writes the new model as UTF-8."""

    def __init__(self, write_bytes: Callable[[bytes], object]) -> None:
        self._write_bytes = write_bytes
        self._pieces: list[str] = []
        self._append = self._pieces.append
        self._numbers: dict[ObjectId, int] = {}
        self._first_corners: dict[ObjectId, Sequence[float]] = {}
        self._mesh: ObjectId = ("", 0)

    def begin(self, unit: str, *, by_prusa: bool) -> None:
        self._append('<?xml version="1.0" encoding="UTF-8"?>')
        self._append(f'<model unit="{unit}" xml:lang="en-US" xmlns="{CORE}" xmlns:slic3rpe="{_PRUSA}">')
        if by_prusa:
            # PrusaSlicer places a mesh of its own by another rounding: 0.001 % of the price, but the same file
            # sliced by hand must give the same figures.
            self._append('<metadata name="slic3rpe:Version3mf">1</metadata>')
        self._append("<resources>")

    def open_mesh(self, key: ObjectId, kind: str) -> None:
        self._mesh = key
        self._open_object(key, kind)
        self._append("<mesh><vertices>")

    def vertices(self, numbers: Sequence[float]) -> None:
        if numbers:
            self._first_corners.setdefault(self._mesh, numbers[:3])
        self._pieces += (
            f'<vertex x="{x!r}" y="{y!r}" z="{z!r}"/>' for x, y, z in batched(numbers, 3, strict=True)
        )
        self._flush_when_full()

    def list_triangles(self) -> None:
        self._append("</vertices><triangles>")

    def triangles(self, indices: Sequence[int]) -> None:
        self._pieces += (
            f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in batched(indices, 3, strict=True)
        )
        self._flush_when_full()

    def close_mesh(self) -> None:
        self._append("</triangles></mesh></object>")
        self._flush()

    def finish(self, contents: Contents) -> None:
        """Write what is made of the meshes (each object after those it refers to), then the build."""
        for key, composite in contents.composites.items():
            self._open_object(key, composite.kind)
            self._append("<components>")
            for component in composite.components:
                self._place("component", component)
                self._flush_when_full()
            self._append("</components></object>")
        self._append("</resources><build>")
        shift = self._shift(contents)
        for item in contents.items:
            self._place("item", _moved(item, shift) if any(shift) else item)
            self._flush_when_full()
        self._append("</build></model>")
        self._flush()

    def _shift(self, contents: Contents) -> tuple[int, int]:
        """What to take off every item's place, so that the first corner of the first one is near."""
        way = [contents.items[0]]
        while composite := contents.composites.get(way[-1].object):
            way.append(composite.components[0])
        corner = self._first_corners.get(way[-1].object, (0, 0, 0))
        for placement in reversed(way):
            corner = _placed(corner, placement.transform)
        return offset_from_origin(corner[0], corner[1], UNIT_MM[contents.unit])

    def _open_object(self, key: ObjectId, kind: str) -> None:
        self._append(f'<object id="{self._number(key)}" type="{kind}">')

    def _number(self, key: ObjectId) -> int:
        """The object's id in the new model."""
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def _place(self, element: str, placement: Placement) -> None:
        numbers = placement.transform
        transform = f' transform="{" ".join(map(repr, numbers))}"' if numbers else ""
        self._append(f'<{element} objectid="{self._number(placement.object)}"{transform}/>')

    def _flush_when_full(self) -> None:
        if len(self._pieces) >= _WRITE_AT:
            self._flush()

    def _flush(self) -> None:
        self._write_bytes("".join(self._pieces).encode())
        self._pieces.clear()


_AS_IT_IS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


def _placed(corner: Sequence[float], transform: Sequence[float]) -> tuple[float, float, float]:
    rows = (*corner, 1.0)
    x, y, z = (
        sum(row * number for row, number in zip(rows, (transform or _AS_IT_IS)[axis::3], strict=True))
        for axis in range(3)
    )
    return x, y, z


def _moved(item: Placement, shift: tuple[int, int]) -> Placement:
    *turn, x, y, z = item.transform or _AS_IT_IS
    return Placement(item.object, (*turn, x - shift[0], y - shift[1], z))

"""Read the model XML of a 3MF as a stream: meshes go to a sink as they are read, objects and build items are kept."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from printshop.geometry.dimensions import MAX_COORDINATE, UNIT_MM, Unit
from printshop.geometry.errors import ModelError
from printshop.geometry.safe_xml import read_elements
from printshop.geometry.threemf_package import part_name

MAX_TRIANGLES = 5_000_000
MAX_VERTICES = MAX_TRIANGLES
"""Limit on all meshes together. A closed mesh has half as many corners as triangles."""
MAX_OBJECTS = 10_000
MAX_PLACEMENTS = 100_000
"""Limit on the components and build items of the whole model."""
MAX_PARTS = 500
MAX_PATH_CHARACTERS = 1024

CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
_MATERIALS = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
_VERTEX = f"{CORE} vertex"
_TRIANGLE = f"{CORE} triangle"
_PATH = f"{_PRODUCTION} path"
# The form in which nearly all slicers and CAD programs write corners and triangles, apart from white space. Such runs
# are read by these expressions, many elements at once; expat reads all other elements one by one.
_NUMBER = rb'="[-+.0-9eE]{1,40}+"'
_INDEX = rb'="[0-9]{1,9}+"'
_PLAIN_VERTICES = re.compile(rb"(?:\s*+<vertex x%b y%b z%b\s*+/>)++" % ((_NUMBER,) * 3))
_PLAIN_TRIANGLES = re.compile(rb"(?:\s*+<triangle v1%b v2%b v3%b\s*+/>)++" % ((_INDEX,) * 3))
_VALUES = re.compile(rb'"([^"]++)"')

_UNITS: Mapping[str, Unit] = {unit: unit for unit in UNIT_MM}
_TYPES = {"model", "solidsupport", "support", "surface", "other"}

type ObjectId = tuple[str, int]
"""An object: the part that defines it, and its id in that part."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A build item or a component: an object and the 12 numbers of its transform, row by row (empty: identity)."""

    object: ObjectId
    transform: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Composite:
    """An object made of other objects."""

    kind: str
    components: list[Placement]


@dataclass(slots=True)
class _Mesh:
    vertices: int = 0
    triangles: int = 0
    has_triangles_element: bool = False
    """The <triangles> element has begun, so no further vertex may follow."""


@dataclass(slots=True)
class _Object:
    key: ObjectId
    kind: str
    mesh: _Mesh | None = None
    components: list[Placement] = field(default_factory=list)


class GeometrySink(Protocol):
    """Receives the meshes as they are read: first the model's unit, then each mesh's corners and triangles."""

    def begin(self, unit: str, *, by_prusa: bool) -> None: ...

    def open_mesh(self, key: ObjectId, kind: str) -> None: ...

    def vertices(self, numbers: Sequence[float]) -> None:
        """Some corners, three numbers each."""
        ...

    def list_triangles(self) -> None: ...

    def triangles(self, indices: Sequence[int]) -> None:
        """Some triangles, three corner indices each."""
        ...

    def close_mesh(self) -> None: ...


class ModelReader:
    """Reads model parts, the root part first, and passes their meshes to a GeometrySink.

    After reading: `meshes` holds the triangle count of each object with a mesh, `composites` the objects made of
    other objects, `helpers` those of both whose type is not "model" (supports, for example), `items` the build items,
    `parts` every part that was named (the root first), `unit` the model's unit.
    """

    def __init__(self, out: GeometrySink, root: str) -> None:
        self.meshes: dict[ObjectId, int] = {}
        self.composites: dict[ObjectId, Composite] = {}
        self.helpers: set[ObjectId] = set()
        self.items: list[Placement] = []
        self.parts = [root]
        self._out = out
        self._part = root
        self.unit: Unit = "millimeter"
        self._units: set[Unit] = set()
        self._begun = self._by_prusa = False
        self._prefixes: dict[str | None, str | None] = {}
        self._object: _Object | None = None
        self._mesh: _Mesh | None = None
        self._vertices = self._triangles = self._placements = self._objects = 0
        self._starts = {
            f"{CORE} model": self._start_model,
            f"{CORE} metadata": self._start_metadata,
            f"{CORE} resources": self._start_resources,
            f"{CORE} object": self._start_object,
            f"{CORE} mesh": self._start_mesh,
            f"{CORE} triangles": self._start_triangles,
            f"{CORE} component": self._start_component,
            f"{CORE} item": self._start_item,
        }
        self._ends = {
            f"{CORE} mesh": self._end_mesh,
            f"{CORE} object": self._end_object,
        }

    def read(self, part: str, chunks: Iterable[bytes]) -> None:
        """Read one part from its bytes. Raises ModelError."""
        self._part = part
        self._prefixes = {}
        self._object = self._mesh = None
        seen_model = False

        def start(name: str, attributes: Mapping[str, str]) -> None:
            nonlocal seen_model
            if name == _VERTEX:
                self._vertex(attributes)
            elif name == _TRIANGLE:
                self._triangle(attributes)
            elif seen_model or name == f"{CORE} model":
                seen_model = True
                if handler := self._starts.get(name):
                    handler(attributes)
            else:
                raise invalid("its model part is not a 3MF model")

        def end(name: str) -> None:
            if handler := self._ends.get(name):
                handler()

        runs = {f"{CORE} vertices": self._vertex_run, f"{CORE} triangles": self._triangle_run}
        read_elements(chunks, start, end, self._prefixes.__setitem__, runs)

    # -- vertex and triangle, of which there are millions: in runs of the usual form, or one by one ----------

    def _vertex(self, attributes: Mapping[str, str]) -> None:
        mesh = self._mesh
        if mesh is None or mesh.has_triangles_element:
            raise invalid("a vertex stands outside its mesh")
        try:
            x, y, z = float(attributes["x"]), float(attributes["y"]), float(attributes["z"])
        except (KeyError, ValueError):
            raise bad_number() from None
        self._take_vertices(mesh, (x, y, z))

    def _vertex_run(self, data: bytes) -> int:
        mesh = self._mesh
        run = _PLAIN_VERTICES.match(data)
        if mesh is None or mesh.has_triangles_element or run is None:
            return 0
        try:
            numbers = list(map(float, _VALUES.findall(data, 0, run.end())))
        except ValueError:
            raise bad_number() from None
        self._take_vertices(mesh, numbers)
        return run.end()

    def _take_vertices(self, mesh: _Mesh, numbers: Sequence[float]) -> None:
        # Each number is compared, because NaN fails every comparison, while max() may skip it.
        if not all(-MAX_COORDINATE < number < MAX_COORDINATE for number in numbers):
            raise bad_number()
        mesh.vertices += len(numbers) // 3
        if mesh.vertices > MAX_VERTICES:
            raise too_complex()
        self._out.vertices(numbers)

    def _triangle(self, attributes: Mapping[str, str]) -> None:
        mesh = self._mesh
        if mesh is None or not mesh.has_triangles_element:
            raise invalid("a triangle stands outside its mesh")
        try:
            corners = int(attributes["v1"]), int(attributes["v2"]), int(attributes["v3"])
        except (KeyError, ValueError):
            raise bad_number() from None
        self._take_triangles(mesh, corners)

    def _triangle_run(self, data: bytes) -> int:
        mesh = self._mesh
        run = _PLAIN_TRIANGLES.match(data)
        if mesh is None or not mesh.has_triangles_element or run is None:
            return 0
        self._take_triangles(mesh, list(map(int, _VALUES.findall(data, 0, run.end()))))
        return run.end()

    def _take_triangles(self, mesh: _Mesh, indices: Sequence[int]) -> None:
        if min(indices) < 0 or max(indices) >= mesh.vertices:
            raise invalid("a triangle refers to a corner that does not exist")
        mesh.triangles += len(indices) // 3
        if mesh.triangles > MAX_TRIANGLES:
            raise too_complex()
        self._out.triangles(indices)

    # -- all other elements ---------------------------------------------------------------------------------

    def _start_model(self, attributes: Mapping[str, str]) -> None:
        for prefix in attributes.get("requiredextensions", "").split():
            if self._prefixes.get(prefix) not in {CORE, _PRODUCTION, _MATERIALS}:
                raise ModelError(
                    "MODEL_3MF_EXTENSION",
                    "The 3MF needs an extension that is not plain geometry; export a plain 3MF or STL.",
                )
        unit = _UNITS.get(attributes.get("unit", "millimeter"))
        if unit is None or self._units - {unit}:
            raise invalid("its unit is unknown or changes between parts")
        self._units.add(unit)
        self.unit = unit

    def _start_metadata(self, attributes: Mapping[str, str]) -> None:
        if attributes.get("name") == "slic3rpe:Version3mf":
            self._by_prusa = True

    def _start_resources(self, _: Mapping[str, str]) -> None:
        if not self._begun:
            self._begun = True
            self._out.begin(self.unit, by_prusa=self._by_prusa)

    def _start_object(self, attributes: Mapping[str, str]) -> None:
        key = (self._part, _id(attributes, "id"))
        if key in self.meshes or key in self.composites or self._object:
            raise invalid("it defines an object twice")
        self._objects += 1  # also counts objects without a mesh
        if self._objects > MAX_OBJECTS:
            raise too_complex()
        kind = attributes.get("type") or "model"
        if kind != "model":
            self.helpers.add(key)
        self._object = _Object(key, kind if kind in _TYPES else "other")

    def _start_mesh(self, _: Mapping[str, str]) -> None:
        if not self._begun or self._object is None or self._object.mesh or self._object.components:
            raise invalid("a mesh stands outside its object")
        self._object.mesh = self._mesh = _Mesh()
        self._out.open_mesh(self._object.key, self._object.kind)

    def _start_triangles(self, _: Mapping[str, str]) -> None:
        if self._mesh is None or self._mesh.has_triangles_element:
            raise invalid("a triangle stands outside its mesh")
        self._mesh.has_triangles_element = True
        self._out.list_triangles()

    def _end_mesh(self) -> None:
        mesh, self._mesh = self._mesh, None
        if mesh is None or not mesh.triangles:
            raise ModelError("MODEL_EMPTY", "The 3MF holds a mesh without triangles; export the model again.")
        self._out.close_mesh()
        self._vertices += mesh.vertices
        self._triangles += mesh.triangles
        if self._triangles > MAX_TRIANGLES or self._vertices > MAX_VERTICES:
            raise too_complex()

    def _end_object(self) -> None:
        if self._object is None:
            return
        if self._object.mesh:
            self.meshes[self._object.key] = self._object.mesh.triangles
        elif self._object.components:
            self.composites[self._object.key] = Composite(self._object.kind, self._object.components)
        self._object = None

    def _start_component(self, attributes: Mapping[str, str]) -> None:
        if self._object is None or self._object.mesh:
            raise invalid("a component stands outside its object")
        self._object.components.append(self._placement(attributes))

    def _start_item(self, attributes: Mapping[str, str]) -> None:
        # Only the root part has a build. PrusaSlicer and Bambu Studio mark items to be left out as printable="0".
        if self._part == self.parts[0] and attributes.get("printable", "1") not in {"0", "false"}:
            self.items.append(self._placement(attributes))

    def _placement(self, attributes: Mapping[str, str]) -> Placement:
        self._placements += 1
        if self._placements > MAX_PLACEMENTS:
            raise too_complex()
        part = self._part
        if path := attributes.get(_PATH):
            if len(path) > MAX_PATH_CHARACTERS:
                raise invalid("it refers to a part by a name that is too long")
            part = sys.intern(part_name(path))  # one string for all placements that name it
            if part not in self.parts:
                self.parts.append(part)
                if len(self.parts) > MAX_PARTS:
                    raise too_complex()
        return Placement((part, _id(attributes, "objectid")), _transform(attributes.get("transform", "")))


def too_complex() -> ModelError:
    return ModelError(
        "MODEL_TOO_COMPLEX",
        f"The model has more than {MAX_TRIANGLES:,} triangles or {MAX_OBJECTS:,} parts; simplify it.",
    )


def _id(attributes: Mapping[str, str], name: str) -> int:
    text = attributes.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise bad_number()
    return int(text)


def _transform(text: str) -> tuple[float, ...]:
    if not text:
        return ()
    try:
        numbers = tuple(map(float, text.split()))
    except ValueError:
        raise bad_number() from None
    if len(numbers) != 12 or not all(-MAX_COORDINATE < number < MAX_COORDINATE for number in numbers):
        raise bad_number()
    return numbers


def bad_number() -> ModelError:
    return ModelError(
        "MODEL_BAD_COORDINATES",
        "The 3MF has coordinates that are not usable numbers; repair it and export it again.",
    )


def invalid(reason: str) -> ModelError:
    return ModelError(
        "MODEL_3MF_INVALID", f"The 3MF breaks its own format: {reason}. Export the model again."
    )

"""The model parts of a 3MF, read as a stream and written again as plain geometry.

Every number is parsed and written anew, so no text of the customer's file reaches the slicer.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from printshop.intake.package import part_name
from printshop.intake.refusals import ModelRefused
from printshop.intake.safe_xml import read_elements

MAX_TRIANGLES = 5_000_000
MAX_OBJECTS = 10_000
MAX_COORDINATE = 1e6
"""In the model's unit, both ways. Keeps infinity and NaN out as well."""
_WRITE_EVERY = 0x1FFF  # elements, less one: a mask

_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
_MATERIALS = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
_VERTEX = f"{_CORE} vertex"
_TRIANGLE = f"{_CORE} triangle"
_PATH = f"{_PRODUCTION} path"
_PRUSA = "http://schemas.slic3r.org/3mf/2017/06"
_UNITS = {"micron", "millimeter", "centimeter", "inch", "foot", "meter"}
_TYPES = {"model", "solidsupport", "support", "surface", "other"}

type ObjectId = tuple[str, int]
"""An object's part and its id there."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A build item or a component: an object, and the 12 numbers that place it (or none)."""

    object: ObjectId
    transform: str


@dataclass(frozen=True, slots=True)
class Composite:
    """An object made of others."""

    kind: str
    components: list[Placement]


@dataclass(slots=True)
class _Mesh:
    vertices: int = 0
    triangles: int = 0
    listing: bool = False
    """Its triangles have begun: no more vertices."""


@dataclass(slots=True)
class _Object:
    key: ObjectId
    kind: str
    mesh: _Mesh | None = None
    components: list[Placement] = field(default_factory=list)


class GeometryWriter:
    """Text of the new model, gathered and written as UTF-8."""

    def __init__(self, write_bytes: Callable[[bytes], object]) -> None:
        self._write_bytes = write_bytes
        self._pieces: list[str] = []
        self.append = self._pieces.append
        self._numbers: dict[ObjectId, int] = {}

    def number(self, key: ObjectId) -> int:
        """The object's id in the new model."""
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def begin(self, unit: str, *, by_prusa: bool) -> None:
        self.append('<?xml version="1.0" encoding="UTF-8"?>')
        self.append(f'<model unit="{unit}" xml:lang="en-US" xmlns="{_CORE}" xmlns:slic3rpe="{_PRUSA}">')
        if by_prusa:
            # PrusaSlicer places a mesh of its own by another rounding: 0.001 % of the price, but the same file
            # sliced by hand must give the same figures.
            self.append('<metadata name="slic3rpe:Version3mf">1</metadata>')
        self.append("<resources>")

    def open_object(self, key: ObjectId, kind: str) -> None:
        self.append(f'<object id="{self.number(key)}" type="{kind}">')

    def place(self, element: str, placement: Placement) -> None:
        transform = f' transform="{placement.transform}"' if placement.transform else ""
        self.append(f'<{element} objectid="{self.number(placement.object)}"{transform}/>')

    def flush(self) -> None:
        self._write_bytes("".join(self._pieces).encode())
        self._pieces.clear()


class ModelReader:
    """Reads model parts, the root first, and passes their meshes on to a GeometryWriter at once.

    Then `meshes` has the triangles of each object written, `composites` the objects still to be written, `items`
    the build, and `parts` every part that was named, the root first.
    """

    def __init__(self, out: GeometryWriter, root: str) -> None:
        self.meshes: dict[ObjectId, int] = {}
        self.composites: dict[ObjectId, Composite] = {}
        self.items: list[Placement] = []
        self.parts = [root]
        self._out = out
        self._part = root
        self._unit = ""
        self._begun = self._by_prusa = False
        self._prefixes: dict[str | None, str | None] = {}
        self._object: _Object | None = None
        self._mesh: _Mesh | None = None
        self._triangles = 0
        self._starts = {
            f"{_CORE} model": self._start_model,
            f"{_CORE} metadata": self._start_metadata,
            f"{_CORE} resources": self._start_resources,
            f"{_CORE} object": self._start_object,
            f"{_CORE} mesh": self._start_mesh,
            f"{_CORE} triangles": self._start_triangles,
            f"{_CORE} component": self._start_component,
            f"{_CORE} item": self._start_item,
        }
        self._ends = {
            f"{_CORE} mesh": self._end_mesh,
            f"{_CORE} object": self._end_object,
        }

    def read(self, part: str, chunks: Iterable[bytes]) -> None:
        """Read one part. Raises ModelRefused."""
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
            elif seen_model or name == f"{_CORE} model":
                seen_model = True
                if handler := self._starts.get(name):
                    handler(attributes)
            else:
                raise _invalid("its model part is not a 3MF model")

        def end(name: str) -> None:
            if handler := self._ends.get(name):
                handler()

        read_elements(chunks, start, end, self._prefixes.__setitem__)

    # -- the two elements of which there are millions ------------------------------------------------------

    def _vertex(self, attributes: Mapping[str, str]) -> None:
        mesh = self._mesh
        if mesh is None or mesh.listing:
            raise _invalid("a vertex stands outside its mesh")
        try:
            x, y, z = float(attributes["x"]), float(attributes["y"]), float(attributes["z"])
        except (KeyError, ValueError):
            raise _bad_number() from None
        limit = MAX_COORDINATE
        if not (-limit < x < limit and -limit < y < limit and -limit < z < limit):
            raise _bad_number()
        mesh.vertices += 1
        self._out.append(f'<vertex x="{x!r}" y="{y!r}" z="{z!r}"/>')
        if not mesh.vertices & _WRITE_EVERY:
            self._out.flush()

    def _triangle(self, attributes: Mapping[str, str]) -> None:
        mesh = self._mesh
        if mesh is None or not mesh.listing:
            raise _invalid("a triangle stands outside its mesh")
        try:
            a, b, c = int(attributes["v1"]), int(attributes["v2"]), int(attributes["v3"])
        except (KeyError, ValueError):
            raise _bad_number() from None
        count = mesh.vertices
        if not (0 <= a < count and 0 <= b < count and 0 <= c < count):
            raise _invalid("a triangle refers to a corner that does not exist")
        mesh.triangles += 1
        self._out.append(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>')
        if not mesh.triangles & _WRITE_EVERY:
            self._out.flush()
            if mesh.triangles > MAX_TRIANGLES:
                raise too_complex()

    # -- the structure around them -------------------------------------------------------------------------

    def _start_model(self, attributes: Mapping[str, str]) -> None:
        for prefix in attributes.get("requiredextensions", "").split():
            if self._prefixes.get(prefix) not in {_CORE, _PRODUCTION, _MATERIALS}:
                raise ModelRefused(
                    "MODEL_3MF_EXTENSION",
                    "The 3MF needs an extension that is not plain geometry; export a plain 3MF or STL.",
                )
        unit = attributes.get("unit", "millimeter")
        if unit not in _UNITS or (self._unit and unit != self._unit):
            raise _invalid("its unit is unknown or changes between parts")
        self._unit = unit

    def _start_metadata(self, attributes: Mapping[str, str]) -> None:
        if attributes.get("name") == "slic3rpe:Version3mf":
            self._by_prusa = True

    def _start_resources(self, _: Mapping[str, str]) -> None:
        if not self._begun:
            self._begun = True
            self._out.begin(self._unit, by_prusa=self._by_prusa)

    def _start_object(self, attributes: Mapping[str, str]) -> None:
        key = (self._part, _id(attributes, "id"))
        if key in self.meshes or key in self.composites or self._object:
            raise _invalid("it defines an object twice")
        if len(self.meshes) + len(self.composites) >= MAX_OBJECTS:
            raise too_complex()
        kind = attributes.get("type", "model")
        self._object = _Object(key, kind if kind in _TYPES else "other")

    def _start_mesh(self, _: Mapping[str, str]) -> None:
        if not self._begun or self._object is None or self._object.mesh or self._object.components:
            raise _invalid("a mesh stands outside its object")
        self._object.mesh = self._mesh = _Mesh()
        self._out.open_object(self._object.key, self._object.kind)
        self._out.append("<mesh><vertices>")

    def _start_triangles(self, _: Mapping[str, str]) -> None:
        if self._mesh is None or self._mesh.listing:
            raise _invalid("a triangle stands outside its mesh")
        self._mesh.listing = True
        self._out.append("</vertices><triangles>")

    def _end_mesh(self) -> None:
        mesh, self._mesh = self._mesh, None
        if mesh is None or not mesh.triangles:
            raise ModelRefused(
                "MODEL_EMPTY", "The 3MF holds a mesh without triangles; export the model again."
            )
        self._out.append("</triangles></mesh></object>")
        self._out.flush()
        self._triangles += mesh.triangles
        if self._triangles > MAX_TRIANGLES:
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
            raise _invalid("a component stands outside its object")
        self._object.components.append(self._placement(attributes))
        if len(self._object.components) > MAX_OBJECTS:
            raise too_complex()

    def _start_item(self, attributes: Mapping[str, str]) -> None:
        # Only the root part builds; `printable` is PrusaSlicer's and Bambu Studio's mark for "not this time".
        if self._part == self.parts[0] and attributes.get("printable", "1") not in {"0", "false"}:
            self.items.append(self._placement(attributes))
            if len(self.items) > MAX_OBJECTS:
                raise too_complex()

    def _placement(self, attributes: Mapping[str, str]) -> Placement:
        part = self._part
        if path := attributes.get(_PATH):
            part = part_name(path)
            if part not in self.parts:
                self.parts.append(part)
        return Placement((part, _id(attributes, "objectid")), _transform(attributes.get("transform", "")))


def too_complex() -> ModelRefused:
    return ModelRefused(
        "MODEL_TOO_COMPLEX",
        f"The model has more than {MAX_TRIANGLES:,} triangles or {MAX_OBJECTS:,} parts; simplify it.",
    )


def _id(attributes: Mapping[str, str], name: str) -> int:
    text = attributes.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise _bad_number()
    return int(text)


def _transform(text: str) -> str:
    if not text:
        return ""
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError:
        raise _bad_number() from None
    if len(numbers) != 12 or not all(-MAX_COORDINATE < number < MAX_COORDINATE for number in numbers):
        raise _bad_number()
    return " ".join(map(repr, numbers))


def _bad_number() -> ModelRefused:
    return ModelRefused(
        "MODEL_BAD_COORDINATES",
        "The 3MF has coordinates that are not usable numbers; repair it and export it again.",
    )


def _invalid(reason: str) -> ModelRefused:
    return ModelRefused(
        "MODEL_3MF_INVALID", f"The 3MF breaks its own format: {reason}. Export the model again."
    )

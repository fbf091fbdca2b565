"""Read a whole 3MF: its model parts in order, then the build that places their meshes on the bed.

References in a circle, deep nesting and excessive counts are errors.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from printshop.geometry.deadline import Deadline
from printshop.geometry.dimensions import Unit
from printshop.geometry.errors import ModelError
from printshop.geometry.safe_xml import read_elements
from printshop.geometry.threemf_model import (
    MAX_TRIANGLES,
    Composite,
    GeometrySink,
    ModelReader,
    ObjectId,
    Placement,
    invalid,
    too_complex,
)
from printshop.geometry.threemf_package import Package, part_name

MAX_DEPTH = 9
"""Levels of objects within objects; PrusaSlicer reads no more."""
MAX_INSTANCES = 10_000

_CONFIGS = ("Metadata/Slic3r_PE_model.config", "Metadata/model_settings.config")
_MAX_CONFIG_BYTES = 8 * 1024 * 1024
_MAX_RELATIONSHIPS_BYTES = 64 * 1024
# How PrusaSlicer (first and third) and Bambu Studio or Orca (second) mark a volume that is not printed as it is.
_HELPER_VOLUME = re.compile(
    rb'key="volume_type"\s+value="(?!ModelPart")|\bsubtype="(?!normal_part")|key="modifier"\s+value="1"'
)

MODEL_TYPE = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
ROOT_PART = "3D/3dmodel.model"
_RELATIONSHIP = "http://schemas.openxmlformats.org/package/2006/relationships Relationship"


@dataclass(frozen=True, slots=True)
class Build:
    """What a 3MF places on the bed, without the meshes themselves, which the sink received.

    `composites` holds the objects made of other objects, each after all objects that it refers to. `triangles` counts
    the triangles of every instance.
    """

    unit: Unit
    composites: Mapping[ObjectId, Composite]
    items: list[Placement]
    triangles: int


def read_model(package: Package, sink: GeometrySink, deadline: Deadline) -> Build:
    """Read the model of a package and pass its meshes to `sink`, the root part's first. Raises ModelError."""
    _check_helper_volumes(package)
    reader = ModelReader(sink, _model_part(package))
    for part in reader.parts:  # grows during the loop, as parts name further parts
        with package.chunks(part) as chunks:
            reader.read(part, deadline.watch(chunks))
    counts = {key: (triangles, 1) for key, triangles in reader.meshes.items()}
    composites = {key: reader.composites[key] for key in _dependency_order(reader.composites)}
    for key, composite in composites.items():
        if key not in reader.helpers:
            _check_helper_objects(reader.helpers, composite.components)
        counts[key] = _total(counts, composite.components)
    _check_helper_objects(reader.helpers, reader.items)
    triangles, instances = _total(counts, reader.items)
    if triangles == 0:
        raise ModelError("MODEL_EMPTY", "The 3MF places no triangles on the bed; export the model again.")
    if triangles > MAX_TRIANGLES or instances > MAX_INSTANCES:
        raise too_complex()
    return Build(reader.unit, composites, reader.items, triangles)


def _dependency_order(composites: Mapping[ObjectId, Composite]) -> list[ObjectId]:
    """The composites, each after all objects that it refers to.

    Raises ModelError for a reference in a circle or nesting beyond MAX_DEPTH. Without recursion, as the depth is the
    file's choice.
    """
    depth: dict[ObjectId, int] = {}
    for start in composites:
        path: dict[ObjectId, Iterator[Placement]] = {}
        if start not in depth:
            path[start] = iter(composites[start].components)
        while path:
            key = next(reversed(path))
            missing = next(
                (each.object for each in path[key] if each.object in composites and each.object not in depth),
                None,
            )
            if missing is None:
                del path[key]
                depth[key] = 1 + max(depth.get(each.object, 0) for each in composites[key].components)
            elif missing in path:
                raise invalid("an object is a part of itself")
            else:
                path[missing] = iter(composites[missing].components)
            if len(path) > MAX_DEPTH + 1 or depth.get(key, 0) > MAX_DEPTH:
                raise ModelError(
                    "MODEL_TOO_COMPLEX",
                    f"The 3MF nests objects more than {MAX_DEPTH} deep; export it with its parts merged, or as STL.",
                )
    return list(depth)


def _total(counts: Mapping[ObjectId, tuple[int, int]], placements: Iterable[Placement]) -> tuple[int, int]:
    """The triangles and instances of several placements; a few bytes of nested components can mean billions."""
    triangles = instances = 0
    for placement in placements:
        if placement.object not in counts:
            raise invalid("it places an object that it does not hold")
        triangles += counts[placement.object][0]
        instances += counts[placement.object][1]
    return triangles, instances


def _model_part(package: Package) -> str:
    """The root model part that the package's relationships name, or the usual one if they name none."""
    found: list[str] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if name == _RELATIONSHIP and attributes.get("Type") == MODEL_TYPE:
            found.append(attributes.get("Target", ""))

    if "_rels/.rels" in package:
        with package.chunks("_rels/.rels", _MAX_RELATIONSHIPS_BYTES) as chunks:
            read_elements(chunks, start)
    root = part_name(found[0] if found else ROOT_PART)
    if root not in package:
        raise ModelError("MODEL_NOT_3MF", "The package holds no 3D model; export the model as 3MF again.")
    return root


def _check_helper_objects(helpers: Container[ObjectId], placements: Iterable[Placement]) -> None:
    # PrusaSlicer cannot read a file whose build contains a support or surface object, so it could not be priced.
    if any(placement.object in helpers for placement in placements):
        raise _modifiers_error("supports or surfaces as objects of their own")


def _check_helper_volumes(package: Package) -> None:
    # Slicers store modifiers, negative volumes and support blockers as meshes and mark them in a config file. The
    # config is dropped here, so they would be printed as solid parts, at a wrong price.
    for name in _CONFIGS:
        if name not in package:
            continue
        with package.chunks(name, _MAX_CONFIG_BYTES) as chunks:
            config = b"".join(chunks)
        if _HELPER_VOLUME.search(config):
            raise _modifiers_error("modifiers, negative volumes or support blockers")


def _modifiers_error(what: str) -> ModelError:
    return ModelError(
        "MODEL_HAS_MODIFIERS",
        f"The project holds {what}, which cannot be kept; export the plain model as STL or 3MF.",
    )

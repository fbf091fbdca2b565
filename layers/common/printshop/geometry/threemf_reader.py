"""What a 3MF package places on the bed: its parts read in order, circles and absurd numbers refused."""

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
"""Objects within objects: PrusaSlicer reads no more."""
MAX_INSTANCES = 10_000

_CONFIGS = ("Metadata/Slic3r_PE_model.config", "Metadata/model_settings.config")
_MAX_CONFIG_BYTES = 8 * 1024 * 1024
_MAX_RELATIONSHIPS_BYTES = 64 * 1024
# What PrusaSlicer (first and third) and Bambu Studio or Orca (second) call a volume that is not simply printed.
_HELPER_VOLUME = re.compile(
    rb'key="volume_type"\s+value="(?!ModelPart")|\bsubtype="(?!normal_part")|key="modifier"\s+value="1"'
)

MODEL_TYPE = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
ROOT_PART = "3D/3dmodel.model"
_RELATIONSHIP = "http://schemas.openxmlformats.org/package/2006/relationships Relationship"


@dataclass(frozen=True, slots=True)
class Contents:
    """A model but for its meshes, which went to the sink.

    `composites` has each object made of others after all that it refers to; `triangles` counts every instance.
    """

    unit: Unit
    composites: Mapping[ObjectId, Composite]
    items: list[Placement]
    triangles: int


def read_model(package: Package, sink: GeometrySink, deadline: Deadline) -> Contents:
    """Read the model of a package; its meshes go to `sink`, the root part's first. Raises ModelError."""
    _refuse_helper_volumes(package)
    reader = ModelReader(sink, _model_part(package))
    for part in reader.parts:  # grows while it is walked
        with package.chunks(part) as chunks:
            reader.read(part, deadline.watch(chunks))
    made = {key: (triangles, 1) for key, triangles in reader.meshes.items()}
    composites = {key: reader.composites[key] for key in _in_order(reader.composites)}
    for key, composite in composites.items():
        if key not in reader.helpers:
            _refuse_helper_objects(reader.helpers, composite.components)
        made[key] = _total(made, composite.components)
    _refuse_helper_objects(reader.helpers, reader.items)
    triangles, instances = _total(made, reader.items)
    if triangles == 0:
        raise ModelError("MODEL_EMPTY", "The 3MF places no triangles on the bed; export the model again.")
    if triangles > MAX_TRIANGLES or instances > MAX_INSTANCES:
        raise too_complex()
    return Contents(reader.unit, composites, reader.items, triangles)


def _in_order(composites: Mapping[ObjectId, Composite]) -> list[ObjectId]:
    """Objects made of others, each after all that it refers to. Refuses circles and absurd depth."""
    depth: dict[ObjectId, int] = {}
    for start in composites:
        path: dict[ObjectId, Iterator[Placement]] = {}
        if start not in depth:
            path[start] = iter(composites[start].components)
        while path:
            key = next(reversed(path))
            waiting = next(
                (piece.object for piece in path[key] if _waits(piece.object, composites, depth)), None
            )
            if waiting is None:
                del path[key]
                depth[key] = 1 + max(depth.get(piece.object, 0) for piece in composites[key].components)
            elif waiting in path:
                raise invalid("an object is a part of itself")
            else:
                path[waiting] = iter(composites[waiting].components)
            if len(path) > MAX_DEPTH + 1 or depth.get(key, 0) > MAX_DEPTH:
                raise ModelError(
                    "MODEL_TOO_COMPLEX",
                    f"The 3MF nests objects more than {MAX_DEPTH} deep; export it with its parts merged, or as STL.",
                )
    return list(depth)


def _waits(key: ObjectId, composites: Mapping[ObjectId, Composite], done: Mapping[ObjectId, int]) -> bool:
    return key in composites and key not in done


def _total(made: Mapping[ObjectId, tuple[int, int]], placements: Iterable[Placement]) -> tuple[int, int]:
    """Triangles and instances of several placements: nested components of a few bytes can mean billions."""
    triangles = instances = 0
    for placement in placements:
        if placement.object not in made:
            raise invalid("it places an object that it does not hold")
        triangles += made[placement.object][0]
        instances += made[placement.object][1]
    return triangles, instances


def _model_part(package: Package) -> str:
    """The root model part that the package's relationships name, else the customary one."""
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


def _refuse_helper_objects(helpers: Container[ObjectId], placements: Iterable[Placement]) -> None:
    # PrusaSlicer cannot read a file that prints a support or a surface, and what it costs nobody could say.
    if any(placement.object in helpers for placement in placements):
        raise _has_modifiers("supports or surfaces as objects of their own")


def _refuse_helper_volumes(package: Package) -> None:
    # Slicers keep modifiers, negative volumes and support blockers inside the mesh and tell them apart in a config.
    # Without that config they would be printed as solid parts: better no price than a wrong one.
    for name in _CONFIGS:
        if name not in package:
            continue
        with package.chunks(name, _MAX_CONFIG_BYTES) as chunks:
            config = b"".join(chunks)
        if _HELPER_VOLUME.search(config):
            raise _has_modifiers("modifiers, negative volumes or support blockers")


def _has_modifiers(what: str) -> ModelError:
    return ModelError(
        "MODEL_HAS_MODIFIERS",
        f"The project holds {what}, which cannot be kept; export the plain model as STL or 3MF.",
    )

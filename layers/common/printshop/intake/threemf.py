"""A 3MF rebuilt from its geometry alone, because a 3MF is code: its embedded settings can run a shell command
in the slicer and change the price.

Kept: meshes, components, build items, transforms, the unit. Dropped: every config, metadata, name, attachment,
thumbnail, colour and paint. Parts that `p:path` (production extension) points to are folded into one model.
Everything streams; memory does not grow with the model.
"""

import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from printshop.intake.model_xml import (
    MAX_TRIANGLES,
    GeometryWriter,
    ModelReader,
    ObjectId,
    Placement,
    too_complex,
)
from printshop.intake.package import Package, open_package, part_name
from printshop.intake.refusals import ModelRefused
from printshop.intake.safe_xml import read_elements

MAX_DEPTH = 64
"""Components within components."""
MAX_INSTANCES = 10_000
MAX_PARTS = 500

_CONFIGS = ("Metadata/Slic3r_PE_model.config", "Metadata/model_settings.config")
_MAX_CONFIG_BYTES = 8 * 1024 * 1024
_MAX_RELATIONSHIPS_BYTES = 64 * 1024
# What PrusaSlicer (first and third) and Bambu Studio or Orca (second) call a volume that is not simply printed.
_HELPER_VOLUME = re.compile(
    rb'key="volume_type"\s+value="(?!ModelPart")|\bsubtype="(?!normal_part")|key="modifier"\s+value="1"'
)

_MODEL_TYPE = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
_RELATIONSHIP = "http://schemas.openxmlformats.org/package/2006/relationships Relationship"
_ROOT_PART = "3D/3dmodel.model"
_CONTENT_TYPES_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>'
)
_RELATIONSHIPS_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="model" Target="/{_ROOT_PART}" Type="{_MODEL_TYPE}"/></Relationships>'
)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the new package places on the bed: items, and their triangles with every instance counted."""

    items: int
    triangles: int


def rebuild(source: Path, target: Path) -> Rebuilt:
    """Write the geometry of the 3MF `source` as the new 3MF `target`. Raises ModelRefused."""
    with open_package(source) as package:
        _refuse_helper_volumes(package)
        root = _model_part(package)
        # Stored, not deflated: the slicer reads it once, from the same disk.
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("[Content_Types].xml", _CONTENT_TYPES_XML)
            archive.writestr("_rels/.rels", _RELATIONSHIPS_XML)
            with archive.open(_ROOT_PART, "w") as out:
                return _write_model(package, root, GeometryWriter(out.write))


def _write_model(package: Package, root: str, out: GeometryWriter) -> Rebuilt:
    """Meshes as they are met, then objects made of others (each after those), then the build."""
    reader = ModelReader(out, root)
    for part in reader.parts:  # grows while it is walked
        if len(reader.parts) > MAX_PARTS:
            raise too_complex()
        with package.chunks(part) as chunks:
            reader.read(part, chunks)
    made = {key: (triangles, 1) for key, triangles in reader.meshes.items()}
    for key in _composites_in_order(reader):
        composite = reader.composites[key]
        made[key] = _total(made, composite.components)
        out.open_object(key, composite.kind)
        out.append("<components>")
        for component in composite.components:
            out.place("component", component)
        out.append("</components></object>")
    triangles, instances = _total(made, reader.items)
    if triangles == 0:
        raise ModelRefused("MODEL_EMPTY", "The 3MF places no triangles on the bed; export the model again.")
    if triangles > MAX_TRIANGLES or instances > MAX_INSTANCES:
        raise too_complex()
    out.append("</resources><build>")
    for item in reader.items:
        out.place("item", item)
    out.append("</build></model>")
    out.flush()
    return Rebuilt(len(reader.items), triangles)


def _composites_in_order(reader: ModelReader) -> list[ObjectId]:
    """Objects made of others, each after all that it refers to. Refuses circles and absurd depth."""
    depth: dict[ObjectId, int] = {}
    for start in reader.composites:
        path = [] if start in depth else [start]
        while path:
            within = {piece.object for piece in reader.composites[path[-1]].components}
            within &= reader.composites.keys()
            waiting = next((key for key in within if key not in depth), None)
            if waiting is None:
                key = path.pop()
                depth[key] = 1 + max((depth[inner] for inner in within), default=0)
            elif waiting in path:
                raise _refused_3mf("an object is a part of itself")
            else:
                path.append(waiting)
            if len(path) > MAX_DEPTH or (waiting is None and depth[key] > MAX_DEPTH):
                raise too_complex()
    return list(depth)


def _total(made: Mapping[ObjectId, tuple[int, int]], placements: Iterable[Placement]) -> tuple[int, int]:
    """Triangles and instances of several placements: nested components of a few bytes can mean billions."""
    triangles = instances = 0
    for placement in placements:
        if placement.object not in made:
            raise _refused_3mf("it places an object that it does not hold")
        triangles += made[placement.object][0]
        instances += made[placement.object][1]
    return triangles, instances


def _model_part(package: Package) -> str:
    """The root model part that the package's relationships name, else the customary one."""
    found: list[str] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if name == _RELATIONSHIP and attributes.get("Type") == _MODEL_TYPE:
            found.append(attributes.get("Target", ""))

    if "_rels/.rels" in package:
        with package.chunks("_rels/.rels", _MAX_RELATIONSHIPS_BYTES) as chunks:
            read_elements(chunks, start)
    root = part_name(found[0] if found else _ROOT_PART)
    if root not in package:
        raise ModelRefused("MODEL_NOT_3MF", "The package holds no 3D model; export the model as 3MF again.")
    return root


def _refuse_helper_volumes(package: Package) -> None:
    # Slicers keep modifiers, negative volumes and support blockers inside the mesh and tell them apart in a config.
    # Without that config they would be printed as solid parts: better no price than a wrong one.
    for name in _CONFIGS:
        if name not in package:
            continue
        with package.chunks(name, _MAX_CONFIG_BYTES) as chunks:
            config = b"".join(chunks)
        if _HELPER_VOLUME.search(config):
            raise ModelRefused(
                "MODEL_HAS_MODIFIERS",
                "The project holds modifiers, negative volumes or support blockers, which cannot be kept; "
                "export the plain model as STL or 3MF.",
            )


def _refused_3mf(reason: str) -> ModelRefused:
    return ModelRefused(
        "MODEL_3MF_INVALID", f"The 3MF breaks its own format: {reason}. Export the model again."
    )

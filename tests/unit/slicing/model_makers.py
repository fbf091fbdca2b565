"""Models made for the tests: boxes and spheres as STL in both dialects, and 3MF packages, honest and hostile."""

import io
import math
import struct
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

type Point = tuple[float, float, float]
type Triangle = tuple[Point, Point, Point]

CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
ROOT = "3D/3dmodel.model"
RELATIONSHIPS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rel0" Target="/3D/3dmodel.model" '
    'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
)
_FACES = [(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7), (0, 1, 5), (0, 5, 4)]
_FACES += [(1, 2, 6), (1, 6, 5), (2, 3, 7), (2, 7, 6), (3, 0, 4), (3, 4, 7)]


def box(size: float) -> list[Triangle]:
    """A cube of `size` mm as 12 triangles."""
    corners = _corners(size)
    return [(corners[a], corners[b], corners[c]) for a, b, c in _FACES]


def _corners(size: float) -> list[Point]:
    s = float(size)
    return [(0, 0, 0), (s, 0, 0), (s, s, 0), (0, s, 0), (0, 0, s), (s, 0, s), (s, s, s), (0, s, s)]


def sphere(radius: float, rings: int) -> list[Triangle]:
    """A ball with about 4 × rings² triangles, a bumpy one, so that slicing it is work."""

    def point(ring: int, slice_: int) -> Point:
        polar = math.pi * ring / rings
        around = math.pi * (slice_ % (2 * rings)) / rings
        r = radius * (1 + 0.03 * math.sin(9 * polar) * math.sin(11 * around) * (0 < ring < rings))
        return (
            r * math.sin(polar) * math.cos(around),
            r * math.sin(polar) * math.sin(around),
            r * math.cos(polar) + radius,
        )

    triangles: list[Triangle] = []
    for ring in range(rings):
        for turn in range(2 * rings):
            a, b = point(ring, turn), point(ring + 1, turn)
            c, d = point(ring + 1, turn + 1), point(ring, turn + 1)
            if ring < rings - 1:
                triangles.append((a, b, c))
            if ring > 0:
                triangles.append((a, c, d))
    return triangles


def binary_stl(triangles: Sequence[Triangle], header: bytes = b"made for a test") -> bytes:
    records = [
        struct.pack("<12fH", 0, 0, 0, *(number for corner in triangle for number in corner), 0)
        for triangle in triangles
    ]
    return header.ljust(80, b" ")[:80] + struct.pack("<I", len(triangles)) + b"".join(records)


def ascii_stl(triangles: Iterable[Triangle], name: str = "part", newline: str = "\n") -> bytes:
    lines = [f"solid {name}"]
    for triangle in triangles:
        lines += ["facet normal 0 0 0", " outer loop"]
        lines += [f"  vertex {x:g} {y:g} {z:g}" for x, y, z in triangle]
        lines += [" endloop", "endfacet"]
    return (newline.join([*lines, f"endsolid {name}"]) + newline).encode()


def mesh_xml(size: float) -> str:
    """The <mesh> of a cube."""
    vertices = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in _corners(size))
    triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in _FACES)
    return f"<mesh><vertices>{vertices}</vertices><triangles>{triangles}</triangles></mesh>"


def model_xml(resources: str, build: str, *, unit: str = "millimeter", attributes: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><model unit="{unit}" xmlns="{CORE}" '
        f'xmlns:p="{PRODUCTION}" {attributes}><metadata name="Title">x</metadata>'
        f"<resources>{resources}</resources><build>{build}</build></model>"
    )


def cube_model(size: float = 20) -> str:
    return model_xml(f'<object id="1" type="model">{mesh_xml(size)}</object>', '<item objectid="1"/>')


def nested_model(depth: int, width: int) -> str:
    """A cube in `depth` objects within each other, each of which holds the inner one `width` times."""
    resources = f'<object id="1" type="model">{mesh_xml(20)}</object>' + "".join(
        f'<object id="{level}"><components>'
        + f'<component objectid="{level - 1}"/>' * width
        + "</components></object>"
        for level in range(2, depth + 2)
    )
    return model_xml(resources, f'<item objectid="{depth + 1}"/>')


def three_mf_bytes(
    model: str | bytes | None = None,
    parts: dict[str, str | bytes] | None = None,
    *,
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """A 3MF with `model` as its root part (default: a 20 mm cube) and whatever `parts` adds or replaces."""
    contents: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": RELATIONSHIPS,
        ROOT: cube_model() if model is None else model,
    }
    contents.update(parts or {})
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return package.getvalue()


def three_mf(
    path: Path,
    model: str | None = None,
    parts: dict[str, str | bytes] | None = None,
    *,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """The 3MF of `three_mf_bytes` at `path`."""
    path.write_bytes(three_mf_bytes(model, parts, compression=compression))
    return path

"""Small models made for tests."""

import io
import struct
import zipfile
from pathlib import Path

CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>'
)
RELATIONSHIPS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Target="/3D/3dmodel.model" Id="r0" '
    'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
)

type Triangle = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


def cube_triangles(size: float, at: tuple[float, float, float] = (0, 0, 0)) -> list[Triangle]:
    """A closed cube with its edges in mm."""
    x, y, z = at
    corner = [(x + size * i, y + size * j, z + size * k) for k in (0, 1) for j in (0, 1) for i in (0, 1)]
    faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    triangles: list[Triangle] = []
    for a, b, c, d in faces:
        triangles += [(corner[a], corner[b], corner[c]), (corner[a], corner[c], corner[d])]
    return triangles


def binary_stl(triangles: list[Triangle]) -> bytes:
    packed = [struct.pack("<12fH", 0, 0, 0, *a, *b, *c, 0) for a, b, c in triangles]
    return b"a model of the tests".ljust(80) + struct.pack("<I", len(triangles)) + b"".join(packed)


def cube_stl(size: float = 20) -> bytes:
    return binary_stl(cube_triangles(size))


def cube_3mf(size: float = 20, extra: dict[str, str] | None = None) -> bytes:
    """A 3MF of one cube, with more files in its package when `extra` names them."""
    triangles = cube_triangles(size)
    corners = sorted({corner for triangle in triangles for corner in triangle})
    vertices = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in corners)
    faces = "".join(
        '<triangle v1="{}" v2="{}" v3="{}"/>'.format(*(corners.index(corner) for corner in triangle))
        for triangle in triangles
    )
    model = (
        '<?xml version="1.0"?><model unit="millimeter" '
        'xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02"><resources><object id="1" type="model">'
        f"<mesh><vertices>{vertices}</vertices><triangles>{faces}</triangles></mesh></object></resources>"
        '<build><item objectid="1"/></build></model>'
    )
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", CONTENT_TYPES)
        file.writestr("_rels/.rels", RELATIONSHIPS)
        file.writestr("3D/3dmodel.model", model)
        for name, text in (extra or {}).items():
            file.writestr(name, text)
    return package.getvalue()


def write_large_stl(path: Path, size_bytes: int) -> int:
    """A valid binary STL of about `size_bytes`: one cube's triangles again and again; its exact size."""
    triangles = cube_triangles(20)
    block = binary_stl(triangles)[84:]
    blocks = (size_bytes - 84) // len(block)
    with path.open("wb") as file:
        file.write(b"a large model of the tests".ljust(80) + struct.pack("<I", blocks * len(triangles)))
        for _ in range(blocks):
            file.write(block)
    return path.stat().st_size

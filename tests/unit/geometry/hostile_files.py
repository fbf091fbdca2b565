"""Files that customers send by mistake or on purpose, each with the outcome that is meant.

Built by code alone; the largest has a few megabytes. The tests of intake and of the whole stack go through the
same list.
"""

import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.unit.geometry import corrupt_zips
from tests.unit.slicing.model_makers import (
    RELATIONSHIPS,
    Point,
    Triangle,
    ascii_stl,
    binary_stl,
    box,
    cube_model,
    mesh_xml,
    model_xml,
    nested_model,
    sphere,
    three_mf_bytes,
)

SLICED = "SLICED"
"""What the slicer makes of a model when it gives figures."""


@dataclass(frozen=True)
class Hostile:
    """A file, and what becomes of it.

    `code`: intake's refusal, None when it is accepted. An accepted one measures `edges` (mm) and `volume` (mm³,
    None: whatever), gives `warnings`, and ends in one of `slicer`: SLICED, or the failure's code (PrusaSlicer 2.5
    and 2.9 differ here and there).
    """

    name: str
    filename: str
    build: Callable[[], bytes]
    code: str | None = None
    edges: tuple[float, float, float] = (20, 20, 20)
    volume: float | None = 8000
    warnings: tuple[str, ...] = ()
    slicer: frozenset[str] = frozenset({SLICED})

    def __str__(self) -> str:
        return self.name


def _stl(triangles: Sequence[Triangle]) -> Callable[[], bytes]:
    return lambda: binary_stl(triangles)


def _3mf(model: str | bytes | None = None, **parts: str | bytes) -> Callable[[], bytes]:
    return lambda: three_mf_bytes(model, dict(parts))


def _holding(name: str, content: str) -> Callable[[], bytes]:
    return lambda: three_mf_bytes(None, {name: content})


def _changed(change: Callable[[bytearray], None]) -> Callable[[], bytes]:
    def build() -> bytes:
        data = bytearray(three_mf_bytes())
        change(data)
        return bytes(data)

    return build


def _cube(unit: str = "millimeter", attributes: str = "", item: str = "", size: float = 20) -> str:
    resources = f'<object id="1">{mesh_xml(size)}</object>'
    return model_xml(resources, f'<item objectid="1" {item}/>', unit=unit, attributes=attributes)


def _with(extra: str) -> str:
    """A cube's model with something more in its resources."""
    return cube_model().replace("<resources>", f"<resources>{extra}")


def _moved(triangles: Sequence[Triangle], x: float, y: float) -> list[Triangle]:
    def move(corner: Point) -> Point:
        return (corner[0] + x, corner[1] + y, corner[2])

    return [(move(a), move(b), move(c)) for a, b, c in triangles]


def _soup(count: int) -> list[Triangle]:
    source = random.Random(4)

    def point() -> Point:
        return (source.uniform(0, 30), source.uniform(0, 30), source.uniform(0, 30))

    return [(point(), point(), point()) for _ in range(count)]


NAN, INFINITY = float("nan"), float("inf")
INSIDE_OUT = [(a, c, b) for a, b, c in box(20)]
FLAT = [((a[0], a[1], 0.0), (b[0], b[1], 0.0), (c[0], c[1], 0.0)) for a, b, c in box(20)]
TWO_CUBES_ON_ONE_EDGE = [*box(20), *_moved(box(20), 20, 20)]
ENTITY_BOMB = (
    '<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><model "
)
COMMAND = "; post_process = touch /tmp/printshop-corpus-was-here\n"
DEAR = "; fill_density = 100%\n; layer_height = 0.05\n; perimeters = 20\n; scale = 300%\n"
CIRCLE = "".join(
    f'<object id="{a}"><components><component objectid="{b}"/></components></object>'
    for a, b in ((1, 2), (2, 3), (3, 1))
)
MIRROR = 'transform="-1 0 0 0 1 0 0 0 1 0 0 0"'
SUPPORT = f'<object id="1" type="support">{mesh_xml(20)}</object>'
MANY_PARTS = "".join(f'<component objectid="1" p:path="/3D/{n}.model"/>' for n in range(50_000))
EVERY_NAMESPACE = "".join(f'<x{n % 9} xmlns:p{n}="u"/>' for n in range(100_000))
UTF16 = cube_model().replace("UTF-8", "UTF-16").encode("utf-16")

NO_LAYERS = frozenset({"MODEL_NOTHING_TO_PRINT", "NO_GCODE"})
NO_BODY = NO_LAYERS | {"MODEL_OUTSIDE_BED", "MODEL_UNREADABLE", "SLICER_OUT_OF_MEMORY"}
OUTSIDE = frozenset({"MODEL_OUTSIDE_BED", "MODEL_TOO_LARGE", "SLICER_CRASHED", "NO_GCODE"})
ANYTHING = frozenset({SLICED, "NO_GCODE", "MODEL_NOTHING_TO_PRINT", "MODEL_UNREADABLE", "SLICER_FAILED"})

REFUSED = [
    # -- STL
    Hostile("truncated", "a.stl", lambda: binary_stl(sphere(10, 40))[:5000], "MODEL_TRUNCATED"),
    Hostile("truncated text", "a.stl", lambda: ascii_stl(box(20))[:-30], "MODEL_TRUNCATED"),
    Hostile("NaN", "a.stl", _stl([*box(20), ((NAN, 0, 0), (1, 0, 0), (0, 1, 0))]), "MODEL_BAD_COORDINATES"),
    Hostile(
        "infinity",
        "a.stl",
        _stl([*box(20), ((0, 0, -INFINITY), (1, 0, 0), (0, 1, 0))]),
        "MODEL_BAD_COORDINATES",
    ),
    Hostile("1e30", "a.stl", _stl(box(1e30)), "MODEL_BAD_COORDINATES"),
    Hostile("zero triangles", "a.stl", _stl([]), "MODEL_EMPTY"),
    Hostile("zero facets", "a.stl", lambda: b"solid x\nendsolid x\n", "MODEL_EMPTY"),
    Hostile(
        "100 million triangles declared",
        "a.stl",
        lambda: b"x" * 80 + (10**8).to_bytes(4, "little") + bytes(5000),
        "MODEL_NOT_STL",
    ),
    Hostile(
        "30 million triangles declared",
        "a.stl",
        lambda: b"x" * 80 + (3 * 10**7).to_bytes(4, "little") + bytes(5000),
        "MODEL_TRUNCATED",
    ),
    Hostile(
        "facet without a corner",
        "a.stl",
        lambda: ascii_stl(box(20)).replace(b"  vertex 0 0 0\n", b"", 1),
        "MODEL_TRUNCATED",
    ),
    Hostile(
        "corners in the next facet",
        "a.stl",
        lambda: ascii_stl(box(20)).replace(b"endfacet\nfacet", b"facet\nendfacet", 1),
        "MODEL_TRUNCATED",
    ),
    Hostile(
        "number with an underscore",
        "a.stl",
        lambda: ascii_stl(box(20)).replace(b"vertex 20", b"vertex 2_0"),
        "MODEL_BAD_COORDINATES",
    ),
    Hostile(
        "decimal commas",
        "a.stl",
        lambda: ascii_stl(box(20)).replace(b"vertex 20", b"vertex 20,0"),
        "MODEL_BAD_COORDINATES",
    ),
    Hostile(
        "one line of 5 MB", "a.stl", lambda: b"solid facet" + b"x" * 5_000_000 + b"\nendsolid", "MODEL_EMPTY"
    ),
    Hostile(
        "endsolid without an end",
        "a.stl",
        lambda: b"solid x\nfacet normal 0 0 1\n" + b"endsolid" * 60 + b" " * 4000 + b"\nx",
        "MODEL_TRUNCATED",
    ),
    Hostile(
        "tail full of endsolid",
        "a.stl",
        lambda: b"solid x\nfacet normal 0 0 1\n" + b"endsolid" * 8000 + b"\nx",
        "MODEL_TRUNCATED",
    ),
    Hostile("g-code as STL", "a.stl", lambda: b"G28\nG1 X10 Y10 E1\n" * 400, "MODEL_NOT_STL"),
    Hostile("3MF as STL", "a.stl", _3mf(), "MODEL_NOT_STL"),
    Hostile("STL as 3MF", "a.3mf", _stl(box(20)), "MODEL_NOT_3MF"),
    Hostile("program as STL", "a.stl.exe", _stl(box(20)), "MODEL_TYPE"),
    # -- the package of a 3MF
    Hostile("truncated 3MF", "a.3mf", lambda: three_mf_bytes()[:400], "MODEL_TRUNCATED"),
    Hostile("zip bomb", "a.3mf", _3mf(bomb=b"\0" * 5_000_000), "MODEL_PACKAGE_UNSAFE"),
    Hostile("zip bomb as the model", "a.3mf", _3mf(_with(" " * 5_000_000)), "MODEL_PACKAGE_UNSAFE"),
    Hostile("overlapping entries", "a.3mf", _changed(corrupt_zips.overlap), "MODEL_TRUNCATED"),
    Hostile("traversal", "a.3mf", _holding("../../etc/cron.d/x", "x"), "MODEL_PACKAGE_UNSAFE"),
    Hostile("absolute path", "a.3mf", _holding("/etc/passwd", "x"), "MODEL_PACKAGE_UNSAFE"),
    Hostile(
        "10,000 entries",
        "a.3mf",
        lambda: three_mf_bytes(None, {str(n): "" for n in range(10_000)}),
        "MODEL_PACKAGE_UNSAFE",
    ),
    Hostile("doubled names", "a.3mf", _holding("3d/3DMODEL.model", cube_model(5)), "MODEL_PACKAGE_UNSAFE"),
    Hostile("encrypted", "a.3mf", _changed(corrupt_zips.encrypt), "MODEL_PACKAGE_UNSAFE"),
    Hostile(
        "ZIP64 that promises 4 billion entries",
        "a.3mf",
        _changed(corrupt_zips.promise_four_billion_entries),
        "MODEL_PACKAGE_UNSAFE",
    ),
    Hostile(
        "ZIP64 without its record",
        "a.3mf",
        _changed(corrupt_zips.lose_the_zip64_record),
        "MODEL_PACKAGE_UNSAFE",
    ),
    *(
        Hostile(
            f"ZIP64 entry at {name}",
            "a.3mf",
            _changed(partial(corrupt_zips.point_outside, offset=offset)),
            "MODEL_PACKAGE_UNSAFE",
        )
        for name, offset in (
            ("2^64 - 1", 2**64 - 1),
            ("2^63 - 1", 2**63 - 1),
            ("2^62", 2**62),
            ("its directory", 700),
        )
    ),
    Hostile("size that lies", "a.3mf", _changed(corrupt_zips.lie_about_the_size), "MODEL_TRUNCATED"),
    Hostile("LZMA", "a.3mf", lambda: three_mf_bytes(compression=zipfile.ZIP_LZMA), "MODEL_PACKAGE_UNSAFE"),
    Hostile("zip within the zip", "a.3mf", lambda: three_mf_bytes(three_mf_bytes()), "MODEL_3MF_INVALID"),
    Hostile(
        "model outside the package",
        "a.3mf",
        _holding("_rels/.rels", RELATIONSHIPS.replace("/3D/3dmodel.model", "../../../etc/passwd")),
        "MODEL_NOT_3MF",
    ),
    # -- its XML
    Hostile("entity bomb", "a.3mf", _3mf(cube_model().replace("<model ", ENTITY_BOMB)), "MODEL_XML_UNSAFE"),
    Hostile(
        "external entity",
        "a.3mf",
        _3mf(cube_model().replace("<model ", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><model ')),
        "MODEL_XML_UNSAFE",
    ),
    Hostile("deep XML", "a.3mf", _3mf(_with("<a>" * 5000 + "</a>" * 5000)), "MODEL_XML_UNSAFE"),
    Hostile(
        "attribute of 3 MB",
        "a.3mf",
        lambda: three_mf_bytes(_with('<a b="' + "x" * 3_000_000 + '"/>'), compression=zipfile.ZIP_STORED),
        "MODEL_XML_UNSAFE",
    ),
    Hostile("100,000 namespaces", "a.3mf", _3mf(_with(EVERY_NAMESPACE)), "MODEL_XML_UNSAFE"),
    Hostile("encoding that is none", "a.3mf", _3mf(cube_model().replace("UTF-8", "hex")), "MODEL_XML_UNSAFE"),
    Hostile("truncated XML", "a.3mf", _3mf(cube_model()[:-20]), "MODEL_3MF_INVALID"),
    # -- its model
    Hostile(
        "components in a circle",
        "a.3mf",
        _3mf(model_xml(CIRCLE, '<item objectid="1"/>')),
        "MODEL_3MF_INVALID",
    ),
    Hostile("components 40 deep", "a.3mf", _3mf(nested_model(40, 1)), "MODEL_TOO_COMPLEX"),
    Hostile("components that make 100^9", "a.3mf", _3mf(nested_model(9, 100)), "MODEL_TOO_COMPLEX"),
    Hostile(
        "50,000 parts named",
        "a.3mf",
        _3mf(_with(f'<object id="2"><components>{MANY_PARTS}</components></object>')),
        "MODEL_TOO_COMPLEX",
    ),
    Hostile(
        "corner that does not exist",
        "a.3mf",
        _3mf(cube_model().replace('v1="0"', 'v1="8"', 1)),
        "MODEL_3MF_INVALID",
    ),
    Hostile(
        "NaN in a 3MF", "a.3mf", _3mf(cube_model().replace('x="20.0"', 'x="nan"', 1)), "MODEL_BAD_COORDINATES"
    ),
    Hostile("nothing placed", "a.3mf", _3mf(_cube(item='printable="0"')), "MODEL_EMPTY"),
    Hostile(
        "lattice of beams",
        "a.3mf",
        _3mf(_cube(attributes='xmlns:b="urn:beams" requiredextensions="b"')),
        "MODEL_3MF_EXTENSION",
    ),
    Hostile(
        "modifier",
        "a.3mf",
        _holding(
            "Metadata/Slic3r_PE_model.config", '<metadata key="volume_type" value="ParameterModifier"/>'
        ),
        "MODEL_HAS_MODIFIERS",
    ),
    Hostile(
        "support as an object",
        "a.3mf",
        _3mf(model_xml(SUPPORT, '<item objectid="1"/>')),
        "MODEL_HAS_MODIFIERS",
    ),
]

ACCEPTED = [
    # -- STL
    Hostile(
        "0.01 mm",
        "a.stl",
        _stl(box(0.01)),
        edges=(0.01, 0.01, 0.01),
        volume=0,
        warnings=("LOOKS_LIKE_METRES",),
        slicer=NO_LAYERS,
    ),
    Hostile(
        "5 m",
        "a.stl",
        _stl(box(5000)),
        edges=(5000, 5000, 5000),
        volume=125e9,
        warnings=("HUGE",),
        slicer=OUTSIDE,
    ),
    Hostile("text with CRLF", "a.stl", lambda: ascii_stl(box(20), newline="\r\n")),
    Hostile("text with an accented name", "a.stl", lambda: ascii_stl(box(20), name="Gehäuse" * 20)),
    Hostile("solid binary", "a.stl", lambda: binary_stl(box(20), header=b"solid facet normal vertex")),
    Hostile("binary that reads as text", "a.stl", _stl(box(190)), edges=(190, 190, 190), volume=190**3),
    Hostile("hole in the side", "a.stl", _stl(box(20)[1:]), volume=None),
    Hostile(
        "non-manifold", "a.stl", lambda: binary_stl(TWO_CUBES_ON_ONE_EDGE), edges=(40, 40, 20), volume=16_000
    ),
    Hostile("inside out", "a.stl", _stl(INSIDE_OUT), warnings=("INSIDE_OUT",)),
    Hostile("in inches", "a.stl", _stl(box(2)), edges=(2, 2, 2), volume=8, warnings=("LOOKS_LIKE_INCHES",)),
    Hostile("flat", "a.stl", _stl(FLAT), edges=(20, 20, 0), volume=0, warnings=("FLAT",), slicer=NO_BODY),
    Hostile(
        "one point, many triangles",
        "a.stl",
        _stl([((7, 7, 7), (7, 7, 7), (7, 7, 7))] * 100),
        edges=(0, 0, 0),
        volume=0,
        warnings=("TOO_SMALL",),
        slicer=NO_BODY,
    ),
    Hostile("soup", "a.stl", _stl(_soup(500)), edges=(29.953, 29.991, 29.938), volume=None, slicer=ANYTHING),
    # PrusaSlicer 2.5 takes a file of 184 bytes for an empty one.
    Hostile(
        "two triangles",
        "a.stl",
        _stl([box(20)[0], box(20)[6]]),
        volume=None,
        slicer=NO_BODY,
    ),
    Hostile("far away", "a.stl", _stl(_moved(box(20), 65_536, -65_536))),
    Hostile("text from far away", "a.stl", lambda: ascii_stl(_moved(box(20), -65_536, 5000))),
    # -- 3MF
    Hostile("3MF with a command", "a.3mf", _holding("Metadata/Slic3r_PE.config", COMMAND)),
    Hostile(
        "3MF with dear settings",
        "a.3mf",
        lambda: three_mf_bytes(
            None,
            {
                "Metadata/Slic3r_PE.config": DEAR,
                "Metadata/project_settings.config": '{"sparse_infill_density": "100%"}',
            },
        ),
    ),
    Hostile(
        "3MF in inches",
        "a.3mf",
        _3mf(_cube("inch", size=2)),
        edges=(50.8, 50.8, 50.8),
        volume=50.8**3,
        warnings=("UNIT_CONVERTED",),
    ),
    Hostile(
        "3MF in metres",
        "a.3mf",
        _3mf(_cube("meter", size=5)),
        edges=(5000, 5000, 5000),
        volume=125e9,
        warnings=("HUGE", "UNIT_CONVERTED"),
        slicer=OUTSIDE,
    ),
    Hostile("3MF far away", "a.3mf", _3mf(_cube(item='transform="1 0 0 0 1 0 0 0 1 65536 -65536 0"'))),
    Hostile("components 9 deep", "a.3mf", _3mf(nested_model(9, 1))),
    Hostile("3MF in UTF-16", "a.3mf", _3mf(UTF16)),
    Hostile("3MF with a byte order mark", "a.3mf", _3mf(b"\xef\xbb\xbf" + cube_model().encode())),
    Hostile("mirrored 3MF", "a.3mf", _3mf(_cube(item=MIRROR))),
    Hostile(
        "squashed 3MF",
        "a.3mf",
        _3mf(_cube(item='transform="1 0 0 0 1 0 0 0 0 0 0 0"')),
        edges=(20, 20, 0),
        volume=0,
        warnings=("FLAT",),
        slicer=ANYTHING,
    ),
]

CORPUS = [*REFUSED, *ACCEPTED]

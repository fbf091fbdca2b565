"""ASCII STL is read in blocks where it is written as usual; what is read is the same either way."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from printshop.geometry.deadline import Deadline
from printshop.geometry.errors import ModelError
from printshop.geometry.mesh import load_triangles
from printshop.geometry.model_file import check_upload
from printshop.geometry.stl import read_text
from tests.unit.slicing.model_makers import ascii_stl, box, sphere

MANY_BLOCKS = ascii_stl(sphere(10, 30))
LINE_BY_LINE = b"a_b\n"
"""No line that means anything, but none that a block may hold."""
SIZES = [pytest.param(300), pytest.param(10_000, marks=pytest.mark.full)]
WORDS = [
    b"facet",
    b"normal",
    b"outer loop",
    b"vertex",
    b"endloop",
    b"endfacet",
    b"\n",
    b" ",
    b"|",
    b"1_0",
    b"x",
]
WORDS += [b"0", b"1e3", b"-.5", b"nan", b"\r\n", b"\n\n", b"ENDFACET", b"vertex 0 0 0\n", b"facet\n", b""]


def corners(folder: Path, text: bytes) -> list[float] | str:
    """The numbers of an ASCII STL, or the code of its refusal."""
    path = folder / "model.stl"
    path.write_bytes(text)
    try:
        return [number for numbers in read_text(path, 9, Deadline(60)) for number in numbers]
    except ModelError as refused:
        return refused.code


@pytest.mark.parametrize(
    "text",
    [
        MANY_BLOCKS.upper(),
        MANY_BLOCKS.replace(b"\n", b"\r\n"),
        MANY_BLOCKS.replace(b"\n", b" \n\n\t\r\n"),
        MANY_BLOCKS.replace(b"endfacet\n", b"endfacet\n" + b"\n" * 1000),
        MANY_BLOCKS.replace(b"endfacet\n", b"endfacet\nendsolid\nsolid another\n"),
        MANY_BLOCKS.replace(b" outer loop\n", b"").replace(b" endloop\n", b""),
        MANY_BLOCKS.replace(b"facet normal 0 0 0", b"facet"),
        MANY_BLOCKS.replace(b"facet normal 0 0 0", b"facet normal | 0_0 nan"),
        MANY_BLOCKS.replace(b"normal 0 0 0", b"normal 0 0\n0"),
        MANY_BLOCKS.replace(b"vertex ", b"vertex" + b" " * 200),
    ],
    ids=[
        "upper",
        "crlf",
        "blank",
        "gaps",
        "solids",
        "no loops",
        "no normals",
        "odd",
        "broken normals",
        "wide",
    ],
)
def test_every_way_to_write_a_model_is_the_same_model(tmp_path: Path, text: bytes) -> None:
    assert len(MANY_BLOCKS) > 300_000
    usual = corners(tmp_path, MANY_BLOCKS)
    assert text != MANY_BLOCKS
    assert len(usual) == 9 * len(sphere(10, 30))
    assert corners(tmp_path, text) == usual


@pytest.mark.parametrize(
    ("usual", "broken", "code"),
    [
        (b"  vertex 0 0 0\n", b"", "MODEL_TRUNCATED"),
        (b"  vertex 0 0 0\n", b"  vertex 0 0 0\n" * 2, "MODEL_TRUNCATED"),
        (b"endfacet\n", b"", "MODEL_TRUNCATED"),
        (b"facet normal 0 0 0\n", b"", "MODEL_TRUNCATED"),
        (b"vertex 0 0 0\n", b"vertex 0 0\n0\n", "MODEL_BAD_COORDINATES"),
        (b"vertex 0 0 0\n", b"vertex 0 0 0 0\n", "MODEL_BAD_COORDINATES"),
        (b"vertex 0 0 0\n", b"vertex 0 0 1_0\n", "MODEL_BAD_COORDINATES"),
        (b"vertex 0 0 0\n", b"vertex 0 0 0x1\n", "MODEL_BAD_COORDINATES"),
        (b"vertex 0 0 0\n", b"vertex 0 0 nan\n", "MODEL_BAD_COORDINATES"),
        (b"vertex 0 0 0\n", b"vertex 0 0 1e999\n", "MODEL_BAD_COORDINATES"),
        (b"facet normal 0 0 0\n", b"facet normal\nvertex 0\n", "MODEL_BAD_COORDINATES"),
    ],
)
def test_one_broken_line_among_usual_ones_is_refused(
    tmp_path: Path, usual: bytes, broken: bytes, code: str
) -> None:
    cut = MANY_BLOCKS.index(b"facet normal", 200_000)
    facet = ascii_stl(box(20)[:1]).partition(b"\n")[2].rpartition(b"endsolid")[0]
    assert facet.count(usual) == 1
    path = tmp_path / "model.stl"
    path.write_bytes(MANY_BLOCKS[:cut] + facet + MANY_BLOCKS[cut:])
    check_upload(path, path.name)
    path.write_bytes(MANY_BLOCKS[:cut] + facet.replace(usual, broken) + MANY_BLOCKS[cut:])
    with pytest.raises(ModelError) as refused:
        check_upload(path, path.name)
    assert refused.value.code == code


@pytest.mark.parametrize("examples", SIZES)
def test_a_block_is_what_its_lines_are(tmp_path: Path, examples: int) -> None:
    lines = ascii_stl(box(20)).splitlines(keepends=True)[1:-1]

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        changes=st.lists(
            st.tuples(st.integers(0, 20), st.integers(0, 6), st.booleans(), st.sampled_from(WORDS)),
            max_size=3,
        )
    )
    def check(changes: list[tuple[int, int, bool, bytes]]) -> None:
        text = [line.split(b" ") for line in lines[:21]]
        for line, word, replaces, new in changes:
            place = min(word, len(text[line]))
            text[line][place : place + replaces] = [new]
        block = b"".join(b" ".join(words) for words in text)
        assert str(corners(tmp_path, block)) == str(corners(tmp_path, LINE_BY_LINE + block))

    check()


def test_the_numbers_are_those_that_the_text_says(tmp_path: Path) -> None:
    text = b"facet normal 0 0 0\nouter loop\nvertex 1 2 3\nvertex -4.5 5E1 .6\nvertex 7e-1 +8 9.\nendloop\nendfacet\n"
    assert corners(tmp_path, text) == [1, 2, 3, -4.5, 50, 0.6, 0.7, 8, 9]
    assert load_triangles(tmp_path / "model.stl").shape == (1, 3, 3)

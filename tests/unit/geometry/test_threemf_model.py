"""Corners and triangles as nearly everybody writes them are read in runs; what is read is the same either way."""

import re
import zipfile
from itertools import chain, repeat
from pathlib import Path

import pytest

from printshop.geometry.errors import ModelError
from printshop.geometry.safe_xml import MAX_ELEMENTS, read_elements
from printshop.geometry.threemf_rebuild import rebuild
from tests.unit.slicing.model_makers import CORE, ROOT, cube_model, model_xml, three_mf

GHOST = '<vertex x="99" y="99" z="99"/>'
MORE_THAN_A_CHUNK = 3000


def rebuilt(folder: Path, model: str) -> str:
    target = folder / "model.3mf"
    rebuild(three_mf(folder / "upload.3mf", model), target)
    with zipfile.ZipFile(target) as archive:
        return archive.read(ROOT).decode()


def strip(count: int) -> str:
    """A strip of triangles, its text far longer than what is read at once."""
    corners = "".join(f'\n  <vertex x="{n / 7!r}" y="{n % 2}" z="{n % 3}e-1"/>' for n in range(count + 2))
    triangles = "".join(f'<triangle v1="{n}" v2="{n + 1}" v3="{n + 2}" />\r\n' for n in range(count))
    mesh = f"<mesh><vertices>{corners}\n</vertices><triangles>{triangles}</triangles></mesh>"
    return model_xml(f'<object id="1">{mesh}</object>', '<item objectid="1"/>')


def one_by_one(model: str) -> str:
    """The same model, written so that no run is recognised."""
    return model.replace("<vertex ", "<vertex  ").replace("<triangle ", "<triangle  ")


def test_a_mesh_of_many_chunks_is_read_whole(tmp_path: Path) -> None:
    text = rebuilt(tmp_path, strip(MORE_THAN_A_CHUNK))
    assert text.count("<vertex ") == MORE_THAN_A_CHUNK + 2
    assert text.count("<triangle ") == MORE_THAN_A_CHUNK
    assert text == rebuilt(tmp_path, one_by_one(strip(MORE_THAN_A_CHUNK)))


@pytest.mark.parametrize(
    "model",
    [
        one_by_one(cube_model()),
        re.sub(r'<vertex x="([^"]+)" y="([^"]+)"', r'<vertex y="\2" x="\1"', cube_model()),
        cube_model().replace("<triangle ", '<triangle paint_color="4" ', 6),
        cube_model().replace("<vertices>", "<vertices ><!-- a comment -->"),
        cube_model().replace('x="20.0"', "x='20.0'", 1).replace('v2="1"', 'v2="&#49;"', 1),
        cube_model()
        .replace("<vertices>", "<vertices>\t\n<!-- one -->")
        .replace("<triangles>", "<triangles> <?x?>"),
        re.sub(r"(</?)(?=[a-z])", r"\1c:", cube_model()).replace("xmlns=", "xmlns:c="),
    ],
    ids=["spaces", "order", "paint", "comment", "quotes", "instructions", "prefix"],
)
def test_every_way_to_write_a_cube_is_the_same_cube(tmp_path: Path, model: str) -> None:
    assert model != cube_model()
    assert rebuilt(tmp_path, model) == rebuilt(tmp_path, cube_model())


@pytest.mark.parametrize(
    "hidden",
    [
        f"<vertices><!-- <vertices>{GHOST} -->",
        f"<vertices ><!-- <vertices>{GHOST} -->",
        f"<vertices ><!-- {GHOST}<vertices>{GHOST} --><!-- <triangles>{GHOST} -->",
        f"<vertices><![CDATA[<vertices>{GHOST}]]>",
        f"<vertices><?x <vertices>{GHOST}?>",
        f'<vertices><x xmlns="urn:other"><vertices>{GHOST}</vertices></x>',
    ],
)
def test_what_only_looks_like_a_corner_is_none(tmp_path: Path, hidden: str) -> None:
    text = rebuilt(tmp_path, cube_model().replace("<vertices>", hidden))
    assert text == rebuilt(tmp_path, cube_model())


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1.2.3", "-", "e", "1e6", "+-1", "." * 30])
def test_a_number_that_is_none_is_refused_in_a_run_and_alone(tmp_path: Path, number: str) -> None:
    model = cube_model().replace('x="20.0"', f'x="{number}"', 1)
    for written in (model, one_by_one(model)):
        with pytest.raises(ModelError) as refused:
            rebuilt(tmp_path, written)
        assert refused.value.code == "MODEL_BAD_COORDINATES"


def test_a_corner_that_does_not_exist_is_refused_in_a_run(tmp_path: Path) -> None:
    model = strip(MORE_THAN_A_CHUNK).replace(f'v3="{MORE_THAN_A_CHUNK + 1}"', f'v3="{MORE_THAN_A_CHUNK + 2}"')
    with pytest.raises(ModelError) as refused:
        rebuilt(tmp_path, model)
    assert refused.value.code == "MODEL_3MF_INVALID"


@pytest.mark.parametrize(
    "end", [f'<vertex x="1" y="1" z="1"/>{"x" * 5}', "<vertex x=", "<vertex " + " " * 200_000]
)
def test_a_run_that_breaks_off_is_refused(tmp_path: Path, end: str) -> None:
    model = cube_model()
    cut = model.index("</vertices>")
    with pytest.raises(ModelError) as refused:
        rebuilt(tmp_path, model[:cut] + end)
    assert refused.value.code == "MODEL_3MF_INVALID"


def test_a_run_of_another_namespace_is_not_read(tmp_path: Path) -> None:
    assert CORE in cube_model()
    with pytest.raises(ModelError):
        rebuilt(tmp_path, cube_model().replace("<mesh>", '<mesh xmlns="urn:other">'))


@pytest.mark.full
def test_more_elements_than_any_model_needs_are_refused() -> None:
    chunks = chain([b"<a>"], repeat(b"<b/>" * 16_384, MAX_ELEMENTS // 16_384 + 1))
    with pytest.raises(ModelError) as refused:
        read_elements(chunks, lambda *_: None)
    assert refused.value.code == "MODEL_XML_UNSAFE"

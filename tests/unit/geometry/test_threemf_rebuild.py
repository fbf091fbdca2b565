"""A 3MF is rebuilt from its geometry; whatever is not geometry, or is hostile, does not come through."""

import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from printshop.geometry.errors import ModelError
from printshop.geometry.threemf_model import MAX_OBJECTS, MAX_PLACEMENTS
from printshop.geometry.threemf_rebuild import Rebuilt, rebuild
from tests.unit.geometry.corrupt_zips import (
    encrypt,
    lie_about_the_directory,
    lie_about_the_size,
    lose_the_zip64_record,
    name_a_part_in_broken_unicode,
    promise_four_billion_entries,
)
from tests.unit.slicing.model_makers import (
    CORE,
    RELATIONSHIPS,
    ROOT,
    cube_model,
    mesh_xml,
    model_xml,
    nested_model,
    three_mf,
)

CUBE = f'<object id="1" type="model">{mesh_xml(20)}</object>'
ITEM = '<item objectid="1"/>'
ENDLESS = "0900000"
"""The format of a number that takes nearly a megabyte."""
TEN_PLACES = "".join(
    f'<component objectid="1" transform="{" ".join(repr(n / 7) for n in range(first, first + 12))}"/>'
    for first in range(1, 101, 10)
)


def rebuilt(folder: Path, model: str | None = None, parts: dict[str, str | bytes] | None = None) -> str:
    """The model part of the rebuilt package."""
    target = folder / "model.3mf"
    rebuild(three_mf(folder / "upload.3mf", model, parts), target)
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == ["[Content_Types].xml", "_rels/.rels", ROOT]
        return archive.read(ROOT).decode()


def refusal(
    folder: Path, model: str | None = None, parts: dict[str, str | bytes] | None = None
) -> ModelError:
    with pytest.raises(ModelError) as refused:
        rebuilt(folder, model, parts)
    return refused.value


def test_geometry_unit_and_transform_come_through(tmp_path: Path) -> None:
    item = '<item objectid="1" transform="1 0 0 0 1 0 0 0 1 1.5 2.5e0 -3"/>'
    text = rebuilt(tmp_path, model_xml(CUBE, item, unit="inch"))
    assert 'unit="inch"' in text
    assert text.count("<vertex ") == 8
    assert text.count("<triangle ") == 12
    assert 'transform="1.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 1.0 1.5 2.5 -3.0"' in text


def test_coordinates_keep_every_digit(tmp_path: Path) -> None:
    model = cube_model().replace('x="20.0"', 'x="19.9999981"')
    assert 'x="19.9999981"' in rebuilt(tmp_path, model)


def test_settings_scripts_names_paint_and_attachments_are_dropped(tmp_path: Path) -> None:
    marked = cube_model().replace("<triangle ", '<triangle paint_supports="4" pid="5" p1="0" ')
    marked = marked.replace('<object id="1"', '<object id="1" name="SECRET" thumbnail="/x.png"')
    text = rebuilt(
        tmp_path,
        marked.replace("</metadata>", "</metadata><metadata name='Slic3r'>post_process = SECRET</metadata>"),
        {
            "Metadata/Slic3r_PE.config": "; post_process = touch SECRET\n; fill_density = 100%",
            "Metadata/Slic3r_PE_model.config": '<config><object id="1"/></config>',
            "Metadata/project_settings.config": '{"post_process": ["SECRET"]}',
            "Metadata/thumbnail.png": b"\x89PNG",
            "Auxiliaries/readme.html": "<script>SECRET</script>",
        },
    )
    assert "SECRET" not in text
    assert "paint" not in text
    assert "pid" not in text


def test_components_are_written_after_the_objects_they_are_made_of(tmp_path: Path) -> None:
    resources = (
        '<object id="9"><components><component objectid="8"/><component objectid="8" '
        'transform="1 0 0 0 1 0 0 0 1 30 0 0"/></components></object>'
        '<object id="8"><components><component objectid="1"/></components></object>' + CUBE
    )
    target = tmp_path / "model.3mf"
    outcome = rebuild(three_mf(tmp_path / "u.3mf", model_xml(resources, '<item objectid="9"/>')), target)
    assert outcome == Rebuilt(items=1, triangles=24)
    with zipfile.ZipFile(target) as archive:
        text = archive.read(ROOT).decode()
    defined: set[str] = set()
    for definition, reference in re.findall(r'<object id="(\d+)"|<component objectid="(\d+)"', text):
        assert definition or reference in defined
        defined.add(definition)
    assert len(defined - {""}) == 3


def test_parts_of_the_production_extension_are_folded_into_one_model(tmp_path: Path) -> None:
    resources = (
        '<object id="1"><components><component objectid="1" p:path="/3D/Objects/part.model"/>'
        '<component objectid="7" p:path="/3d/objects/PART.model"/></components></object>'
    )
    other = model_xml(CUBE + f'<object id="7">{mesh_xml(5)}</object>', '<item objectid="1"/>')
    model = model_xml(resources, ITEM, attributes='requiredextensions="p"')
    text = rebuilt(tmp_path, model, {"3D/Objects/part.model": other})
    assert text.count("<mesh>") == 2
    assert text.count("<item ") == 1
    assert "path" not in text


def test_an_item_marked_as_not_printable_is_left_out(tmp_path: Path) -> None:
    text = rebuilt(tmp_path, model_xml(CUBE, ITEM + '<item objectid="1" printable="0"/>'))
    assert text.count("<item ") == 1


def test_the_root_part_is_the_one_that_the_relationships_name(tmp_path: Path) -> None:
    parts: dict[str, str | bytes] = {
        "_rels/.rels": RELATIONSHIPS.replace("/3D/3dmodel.model", "/3D/other.model"),
        "3D/other.model": cube_model(33),
    }
    assert 'x="33.0"' in rebuilt(tmp_path, cube_model(20), parts)


def test_prusaslicers_own_files_stay_recognisable_as_such(tmp_path: Path) -> None:
    own = cube_model().replace('name="Title">x', 'name="slic3rpe:Version3mf">1')
    assert '<metadata name="slic3rpe:Version3mf">1</metadata>' in rebuilt(tmp_path, own)
    assert "<metadata" not in rebuilt(tmp_path, cube_model())


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (model_xml("", ""), "MODEL_EMPTY"),
        (model_xml(CUBE, ""), "MODEL_EMPTY"),
        (model_xml(CUBE, '<item objectid="1" printable="0"/>'), "MODEL_EMPTY"),
        (model_xml('<object id="1"><mesh><vertices/><triangles/></mesh></object>', ITEM), "MODEL_EMPTY"),
        (model_xml('<object id="1"><mesh/></object>', ITEM), "MODEL_EMPTY"),
        (model_xml(CUBE, '<item objectid="2"/>'), "MODEL_3MF_INVALID"),
        (model_xml(CUBE, '<item objectid="x"/>'), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE, "<item/>"), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE + CUBE, ITEM), "MODEL_3MF_INVALID"),
        (model_xml(CUBE, ITEM, unit="furlong"), "MODEL_3MF_INVALID"),
        (model_xml(CUBE.replace('v1="0"', 'v1="8"', 1), ITEM), "MODEL_3MF_INVALID"),
        (model_xml(CUBE.replace('v1="0"', 'v1="-1"', 1), ITEM), "MODEL_3MF_INVALID"),
        (model_xml(CUBE.replace('v1="0"', "", 1), ITEM), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE.replace('x="20.0"', 'x="nan"', 1), ITEM), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE.replace('x="20.0"', 'x="1e999"', 1), ITEM), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE.replace('x="20.0"', 'x="-inf"', 1), ITEM), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE.replace('x="20.0"', 'x=""', 1), ITEM), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE, '<item objectid="1" transform="1 0 0"/>'), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE, f'<item objectid="1" transform="{"nan " * 12}"/>'), "MODEL_BAD_COORDINATES"),
        (model_xml(CUBE.replace("<vertices>", "<triangles/><vertices>"), ITEM), "MODEL_3MF_INVALID"),
        (model_xml('<vertex x="0" y="0" z="0"/>', ITEM), "MODEL_3MF_INVALID"),
        (model_xml('<triangle v1="0" v2="0" v3="0"/>', ITEM), "MODEL_3MF_INVALID"),
        (model_xml(mesh_xml(20), ITEM), "MODEL_3MF_INVALID"),
        (model_xml('<component objectid="1"/>', ITEM), "MODEL_3MF_INVALID"),
        (
            model_xml('<object id="1"><components><component objectid="1"/></components></object>', ITEM),
            "CIRCLE",
        ),
        (cube_model().replace("<model ", f"{ENTITIES}<model "), "MODEL_XML_UNSAFE"),
        (
            cube_model().replace("<model ", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><model '),
            "MODEL_XML_UNSAFE",
        ),
        ("<?xml version='1.0'?>" + "<a>" * 40 + "</a>" * 40, "MODEL_3MF_INVALID"),
        (model_xml("<a>" * 40 + "</a>" * 40 + CUBE, ITEM), "MODEL_XML_UNSAFE"),
        ("not xml at all", "MODEL_3MF_INVALID"),
        ("", "MODEL_3MF_INVALID"),
        (cube_model()[:-20], "MODEL_3MF_INVALID"),
        (f'<html xmlns="{CORE}"/>', "MODEL_3MF_INVALID"),
        (cube_model().replace(CORE, "urn:other"), "MODEL_3MF_INVALID"),
    ],
)
def test_a_model_that_breaks_the_format_is_refused(tmp_path: Path, model: str, code: str) -> None:
    expected = "MODEL_3MF_INVALID" if code == "CIRCLE" else code
    assert refusal(tmp_path, model).code == expected


def test_a_circle_of_components_is_refused(tmp_path: Path) -> None:
    resources = "".join(
        f'<object id="{a}"><components><component objectid="{b}"/></components></object>'
        for a, b in ((1, 2), (2, 3), (3, 1))
    )
    refused = refusal(tmp_path, model_xml(resources, ITEM))
    assert refused.code == "MODEL_3MF_INVALID"
    assert "part of itself" in refused.message


def test_nine_components_deep_is_still_a_model(tmp_path: Path) -> None:
    assert rebuilt(tmp_path, nested_model(9, 1)).count("<components>") == 9


@pytest.mark.parametrize(("depth", "width"), [(10, 1), (2000, 1), (9, 3), (3, 5000), (1, 10_001)])
def test_components_that_multiply_beyond_reason_are_refused(tmp_path: Path, depth: int, width: int) -> None:
    assert refusal(tmp_path, nested_model(depth, width)).code == "MODEL_TOO_COMPLEX"


@pytest.mark.parametrize(("more", "code"), [(0, None), (1, "MODEL_TOO_COMPLEX")])
def test_objects_count_though_they_are_empty(tmp_path: Path, more: int, code: str | None) -> None:
    empty = "".join(f'<object id="{n}" type="x"/>' for n in range(2, MAX_OBJECTS + 1 + more))
    model = model_xml(CUBE + empty, ITEM)
    if code:
        assert refusal(tmp_path, model).code == code
    else:
        assert rebuilt(tmp_path, model).count("<object ") == 1


def test_more_components_than_a_model_can_place_are_refused_though_none_is(tmp_path: Path) -> None:
    composites = "".join(
        f'<object id="{n}"><components>{"<component objectid='1'/>" * 5001}</components></object>'
        for n in range(2, 22)
    )
    source = three_mf(tmp_path / "u.3mf", model_xml(CUBE + composites, ITEM), compression=zipfile.ZIP_STORED)
    with pytest.raises(ModelError) as refused:
        rebuild(source, tmp_path / "model.3mf")
    assert refused.value.code == "MODEL_TOO_COMPLEX"


def test_ten_thousand_composites_of_one_are_read_at_once(tmp_path: Path) -> None:
    # Each is found waiting for the others in turn: looking through all of them anew each time would take minutes.
    small = "".join(
        f'<object id="{n}"><components><component objectid="1"/></components></object>'
        for n in range(3, 9003)
    )
    large = "".join(f'<component objectid="{n}"/>' for n in range(3, 9003))
    resources = f'<object id="2"><components>{large}</components></object>{small}{CUBE}'
    began = time.monotonic()
    assert rebuilt(tmp_path, model_xml(resources, '<item objectid="2"/>')).count("<components>") == 9001
    assert time.monotonic() - began < 5


def test_a_required_extension_that_is_not_geometry_is_refused(tmp_path: Path) -> None:
    model = model_xml(CUBE, ITEM, attributes='xmlns:b="urn:beamlattice" requiredextensions="p b"')
    assert refusal(tmp_path, model).code == "MODEL_3MF_EXTENSION"


@pytest.mark.parametrize(
    ("name", "config"),
    [
        (
            "Metadata/Slic3r_PE_model.config",
            '<metadata type="volume" key="volume_type" value="ParameterModifier"/>',
        ),
        ("Metadata/Slic3r_PE_model.config", '<metadata type="volume" key="modifier" value="1"/>'),
        ("Metadata/Slic3r_PE_model.config", '<metadata key="volume_type" value="NegativeVolume"/>'),
        ("Metadata/model_settings.config", '<part id="2" subtype="support_blocker">'),
    ],
)
def test_helper_volumes_that_would_be_printed_as_solid_parts_are_refused(
    tmp_path: Path, name: str, config: str
) -> None:
    assert refusal(tmp_path, None, {name: f"<config>{config}</config>"}).code == "MODEL_HAS_MODIFIERS"


def test_ordinary_volumes_of_a_project_are_no_modifiers(tmp_path: Path) -> None:
    configs: dict[str, str | bytes] = {
        "Metadata/Slic3r_PE_model.config": '<metadata type="volume" key="volume_type" value="ModelPart"/>',
        "Metadata/model_settings.config": '<part id="2" subtype="normal_part">',
    }
    assert "<mesh>" in rebuilt(tmp_path, None, configs)


@pytest.mark.parametrize(
    "parts",
    [
        {"../../etc/cron.d/x": "x"},
        {"/etc/passwd": "x"},
        {"a/../../b": "x"},
        {"..": "x"},
        {"C:/x": "x"},
        {"a\\..\\b": "x"},
        {"3d/3DMODEL.model": "x"},
        {f"{number}": "x" for number in range(1001)},
        {"x" * 60_000 + str(number): "" for number in range(10)},
        {"bomb": b"\0" * 5_000_000},
    ],
    ids=[
        "climbing",
        "absolute",
        "inside",
        "dots",
        "drive",
        "backslash",
        "twice",
        "entries",
        "directory",
        "ratio",
    ],
)
def test_a_package_that_is_up_to_something_is_refused(tmp_path: Path, parts: dict[str, str | bytes]) -> None:
    assert refusal(tmp_path, None, parts).code == "MODEL_PACKAGE_UNSAFE"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_3mf_does_not_allow_are_refused(tmp_path: Path, method: int) -> None:
    with pytest.raises(ModelError) as refused:
        rebuild(three_mf(tmp_path / "u.3mf", compression=method), tmp_path / "model.3mf")
    assert refused.value.code == "MODEL_PACKAGE_UNSAFE"


def patched(folder: Path, patch: Callable[[bytearray], None]) -> ModelError:
    source = three_mf(folder / "u.3mf")
    data = bytearray(source.read_bytes())
    patch(data)
    source.write_bytes(data)
    with pytest.raises(ModelError) as refused:
        rebuild(source, folder / "model.3mf")
    return refused.value


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        (encrypt, "MODEL_PACKAGE_UNSAFE"),
        (lie_about_the_size, "MODEL_TRUNCATED"),
        (name_a_part_in_broken_unicode, "MODEL_TRUNCATED"),
        (lie_about_the_directory, "MODEL_PACKAGE_UNSAFE"),
        (promise_four_billion_entries, "MODEL_PACKAGE_UNSAFE"),
        (lose_the_zip64_record, "MODEL_PACKAGE_UNSAFE"),
    ],
)
def test_a_directory_that_lies_is_refused(
    tmp_path: Path, patch: Callable[[bytearray], None], code: str
) -> None:
    assert patched(tmp_path, patch).code == code


def test_an_honest_zip64_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "u.3mf"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"_rels/.rels": RELATIONSHIPS, ROOT: cube_model()}.items():
            with archive.open(name, "w", force_zip64=True) as part:
                part.write(text.encode())
    assert rebuild(path, tmp_path / "model.3mf") == Rebuilt(items=1, triangles=12)


def test_a_part_that_is_referred_to_but_absent_is_refused(tmp_path: Path) -> None:
    model = model_xml(
        '<object id="1"><components><component objectid="1" p:path="/../../etc/passwd"/></components></object>',
        ITEM,
    )
    assert refusal(tmp_path, model).code == "MODEL_3MF_INVALID"


@pytest.mark.parametrize(
    ("head", "filler", "tail", "code"),
    [
        ("<a ", 'b="' + "x" * 80_000_000 + '"', "/>", "MODEL_XML_UNSAFE"),
        ("", "".join(f"<n{number}/>" for number in range(3_000_000)), "", "MODEL_XML_UNSAFE"),
        ("", "".join(f"<n{number:{ENDLESS}}/>" for number in range(150)), "", "MODEL_XML_UNSAFE"),
        (
            f'<a xmlns:n="{0:{ENDLESS}}">',
            "".join(f"<n:n{number}/>" for number in range(500)),
            "</a>",
            "MODEL_XML_UNSAFE",
        ),
        (
            '<object id="2"><components>',
            "".join(f'<component objectid="1" p:path="/{number:{ENDLESS}}"/>' for number in range(150)),
            "</components></object>",
            "MODEL_3MF_INVALID",
        ),
        (
            "",
            "".join(f'<object id="{number}" type="x"/>' for number in range(2, 1_000_000)),
            "",
            "MODEL_TOO_COMPLEX",
        ),
        (
            "",
            "".join(
                f'<object id="{number}"><components>{TEN_PLACES}</components></object>'
                for number in range(2, MAX_PLACEMENTS // 10 + 1)
            ),
            "",
            "rebuilt",
        ),
    ],
    ids=[
        "one tag of 80 MB",
        "three million names",
        "names of a megabyte",
        "a namespace of a megabyte",
        "parts named by a megabyte",
        "a million empty objects",
        "as many components as may be",
    ],
)
def test_memory_stays_bounded_whatever_the_xml(
    tmp_path: Path, head: str, filler: str, tail: str, code: str
) -> None:
    # Stored, so that the ratio limit does not catch it first.
    model = model_xml(head + filler + tail + CUBE, ITEM)
    source = three_mf(tmp_path / "u.3mf", model, compression=zipfile.ZIP_STORED)
    # VmHWM, because ru_maxrss begins with what the parent had at the fork.
    script = (
        "import sys; from pathlib import Path\n"
        "from printshop.geometry.threemf_rebuild import rebuild; from printshop.geometry.errors import ModelError\n"
        "try: rebuild(Path(sys.argv[1]), Path(sys.argv[2])); print('rebuilt')\n"
        "except ModelError as error: print(error.code)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(source), str(tmp_path / "model.3mf")],
        env={"PYTHONPATH": "layers/common"},
        capture_output=True,
        text=True,
        check=True,
    )
    said, kilobytes = answer.stdout.split()
    assert said == code
    assert int(kilobytes) < 150 * 1024

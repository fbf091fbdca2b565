"""STL and 3MF by extension and content: from the ends alone, and in full."""

import struct
import zipfile
from pathlib import Path

import pytest

from printshop.geometry.errors import ModelError
from printshop.geometry.model_file import HEAD_BYTES, TAIL_BYTES, ModelKind, check_ends, check_upload
from printshop.geometry.slicer_input import prepare_slicer_input
from printshop.kernel.errors import Unprocessable
from tests.unit.slicing.model_makers import ROOT, ascii_stl, binary_stl, box, sphere, three_mf

NAN_BOX = [*box(20)[:11], ((float("nan"), 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))]
INFINITE_BOX = [*box(20)[:11], ((0.0, 0.0, float("-inf")), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))]
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 4
GCODE = b"G28\nG1 X10 Y10 E1\n" * 40


def ends(name: str, data: bytes) -> ModelKind:
    return check_ends(name, len(data), data[:HEAD_BYTES], data[-TAIL_BYTES:])


def full(folder: Path, name: str, data: bytes) -> ModelKind:
    path = folder / "upload"
    path.write_bytes(data)
    return check_upload(path, name)[0]


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("part.stl", binary_stl(box(20)), ModelKind.STL_BINARY),
        ("PART.STL", binary_stl(box(20)), ModelKind.STL_BINARY),
        (
            "solid.stl",
            binary_stl(box(20), header=b"solid exported by a careless CAD facet"),
            ModelKind.STL_BINARY,
        ),
        ("ball.stl", binary_stl(sphere(10, 40)), ModelKind.STL_BINARY),
        ("part.stl", ascii_stl(box(20)), ModelKind.STL_ASCII),
        ("crlf.stl", ascii_stl(box(20), newline="\r\n"), ModelKind.STL_ASCII),
        ("name.stl", ascii_stl(box(20), name="Ärmel für Gehäuse"), ModelKind.STL_ASCII),
        ("bom.stl", b"\xef\xbb\xbf" + ascii_stl(box(20)), ModelKind.STL_ASCII),
        ("upper.stl", ascii_stl(box(20)).upper(), ModelKind.STL_ASCII),
        ("tail.stl", ascii_stl(box(20)) + b"\n \n", ModelKind.STL_ASCII),
    ],
)
def test_both_dialects_of_stl_are_recognised(tmp_path: Path, name: str, data: bytes, kind: ModelKind) -> None:
    assert ends(name, data) is kind
    assert full(tmp_path, name, data) is kind


def test_a_3mf_is_recognised(tmp_path: Path) -> None:
    data = three_mf(tmp_path / "cube.3mf").read_bytes()
    assert ends("cube.3mf", data) is ModelKind.THREE_MF
    assert full(tmp_path, "CUBE.3MF", data) is ModelKind.THREE_MF


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("part.obj", binary_stl(box(20)), "MODEL_TYPE"),
        ("part", binary_stl(box(20)), "MODEL_TYPE"),
        ("part.stl.exe", binary_stl(box(20)), "MODEL_TYPE"),
        (".stl", binary_stl(box(20)), "MODEL_TYPE"),
        ("part.stl", b"", "MODEL_EMPTY"),
        ("part.3mf", b"", "MODEL_EMPTY"),
        ("part.stl", binary_stl([]), "MODEL_EMPTY"),
        ("part.stl", b"solid x\nendsolid x\n", "MODEL_EMPTY"),
        ("part.stl", binary_stl(box(20))[:-1], "MODEL_TRUNCATED"),
        ("part.stl", binary_stl(sphere(10, 40))[:5000], "MODEL_TRUNCATED"),
        ("part.stl", binary_stl(box(20), header=b"solid x")[:300], "MODEL_TRUNCATED"),
        ("part.stl", ascii_stl(box(20))[:-30], "MODEL_TRUNCATED"),
        ("part.stl", binary_stl(box(20)) + b"\0\0\0", "MODEL_NOT_STL"),
        ("part.stl", b"x" * 83, "MODEL_NOT_STL"),
        ("part.stl", PNG, "MODEL_NOT_STL"),
        ("part.stl", GCODE, "MODEL_NOT_STL"),
        ("part.stl", b"PK\x03\x04" + bytes(500), "MODEL_NOT_STL"),
        ("part.stl", b"\0" * 20, "MODEL_NOT_STL"),
        ("part.3mf", binary_stl(box(20)), "MODEL_NOT_3MF"),
        ("part.3mf", PNG, "MODEL_NOT_3MF"),
        ("part.3mf", b"PK\x03\x04" + bytes(500), "MODEL_TRUNCATED"),
    ],
)
def test_what_the_ends_give_away_is_refused_with_its_code(
    tmp_path: Path, name: str, data: bytes, code: str
) -> None:
    with pytest.raises(ModelError) as from_ends:
        ends(name, data)
    with pytest.raises(ModelError) as from_all:
        full(tmp_path, name, data)
    assert from_ends.value.code == from_all.value.code == code
    assert from_ends.value.message.endswith(".")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (binary_stl(NAN_BOX), "MODEL_BAD_COORDINATES"),
        (binary_stl(INFINITE_BOX), "MODEL_BAD_COORDINATES"),
        (ascii_stl(NAN_BOX), "MODEL_BAD_COORDINATES"),
        (ascii_stl(box(20)).replace(b"vertex 20", b"vertex 2O"), "MODEL_BAD_COORDINATES"),
        (ascii_stl(box(20)).replace(b"vertex 0 0 0", b"vertex 0 0"), "MODEL_BAD_COORDINATES"),
        (ascii_stl(box(20)).replace(b"endfacet", b"", 1), "MODEL_TRUNCATED"),
        (ascii_stl(box(20)).replace(b"  vertex 0 0 0\n", b"", 1), "MODEL_TRUNCATED"),
    ],
)
def test_what_only_the_whole_file_shows_is_refused_by_the_worker(
    tmp_path: Path, data: bytes, code: str
) -> None:
    assert ends("part.stl", data)
    with pytest.raises(ModelError) as refusal:
        full(tmp_path, "part.stl", data)
    assert refusal.value.code == code


def test_a_zip_without_a_model_is_no_3mf(tmp_path: Path) -> None:
    path = tmp_path / "x.3mf"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    with pytest.raises(ModelError) as refusal:
        ends("x.3mf", path.read_bytes())
    assert refusal.value.code == "MODEL_NOT_3MF"


def test_a_3mf_cut_off_by_a_broken_upload_is_truncated(tmp_path: Path) -> None:
    data = three_mf(tmp_path / "x.3mf").read_bytes()
    with pytest.raises(ModelError) as refusal:
        ends("x.3mf", data[: len(data) // 2])
    assert refusal.value.code == "MODEL_TRUNCATED"


def test_a_3mf_damaged_inside_is_truncated(tmp_path: Path) -> None:
    path = three_mf(tmp_path / "x.3mf", compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    at = data.index(b"<vertex")
    data[at : at + 4] = b"\xff\xff\xff\xff"
    upload = tmp_path / "upload"
    upload.write_bytes(data)
    with pytest.raises(ModelError) as refusal:
        prepare_slicer_input(upload, "x.3mf")
    assert refusal.value.code in {"MODEL_TRUNCATED", "MODEL_3MF_INVALID"}


def test_a_refusal_is_a_422_of_the_api() -> None:
    assert ModelError("MODEL_EMPTY", "The file is empty.").status == Unprocessable.status == 422


def test_a_binary_stl_that_the_slicer_would_take_for_text_is_marked_as_binary(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(binary_stl(box(190)))
    assert max(upload.read_bytes()[84:212]) < 128
    model = prepare_slicer_input(upload, "box.stl")
    data = model.read_bytes()
    assert max(data[84:212]) > 127
    assert model.name == "model.stl"
    before, after = (struct.unpack_from("<12f", content, 84) for content in (binary_stl(box(190)), data))
    assert before == after


def test_a_text_stl_with_an_accented_name_is_made_plain_text(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(ascii_stl(box(20), name="Gehäuse" * 20))
    data = prepare_slicer_input(upload, "box.stl").read_bytes()
    assert max(data[84:212]) < 128
    assert data.count(b"vertex") == 36


def test_an_ordinary_stl_reaches_the_slicer_byte_for_byte(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(binary_stl(sphere(10, 40)))
    assert prepare_slicer_input(upload, "ball.stl").read_bytes() == binary_stl(sphere(10, 40))


def test_a_3mf_is_replaced_by_its_geometry(tmp_path: Path) -> None:
    upload = three_mf(
        tmp_path / "upload", parts={"Metadata/Slic3r_PE.config": "; post_process = touch /tmp/x"}
    )
    model = prepare_slicer_input(upload, "cube.3mf")
    assert not upload.exists()
    with zipfile.ZipFile(model) as archive:
        assert archive.namelist() == ["[Content_Types].xml", "_rels/.rels", ROOT]

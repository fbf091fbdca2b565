"""A model that takes too long to read is given up in time, whatever it consists of."""

import time
import zipfile
from pathlib import Path

import pytest

from printshop.geometry.errors import ModelError
from printshop.geometry.model_file import check_upload
from printshop.geometry.slicer_input import prepare_slicer_input
from tests.unit.geometry.hostile_files import REFUSED, Hostile
from tests.unit.slicing.model_makers import ascii_stl, binary_stl, box, cube_model, sphere, three_mf_bytes

BLANK = ascii_stl(box(20)).replace(b"endsolid", b"\n" * 20_000_000 + b"endsolid")
ODD = (
    b"solid x\n" + b"facet\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendfacet\n" * 400_000 + b"endsolid x\n"
)
ELEMENTS = cube_model().replace("<vertices>", "<vertices>" + "<b/>" * 3_000_000)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.stl", ascii_stl(box(20))),
        ("a.stl", binary_stl(sphere(10, 40))),
        ("a.3mf", three_mf_bytes()),
    ],
    ids=["text", "binary", "3mf"],
)
def test_no_time_at_all_is_too_little_for_any_model(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    check_upload(path, name)
    with pytest.raises(ModelError) as refused:
        check_upload(path, name, seconds=0)
    assert refused.value.code == "MODEL_TOO_COMPLEX"
    assert refused.value.message.endswith("; reduce its triangles, or export it as binary STL.")


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.stl", ODD), ("a.3mf", three_mf_bytes(ELEMENTS, compression=zipfile.ZIP_STORED))],
    ids=["odd lines", "elements"],
)
def test_a_model_is_given_up_soon_after_its_time(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    began = time.process_time()
    with pytest.raises(ModelError) as refused:
        check_upload(path, name, seconds=0.1)
    assert refused.value.code == "MODEL_TOO_COMPLEX"
    assert time.process_time() - began < 1  # of some four


def test_blank_lines_cost_next_to_nothing(tmp_path: Path) -> None:
    path = tmp_path / "blank.stl"
    path.write_bytes(BLANK)
    began = time.process_time()
    assert check_upload(path, path.name)[1].triangles == 12
    assert time.process_time() - began < 2


@pytest.mark.parametrize("file", [file for file in REFUSED if "endsolid" in file.name], ids=str)
def test_an_end_that_is_none_costs_next_to_nothing(tmp_path: Path, file: Hostile) -> None:
    path = tmp_path / file.filename
    path.write_bytes(file.build())
    began = time.process_time()
    with pytest.raises(ModelError):
        check_upload(path, path.name)
    assert time.process_time() - began < 0.5


def test_the_worker_gives_a_3mf_up_and_an_stl_never(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(three_mf_bytes())
    with pytest.raises(ModelError) as refused:
        prepare_slicer_input(upload, "a.3mf", seconds=0)
    assert refused.value.code == "MODEL_TOO_COMPLEX"
    upload.write_bytes(ascii_stl(box(20)))
    assert prepare_slicer_input(upload, "a.stl", seconds=0).name == "model.stl"

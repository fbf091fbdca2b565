"""A model far from the origin comes near, and is the same model to the last digit."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from printshop.geometry.mesh import load_triangles
from printshop.geometry.near_origin import offset_from_origin
from printshop.geometry.slicer_input import prepare_slicer_input
from tests.unit.slicing.model_makers import (
    ROOT,
    Triangle,
    ascii_stl,
    binary_stl,
    mesh_xml,
    model_xml,
    sphere,
    three_mf_bytes,
)


def moved(triangles: list[Triangle], x: float, y: float) -> list[Triangle]:
    points = np.array(triangles) + np.array((x, y, 0))
    return [tuple(map(tuple, triangle)) for triangle in points.tolist()]  # type: ignore[misc]


def prepared(folder: Path, name: str, contents: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    upload = folder / "upload"
    upload.write_bytes(contents)
    return load_triangles(prepare_slicer_input(upload, name))


@pytest.mark.parametrize(
    ("x", "y", "shift"),
    [
        (1000, -1000, (0, 0)),
        (1000.5, 0, (1000, 0)),
        (3, -65_536.25, (0, -65_536)),
        (9e5, 9e5, (900_000, 900_000)),
    ],
)
def test_only_what_is_far_is_moved_and_by_whole_numbers(x: float, y: float, shift: tuple[int, int]) -> None:
    assert offset_from_origin(x, y) == shift
    assert offset_from_origin(x / 1000, y / 1000, 1000) == (round(shift[0] / 1000), round(shift[1] / 1000))


@pytest.mark.parametrize(("x", "y"), [(2150, 0), (-65_536, 999_000), (0, -1500)])
def test_a_binary_stl_loses_no_digit_on_the_way(tmp_path: Path, x: float, y: float) -> None:
    far = moved(sphere(100, 20), x, y)
    near = prepared(tmp_path, "ball.stl", binary_stl(far))
    shift = offset_from_origin(*far[0][0][:2])
    back = near.astype(np.float64) + np.array((*shift, 0))
    assert np.array_equal(back.astype(np.float32), np.array(far, np.float32))
    assert np.array_equal(back, np.array(far, np.float32).astype(np.float64))
    assert np.abs(near[..., :2]).max() <= 1100


def test_a_text_stl_keeps_every_triangle(tmp_path: Path) -> None:
    ball = sphere(100, 20)
    near = prepared(tmp_path, "ball.stl", ascii_stl(moved(ball, 5000, -5000), newline="\r\n"))
    assert near.shape == (len(ball), 3, 3)
    assert near - near[0, 0] == pytest.approx(np.array(ball) - ball[0][0], abs=0.011)  # `:g` has six digits
    assert np.abs(near[..., :2]).max() <= 1100


FAR = "1 0 0 0 1 0 0 0 1 {} {} 0"


@pytest.mark.parametrize("unit", ["millimeter", "inch"])
def test_a_3mf_is_moved_as_a_whole(tmp_path: Path, unit: str) -> None:
    resources = (
        f'<object id="1">{mesh_xml(2)}</object><object id="2"><components>'
        f'<component objectid="1" transform="{FAR.format(30_000, 0)}"/></components></object>'
    )
    items = (
        f'<item objectid="2" transform="{FAR.format(0.5, 30_000)}"/>'
        f'<item objectid="1" transform="{FAR.format(30_004.5, 30_000)}"/>'
    )
    near = prepared(tmp_path, "two.3mf", three_mf_bytes(model_xml(resources, items, unit=unit)))
    scale = 25.4 if unit == "inch" else 1
    low, high = near.min(axis=(0, 1)) / scale, near.max(axis=(0, 1)) / scale
    assert low == pytest.approx((0.5, 0, 0), abs=1e-3)
    assert high == pytest.approx((6.5, 2, 2), abs=1e-3)


def test_a_3mf_that_is_near_keeps_its_items_as_they_are(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(three_mf_bytes())
    with zipfile.ZipFile(prepare_slicer_input(upload, "cube.3mf")) as archive:
        assert b"transform" not in archive.read(ROOT)

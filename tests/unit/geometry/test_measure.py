"""Box, volume and area against figures that geometry gives by formula, and against trimesh on real models."""

import math
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import trimesh

from printshop.geometry.dimensions import Geometry, Unit
from printshop.geometry.measure import measure
from printshop.geometry.mesh import TRIANGLES_AT_ONCE, load_triangles
from printshop.geometry.model_file import ModelKind, check_upload
from scripts.sample_models import gallery
from tests.support.models import write_large_stl
from tests.unit.slicing.model_makers import (
    Triangle,
    ascii_stl,
    binary_stl,
    box,
    mesh_xml,
    model_xml,
    sphere,
    three_mf_bytes,
)

TURNED_AND_MOVED = "0 1 0 -1 0 0 0 0 1 5 6 7"


def measured(folder: Path, triangles: Sequence[Triangle]) -> Geometry:
    path = folder / "model.stl"
    path.write_bytes(binary_stl(triangles))
    return measure(path, ModelKind.STL_BINARY)


def measured_3mf(folder: Path, resources: str, build: str, unit: str = "millimeter") -> Geometry:
    path = folder / "model.3mf"
    path.write_bytes(three_mf_bytes(model_xml(resources, build, unit=unit)))
    geometry = check_upload(path, path.name)[1]
    triangles = load_triangles(path)
    assert len(triangles) == geometry.triangles
    edges = triangles.max(axis=(0, 1)) - triangles.min(axis=(0, 1))
    assert edges == pytest.approx([geometry.box.x, geometry.box.y, geometry.box.z], rel=1e-5)
    return geometry


def ball(radius: float, rings: int) -> list[Triangle]:
    """A smooth sphere, by projecting the bumpy one."""

    def onto(corner: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = corner[0], corner[1], corner[2] - radius
        length = math.hypot(x, y, z) / radius
        return (x / length, y / length, z / length)

    return [(onto(a), onto(b), onto(c)) for a, b, c in sphere(radius, rings)]


def edges(geometry: Geometry) -> tuple[float, float, float]:
    return (geometry.box.x, geometry.box.y, geometry.box.z)


def test_a_cube_measures_its_edges_cubed_and_six_faces(tmp_path: Path) -> None:
    cube = measured(tmp_path, box(20))
    assert (edges(cube), cube.volume_mm3, cube.area_mm2) == ((20, 20, 20), 8000, 2400)
    assert (cube.triangles, cube.is_inverted, cube.unit) == (12, False, None)


def test_a_fine_sphere_has_the_volume_and_area_of_a_sphere(tmp_path: Path) -> None:
    found = measured(tmp_path, ball(10, 120))
    assert found.triangles > 2 * TRIANGLES_AT_ONCE
    assert found.volume_mm3 == pytest.approx(4 / 3 * math.pi * 10**3, rel=1e-3)
    assert found.area_mm2 == pytest.approx(4 * math.pi * 10**2, rel=1e-3)
    assert edges(found) == pytest.approx((20, 20, 20), abs=0.01)


@pytest.mark.parametrize("name", gallery(), ids=str)
def test_real_models_measure_what_trimesh_says(name: str) -> None:
    path = gallery()[name]
    ours, theirs = check_upload(path, name)[1], trimesh.load_mesh(path)
    assert edges(ours) == pytest.approx(theirs.extents, abs=0.001)
    assert ours.volume_mm3 == pytest.approx(theirs.volume, rel=1e-6, abs=0.001)
    assert ours.area_mm2 == pytest.approx(theirs.area, rel=1e-6, abs=0.001)


def test_text_and_binary_of_a_model_measure_the_same(tmp_path: Path) -> None:
    triangles = sphere(10, 60)
    text = tmp_path / "text.stl"
    text.write_bytes(ascii_stl(triangles))
    found, binary = measure(text, ModelKind.STL_ASCII), measured(tmp_path, triangles)
    assert found.triangles == binary.triangles > TRIANGLES_AT_ONCE
    assert edges(found) == pytest.approx(edges(binary), abs=0.001)
    assert found.volume_mm3 == pytest.approx(binary.volume_mm3, rel=1e-4)
    assert load_triangles(text) == pytest.approx(load_triangles(tmp_path / "model.stl"), abs=1e-4)


def test_a_surface_that_faces_inwards_encloses_the_same_and_says_so(tmp_path: Path) -> None:
    inverted = measured(tmp_path, [(a, c, b) for a, b, c in box(20)])
    assert (inverted.volume_mm3, inverted.is_inverted) == (8000, True)


def test_a_cavity_is_not_part_of_the_volume(tmp_path: Path) -> None:
    cavity = [
        tuple((x + 5, y + 5, z + 5) for x, y, z in corners)[::-1]  # a turned triangle faces the other way
        for corners in box(10)
    ]
    hollow = measured(tmp_path, [*box(20), *((a, b, c) for a, b, c in cavity)])
    assert (hollow.volume_mm3, hollow.is_inverted) == (7000, False)


def test_an_open_model_measures_the_same_in_any_place_and_order(tmp_path: Path) -> None:
    open_box = box(20)[2:]
    moved = [
        tuple((x + 4096, y - 512, z + 64) for x, y, z in corners)
        for corners in random.Random(1).sample(open_box, 10)
    ]
    here, there = measured(tmp_path, open_box), measured(tmp_path, [(a, b, c) for a, b, c in moved])
    assert 0 < here.volume_mm3 < 8000
    assert there.volume_mm3 == pytest.approx(here.volume_mm3, abs=0.001)


def test_the_place_of_a_model_does_not_cost_digits(tmp_path: Path) -> None:
    far = [
        ((a[0] + 524_288, a[1], a[2]), (b[0] + 524_288, b[1], b[2]), (c[0] + 524_288, c[1], c[2]))
        for a, b, c in box(20)
    ]
    assert measured(tmp_path, far).volume_mm3 == 8000


@pytest.mark.parametrize(
    ("unit", "edge"),
    [
        ("micron", 0.02),
        ("millimeter", 20),
        ("centimeter", 200),
        ("inch", 508),
        ("foot", 6096),
        ("meter", 20_000),
    ],
)
def test_a_3mf_is_measured_in_its_unit(tmp_path: Path, unit: Unit, edge: float) -> None:
    found = measured_3mf(tmp_path, f'<object id="1">{mesh_xml(20)}</object>', '<item objectid="1"/>', unit)
    assert (edges(found), found.unit) == ((edge, edge, edge), unit)
    assert found.volume_mm3 == pytest.approx(edge**3, rel=1e-6, abs=0.001)


def test_items_and_components_stand_where_their_transforms_put_them(tmp_path: Path) -> None:
    # Two cubes of 10 mm in an object, 30 mm apart along x; placed turned by 90°, they stand apart along y.
    resources = (
        f'<object id="1">{mesh_xml(10)}</object><object id="2"><components><component objectid="1"/>'
        '<component objectid="1" transform="1 0 0 0 1 0 0 0 1 30 0 0"/></components></object>'
    )
    found = measured_3mf(tmp_path, resources, f'<item objectid="2" transform="{TURNED_AND_MOVED}"/>')
    assert (edges(found), found.triangles, found.volume_mm3) == ((10, 40, 10), 24, 2000)
    low = load_triangles(tmp_path / "model.3mf").min(axis=(0, 1))
    assert low == pytest.approx([-5, 6, 7])


def test_what_a_transform_mirrors_still_faces_outwards(tmp_path: Path) -> None:
    item = '<item objectid="1" transform="-2 0 0 0 1 0 0 0 1 0 0 0"/>'
    found = measured_3mf(tmp_path, f'<object id="1">{mesh_xml(10)}</object>', item)
    assert (edges(found), found.volume_mm3, found.is_inverted) == ((20, 10, 10), 2000, False)
    signed = np.linalg.det(load_triangles(tmp_path / "model.3mf").astype(float)).sum() / 6
    assert signed == pytest.approx(2000)


def test_an_item_that_is_not_printed_is_not_measured(tmp_path: Path) -> None:
    build = '<item objectid="1"/><item objectid="1" printable="0" transform="1 0 0 0 1 0 0 0 1 90 0 0"/>'
    found = measured_3mf(tmp_path, f'<object id="1">{mesh_xml(10)}</object>', build)
    assert (edges(found), found.triangles) == ((10, 10, 10), 12)


def test_corners_that_no_triangle_uses_do_not_count(tmp_path: Path) -> None:
    mesh = mesh_xml(10).replace("</vertices>", '<vertex x="900" y="0" z="0"/></vertices>')
    found = measured_3mf(tmp_path, f'<object id="1">{mesh}</object>', '<item objectid="1"/>')
    assert edges(found) == (10, 10, 10)


def test_many_places_of_a_mesh_cost_what_its_triangles_do_not_its_corners(tmp_path: Path) -> None:
    spare = '<vertex x="1" y="1" z="1"/>' * 100_000
    mesh = mesh_xml(10).replace("</vertices>", f"{spare}</vertices>")
    path = tmp_path / "model.3mf"
    model = model_xml(f'<object id="1">{mesh}</object>', '<item objectid="1"/>' * 2000)
    path.write_bytes(three_mf_bytes(model, compression=zipfile.ZIP_STORED))
    began = time.process_time()
    assert check_upload(path, path.name)[1].triangles == 24_000
    assert time.process_time() - began < 5  # corner by corner it would be half a minute


@pytest.mark.parametrize("megabytes", [pytest.param(20), pytest.param(100, marks=pytest.mark.full)])
def test_memory_does_not_grow_with_a_binary_stl(tmp_path: Path, megabytes: int) -> None:
    path = tmp_path / "model.stl"
    write_large_stl(path, megabytes * 1_000_000)
    script = (
        "import sys; from pathlib import Path\n"
        "from printshop.geometry.model_file import check_upload\n"
        "from printshop.geometry.slicer_input import prepare_slicer_input\n"
        "path = Path(sys.argv[1]); check_upload(path, path.name); prepare_slicer_input(path, 'model.stl')\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env={"PYTHONPATH": "layers/common"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(answer.stdout) < 80 * 1024

"""The inspection's child in its fence: what it finds, what ends it, and what it leaves behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from printshop.adapters.sandbox import Limits
from printshop.slicing.inspection import LIMITS, InspectionFailed, inspect
from tests.support.models import cube_3mf
from tests.unit.geometry.meshes import ball, box, stl_of, together


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_an_open_model_of_two_bodies_is_described_and_drawn(tmp_path: Path, scratch: Path) -> None:
    model = written(tmp_path, "model.stl", stl_of(together(box()[2:], box(at=(50, 0, 0)))))
    inspection = inspect(model, scratch)
    assert inspection.model_dump(mode="json")["topology"] == {
        "triangles": 22,
        "degenerateTriangles": 0,
        "openEdges": 4,
        "nonManifoldEdges": 0,
        "misdirectedEdges": 0,
        "bodies": 2,
        "isWatertight": False,
        "isConsistent": True,
    }
    assert [warning.code for warning in inspection.warnings] == ["OPEN_EDGES", "SEVERAL_BODIES"]
    assert inspection.warnings[0].message.startswith("4 edges are open")
    assert (inspection.preview, inspection.lacking) == (scratch / "preview.png", None)
    assert [path.name for path in scratch.iterdir()] == ["preview.png"]


def test_a_3mf_is_inspected_as_it_stands(tmp_path: Path, scratch: Path) -> None:
    inspection = inspect(written(tmp_path, "model.3mf", cube_3mf()), scratch)
    assert inspection.topology
    assert (inspection.topology.triangles, inspection.topology.is_watertight, inspection.warnings) == (
        12,
        True,
        [],
    )


def test_a_timeout_ends_it_with_nothing_left(tmp_path: Path, scratch: Path) -> None:
    model = written(tmp_path, "model.stl", stl_of(ball(100)))
    with pytest.raises(InspectionFailed) as failed:
        inspect(model, scratch, Limits(timeout_s=0.05))
    assert failed.value.code == "INSPECTION_TIMEOUT"
    assert not list(scratch.iterdir())


def test_a_memory_limit_ends_it_with_nothing_left(tmp_path: Path, scratch: Path) -> None:
    model = written(tmp_path, "model.stl", stl_of(ball(100)))
    with pytest.raises(InspectionFailed) as failed:
        inspect(model, scratch, Limits(timeout_s=60, memory_bytes=100 * 1024**2))
    assert failed.value.code in {"INSPECTION_OUT_OF_MEMORY", "INSPECTION_CRASHED"}
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("name", "content"), [("model.3mf", b"PK\x03\x04 and no more"), ("model.stl", bytes(84))]
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, scratch: Path, name: str, content: bytes) -> None:
    with pytest.raises(InspectionFailed) as failed:
        inspect(written(tmp_path, name, content), scratch)
    assert failed.value.code == "INSPECTION_UNREADABLE"
    assert not list(scratch.iterdir())


def test_a_worker_that_stops_ends_it(tmp_path: Path, scratch: Path) -> None:
    model = written(tmp_path, "model.stl", stl_of(ball(500)))
    with pytest.raises(InspectionFailed) as failed:
        inspect(model, scratch, LIMITS, keep_going=lambda: False)
    assert failed.value.code == "INSPECTION_STOPPED"
    assert not list(scratch.iterdir())


def test_the_parent_loads_no_numpy(tmp_path: Path, scratch: Path) -> None:
    model = written(tmp_path, "model.stl", stl_of(box()))
    script = (
        "import sys; from pathlib import Path; from printshop.slicing.inspection import inspect\n"
        "assert inspect(Path(sys.argv[1]), Path(sys.argv[2])).topology.bodies == 1\n"
        "print([name for name in ('numpy', 'PIL', 'scipy', 'trimesh') if name in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(model), str(scratch)],
        env={"PYTHONPATH": "layers/common", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == "[]\n"

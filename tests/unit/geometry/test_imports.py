"""numpy takes a tenth of a second to load: only what measures a model loads it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.slicing.model_makers import ascii_stl, binary_stl, box, three_mf_bytes

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {
    "NEXT_PUBLIC_SUPABASE_URL": "http://127.0.0.1:1",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "unused",
    "SUPABASE_SERVICE_ROLE_KEY": "unused",
    "SLICE_QUEUE_URL": "http://127.0.0.1:1/queue",
    "AWS_DEFAULT_REGION": "ap-southeast-2",
    "PYTHONPATH": str(ROOT / "layers" / "common"),
}
LOADED = "\nimport sys; print(any(name in sys.modules for name in ('numpy', 'scipy', 'trimesh', 'PIL')))"


def loads_numpy(program: str, folder: Path, *arguments: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", program + LOADED, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1] == "True"


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in ROOT.glob("functions/*/app.py")), ids=lambda p: p.name
)
def test_no_function_loads_numpy_at_its_start(folder: Path) -> None:
    assert not loads_numpy("import app", folder)


def test_what_the_api_knows_of_intake_at_its_start_needs_no_numpy() -> None:
    modules = (
        "dimensions, errors, fit, model_file, near_origin, slicer_input, stl, "
        "threemf_model, threemf_package, threemf_reader, threemf_rebuild, model_warnings"
    )
    assert not loads_numpy(f"from printshop.geometry import {modules}", ROOT)


def test_a_file_refused_by_its_ends_is_refused_without_numpy() -> None:
    program = (
        "from printshop.geometry.model_file import check_ends; from printshop.geometry.errors import ModelError\n"
        "try: check_ends('a.stl', 3, b'G28', b'G28'); raise SystemExit('accepted')\n"
        "except ModelError: pass\n"
    )
    assert not loads_numpy(program, ROOT)


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.stl", binary_stl(box(20))), ("a.stl", ascii_stl(box(20))), ("a.3mf", three_mf_bytes())],
    ids=["binary", "text", "3mf"],
)
def test_what_the_worker_does_to_an_accepted_model_needs_no_numpy(
    tmp_path: Path, name: str, data: bytes
) -> None:
    model = tmp_path / "upload"
    model.write_bytes(data)
    program = (
        "import sys; from pathlib import Path; from printshop.geometry.slicer_input import prepare_slicer_input\n"
        "assert prepare_slicer_input(Path(sys.argv[1]), sys.argv[2]).exists()"
    )
    assert not loads_numpy(program, ROOT, str(model), name)


def test_measuring_loads_it(tmp_path: Path) -> None:
    model = tmp_path / "a.stl"
    model.write_bytes(binary_stl(box(20)))
    program = (
        "import sys; from pathlib import Path; from printshop.geometry.model_file import check_upload\n"
        "check_upload(Path(sys.argv[1]), 'a.stl')"
    )
    assert loads_numpy(program, ROOT, str(model))

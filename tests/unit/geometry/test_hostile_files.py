"""Each hostile file ends in its stated outcome, at the upload and at the worker, and in little memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from printshop.geometry.errors import ModelError
from printshop.geometry.mesh import load_triangles
from printshop.geometry.model_file import check_upload
from printshop.geometry.model_warnings import find_warnings
from printshop.geometry.slicer_input import prepare_slicer_input
from scripts.sample_models import gallery
from tests.unit.geometry.hostile_files import ACCEPTED, CORPUS, REFUSED, Hostile

MAX_KILOBYTES = 150 * 1024
"""The worker's own process stays below this, whatever the model."""


def uploaded(folder: Path, file: Hostile) -> Path:
    upload = folder / "upload"
    upload.write_bytes(file.build())
    return upload


def test_there_are_enough_of_them_and_no_two_of_a_name() -> None:
    assert len(CORPUS) >= 25
    assert len({file.name for file in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("file", REFUSED, ids=str)
def test_a_file_that_is_no_good_model_is_refused_with_its_code(tmp_path: Path, file: Hostile) -> None:
    upload = uploaded(tmp_path, file)
    with pytest.raises(ModelError) as by_api:
        check_upload(upload, file.filename)
    assert by_api.value.code == file.code
    assert by_api.value.message.endswith(".")
    assert str(tmp_path) not in by_api.value.message


@pytest.mark.parametrize("file", [file for file in REFUSED if file.filename.endswith(".3mf")], ids=str)
def test_a_3mf_that_is_no_good_model_does_not_pass_the_worker_either(tmp_path: Path, file: Hostile) -> None:
    with pytest.raises(ModelError) as by_worker:
        prepare_slicer_input(uploaded(tmp_path, file), file.filename)
    assert by_worker.value.code == file.code


@pytest.mark.parametrize("file", ACCEPTED, ids=str)
def test_a_model_measures_what_the_worker_loads(tmp_path: Path, file: Hostile) -> None:
    upload = uploaded(tmp_path, file)
    _, geometry = check_upload(upload, file.filename)
    assert (geometry.box.x, geometry.box.y, geometry.box.z) == pytest.approx(file.edges, abs=0.001)
    if file.volume is not None:
        assert geometry.volume_mm3 == pytest.approx(file.volume, abs=0.001)
    triangles = load_triangles(prepare_slicer_input(upload, file.filename))
    assert len(triangles) == geometry.triangles
    edges = triangles.max(axis=(0, 1)) - triangles.min(axis=(0, 1))
    assert edges == pytest.approx(file.edges, rel=1e-5, abs=0.001)


@pytest.mark.parametrize("file", ACCEPTED, ids=str)
def test_what_is_odd_about_a_model_is_said_and_nothing_else(tmp_path: Path, file: Hostile) -> None:
    _, geometry = check_upload(uploaded(tmp_path, file), file.filename)
    assert tuple(warning.code for warning in find_warnings(geometry)) == file.warnings


@pytest.mark.parametrize("model", gallery().values(), ids=lambda path: path.name)
def test_a_plain_model_gives_no_warning(model: Path) -> None:
    assert find_warnings(check_upload(model, model.name)[1]) == []


def test_the_whole_corpus_leaves_the_worker_below_its_memory(tmp_path: Path) -> None:
    for number, file in enumerate(CORPUS):
        (tmp_path / f"{number:03}-{file.filename}").write_bytes(file.build())
    # VmHWM, because ru_maxrss begins with what the parent had at the fork.
    script = (
        "import sys; from pathlib import Path\n"
        "from printshop.geometry.model_file import check_upload\n"
        "from printshop.geometry.slicer_input import prepare_slicer_input\n"
        "from printshop.geometry.errors import ModelError\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: check_upload(path, path.name); said = 'taken'\n"
        "    except ModelError as error: said = error.code\n"
        "    print(said)\n"
        "    if said == 'taken' or path.suffix.lower() == '.3mf':\n"  # an STL comes to the worker accepted
        "        try: prepare_slicer_input(path, path.name)\n"
        "        except ModelError: pass\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={"PYTHONPATH": "layers/common"},
        capture_output=True,
        text=True,
        check=True,
    )
    *said, kilobytes = answer.stdout.split()
    assert said == [file.code or "taken" for file in CORPUS]
    assert int(kilobytes) < MAX_KILOBYTES
    print(f"{int(kilobytes) // 1024} MB at most")

"""The common layer as `sam build` makes it: complete by itself, compiled for good, no larger than it must be."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.bundle import ROOT

MEGABYTE = 1024 * 1024
UNCHECKED_HASH = 1
"""The flags of byte code that is never compared with its source (PEP 552)."""

BASE_PYTHON = str(Path(sys.executable).resolve())
"""The interpreter that the virtual environment was made from: it has pip, and none of our packages."""

PRODUCT = [ROOT / "layers" / "common" / "printshop", ROOT / "functions", ROOT / "slicer-container"]


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer's python folder."""
    artifacts = tmp_path_factory.mktemp("layer")
    environment = {**os.environ, "ARTIFACTS_DIR": str(artifacts), "PYTHON": BASE_PYTHON}
    uv = ROOT / ".local" / "uv" / "bin" / "uv"
    if uv.exists():
        environment["UV"] = str(uv)
    command = ["make", "--silent", "-C", str(ROOT / "layers" / "common"), "build-CommonLayer"]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return artifacts / "python"


def test_the_layer_runs_with_nothing_else_installed(layer: Path) -> None:
    program = f"""
import sys
sys.path.append({str(layer)!r})
import printshop.http, printshop.services, printshop.adapters.queues, printshop.adapters.stripe
import aws_lambda_powertools.utilities.parameters, postgrest, storage3, supabase, zoneinfo
zoneinfo.ZoneInfo("Australia/Sydney")
"""
    command = [BASE_PYTHON, "-I", "-S", "-W", "error", "-c", program]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_the_layer_holds_the_shared_package_as_it_stands(layer: Path) -> None:
    source = PRODUCT[0]
    expected = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    kept = {
        path.relative_to(layer / "printshop") for path in (layer / "printshop").rglob("*") if path.is_file()
    }
    assert {path for path in expected if path.suffix != ".pyc"} == {
        path for path in kept if path.suffix != ".pyc"
    }


def test_all_code_is_compiled_and_its_date_does_not_matter(layer: Path) -> None:
    sources = list(layer.rglob("*.py"))
    assert len(sources) > 1000
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert compiled.is_file(), source
        with compiled.open("rb") as file:
            assert int.from_bytes(file.read(8)[4:], "little") == UNCHECKED_HASH, compiled


def test_traces_name_the_place_on_lambda(layer: Path) -> None:
    compiled = (layer / "printshop" / "__pycache__" / "services.cpython-313.pyc").read_bytes()
    assert b"/opt/python/printshop/services.py" in compiled
    assert str(layer).encode() not in compiled


def test_the_layer_leaves_room_for_the_browsers(layer: Path) -> None:
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
    assert size < 120 * MEGABYTE  # of the 250 that Lambda allows, the Chromium layer takes about 100
    assert not [path for path in layer.rglob("tests") if path.is_dir()]


def test_every_package_keeps_its_name_and_version(layer: Path) -> None:
    packages = list(layer.glob("*.dist-info"))
    assert len(packages) > 30
    assert not [package for package in packages if not (package / "METADATA").is_file()]


def test_boto3_keeps_the_services_that_the_product_calls(layer: Path) -> None:
    kept = {path.name for path in (layer / "botocore" / "data").iterdir() if path.is_dir()}
    called = {"secretsmanager", "ssm"}  # by powertools' parameters
    for folder in PRODUCT:
        for path in folder.rglob("*.py"):
            called |= set(re.findall(r"\bclient\(\s*\"([a-z0-9-]+)\"", path.read_text()))
    assert "sqs" in called
    assert called <= kept

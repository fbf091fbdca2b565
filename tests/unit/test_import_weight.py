"""What a part of the product loads when it is imported, read from `sys.modules` of a fresh interpreter."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "layers" / "common"
FUNCTIONS = sorted(path.parent for path in ROOT.glob("functions/*/app.py"))
OUTSIDE_WORLD = {
    "fastapi", "starlette", "mangum", "httpx", "requests", "boto3", "botocore", "supabase", "postgrest", "storage3",
    "stripe", "aws_lambda_powertools",
}  # fmt: skip
WEB_FRAMEWORK = {"fastapi", "starlette", "mangum"}


def loaded_by(modules: list[str], *paths: Path) -> set[str]:
    """The top-level packages that importing `modules` loads."""
    program = f"import {', '.join(modules)}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(str(path) for path in (SHARED, *paths))},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def modules_of(folder: Path, package: str) -> list[str]:
    return [package, *(f"{package}.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__")]


@pytest.mark.parametrize("package", ["pricing", "geometry"])
def test_pure_packages_load_nothing_of_the_outside_world(package: str) -> None:
    modules = modules_of(SHARED / "printshop" / package, f"printshop.{package}")
    assert len(modules) > 3
    assert loaded_by(modules) & OUTSIDE_WORLD == set()


def test_the_slicer_worker_loads_no_web_framework() -> None:
    worker = ROOT / "slicer-container"
    modules = modules_of(worker / "slicer_worker", "slicer_worker")
    loaded = loaded_by(modules, worker)
    assert "printshop" in loaded
    assert loaded & WEB_FRAMEWORK == set()


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_a_function_imports_the_shared_package_and_its_own_folder_alone(folder: Path) -> None:
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()} | {"slicer_worker"}
    ours |= {path.stem for other in FUNCTIONS if other != folder for path in other.glob("*.py")} - {"app"}
    ours -= {path.stem for path in folder.glob("*.py")}
    imported = {
        name.partition(".")[0]
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _names(node)
    }
    assert "printshop" in imported
    assert imported & ours == set()


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
    return []

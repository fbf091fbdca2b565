"""The product does not import devstack, devstack not the product, and others only its public names."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import devstack

ROOT = Path(__file__).resolve().parents[2]


def imports_of(*folders: str) -> Iterator[tuple[str, str, str]]:
    """File, module and name of each import below the folders; the name is empty for `import module`."""
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from ((path.name, node.module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((path.name, alias.name, "") for alias in node.names)


def package_of(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize(
    ("importers", "forbidden"),
    [
        (("layers", "functions", "slicer-container"), {"devstack", "scripts", "tests", "benchmarks"}),
        (("devstack",), {"printshop", "slicer_worker", "scripts", "tests", "benchmarks"}),
    ],
    ids=["product", "devstack"],
)
def test_neither_project_imports_the_other_or_what_uses_it(
    importers: tuple[str, ...], forbidden: set[str]
) -> None:
    found = list(imports_of(*importers))
    assert found, "no import was read"
    assert [one for one in found if package_of(one[1]) in forbidden] == []


def test_the_rest_of_the_repository_imports_only_the_public_names_of_devstack() -> None:
    used = [one for one in imports_of("tests", "scripts", "benchmarks") if package_of(one[1]) == "devstack"]
    assert used
    assert [one for one in used if not is_public(one[1], one[2])] == []


def is_public(module: str, name: str) -> bool:
    """A name in `__all__` of devstack or of a child of it, or anything of a module of the test kit."""
    parents = module.split(".")
    if module.startswith("devstack.testing."):
        return len(parents) == 3
    return (
        len(parents) <= 2 and bool(name) and name in getattr(importlib.import_module(module), "__all__", ())
    )


def test_every_name_of_the_face_can_be_imported() -> None:
    assert [name for name in devstack.__all__ if getattr(devstack, name) is None] == []
    with pytest.raises(AttributeError):
        getattr(devstack, "no_such_name")  # noqa: B009

"""docs/threat-model.md: every threat names tests that hold it, and every test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
HEADER = ["threat", "what holds it", "the test that holds it", "what is left"]


def threats() -> list[list[str]]:
    """The rows of all tables of threats: four cells each."""
    rows: list[list[str]] = []
    columns: list[str] | None = None
    for line in PAGE.splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if columns is None:
            columns = cells
        elif columns == HEADER and not set("".join(cells)) <= {"-", " "}:
            rows.append(cells)
    return rows


@cache
def functions_of(path: str) -> frozenset[str]:
    """The test functions of a file, parametrised ones too."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_there_are_threats_in_every_table() -> None:
    assert len(threats()) > 50
    assert PAGE.count("| " + " | ".join(HEADER) + " |") == len(re.findall(r"^\| threat", PAGE, re.M))


@pytest.mark.parametrize("row", threats(), ids=lambda row: row[0][:60])
def test_a_threat_says_what_holds_it_and_names_tests_that_exist(row: list[str]) -> None:
    assert len(row) == len(HEADER), "a cell holds a bar"
    assert row[0]
    assert row[1]
    named = NAMED.findall(row[2])
    assert named, "no test holds it"
    assert re.sub(r"[\s,]", "", NAMED.sub("", row[2])) == "", "something that is no test is named"
    absent = [f"{path}::{name}" for path, name in named if name not in functions_of(path)]
    assert absent == []
    assert all(name.startswith("test_") for _, name in named)

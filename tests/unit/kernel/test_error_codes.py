"""The registry of error codes, compared with every error that Python raises, SQL returns and a route documents."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from printshop.kernel import errors
from printshop.kernel.error_codes import ERROR_SENTENCES
from printshop.kernel.errors import ApiError, Conflict
from tests.template.bundle import ROOT

PYTHON = [
    file
    for folder in ("layers/common/printshop", "functions", "slicer-container/slicer_worker")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if file.name != "error_codes.py"
]
SQL = sorted((ROOT / "supabase").rglob("*.sql"))
REGISTERED = {(status, code) for status, codes in ERROR_SENTENCES.items() for code in codes}
STATUS = {
    kind.__name__: kind.status
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ApiError)
}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for file in PYTHON:
        yield file.relative_to(ROOT), ast.parse(file.read_text())


def statuses() -> dict[str, int]:
    """The status of each class of errors by its name, with the classes that a module derives."""
    derived = {
        node.name: STATUS[base.id]
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name) and base.id in STATUS
    }
    return derived | STATUS


def raised() -> Iterator[tuple[str, int, str, ast.Call]]:
    """Where, status, code and call of each error that is made with a code written out."""
    known = statuses()
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
                match node.args:
                    case [ast.Constant(value=str(code)), *_]:
                        yield f"{file}:{node.lineno}", known[node.func.id], code, node


def test_every_error_that_python_raises_is_registered() -> None:
    found = list(raised())
    assert len(found) > 80
    assert [
        f"{where}: {status} {code}" for where, status, code, _ in found if (status, code) not in REGISTERED
    ] == []


def test_no_error_repeats_the_sentence_of_the_registry() -> None:
    def message(call: ast.Call) -> object:
        given = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "message")]
        return given[0].value if given and isinstance(given[0], ast.Constant) else None

    repeated = [
        where for where, status, code, call in raised() if message(call) == ERROR_SENTENCES[status][code]
    ]
    assert repeated == []


def test_every_error_that_sql_returns_is_registered() -> None:
    texts = {file.relative_to(ROOT): file.read_text() for file in SQL}
    found = [
        (file, int(status or 409), code)
        for file, text in texts.items()
        for status, code in re.findall(r"\b\w+\(\s*(?:([45]\d\d)|q),\s*'([A-Z][A-Z_]+)'", text)
    ]
    assert len(found) > 100
    assert [entry for entry in found if entry[1:] not in REGISTERED] == []


def test_every_error_that_a_route_documents_is_registered() -> None:
    found = {
        (int(status), code)
        for file in PYTHON
        for status, code in re.findall(r'"([45]\d\d) ([A-Z_]+)"', file.read_text())
    }
    assert len(found) > 100
    assert found - REGISTERED == set()


def test_every_registered_code_is_used() -> None:
    used = {
        code
        for file in [*PYTHON, *SQL]
        for code in re.findall(r"['\" ]([A-Z][A-Z0-9_]+)['\"]", file.read_text())
    }
    assert {code for _, code in REGISTERED} - used == set()


@pytest.mark.parametrize("status", sorted(ERROR_SENTENCES))
def test_the_sentences_of_a_status_are_sorted_and_end_with_a_full_stop(status: int) -> None:
    sentences = ERROR_SENTENCES[status]
    assert list(sentences) == sorted(sentences, key=lambda code: code.replace("_", "Z"))
    assert [text for text in sentences.values() if not re.fullmatch(r"[A-Z].*\.", text)] == []


def test_an_error_says_the_registered_sentence_or_its_own() -> None:
    assert Conflict("NAME_TAKEN").message == "Another one has this name; choose one of its own."
    assert Conflict("NAME_TAKEN", "PLA is taken.").message == "PLA is taken."
    assert str(Conflict("NAME_TAKEN", "PLA is taken.")) == "NAME_TAKEN: PLA is taken."


def test_an_error_without_a_registered_sentence_needs_its_own() -> None:
    with pytest.raises(KeyError, match="NO_SUCH_CODE"):
        Conflict("NO_SUCH_CODE")

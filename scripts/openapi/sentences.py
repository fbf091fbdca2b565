"""The message of every error code, read from the source code, for the examples of the OpenAPI document.

Python: `NotFound("CODE", "Sentence.")`. SQL: `api_error(404, 'CODE', 'Sentence.')` and `raise … message =, hint =`.
What a sentence takes from the request stands as `…`.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_SQL_TEXT = r"'(?:[^']|'')*'"
_SQL_SENTENCE = (
    rf"(?:{_SQL_TEXT}|format\s*\(\s*{_SQL_TEXT})(?:\s*\|\|\s*(?:{_SQL_TEXT}|[\w.]+(?:\([^()]*\))?))*"
)
# `api_error(…)` or a function around it that says the rest; of several sentences the first.
_REFUSAL = re.compile(
    rf"\w+\(\s*[\w.]+,\s*'([A-Z0-9_]+)',\s*(?:format\s*\(\s*)?(?:case\b[^;]*?then\s*)?({_SQL_SENTENCE})"
)
_RAISED = re.compile(rf"message\s*=\s*({_SQL_SENTENCE})[^;]*?hint\s*=\s*'([A-Z0-9_]+)'")
_RAISED_CODE_FIRST = re.compile(rf"hint\s*=\s*'([A-Z0-9_]+)'[^;]*?message\s*=\s*({_SQL_SENTENCE})")


@cache
def sentences() -> dict[str, str]:
    """Code to sentence; of several places the first."""
    found: dict[str, str] = {}
    for path in [*sorted(ROOT.glob("layers/common/**/*.py")), *sorted(ROOT.glob("functions/*/*.py"))]:
        for code, sentence in _of_python(path.read_text()):
            found.setdefault(code, sentence)
    for path in sorted(ROOT.glob("supabase/schemas/**/*.sql")):
        for code, sentence in _of_sql(path.read_text()):
            found.setdefault(code, sentence)
    return found


def _of_python(source: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(source)):
        for first, second in pairwise(_listed(node)):
            code, sentence = _python_text(first), _python_text(second)
            if code and sentence and _CODE.fullmatch(code) and " " in sentence:
                yield code, sentence


def _listed(node: ast.AST) -> list[ast.expr]:
    """What stands side by side: a call's arguments, a tuple's parts, and `code` and `message` of a dict."""
    if isinstance(node, ast.Call):
        return node.args
    if isinstance(node, ast.Tuple):
        return node.elts
    if isinstance(node, ast.Dict):
        named = {
            each.value: value
            for each, value in zip(node.keys, node.values, strict=True)
            if isinstance(each, ast.Constant)
        }
        return [named[name] for name in ("code", "message") if name in named]
    return []


def _python_text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_python_text(part) or "…" for part in node.values)
    return None


def _of_sql(source: str) -> Iterator[tuple[str, str]]:
    for code, sentence in _REFUSAL.findall(source) + _RAISED_CODE_FIRST.findall(source):
        yield code, _sql_text(sentence)
    for sentence, code in _RAISED.findall(source):
        yield code, _sql_text(sentence)


def _sql_text(expression: str) -> str:
    parts = re.split(rf"({_SQL_TEXT})", expression.removeprefix("format("))
    spoken = [
        part[1:-1].replace("''", "'") if part.startswith("'") else "…" if re.search(r"\w", part) else ""
        for part in parts
    ]
    return re.sub(r"%[sL]", "…", "".join(spoken))

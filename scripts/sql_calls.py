"""Every call of an SQL function in Python, compared with the functions that `supabase/schemas/` declares.

`python -m scripts.sql_calls`, a part of `make lint`, lists each call of an unknown function, with an unknown
parameter, or without a parameter that the function needs. A call with `**values` may have the missing ones among
them. A test holds these declarations to PostgreSQL's pg_proc (tests/integration/schema/test_signatures.py).
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Signature", "calls", "declared", "problems"]

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("layers", "functions", "slicer-container", "scripts", "devstack", "benchmarks")
DATABASES = {"database", "_database"}
FUNCTION = re.compile(r"^create function (\w+)\((.*?)\)\s*(?:returns\b|language\b)", re.DOTALL | re.MULTILINE)
PARAMETER = re.compile(r"(?:(in|out)\s+)?(\w+)\s+(.+)", re.DOTALL)


@dataclass(frozen=True)
class Signature:
    """What a caller may and must name."""

    parameters: frozenset[str]
    required: frozenset[str]


@dataclass(frozen=True)
class SqlCall:
    """One call: of which function, with which named parameters; `is_open` when `**values` brings others."""

    place: str
    function: str
    named: frozenset[str]
    is_open: bool


def declared(schemas: Path = ROOT / "supabase" / "schemas") -> dict[str, Signature]:
    """The signatures of the SQL functions, by name."""
    return {
        name: _signature(parameters)
        for path in sorted(schemas.rglob("*.sql"))
        for name, parameters in FUNCTION.findall(path.read_text())
    }


def _signature(text: str) -> Signature:
    parameters, required = set(), set()
    for part in re.split(r",(?![^()]*\))", text):
        found = PARAMETER.match(part.strip())
        if found is None or found[1] == "out":
            continue
        parameters.add(found[2])
        if not re.search(r"\sdefault\s|\s:?=\s", found[3]):
            required.add(found[2])
    return Signature(frozenset(parameters), frozenset(required))


def calls(source: str, place: str) -> Iterator[SqlCall]:
    """The calls of SQL functions in one Python module. ValueError for one whose function cannot be read off."""
    tree = ast.parse(source)
    literals = _literal_parameters(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and _is_database_call(node.func) and node.args):
            continue
        line = f"{place}:{node.lineno}"
        named = frozenset(keyword.arg for keyword in node.keywords if keyword.arg is not None)
        is_open = any(keyword.arg is None for keyword in node.keywords)
        for function in _names(node.args[0], literals, line):
            yield SqlCall(line, function, named, is_open)


def _is_database_call(function: ast.expr) -> bool:
    if not (isinstance(function, ast.Attribute) and function.attr == "call"):
        return False
    on = function.value
    return (isinstance(on, ast.Name) and on.id in DATABASES) or (
        isinstance(on, ast.Attribute) and on.attr in DATABASES
    )


def _literal_parameters(tree: ast.Module) -> dict[str, set[str]]:
    """Names that are annotated `Literal["a", "b"]` anywhere in the module, and the texts that they may have."""
    aliases = {node.name.id: node.value for node in ast.walk(tree) if isinstance(node, ast.TypeAlias)}
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            name, annotation = node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, annotation = node.target.id, node.annotation
        else:
            continue
        if isinstance(annotation, ast.Name) and annotation.id in aliases:
            annotation = aliases[annotation.id]
        if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).endswith("Literal"):
            texts = {text.value for text in ast.walk(annotation.slice) if isinstance(text, ast.Constant)}
            found.setdefault(name, set()).update(str(text) for text in texts)
    return found


def _names(function: ast.expr, literals: dict[str, set[str]], place: str) -> set[str]:
    if isinstance(function, ast.Constant) and isinstance(function.value, str):
        return {function.value}
    if isinstance(function, ast.IfExp):
        return _names(function.body, literals, place) | _names(function.orelse, literals, place)
    last = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if last in literals:
        return literals[last]
    raise ValueError(
        f"{place}: name the SQL function as text, or annotate `{ast.unparse(function)}` with Literal[…]"
    )


def problems(call: SqlCall, signatures: dict[str, Signature]) -> Iterator[str]:
    """What is wrong with a call, one sentence each."""
    signature = signatures.get(call.function)
    if signature is None:
        yield f"{call.place}: there is no SQL function {call.function}"
        return
    for name in sorted(call.named - signature.parameters):
        yield f"{call.place}: {call.function} has no parameter {name}"
    if not call.is_open:
        for name in sorted(signature.required - call.named):
            yield f"{call.place}: {call.function} needs {name}"


def main() -> int:
    signatures = declared()
    found: list[str] = []
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            try:
                for call in calls(path.read_text(), str(path.relative_to(ROOT))):
                    found += problems(call, signatures)
            except ValueError as error:
                found.append(str(error))
    print("\n".join(found), end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

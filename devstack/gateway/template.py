"""Reads a CloudFormation template as plain data: expands YAML's short tags, checks parameters.

`!Ref X` becomes `{"Ref": "X"}`, `!GetAtt A.B` becomes `{"Fn::GetAtt": ["A", "B"]}`, and so on; nothing is
resolved here.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from devstack.gateway.errors import TemplateError

__all__ = ["load_template", "parameter_values"]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags."""


def _short_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_tag)


def load_template(path: Path) -> dict[str, Any]:
    """Read a template file. Raises TemplateError for anything else."""
    with path.open() as text:
        try:
            document = yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader with constructors of plain data)
        except yaml.YAMLError as error:
            raise TemplateError(f"{path.name}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise TemplateError(f"{path.name}: there are no Resources")
    return document


def parameter_values(
    declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str], from_ssm: Callable[[str], str]
) -> dict[str, str | list[str]]:
    """The given values over the defaults, each checked as CloudFormation does.

    `from_ssm` reads the parameters whose type is `AWS::SSM::Parameter::Value<…>`. Every value is a string or,
    for the list types, a list of strings. Raises TemplateError.
    """
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"the template declares no parameter {', '.join(unknown)}")
    values: dict[str, str | list[str]] = {}
    for name, declaration in declared.items():
        if name not in given and "Default" not in declaration:
            raise TemplateError(f"parameter {name} has no default and was not given")
        value = str(given.get(name, declaration.get("Default")))
        _check(name, value, declaration)
        kind = str(declaration.get("Type", "String"))
        if kind.startswith("AWS::SSM::Parameter::Value<"):
            value = from_ssm(value)
        values[name] = [part.strip() for part in value.split(",")] if "List" in kind else value
    return values


def _check(name: str, value: str, declaration: Mapping[str, Any]) -> None:
    allowed = declaration.get("AllowedValues")
    if allowed is not None and value not in [str(each) for each in allowed]:
        raise TemplateError(f"parameter {name}: {value!r} is none of {', '.join(map(str, allowed))}")
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        raise TemplateError(f"parameter {name}: {value!r} does not match {pattern}")
    if declaration.get("Type") == "Number":
        if not re.fullmatch(r"-?\d+(\.\d+)?", value):
            raise TemplateError(f"parameter {name}: {value!r} is not a number")
        _check_range(name, float(value), declaration.get("MinValue"), declaration.get("MaxValue"))
    _check_range(name, len(value), declaration.get("MinLength"), declaration.get("MaxLength"))


def _check_range(name: str, size: float, least: Any, most: Any) -> None:
    if least is not None and size < float(least):
        raise TemplateError(f"parameter {name}: {size:g} is less than {least}")
    if most is not None and size > float(most):
        raise TemplateError(f"parameter {name}: {size:g} is more than {most}")

"""CloudFormation's intrinsic functions, resolved on demand.

Only what the gateway reads is resolved, so a template may refer to resources that exist on AWS alone (alarms,
roles, log groups) wherever no function depends on them.
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from devstack.aws import REGION
from devstack.gateway.errors import TemplateError

__all__ = ["ACCOUNT", "PARTITION", "REGION", "Attributes", "Resolver", "as_text"]

ACCOUNT = "123456789012"
PARTITION = "aws"

Attributes = dict[str, str]
"""The attributes of a resource: `Ref` under the key "Ref", those of `Fn::GetAtt` by name."""

_NO_VALUE = object()
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")
_DYNAMIC = re.compile(r"\{\{resolve:([a-z-]+):([^}]+)\}\}")


class Resolver:
    """Resolves the values of one template against parameters and the resources known so far.

    `resources` maps a logical id to its attributes and may grow later. `dynamic(service,
    reference)` resolves `{{resolve:service:reference}}`.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        parameters: Mapping[str, str | list[str]],
        resources: Mapping[str, Attributes],
        stack_name: str,
        dynamic: Callable[[str, str], str],
    ) -> None:
        self.document = document
        self._parameters = parameters
        self._resources = resources
        self._dynamic = dynamic
        self._conditions: dict[str, bool | None] = {}
        self._pseudo: dict[str, Any] = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": _NO_VALUE,
            "AWS::NotificationARNs": [],
            "AWS::Partition": PARTITION,
            "AWS::Region": REGION,
            "AWS::StackId": f"arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT}:stack/{stack_name}/local",
            "AWS::StackName": stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        self._functions: dict[str, Callable[[Any, str], Any]] = {
            "Ref": self._ref,
            "Condition": lambda name, where: self.condition(str(name), where),
            "Fn::And": lambda terms, where: all(self._evaluate(term, where) for term in terms),
            "Fn::Base64": lambda text, where: base64.b64encode(
                self._resolve_text(text, where).encode()
            ).decode(),
            "Fn::Equals": self._equals,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Not": lambda terms, where: not self._evaluate(terms[0], where),
            "Fn::Or": lambda terms, where: any(self._evaluate(term, where) for term in terms),
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
        }

    def resolve(self, value: Any, where: str) -> Any:
        """The value with every intrinsic function replaced; `where` is its place, for the error's message.

        `AWS::NoValue` removes the key or the list's element. Raises TemplateError.
        """
        resolved = self._resolve(value, where)
        return None if resolved is _NO_VALUE else resolved

    def condition(self, name: str, where: str) -> bool:
        """Whether a named condition holds. Raises TemplateError."""
        declared = self.document.get("Conditions", {})
        if name not in declared:
            raise TemplateError(f"{where}: there is no condition {name}")
        if name in self._conditions:
            known = self._conditions[name]
            if known is None:
                raise TemplateError(f"{where}: condition {name} depends on itself")
            return known
        self._conditions[name] = None
        self._conditions[name] = answer = self._evaluate(declared[name], f"Conditions.{name}")
        return answer

    def _resolve(self, value: Any, where: str) -> Any:
        if isinstance(value, str):
            return _DYNAMIC.sub(lambda found: self._dynamic(found[1], found[2]), value)
        if isinstance(value, list):
            resolved = [self._resolve(each, f"{where}[{index}]") for index, each in enumerate(value)]
            return [each for each in resolved if each is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name in self._functions and (name != "Condition" or isinstance(argument, str)):
                answer = self._functions[name](argument, where)
                return self._resolve(answer, where) if isinstance(answer, str) else answer
            if isinstance(name, str) and name.startswith("Fn::"):
                raise TemplateError(f"{where}: {name} is not supported here")
        pairs = {key: self._resolve(each, f"{where}.{key}") for key, each in value.items()}
        return {key: each for key, each in pairs.items() if each is not _NO_VALUE}

    def _evaluate(self, value: Any, where: str) -> bool:
        answer = self._resolve(value, where)
        return answer if isinstance(answer, bool) else as_text(answer) == "true"

    def _resolve_text(self, value: Any, where: str) -> str:
        answer = self._resolve(value, where)
        if isinstance(answer, (dict, list)) or answer is _NO_VALUE:
            raise TemplateError(f"{where}: a string is needed here")
        return as_text(answer)

    def _ref(self, name: str, where: str) -> Any:
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters[name]
        return self._attribute(name, "Ref", where)

    def _get_att(self, argument: Any, where: str) -> str:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._attribute(name, self._resolve_text(attribute, where), where)

    def _attribute(self, name: str, attribute: str, where: str) -> str:
        shown = f"!Ref {name}" if attribute == "Ref" else f"!GetAtt {name}.{attribute}"
        declared = self.document["Resources"].get(name)
        if declared is None:
            raise TemplateError(f"{where}: {shown} names no parameter and no resource")
        if "Condition" in declared and not self.condition(declared["Condition"], f"Resources.{name}"):
            raise TemplateError(f"{where}: {shown}: condition {declared['Condition']} leaves it out")
        known = self._resources.get(name, {})
        if attribute not in known:
            raise TemplateError(
                f"{where}: {shown} cannot be resolved: {declared.get('Type')} is not served here"
            )
        return known[attribute]

    def _equals(self, terms: Any, where: str) -> bool:
        left, right = (self._resolve(term, where) for term in terms)
        return as_text(left) == as_text(right)

    def _if(self, terms: Any, where: str) -> Any:
        name, then, otherwise = terms
        return self._resolve(then if self.condition(name, where) else otherwise, where)

    def _join(self, terms: Any, where: str) -> str:
        separator, parts = terms
        return str(separator).join(as_text(part) for part in self._list(parts, where))

    def _select(self, terms: Any, where: str) -> Any:
        index, parts = int(self._resolve_text(terms[0], where)), self._list(terms[1], where)
        if index >= len(parts):
            raise TemplateError(f"{where}: Fn::Select asks for element {index} of {len(parts)}")
        return parts[index]

    def _split(self, terms: Any, where: str) -> list[str]:
        separator, text = terms
        return self._resolve_text(text, where).split(separator)

    def _list(self, value: Any, where: str) -> list[Any]:
        answer = self._resolve(value, where)
        if not isinstance(answer, list):
            raise TemplateError(f"{where}: a list is needed here")
        return answer

    def _find_in_map(self, terms: Any, where: str) -> Any:
        name, *keys = [self._resolve_text(term, where) for term in terms]
        found: Any = self.document.get("Mappings", {}).get(name)
        for key in keys:
            # YAML reads an unquoted account number or year as an integer.
            found = {str(each): value for each, value in (found or {}).items()}.get(key)
        if found is None:
            raise TemplateError(f"{where}: Fn::FindInMap finds no {'.'.join([name, *keys])}")
        return found

    def _sub(self, argument: Any, where: str) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument

        def replaced(found: re.Match[str]) -> str:
            literal, name = found[1], found[2]
            if literal:
                return "${" + name + "}"
            if name in given:
                return self._resolve_text(given[name], where)
            if "." in name:
                return self._get_att(name, where)
            return self._resolve_text({"Ref": name}, where)

        return _PLACEHOLDER.sub(replaced, text)


def as_text(value: Any) -> str:
    """A scalar as CloudFormation writes it: `true`, `29`."""
    return str(value).lower() if isinstance(value, bool) else str(value)

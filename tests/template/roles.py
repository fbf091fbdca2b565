"""What each function may do on AWS, by its role in the translated template.

The local stand-ins enforce no IAM, so the calls that functions make there are recorded and asked of this:

    roles = load_roles()
    roles.allowed("QuickOrderFunction", "sqs:SendMessage", "arn:aws:sqs:ap-southeast-2:1:local-SliceQueue")
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from devstack.aws import REGION
from devstack.gateway import ACCOUNT
from tests.template.bundle import Bundle, deploy

PARAMETERS = {
    "SupabaseUrl": "https://project.supabase.co",
    "SupabasePublishableKey": "publishable",
    "EmailIdentity": "shop@example.com",
}
"""Those without a default, and the sender of the local stack."""

_KNOWN_KEYS = {"Sid", "Effect", "Action", "Resource"}


@dataclass(frozen=True)
class Statement:
    """One statement of a policy: `Allow` or `Deny`, with IAM's wildcards in actions and resources."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def covers(self, action: str, resource: str) -> bool:
        """Actions compare without case, resources with it."""
        return any(_matches(each.lower(), action.lower()) for each in self.actions) and any(
            _matches(each, resource) for each in self.resources
        )


class Roles:
    """The roles of a bundle's functions.

    Raises ValueError for a policy that cannot be judged from the template alone: one of AWS's own, or a statement
    with conditions or exclusions.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._statements = {
            function: tuple(self.of_role(properties["Role"]))
            for function, properties in bundle.of_type("AWS::Lambda::Function").items()
        }

    def statements(self, function: str) -> tuple[Statement, ...]:
        """Every statement of a function's role, inline ones first."""
        return self._statements[function]

    def allowed(self, function: str, action: str, resource: str) -> bool:
        """Whether the function (its logical id) may do `action` (`sqs:SendMessage`) to a resource.

        `resource` is an ARN, a queue's URL, a name, or the logical id of a queue. Account and region are those of
        whoever served the call, a stand-in for instance, so only the name counts.
        """
        arn = self._arn(action.partition(":")[0], resource)
        covering = [each for each in self._statements[function] if each.covers(action, arn)]
        return bool(covering) and all(each.effect == "Allow" for each in covering)

    def _arn(self, service: str, resource: str) -> str:
        if known := self._bundle.attributes.get(resource, {}).get("Arn"):
            return known
        if resource.startswith("arn:"):
            rest = resource.split(":", 5)[5]
        elif service == "secretsmanager":
            rest = f"secret:{resource}-AbCdEf"
        elif service == "ssm":
            rest = f"parameter{resource}"
        elif service == "ses":
            rest = f"identity/{resource}"
        else:
            rest = resource.rsplit("/", 1)[-1]
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"

    def of_role(self, arn: str) -> Iterator[Statement]:
        """Every statement of the role with that ARN, inline ones first."""
        name = self._bundle.named("Arn", arn, {"AWS::IAM::Role"})
        if name is None:
            raise ValueError(f"{arn} is not a role of this template")
        role = self._bundle.properties(name)
        for policy in role.get("Policies", []):
            yield from _statements(policy["PolicyDocument"])
        for managed in role.get("ManagedPolicyArns", []):
            policy_name = self._bundle.named("Ref", managed, {"AWS::IAM::ManagedPolicy"})
            if policy_name is None:
                raise ValueError(f"{name}: {managed} is not a policy of this template")
            yield from _statements(self._bundle.properties(policy_name)["PolicyDocument"])


def _statements(document: Mapping[str, Any]) -> Iterator[Statement]:
    for statement in _listed(document["Statement"]):
        if unknown := set(statement) - _KNOWN_KEYS:
            raise ValueError(f"a statement with {', '.join(sorted(unknown))} cannot be judged here")
        yield Statement(
            statement["Effect"],
            tuple(_listed(statement["Action"])),
            tuple(_listed(statement["Resource"])),
        )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` for any text, `?` for one character."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


@lru_cache(maxsize=8)
def load_roles(secrets_id: str = "printshop/local", stack_name: str = "local") -> Roles:
    """The roles of template.yaml, for a secret of that name and a stack of that name."""
    return Roles(deploy({**PARAMETERS, "SecretsId": secrets_id}, stack_name))


def allowed(function: str, action: str, resource: str) -> bool:
    """`Roles.allowed` of template.yaml as the local stack deploys it."""
    return load_roles().allowed(function, action, resource)

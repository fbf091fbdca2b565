"""The bundle as CloudFormation would see it: SAM's translation of template.yaml, every reference resolved."""

import json
import os
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from devstack.aws import REGION
from devstack.gateway import ACCOUNT, Resolver, load_template, parameter_values

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
SAM = ROOT / ".local" / "sam" / "bin"

SOURCE = load_template(TEMPLATE)
FUNCTIONS = sorted(
    name for name, resource in SOURCE["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"
)
"""The logical ids of the template's functions."""

NO_CREDENTIALS = {"AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0", "AWS_REGION": REGION}


def run_sam(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of SAM's environment in the repository. `make setup-sam` installs it."""
    environment = {**os.environ, **NO_CREDENTIALS}
    program = [str(SAM / command[0]), *command[1:]]
    return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def deploy(parameters: Mapping[str, str], stack_name: str = "bundle") -> "Bundle":
    """The bundle with these parameters over the template's defaults.

    Raises devstack.gateway.TemplateError where a parameter breaks its bounds.
    """
    return Bundle(_translated(tuple(sorted(parameters.items()))), parameters, stack_name)


@lru_cache(maxsize=8)
def _translated(parameters: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """What SAM makes of template.yaml, in CloudFormation's long form, most references still in place."""
    script = str(Path(__file__).with_name("translate.py"))
    finished = run_sam("python", script, str(TEMPLATE), json.dumps(dict(parameters)))
    assert finished.returncode == 0, finished.stderr
    return dict(json.loads(finished.stdout))


def configured_parameters(stage: str) -> dict[str, str]:
    """The parameters that samconfig.toml deploys `dev` or `prod` with."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    pairs = config[stage]["deploy"]["parameters"]["parameter_overrides"]
    return dict(pair.split("=", 1) for pair in pairs)


class Bundle:
    """A translated template with its references resolved, and without what its conditions leave out.

    Raises devstack.gateway.TemplateError where a reference leads nowhere.
    """

    def __init__(
        self, document: Mapping[str, Any], parameters: Mapping[str, str], stack_name: str = "bundle"
    ) -> None:
        self.attributes = {
            name: _attributes(resource["Type"], f"{stack_name}-{name}")
            for name, resource in document["Resources"].items()
        }
        self._resolver = Resolver(
            document,
            parameters=parameter_values(document.get("Parameters", {}), parameters, _nothing),
            resources=self.attributes,
            stack_name=stack_name,
            dynamic=_nothing,
        )
        self.resources: Mapping[str, Mapping[str, Any]] = {
            name: resource
            for name, resource in document["Resources"].items()
            if "Condition" not in resource or self._resolver.condition(resource["Condition"], name)
        }

    def properties(self, name: str) -> dict[str, Any]:
        """A resource's properties, resolved."""
        found = self._resolver.resolve(self.resources[name].get("Properties", {}), name)
        return dict(found)

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Logical id and resolved properties of every resource of a type, such as `AWS::SQS::Queue`."""
        return {
            name: self.properties(name)
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def environment(self, function: str) -> dict[str, str]:
        """The variables that a function is given."""
        return {
            name: str(value) for name, value in self.properties(function)["Environment"]["Variables"].items()
        }

    def named(self, attribute: str, value: str, kinds: Iterable[str]) -> str | None:
        """The logical id of the resource of one of `kinds` whose attribute (`Arn`, `Ref`) is `value`."""
        return next(
            (
                name
                for name, known in self.attributes.items()
                if known.get(attribute) == value and self.resources[name]["Type"] in kinds
            ),
            None,
        )


def _attributes(kind: str, name: str) -> dict[str, str]:
    """What `Ref` and `Fn::GetAtt` answer for a resource of that physical name."""

    def arn(service: str, rest: str) -> str:
        return f"arn:aws:{service}:{'' if service == 'iam' else REGION}:{ACCOUNT}:{rest}"

    match kind:
        case "AWS::SQS::Queue":
            url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
            return {"Ref": url, "Arn": arn("sqs", name), "QueueName": name}
        case "AWS::Lambda::Function":
            return {"Ref": name, "Arn": arn("lambda", f"function:{name}")}
        case "AWS::Logs::LogGroup":
            # CloudFormation ends this ARN so that it covers the group's streams.
            return {"Ref": name, "Arn": arn("logs", f"log-group:{name}:*")}
        case "AWS::IAM::Role":
            return {"Ref": name, "Arn": arn("iam", f"role/{name}")}
        case "AWS::ECS::Service":
            return {"Ref": arn("ecs", f"service/{name}"), "Name": name}
        case "AWS::IAM::ManagedPolicy":
            return {"Ref": arn("iam", f"policy/{name}")}
        case _:
            return {"Ref": name}


def _nothing(*reference: str) -> str:
    raise LookupError(f"the template has no dynamic reference such as {':'.join(reference)}")

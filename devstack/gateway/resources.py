"""Names, ARNs and URLs of a template's resources, and its queues and secrets."""

import json
from collections.abc import Iterator
from typing import Any

from devstack.gateway.application import Queue, Secret
from devstack.gateway.errors import TemplateError
from devstack.gateway.intrinsics import ACCOUNT, PARTITION, REGION, Attributes, Resolver, as_text

__all__ = ["API_ID", "name_resources", "of_type", "read_queues", "read_secrets"]

API_ID = "localgateway"

FUNCTION = "AWS::Serverless::Function"
LAYER = "AWS::Serverless::LayerVersion"
HTTP_API = "AWS::Serverless::HttpApi"

_QUEUE_ATTRIBUTES = {
    "ContentBasedDeduplication",
    "DelaySeconds",
    "FifoQueue",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
}


def name_resources(
    resolver: Resolver, resources: dict[str, Attributes], *, stack_name: str, aws_url: str, api_url: str
) -> None:
    """Put the attributes of every resource whose name is known beforehand into `resources`.

    A secret's ARN is not among them: Secrets Manager adds random characters. Raises TemplateError.
    """

    def name(logical_id: str, properties: dict[str, Any], key: str) -> str:
        given = resolver.resolve(properties.get(key), f"Resources.{logical_id}.Properties.{key}")
        return f"{stack_name}-{logical_id}" if given is None else as_text(given)

    for logical_id, properties in of_type(resolver, FUNCTION):
        resources[logical_id] = _named(name(logical_id, properties, "FunctionName"), "lambda", "function:")
    for logical_id, properties in of_type(resolver, "AWS::SQS::Queue"):
        queue = name(logical_id, properties, "QueueName")
        if properties.get("FifoQueue") is True and not queue.endswith(".fifo"):
            queue += ".fifo"
        url = f"{aws_url}/{ACCOUNT}/{queue}"
        resources[logical_id] = {"Ref": url, "QueueUrl": url, "QueueName": queue, "Arn": _arn("sqs", queue)}
    for logical_id, _ in of_type(resolver, LAYER):
        arn = _arn("lambda", f"layer:{stack_name}-{logical_id}:1")
        resources[logical_id] = {"Ref": arn, "LayerVersionArn": arn}
    for logical_id, _ in of_type(resolver, HTTP_API):
        resources[logical_id] = {"Ref": API_ID, "ApiEndpoint": api_url}
    for logical_id, properties in of_type(resolver, "AWS::Logs::LogGroup"):
        resources[logical_id] = _named(
            _plain(properties, "LogGroupName", stack_name, logical_id), "logs", "log-group:"
        )
    for logical_id, properties in of_type(resolver, "AWS::IAM::Role"):
        role = _plain(properties, "RoleName", stack_name, logical_id)
        resources[logical_id] = {"Ref": role, "Arn": f"arn:{PARTITION}:iam::{ACCOUNT}:role/{role}"}


def read_queues(resolver: Resolver, resources: dict[str, Attributes]) -> list[Queue]:
    """Every queue whose condition holds, dead-letter queues first. Raises TemplateError."""
    queues = []
    for logical_id, properties in of_type(resolver, "AWS::SQS::Queue"):
        wanted = {key: value for key, value in properties.items() if key in _QUEUE_ATTRIBUTES}
        resolved = resolver.resolve(wanted, f"Resources.{logical_id}.Properties")
        attributes = {
            key: json.dumps(value) if isinstance(value, dict) else as_text(value)
            for key, value in resolved.items()
        }
        queues.append(Queue(logical_id, resources[logical_id]["QueueName"], attributes))
    return sorted(queues, key=lambda queue: "RedrivePolicy" in queue.attributes)


def read_secrets(resolver: Resolver, stack_name: str) -> list[Secret]:
    """Every secret whose condition holds; a generated one has no value. Raises TemplateError."""
    secrets = []
    for logical_id, properties in of_type(resolver, "AWS::SecretsManager::Secret"):
        wanted = {key: properties[key] for key in ("Name", "SecretString") if key in properties}
        resolved = resolver.resolve(wanted, f"Resources.{logical_id}.Properties")
        name = as_text(resolved.get("Name", f"{stack_name}-{logical_id}"))
        secrets.append(Secret(logical_id, name, resolved.get("SecretString")))
    return secrets


def of_type(resolver: Resolver, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Logical id and properties of each resource of a type whose condition holds. Raises TemplateError."""
    for logical_id, resource in resolver.document["Resources"].items():
        where = f"Resources.{logical_id}"
        if not isinstance(resource, dict) or "Type" not in resource:
            raise TemplateError(f"{where}: a resource needs a Type")
        if resource["Type"] != kind:
            continue
        if "Condition" in resource and not resolver.condition(resource["Condition"], where):
            continue
        yield logical_id, resource.get("Properties") or {}


def _plain(properties: dict[str, Any], key: str, stack_name: str, logical_id: str) -> str:
    given = properties.get(key)
    return given if isinstance(given, str) else f"{stack_name}-{logical_id}"


def _arn(service: str, resource: str) -> str:
    return f"arn:{PARTITION}:{service}:{REGION}:{ACCOUNT}:{resource}"


def _named(name: str, service: str, prefix: str) -> Attributes:
    return {"Ref": name, "Arn": _arn(service, prefix + name)}

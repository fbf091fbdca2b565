"""Creates queues and secrets before the functions start, and resolves dynamic references."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

from devstack.aws import Aws
from devstack.gateway.application import Queue, Secret
from devstack.gateway.errors import TemplateError
from devstack.gateway.intrinsics import Attributes

__all__ = ["create_queues", "create_secrets", "dynamic_references", "ssm_parameters"]


def create_queues(aws: Aws, queues: Iterable[Queue]) -> None:
    """Create the queues in order; an existing one gets the template's attributes."""
    sqs = aws.client("sqs")
    for queue in queues:
        fifo = {"FifoQueue": "true"} if queue.name.endswith(".fifo") else {}
        url = sqs.create_queue(QueueName=queue.name, Attributes=fifo)["QueueUrl"]  # type: ignore[arg-type]
        attributes = {name: value for name, value in queue.attributes.items() if name != "FifoQueue"}
        if attributes:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)  # type: ignore[arg-type]


def create_secrets(aws: Aws, secrets: Iterable[Secret], resources: dict[str, Attributes]) -> None:
    """Create the missing secrets and put all ARNs into `resources`."""
    client = aws.client("secretsmanager")
    for secret in secrets:
        try:
            arn = client.describe_secret(SecretId=secret.name)["ARN"]
        except client.exceptions.ResourceNotFoundException:
            arn = client.create_secret(Name=secret.name, SecretString=secret.value or "{}")["ARN"]
        resources[secret.logical_id] = {"Ref": arn, "Id": arn}


def dynamic_references(aws: Aws) -> Callable[[str, str], str]:
    """A function that resolves `{{resolve:secretsmanager:…}}`, `{{resolve:ssm:…}}` and `{{resolve:ssm-secure:…}}`."""
    from_ssm = ssm_parameters(aws)

    def resolve(service: str, reference: str) -> str:
        shown = f"{{{{resolve:{service}:{reference}}}}}"
        match service:
            case "ssm" | "ssm-secure":
                return from_ssm(reference)
            case "secretsmanager":
                return _secret_value(aws, reference, shown)
        raise TemplateError(f"{shown}: there is no such service")

    return resolve


def ssm_parameters(aws: Aws) -> Callable[[str], str]:
    """A function that reads a parameter of Systems Manager, by name or `name:version`. Raises TemplateError."""

    def read(name: str) -> str:
        try:
            value: str = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        except ClientError as error:
            raise TemplateError(f"the SSM parameter {name} cannot be read: {error}") from error
        return value

    return read


def _secret_value(aws: Aws, reference: str, shown: str) -> str:
    """`id:SecretString:key:stage:version`, where the id may be an ARN with its own colons."""
    length = 7 if reference.startswith("arn:") else 1
    parts = reference.split(":")
    secret_id, (kind, key, stage, version, *_) = ":".join(parts[:length]), [*parts[length:], "", "", "", ""]
    wanted: dict[str, Any] = {"SecretId": secret_id}
    wanted |= {"VersionStage": stage} if stage else {}
    wanted |= {"VersionId": version} if version else {}
    try:
        text: str = aws.client("secretsmanager").get_secret_value(**wanted)["SecretString"]
    except ClientError as error:
        raise TemplateError(f"{shown} cannot be resolved: {error}") from error
    if kind not in ("", "SecretString"):
        raise TemplateError(f"{shown}: only SecretString is there")
    if not key:
        return text
    values = json.loads(text)
    if key not in values:
        raise TemplateError(f"{shown}: the secret has no key {key}")
    return str(values[key])

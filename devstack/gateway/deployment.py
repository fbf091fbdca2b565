"""Deploys a template file: creates its queues and secrets, and returns the application."""

from collections.abc import Mapping
from pathlib import Path

from devstack.aws import Aws
from devstack.gateway.application import Application
from devstack.gateway.application_reader import read_application
from devstack.gateway.intrinsics import Attributes, Resolver
from devstack.gateway.layout import Layout
from devstack.gateway.provisioning import create_queues, create_secrets, dynamic_references, ssm_parameters
from devstack.gateway.resources import name_resources, read_queues, read_secrets
from devstack.gateway.schedules import parse
from devstack.gateway.template import load_template, parameter_values

__all__ = ["deploy"]


def deploy(
    template: Path, *, parameters: Mapping[str, str], aws: Aws, api_url: str, built: bool, stack_name: str
) -> Application:
    """Resolve the template and create its queues and secrets; returns what is to be served. Raises TemplateError."""
    document = load_template(template)
    resources: dict[str, Attributes] = {}
    resolver = Resolver(
        document,
        parameters=parameter_values(document.get("Parameters") or {}, parameters, ssm_parameters(aws)),
        resources=resources,
        stack_name=stack_name,
        dynamic=dynamic_references(aws),
    )
    name_resources(resolver, resources, stack_name=stack_name, aws_url=aws.endpoint_url, api_url=api_url)
    create_queues(aws, read_queues(resolver, resources))
    create_secrets(aws, read_secrets(resolver, stack_name), resources)
    application = read_application(resolver, resources, Layout(template, built=built))
    for schedule in application.schedules:
        parse(schedule.expression)
    return application

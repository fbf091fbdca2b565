"""The template.yaml that AWS gets, served on this machine: HTTP API, functions, queues and schedules. See `Gateway`.

Each function runs in processes of its own under AWS's runtime client, behind a small Lambda Runtime API, with the
environment that the template gives and nothing else. `load_template`, `parameter_values` and `Resolver` read a
template without serving it.
"""

from devstack.gateway.errors import FunctionError, GatewayError, TemplateError
from devstack.gateway.gateway import Gateway
from devstack.gateway.intrinsics import ACCOUNT, Resolver
from devstack.gateway.queue_poller import LONG_POLL_SECONDS
from devstack.gateway.template import load_template, parameter_values

__all__ = [
    "ACCOUNT",
    "LONG_POLL_SECONDS",
    "FunctionError",
    "Gateway",
    "GatewayError",
    "Resolver",
    "TemplateError",
    "load_template",
    "parameter_values",
]

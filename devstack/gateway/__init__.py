"""The same template.yaml that AWS gets, served on one machine: HTTP API, functions, queues and schedules.

Each function runs in processes of its own under AWS's runtime client, behind a small Lambda Runtime API, with the
environment that the template gives and nothing else. See `Gateway`.
"""

from devstack.gateway.errors import FunctionError, GatewayError, TemplateError
from devstack.gateway.gateway import Gateway
from devstack.gateway.launching import private_opt

__all__ = ["FunctionError", "Gateway", "GatewayError", "TemplateError", "private_opt"]

"""The services that the product needs, on one machine: AWS, Supabase and Stripe stand-ins and the functions' gateway.

    from devstack import Stack, pay

    with Stack(run_dir) as stack:
        httpx.get(f"{stack.api_url}/api/health")

The public names are those in `__all__` of this package and of the packages and modules directly below it; the rest is
internal, which `devstack/tests/test_boundaries.py` checks. README.md describes each part.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devstack.auth_admin import AuthAdmin
    from devstack.processes import wait_for
    from devstack.stack import CHROMIUM, ROOT, SECRETS_ID, SENDER, Login, Stack, remove_old_runs
    from devstack.state import is_served, read_state
    from devstack.stripe import pay

__all__ = [
    "CHROMIUM",
    "ROOT",
    "SECRETS_ID",
    "SENDER",
    "AuthAdmin",
    "Login",
    "Stack",
    "is_served",
    "pay",
    "read_state",
    "remove_old_runs",
    "wait_for",
]

_MODULES = {
    "AuthAdmin": "auth_admin",
    "is_served": "state",
    "pay": "stripe",
    "read_state": "state",
    "wait_for": "processes",
}


def __getattr__(name: str) -> object:
    # Imported on first use: each stand-in is a process that imports this package, and needs none of the others.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"devstack.{_MODULES.get(name, 'stack')}"), name)

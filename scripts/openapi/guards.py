"""What a route's dependencies require of the caller, and the errors that they answer with."""

from collections.abc import Callable, Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from printshop.http import dependencies as security
from printshop.http.pricing_admin import pricing_admin
from printshop.services import get_services

LOGIN: list[dict[str, list[str]]] = [{"bearerAuth": []}, {"cookieAuth": []}]


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for each in dependant.dependencies:
        if each.call is not None:
            yield each.call
        yield from _calls(each)


def security_of(route: APIRoute) -> list[dict[str, list[str]]]:
    """OpenAPI's `security`: a login, or empty for a public route."""
    return LOGIN if _needs_login(set(_calls(route.dependant))) else []


def _needs_login(calls: set[Callable[..., Any]]) -> bool:
    return security.any_caller in calls or _needs_own_password(calls)


def _needs_own_password(calls: set[Callable[..., Any]]) -> bool:
    return bool(calls & ({security.current_caller, security.admin_user, security.identified_request}))


def error_codes_of(route: APIRoute, operation: dict[str, Any]) -> dict[int, list[str]]:
    """Status → error codes that follow from the route's dependencies, besides those that it declares."""
    calls = set(_calls(route.dependant))
    parameters = {each["name"] for each in operation.get("parameters", [])}
    has_body = "requestBody" in operation
    codes: dict[int, list[str]] = {}

    def add(status: int, *names: str, when: bool = True) -> None:
        if when:
            codes.setdefault(status, []).extend(names)

    login = _needs_login(calls)
    add(400, "BODY_NOT_JSON", when=bool(route.dependant.body_params))
    add(
        400,
        "IDEMPOTENCY_KEY_MISSING",
        "IDEMPOTENCY_KEY_INVALID",
        when=security.idempotency_key in calls,
    )
    add(400, "CURSOR_INVALID", when="cursor" in parameters)
    add(401, "NO_TOKEN", "TOKEN_EXPIRED", "INVALID_TOKEN", "SESSION_ENDED", when=login)
    add(403, "NO_PROFILE", when=login)
    add(403, "PASSWORD_CHANGE_REQUIRED", when=_needs_own_password(calls))
    add(403, "ADMIN_ONLY", when=bool(calls & {security.admin_user, pricing_admin}))
    add(403, "CLIENT_ONLY", when=security.client_user in calls)
    add(403, "ORIGIN_MISMATCH", when=login and bool(set(route.methods or ()) - security.SAFE_METHODS))
    add(413, "BODY_TOO_LARGE", when=has_body)
    add(422, "INVALID_REQUEST", when=has_body or bool(parameters))
    add(422, "IDEMPOTENCY_KEY_REUSED", when=security.idempotency_key in calls)
    add(500, "INTERNAL")
    add(503, "DATABASE_UNAVAILABLE", when=login or get_services in calls)
    return codes

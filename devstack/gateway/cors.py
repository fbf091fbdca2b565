"""CORS as in API Gateway: it answers preflights itself and replaces the CORS headers of a function."""

from devstack.gateway.application import Cors
from devstack.gateway.events import HttpAnswer, HttpRequest

__all__ = ["is_preflight", "preflight", "with_cors"]

_Headers = tuple[tuple[str, str], ...]


def is_preflight(request: HttpRequest) -> bool:
    """True for a browser's preflight of a cross-origin request."""
    return request.method == "OPTIONS" and bool(
        request.header("origin") and request.header("access-control-request-method")
    )


def preflight(rules: Cors, request: HttpRequest) -> HttpAnswer:
    """204, with CORS headers only if origin, method and every header are allowed."""
    origin = _origin(rules, request)
    if not origin or not _is_allowed(rules, request):
        return HttpAnswer(204)
    headers = [*origin]
    if rules.allow_methods:
        headers.append(("access-control-allow-methods", ",".join(rules.allow_methods)))
    if rules.allow_headers:
        headers.append(("access-control-allow-headers", ",".join(rules.allow_headers)))
    if rules.max_age is not None:
        headers.append(("access-control-max-age", str(rules.max_age)))
    return HttpAnswer(204, tuple(headers))


def with_cors(rules: Cors, request: HttpRequest, answer: HttpAnswer) -> HttpAnswer:
    """The answer with the API's CORS headers instead of the function's."""
    kept = tuple(pair for pair in answer.headers if not pair[0].startswith("access-control-"))
    origin = _origin(rules, request)
    if origin and rules.expose_headers:
        origin += (("access-control-expose-headers", ",".join(rules.expose_headers)),)
    return HttpAnswer(answer.status, kept + origin, answer.body)


def _origin(rules: Cors, request: HttpRequest) -> _Headers:
    origin = request.header("origin")
    if not origin:
        return ()
    if "*" in rules.allow_origins:
        allowed = "*"
    elif any(_matches_origin(pattern, origin) for pattern in rules.allow_origins):
        allowed = origin
    else:
        return ()
    permission: _Headers = (("access-control-allow-origin", allowed),)
    if rules.allow_credentials:
        permission += (("access-control-allow-credentials", "true"),)
    return permission


def _matches_origin(pattern: str, origin: str) -> bool:
    """`https://*` allows every https origin."""
    return origin.startswith(pattern[:-1]) if pattern.endswith("://*") else origin.lower() == pattern.lower()


def _is_allowed(rules: Cors, request: HttpRequest) -> bool:
    method = request.header("access-control-request-method").upper()
    methods = {each.upper() for each in rules.allow_methods}
    asked = {
        name.strip().lower()
        for name in request.header("access-control-request-headers").split(",")
        if name.strip()
    }
    allowed = {name.lower() for name in rules.allow_headers}
    return ("*" in methods or method in methods) and ("*" in allowed or asked <= allowed)

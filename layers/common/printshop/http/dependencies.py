"""FastAPI dependencies: the process's services, and who sends the request with which rights.

The access token comes in the `sb:token` cookie or the Authorization header.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool

from printshop.accounts.tokens import Identity
from printshop.accounts.users import User
from printshop.config.settings import origin_of
from printshop.http.cookies import TOKEN_COOKIE
from printshop.kernel.errors import BadRequest, Forbidden, Unauthorized
from printshop.services import Services, get_services

ServicesDep = Annotated[Services, Depends(get_services)]
"""A route takes the process's services as `services: ServicesDep`."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified login: the user, what their token says, and the token itself."""

    user: User
    identity: Identity
    token: str


@dataclass(frozen=True, slots=True)
class IdentifiedRequest:
    """Whom a verified token names, and the request's JSON before validation (None when it is no JSON)."""

    identity: Identity
    body: Any


# -- where a request comes from -----------------------------------------------------------------------------------


def check_origin(request: Request, origins: frozenset[str]) -> None:
    """Refuse a write that rides on cookies unless it comes from one of the shop's own `origins`.

    A browser sends cookies by itself, and names the page's origin with every write; `null`, or none at all, is none
    of the shop's. Raises Forbidden ORIGIN_MISMATCH.
    """
    if request.method not in SAFE_METHODS and origin_of(request.headers.get("origin", "")) not in origins:
        raise Forbidden("ORIGIN_MISMATCH")


def require_same_origin(request: Request, services: ServicesDep) -> None:
    """Refuse to set the session's cookies for another site's page, which could log its visitor in as somebody else.

    Programs name no origin; the page of the API's own docs names the API's. Raises Forbidden ORIGIN_MISMATCH.
    """
    origin = request.headers.get("origin")
    if origin is None:
        foreign = request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    else:
        own = origin_of(origin).partition("://")[2] == request.headers.get("host", "").lower()
        foreign = not own and origin_of(origin) not in services.settings.origins
    if foreign:
        raise Forbidden("ORIGIN_MISMATCH", "Logging in must start at the shop's own pages; open them.")


def source_ip(request: Request) -> str | None:
    """The caller's network address as API Gateway saw it: X-Forwarded-For is whatever a caller writes."""
    event = request.scope.get("aws.event") or {}
    found = event.get("requestContext", {}).get("http", {}).get("sourceIp")
    return str(found) if found else None


# -- who sends it ---------------------------------------------------------------------------------------------------


def _access_token(request: Request, origins: frozenset[str]) -> str:
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    if cookie := request.cookies.get(TOKEN_COOKIE):
        check_origin(request, origins)
        return cookie
    raise Unauthorized("NO_TOKEN")


def _caller(request: Request, services: Services, *, fresh: bool) -> Caller:
    token = _access_token(request, services.settings.origins)
    identity = services.tokens.verify(token)
    return Caller(services.users.get(identity, fresh=fresh), identity, token)


def any_caller(request: Request, services: ServicesDep) -> Caller:
    """Any login, also one that has yet to change its one-time password."""
    return _caller(request, services, fresh=False)


def current_caller(caller: "AnyCaller") -> Caller:
    """Any login that chose its own password."""
    require_password_changed(caller.user)
    return caller


def require_password_changed(user: User) -> User:
    """The user, once they have changed the one-time password. Raises Forbidden PASSWORD_CHANGE_REQUIRED."""
    if user.must_change_password:
        raise Forbidden("PASSWORD_CHANGE_REQUIRED")
    return user


def client_or_admin(caller: "CurrentCaller") -> User:
    """Any login, where only the user matters."""
    return caller.user


def client_user(caller: "CurrentCaller") -> User:
    """A client's login: the portal shows one client's own rows, and the shop is no client. Raises Forbidden
    CLIENT_ONLY."""
    if caller.user.client_id is None or caller.user.is_admin:
        raise Forbidden("CLIENT_ONLY")
    return caller.user


def admin_user(request: Request, services: ServicesDep) -> User:
    """The shop only; read from the database each time, so that a lost right is lost at once. Raises Forbidden
    ADMIN_ONLY."""
    user = require_password_changed(_caller(request, services, fresh=True).user)
    if not user.is_admin:
        raise admin_only()
    return user


def admin_only() -> Forbidden:
    """The error for a client who calls one of the shop's routes."""
    return Forbidden("ADMIN_ONLY")


async def identified_request(request: Request, services: ServicesDep) -> IdentifiedRequest:
    """The token's identity and the raw JSON, for a guard that looks the user up together with what the body names.

    Starlette keeps the parsed JSON with the request: the route's own model is validated from the same object.
    """
    token = _access_token(request, services.settings.origins)
    identity = await run_in_threadpool(services.tokens.verify, token)
    try:
        return IdentifiedRequest(identity, await request.json())
    except ValueError:
        return IdentifiedRequest(identity, None)


# -- once per key ---------------------------------------------------------------------------------------------------


def idempotency_key(
    key: Annotated[
        str | None, Header(alias="Idempotency-Key", description="1–255 printable characters")
    ] = None,
) -> str:
    """The header's value. Raises BadRequest IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_INVALID."""
    if key is None:
        raise BadRequest("IDEMPOTENCY_KEY_MISSING")
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise BadRequest("IDEMPOTENCY_KEY_INVALID")
    return key


AnyCaller = Annotated[Caller, Depends(any_caller)]
CurrentCaller = Annotated[Caller, Depends(current_caller)]
ClientOrAdmin = Annotated[User, Depends(client_or_admin)]
ClientUser = Annotated[User, Depends(client_user)]
AdminUser = Annotated[User, Depends(admin_user)]
Identified = Annotated[IdentifiedRequest, Depends(identified_request)]
IdempotencyKey = Annotated[str, Depends(idempotency_key)]
SameOrigin = Depends(require_same_origin)
SourceIp = Annotated[str | None, Depends(source_ip)]

"""Who is asking: the token of the `sb:token` cookie or the Authorization header, and the rights that follow."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool

from printshop.accounts.tokens import Identity
from printshop.accounts.users import User
from printshop.config.settings import origin_of
from printshop.http.services import Provided
from printshop.kernel.errors import BadRequest, Forbidden, Unauthorized
from printshop.pricing.price_book import PriceBook, named_slices

TOKEN_COOKIE = "sb:token"  # noqa: S105
REFRESH_COOKIE = "sb:refresh-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified login: the user, what his token says, and the token itself."""

    user: User
    identity: Identity
    token: str


def check_origin(request: Request, origins: frozenset[str]) -> None:
    """A browser sends cookies by itself, so a write that rides on them must come from our own pages. A browser names
    the page's origin with every write; `null`, or none at all, is none of ours."""
    if request.method not in SAFE_METHODS and origin_of(request.headers.get("origin", "")) not in origins:
        raise Forbidden(
            "ORIGIN_MISMATCH",
            "A write with cookies must come from the shop's own pages; send a bearer token instead.",
        )


def own_pages(request: Request, services: Provided) -> None:
    """Before an answer that sets the session's cookies: another site's page must not log its visitor in as somebody
    else. Programs name no origin; the page of the API's own docs names the API's."""
    origin = request.headers.get("origin")
    if origin is None:
        foreign = request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    else:
        own = origin_of(origin).partition("://")[2] == request.headers.get("host", "").lower()
        foreign = not own and origin_of(origin) not in services.settings.origins
    if foreign:
        raise Forbidden("ORIGIN_MISMATCH", "Logging in must start at the shop's own pages; open them.")


def source_ip(request: Request) -> str | None:
    """Where the request came from, as API Gateway saw it: X-Forwarded-For is whatever a caller writes."""
    event = request.scope.get("aws.event") or {}
    found = event.get("requestContext", {}).get("http", {}).get("sourceIp")
    return str(found) if found else None


def _token(request: Request, origins: frozenset[str]) -> str:
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    if cookie := request.cookies.get(TOKEN_COOKIE):
        check_origin(request, origins)
        return cookie
    raise Unauthorized(
        "NO_TOKEN", "Log in first: send the sb:token cookie or an Authorization: Bearer header."
    )


def _caller(request: Request, services: Provided, *, fresh: bool) -> Caller:
    token = _token(request, services.settings.origins)
    identity = services.tokens.verify(token)
    return Caller(services.users.get(identity, fresh=fresh), identity, token)


def any_caller(request: Request, services: Provided) -> Caller:
    """Any login, also one that has yet to change its one-time password."""
    return _caller(request, services, fresh=False)


def current_caller(caller: "AnyCaller") -> Caller:
    """Any login that chose its own password."""
    own_password(caller.user)
    return caller


def own_password(user: User) -> User:
    """The user, unless the one-time password is yet to be changed. Raises Forbidden PASSWORD_CHANGE_REQUIRED."""
    if user.must_change_password:
        raise Forbidden(
            "PASSWORD_CHANGE_REQUIRED", "Change the one-time password first, by auth/change-password."
        )
    return user


def admin_user(request: Request, services: Provided) -> User:
    """The shop only; asked of the database each time, so that a lost right is lost at once."""
    user = own_password(_caller(request, services, fresh=True).user)
    if not user.is_admin:
        raise _admin_only()
    return user


def client_user(caller: "CurrentCaller") -> User:
    """A customer's login: the portal shows one client's own things, and the shop is none."""
    if caller.user.client_id is None or caller.user.is_admin:
        raise Forbidden("CLIENT_ONLY", "Only a client's own login has a portal; use the shop's routes.")
    return caller.user


@dataclass(frozen=True, slots=True)
class PricingAdmin:
    """The shop, about to price a document, with its price book of this moment."""

    user: User
    book: PriceBook


async def pricing_admin(request: Request, services: Provided) -> PricingAdmin:
    """The shop only, and its price book in the same look-up. The slices that the body names come with it."""
    identity, body = await identity_and_body(request, services)
    slices = named_slices(body)
    user, book = await run_in_threadpool(services.users.get_with_price_book, identity, slices)
    if book is None:
        raise _admin_only()
    return PricingAdmin(own_password(user), book)


async def identity_and_body(request: Request, services: Provided) -> tuple[Identity, Any]:
    """Who asks, and the body as it came: None when it is no JSON, which the route's own model refuses."""
    token = _token(request, services.settings.origins)
    identity = await run_in_threadpool(services.tokens.verify, token)
    try:
        return identity, await request.json()
    except ValueError:
        return identity, None


def _admin_only() -> Forbidden:
    return Forbidden("ADMIN_ONLY", "Only the shop may do this.")


def client_or_admin(caller: "CurrentCaller") -> User:
    """Any login, where only the user matters."""
    return caller.user


def idempotency_key(
    key: Annotated[
        str | None, Header(alias="Idempotency-Key", description="1–255 printable characters")
    ] = None,
) -> str:
    if key is None:
        raise BadRequest("IDEMPOTENCY_KEY_MISSING", "Send an Idempotency-Key header, such as a fresh UUID.")
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise BadRequest(
            "IDEMPOTENCY_KEY_INVALID", "An Idempotency-Key has 1 to 255 printable ASCII characters."
        )
    return key


AnyCaller = Annotated[Caller, Depends(any_caller)]
CurrentCaller = Annotated[Caller, Depends(current_caller)]
ClientOrAdmin = Annotated[User, Depends(client_or_admin)]
ClientUser = Annotated[User, Depends(client_user)]
AdminUser = Annotated[User, Depends(admin_user)]
DocumentAdmin = Annotated[PricingAdmin, Depends(pricing_admin)]
IdempotencyKey = Annotated[str, Depends(idempotency_key)]
OwnPages = Depends(own_pages)
SourceIp = Annotated[str | None, Depends(source_ip)]

"""The session's cookies: unreadable for scripts, and sent to this site only."""

from typing import TYPE_CHECKING

from fastapi import Response

if TYPE_CHECKING:
    from printshop.accounts.sessions import Tokens  # brings the client of Supabase Auth along

TOKEN_COOKIE = "sb:token"  # noqa: S105
REFRESH_COOKIE = "sb:refresh-token"
REFRESH_SECONDS = 30 * 24 * 3600


def set_session_cookies(response: Response, tokens: "Tokens", *, secure: bool) -> None:
    """Set `sb:token` for as long as the access token lives, and `sb:refresh-token` for the auth routes alone."""
    for name, value, seconds, path in (
        (TOKEN_COOKIE, tokens.access_token, tokens.expires_in, "/"),
        (REFRESH_COOKIE, tokens.refresh_token, REFRESH_SECONDS, "/api/auth"),
    ):
        response.set_cookie(
            name, value, max_age=seconds, path=path, httponly=True, samesite="lax", secure=secure
        )


def clear_session_cookies(response: Response) -> None:
    """Have the browser drop both cookies."""
    response.delete_cookie(TOKEN_COOKIE, path="/", httponly=True, samesite="lax")
    response.delete_cookie(REFRESH_COOKIE, path="/api/auth", httponly=True, samesite="lax")

"""The session's cookies: out of reach of scripts, and sent to this site only."""

from fastapi import Response

from printshop.accounts.sessions import Tokens
from printshop.http.dependencies import REFRESH_COOKIE, TOKEN_COOKIE

REFRESH_SECONDS = 30 * 24 * 3600


def set_session(response: Response, tokens: Tokens, *, secure: bool) -> None:
    """`sb:token` for as long as the access token lives, `sb:refresh-token` for the refresh route alone."""
    for name, value, seconds, path in (
        (TOKEN_COOKIE, tokens.access_token, tokens.expires_in, "/"),
        (REFRESH_COOKIE, tokens.refresh_token, REFRESH_SECONDS, "/api/auth"),
    ):
        response.set_cookie(
            name, value, max_age=seconds, path=path, httponly=True, samesite="lax", secure=secure
        )


def clear_session(response: Response) -> None:
    response.delete_cookie(TOKEN_COOKIE, path="/", httponly=True, samesite="lax")
    response.delete_cookie(REFRESH_COOKIE, path="/api/auth", httponly=True, samesite="lax")

"""What Supabase Auth refuses, as the API says it."""

from collections.abc import Callable

import httpx
from supabase_auth.errors import AuthApiError, AuthError, AuthRetryableError

from printshop.kernel.errors import (
    ApiError,
    Conflict,
    Forbidden,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unprocessable,
)


def ask[T](request: Callable[[], T], *, refused: ApiError | None = None) -> T:
    """The answer of Supabase Auth. Raises `refused` for what the caller expects to be refused, else the fitting
    ApiError; Unavailable AUTH_UNAVAILABLE when there is no answer."""
    try:
        return request()
    except AuthApiError as error:
        raise _translate(error, refused) from error
    except (AuthRetryableError, httpx.HTTPError) as error:
        raise _unavailable() from error
    except AuthError as error:
        raise refused or session_ended() from error


def session_ended() -> Unauthorized:
    return Unauthorized("SESSION_ENDED")


def _unavailable() -> Unavailable:
    return Unavailable("AUTH_UNAVAILABLE", retry_after=2)


_REFUSALS: dict[str, tuple[type[ApiError], str, str]] = {
    "user_already_exists": (
        Conflict,
        "EMAIL_TAKEN",
        "This address has an account; log in, or reset the password.",
    ),
    "email_exists": (Conflict, "EMAIL_TAKEN", "This address has an account; log in, or reset the password."),
    "weak_password": (Unprocessable, "WEAK_PASSWORD", "Choose a longer or less common password."),
    "same_password": (Unprocessable, "WEAK_PASSWORD", "Choose a password that differs from the current one."),
    "email_not_confirmed": (
        Forbidden,
        "EMAIL_NOT_CONFIRMED",
        "Open the link in the confirmation mail first.",
    ),
    "email_address_invalid": (Unprocessable, "INVALID_EMAIL", "This is not an address that mail can reach."),
    "validation_failed": (Unprocessable, "INVALID_EMAIL", "This is not an address that mail can reach."),
    "invalid_credentials": (Unauthorized, "WRONG_CREDENTIALS", "E-mail or password is not right."),
}


def _translate(error: AuthApiError, refused: ApiError | None) -> ApiError:
    if error.status == 429:
        return TooManyRequests("TOO_MANY_ATTEMPTS", "Too many attempts; wait a minute.", retry_after=60)
    if error.status >= 500:
        return _unavailable()
    if refused is not None and error.code not in {"weak_password", "same_password"}:
        return refused
    if error.code in _REFUSALS:
        kind, code, message = _REFUSALS[error.code]
        return kind(code, message)
    return session_ended()

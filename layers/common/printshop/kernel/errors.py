"""Every error that the API answers, as one tree.

ApiError
├── BadRequest 400          the request cannot be read
├── Unauthorized 401        no valid login
├── Forbidden 403           a valid login without the right
├── NotFound 404            absent, or not yours
├── Conflict 409            the thing is in another state than the request needs
├── PayloadTooLarge 413
├── Unprocessable 422       readable, but a value is not acceptable
├── TooManyRequests 429
└── Unavailable 503         a part we depend on does not answer: try again

A `code` is stable and upper-case, one per cause; a `message` is a sentence that says what to do next. Codes and their
general sentences are registered in `printshop.kernel.error_codes`:

    raise NotFound("CLIENT_NOT_FOUND")
    raise Conflict("ALREADY_PAID", f"Invoice {number} is paid; nothing is left to pay.")
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from printshop.kernel.error_codes import ERROR_SENTENCES


class ApiError(Exception):
    """An error with its HTTP status, stable code, sentence and optional details (field paths).

    Without a `message`, the registered sentence of the code is sent.
    """

    status: ClassVar[int] = 500

    def __init__(
        self,
        code: str,
        message: str | None = None,
        details: Any = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        self.message = ERROR_SENTENCES[self.status][code] if message is None else message
        super().__init__(f"{code}: {self.message}")
        self.code = code
        self.details = details
        self.retry_after = retry_after
        """Seconds after which the same request may succeed, for the Retry-After header."""

    def body(self) -> dict[str, Any]:
        """The error envelope: {"error": {"code", "message", "details"}}."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


class BadRequest(ApiError):
    status = 400


class Unauthorized(ApiError):
    status = 401


class Forbidden(ApiError):
    status = 403


class NotFound(ApiError):
    status = 404


class Conflict(ApiError):
    status = 409


class PayloadTooLarge(ApiError):
    status = 413


class Unprocessable(ApiError):
    status = 422


class TooManyRequests(ApiError):
    status = 429


class Unavailable(ApiError):
    status = 503


BY_STATUS: Mapping[int, type[ApiError]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
        PayloadTooLarge,
        Unprocessable,
        TooManyRequests,
        Unavailable,
    )
}
"""The class for a status, so that an error decided inside the database keeps its meaning on the way out."""

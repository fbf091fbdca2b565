"""Stripe's errors, with Stripe's messages and shape."""

from typing import Any


class ApiError(Exception):
    """An error that a request is answered with.

    `executed` says whether the endpoint had started: only then is the answer saved under the idempotency key.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = True,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.executed = executed
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """{"error": {"type", "message", "request_log_url", and where they apply "code", "doc_url", "param"}}."""
        error: dict[str, Any] = {}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        error["message"] = self.message
        if self.param:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        error["type"] = self.kind
        return {"error": error}


def invalid(message: str, param: str, code: str | None = None) -> ApiError:
    """An invalid parameter, found before the endpoint starts."""
    return ApiError(message, code=code, param=param, executed=False)


def unknown_parameters(names: list[str]) -> ApiError:
    plural = "s" if len(names) > 1 else ""
    return invalid(f"Received unknown parameter{plural}: {', '.join(names)}", names[0], "parameter_unknown")


def missing_parameter(name: str) -> ApiError:
    return invalid(f"Missing required param: {name}.", name, "parameter_missing")


_PATH_PARAMETERS = {"checkout.session": "session", "payment_intent": "intent"}


def no_such(kind: str, identifier: str, param: str | None = None) -> ApiError:
    """An unknown id: 404 for one in the path, 400 for one in a parameter."""
    noun = identifier if kind == "checkout.session" else f"'{identifier}'"
    return ApiError(
        f"No such {kind}: {noun}",
        status=400 if param else 404,
        code="resource_missing",
        param=param or _PATH_PARAMETERS.get(kind, "id"),
    )

"""The gateway's errors.

GatewayError
├── TemplateError      the template cannot be served; the message names the place and the reference
└── FunctionError      a function failed; carries what Lambda answers to the caller
"""

from typing import Any

__all__ = ["FunctionError", "GatewayError", "TemplateError"]


class GatewayError(Exception):
    """Base class of the gateway's errors."""


class TemplateError(GatewayError):
    """The template cannot be served; the message names the place and the reference."""


class FunctionError(GatewayError):
    """A function answered with an error, timed out, or exited.

    `payload` is Lambda's answer: `{"errorType": …, "errorMessage": …}`, for a raised exception with the
    `requestId` and the `stackTrace` too.
    """

    def __init__(self, function: str, payload: dict[str, Any]) -> None:
        self.function = function
        self.payload = payload
        self.error_type = str(payload.get("errorType", ""))
        self.message = str(payload.get("errorMessage", ""))
        super().__init__(f"{function}: {self.error_type}: {self.message}")

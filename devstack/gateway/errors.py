"""What can be wrong: the template, or a function that was invoked.

GatewayError
├── TemplateError      the template cannot be served; the message names the place and the reference
└── FunctionError      a function failed; carries what Lambda would answer to the invoker
"""

from typing import Any

__all__ = ["FunctionError", "GatewayError", "TemplateError"]


class GatewayError(Exception):
    """Anything that the gateway raises on purpose."""


class TemplateError(GatewayError):
    """The template cannot be served; the message names the place and the reference."""


class FunctionError(GatewayError):
    """A function answered with an error, ran out of time, or died.

    `payload` is Lambda's own answer: `{"errorType": …, "errorMessage": …}`, for a raised exception with the
    `requestId` and the `stackTrace` too.
    """

    def __init__(self, function: str, payload: dict[str, Any]) -> None:
        self.function = function
        self.payload = payload
        self.error_type = str(payload.get("errorType", ""))
        self.message = str(payload.get("errorMessage", ""))
        super().__init__(f"{function}: {self.error_type}: {self.message}")

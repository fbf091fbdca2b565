"""Structured logs: one JSON line an event, with scope, message, error and data.

    log = get_logger()
    log.info(scope="stripe.session", message="Checkout session created", data={"invoiceId": 7})

`scope` is `integration.operation`. Secrets, tokens and addresses of people are masked before a line is
written, by the name of the field and by the look of the value; `correlation_id` ties the lines of a request.
"""

import os
import re
from functools import lru_cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

_SECRET_NAME = re.compile(
    r"pass(word|code)|secret|token|authorization|cookie|api_?key|signature|private|credential|set-cookie",
    re.I,
)
_SECRET_VALUE = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*"  # a JWT
    r"|\b(?:sk|rk|whsec|sb_secret)_[\w]+"  # Stripe and Supabase keys
    r"|(?<=[?&]token=)[^&\s\"']+"  # a signed URL's token
    r"|(?<=[?&]token_hash=)[^&\s\"']+"  # whoever holds a recovery link may set the password
    r"|(?<=/api/pay/)[\w-]+"  # whoever holds a pay link may pay
    r"|(?<=/api/public/quotes/)[\w-]+"
)
_EMAIL = re.compile(r"\b([\w.+-])[\w.+-]*@([\w-]+\.[\w.-]+)")
MASK = "[redacted]"


def redact(value: Any, name: str = "") -> Any:
    """`value` with everything secret or personal masked, at any depth. `name` is the field it stands under."""
    if name and _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, dict):
        return {key: redact(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [redact(inner) for inner in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if value is not None and not isinstance(value, bool | int | float):
        return _EMAIL.sub(r"\1***@\2", _SECRET_VALUE.sub(MASK, str(value)))
    return value


class _Formatter(LambdaPowertoolsFormatter):
    """Masks the whole line at its last step: a trace may quote a URL or a header as well."""

    def serialize(self, log: Any) -> str:
        return super().serialize(redact(log))


class EventLog:
    """The seed's logger: `info`, `warn` and `error`, each with a scope."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def info(self, *, scope: str, message: str = "", data: Any = None) -> None:
        self._logger.info(message or scope, extra=_extra(scope, data))

    def warn(
        self, *, scope: str, message: str = "", error: BaseException | None = None, data: Any = None
    ) -> None:
        self._logger.warning(message or scope, extra=_extra(scope, data, error))

    def error(self, *, scope: str, error: BaseException, message: str = "", data: Any = None) -> None:
        """Log a failure with its trace. The trace stays here: it is never part of an answer."""
        self._logger.error(
            message or scope,
            extra=_extra(scope, data, error),
            exc_info=(type(error), error, error.__traceback__),
        )

    def begin(self, correlation_id: str, **keys: Any) -> None:
        """Start a request or a message: what was appended for the one before is dropped."""
        self._logger.clear_state()
        self._logger.set_correlation_id(correlation_id)
        if keys:
            self._logger.append_keys(**keys)


def _extra(scope: str, data: Any, error: BaseException | None = None) -> dict[str, Any]:
    extra: dict[str, Any] = {"scope": scope}
    if data is not None:
        extra["data"] = data
    if error is not None:
        extra["error"] = {"type": type(error).__name__, "message": str(error)}
    return extra


@lru_cache(maxsize=1)
def get_logger() -> EventLog:
    """The process's logger; its level is LOG_LEVEL."""
    return EventLog(
        Logger(
            service=os.environ.get("POWERTOOLS_SERVICE_NAME", "printshop"),
            level=os.environ.get("LOG_LEVEL", "INFO"),
            utc=True,
            logger_formatter=_Formatter(serialize_stacktrace=False),
        )
    )

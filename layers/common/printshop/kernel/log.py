"""Structured logs: one JSON line an event, with scope, message, error and data.

    log = get_logger()
    log.info(scope="stripe.session", message="Checkout session created", data={"invoiceId": 7})

`scope` is `integration.operation`. Secrets, tokens and persons are masked before a line is written (see redaction),
also in what libraries write; `correlation_id` ties the lines of a request.
"""

import logging
import os
from contextlib import ContextDecorator
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from printshop.kernel.redaction import redact


class _Formatter(LambdaPowertoolsFormatter):
    """Masks the whole line at its last step: a trace may quote a URL or a header as well."""

    def serialize(self, log: Any) -> str:
        return super().serialize(redact(log))


class _Masking(logging.Filter):
    """On the root's handlers: masks what libraries write. Mangum, for one, writes the trace of every defect."""

    _traces = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = redact(self._traces.formatException(record.exc_info))
            record.exc_info = None
        return True


class DefectError(RuntimeError):
    """A function failed; its log line says how. Lambda's runtime prints this one, unmasked."""


class _Told(ContextDecorator):
    """Around a handler that nothing else answers for."""

    def __init__(self, log: "EventLog", scope: str) -> None:
        self._log, self._scope = log, scope

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._log.error(scope=self._scope, error=error)
            raise DefectError(f"{type(error).__name__}; see the log, scope {self._scope}") from None


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

    def defects(self, scope: str) -> ContextDecorator:
        """Decorates a function that a queue or a clock starts: its defect is logged here, masked, and fails it."""
        return _Told(self, scope)

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


_MASKING = _Masking()


@lru_cache(maxsize=1)
def get_logger() -> EventLog:
    """The process's logger; its level is LOG_LEVEL."""
    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if handler is not None:
            handler.addFilter(_MASKING)
    return EventLog(
        Logger(
            service=os.environ.get("POWERTOOLS_SERVICE_NAME", "printshop"),
            level=os.environ.get("LOG_LEVEL", "INFO"),
            utc=True,
            logger_formatter=_Formatter(serialize_stacktrace=False),
        )
    )

"""The contents of a template as plain values: functions, their triggers, queues and secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Application", "Cors", "Function", "Queue", "QueueSource", "Route", "Schedule", "Secret"]


@dataclass(frozen=True)
class Function:
    """One Lambda function. `layers` are the folders copied to /opt, lowest first; `timeout` in seconds."""

    logical_id: str
    name: str
    arn: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    timeout: float
    memory_mb: int
    environment: Mapping[str, str]
    reserved_concurrency: int | None
    image: bool


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API. `method` is upper-case or ANY; `path` is None for `$default`; seconds."""

    function: str
    method: str
    path: str | None
    timeout: float = 30.0

    @property
    def key(self) -> str:
        """The event's `routeKey`: `GET /api/invoices/{id}`."""
        return "$default" if self.path is None else f"{self.method} {self.path}"


@dataclass(frozen=True)
class QueueSource:
    """An SQS queue that invokes a function."""

    function: str
    queue_arn: str
    queue_url: str
    batch_size: int
    maximum_concurrency: int
    reports_item_failures: bool


@dataclass(frozen=True)
class Schedule:
    """A rule that invokes a function at certain times; `expression` is `rate(…)` or `cron(…)`."""

    function: str
    name: str
    kind: Literal["Schedule", "ScheduleV2"]
    expression: str
    time_zone: str
    input: str | None
    enabled: bool


@dataclass(frozen=True)
class Cors:
    """The HTTP API's CorsConfiguration; `max_age` in seconds."""

    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    max_age: int | None = None


@dataclass(frozen=True)
class Queue:
    """An SQS queue with its attributes as the SQS API takes them (strings)."""

    logical_id: str
    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class Secret:
    """A secret; `value` is None when the template does not set it."""

    logical_id: str
    name: str
    value: str | None


@dataclass(frozen=True)
class Application:
    """Everything that the gateway serves.

    `queue_urls` by logical id. `packages` are the layers' folders in the source tree: an image has no layers, its
    Dockerfile copies them in.
    """

    functions: Mapping[str, Function]
    routes: tuple[Route, ...] = ()
    cors: Cors | None = None
    sources: tuple[QueueSource, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    queue_urls: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[Path, ...] = ()

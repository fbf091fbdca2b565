"""Reads the application out of a template: functions with their globals, and the events that invoke them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devstack.gateway.application import Application, Cors, Function, QueueSource, Route, Schedule
from devstack.gateway.errors import TemplateError
from devstack.gateway.intrinsics import Attributes, Resolver, as_text
from devstack.gateway.layout import Layout
from devstack.gateway.resources import FUNCTION, HTTP_API, LAYER, of_type

__all__ = ["read_application"]

_SQS_PROPERTIES = {"Queue", "BatchSize", "Enabled", "FunctionResponseTypes", "ScalingConfig"}
_SCHEDULE_PROPERTIES = {
    "Description", "Enabled", "FlexibleTimeWindow", "Input", "Name", "RetryPolicy", "Schedule", "ScheduleExpression",
    "ScheduleExpressionTimezone", "State",
}  # fmt: skip
_DEFAULT_TIMEOUT = 3
_DEFAULT_MEMORY_MB = 128
_DEFAULT_BATCH_SIZE = 10
_DEFAULT_POLLERS = 5


def read_application(resolver: Resolver, resources: Mapping[str, Attributes], layout: Layout) -> Application:
    """The contents of the template. Raises TemplateError that names what is invalid or not supported here."""
    reader = _Reader(resolver, resources, layout)
    for logical_id, properties in of_type(resolver, FUNCTION):
        reader.read_function(logical_id, properties)
    return Application(
        functions=reader.functions,
        routes=tuple(reader.routes),
        cors=reader.read_cors(),
        sources=tuple(reader.sources),
        schedules=tuple(reader.schedules),
        queue_urls={name: each["QueueUrl"] for name, each in resources.items() if "QueueUrl" in each},
        packages=reader.packages,
    )


class _Reader:
    def __init__(self, resolver: Resolver, resources: Mapping[str, Attributes], layout: Layout) -> None:
        self._resolver = resolver
        self._resources = resources
        self._layout = layout
        self._globals = resolver.document.get("Globals") or {}
        contents = {
            logical_id: str(properties["ContentUri"]) for logical_id, properties in of_type(resolver, LAYER)
        }
        self._layers = {resources[name]["Ref"]: layout.layer(name, uri) for name, uri in contents.items()}
        self.packages = tuple(layout.source(uri) for uri in contents.values())
        self.functions: dict[str, Function] = {}
        self.routes: list[Route] = []
        self.sources: list[QueueSource] = []
        self.schedules: list[Schedule] = []

    def read_function(self, logical_id: str, own: Mapping[str, Any]) -> None:
        where = f"Resources.{logical_id}.Properties"
        resource = self._resolver.document["Resources"][logical_id]
        merged = _with_globals(self._globals.get("Function") or {}, own, resource.get("IgnoreGlobals") or [])

        def value(key: str, default: Any = None) -> Any:
            resolved = self._resolver.resolve(merged.get(key), f"{where}.{key}")
            return default if resolved is None else resolved

        image = value("PackageType", "Zip") == "Image"
        if image:
            code, command = self._layout.image(logical_id, resource.get("Metadata") or {})
            configured = value("ImageConfig", {})
            _check_known_keys(configured, {"Command"}, f"{where}.ImageConfig")
            handler = configured.get("Command", [command])[0]
            layers: tuple[Path, ...] = ()
        else:
            code = self._layout.code(logical_id, str(value("CodeUri", ".")))
            handler = as_text(value("Handler"))
            layers = tuple(self._layer(arn, where) for arn in value("Layers", []))
        variables = value("Environment", {}).get("Variables") or {}
        reserved = value("ReservedConcurrentExecutions")
        self.functions[logical_id] = Function(
            logical_id=logical_id,
            name=self._resources[logical_id]["Ref"],
            arn=self._resources[logical_id]["Arn"],
            handler=handler,
            code=code,
            layers=layers,
            timeout=float(value("Timeout", _DEFAULT_TIMEOUT)),
            memory_mb=int(value("MemorySize", _DEFAULT_MEMORY_MB)),
            environment={name: as_text(text) for name, text in variables.items()},
            reserved_concurrency=None if reserved is None else int(reserved),
            image=image,
        )
        for name, event in (merged.get("Events") or {}).items():
            self._read_event(logical_id, name, event, f"{where}.Events.{name}")

    def _layer(self, arn: str, where: str) -> Path:
        if arn not in self._layers:
            raise TemplateError(f"{where}.Layers: {arn} is not a layer of this template")
        return self._layers[arn]

    def _read_event(self, function: str, name: str, event: Mapping[str, Any], where: str) -> None:
        properties = self._resolver.resolve(event.get("Properties") or {}, where)
        match event.get("Type"):
            case "HttpApi":
                self.routes.append(_route(function, properties, where))
            case "SQS":
                self._read_queue_source(function, properties, where)
            case "Schedule" | "ScheduleV2":
                self.schedules.append(_schedule(function, name, str(event["Type"]), properties, where))
            case kind:
                raise TemplateError(f"{where}: events of type {kind} are not served here")

    def _read_queue_source(self, function: str, properties: Mapping[str, Any], where: str) -> None:
        _check_known_keys(properties, _SQS_PROPERTIES, where)
        if not _is_true(properties.get("Enabled", True)):
            return
        arn = properties["Queue"]
        urls = [
            each["QueueUrl"]
            for each in self._resources.values()
            if each.get("Arn") == arn and "QueueUrl" in each
        ]
        if not urls:
            raise TemplateError(f"{where}: {arn} is not a queue of this template")
        batch_size = int(properties.get("BatchSize", _DEFAULT_BATCH_SIZE))
        if not 1 <= batch_size <= 10:
            raise TemplateError(f"{where}: a BatchSize of {batch_size} is not served here, only 1 to 10")
        self.sources.append(
            QueueSource(
                function=function,
                queue_arn=arn,
                queue_url=urls[0],
                batch_size=batch_size,
                maximum_concurrency=int(
                    (properties.get("ScalingConfig") or {}).get("MaximumConcurrency", _DEFAULT_POLLERS)
                ),
                reports_item_failures="ReportBatchItemFailures"
                in (properties.get("FunctionResponseTypes") or []),
            )
        )

    def read_cors(self) -> Cors | None:
        """The CORS rules of the one HTTP API, None when it has none."""
        apis = list(of_type(self._resolver, HTTP_API))
        if len(apis) > 1:
            raise TemplateError(f"Resources.{apis[1][0]}: one HTTP API is served here, not {len(apis)}")
        logical_id, own = apis[0] if apis else ("ServerlessHttpApi", {})
        where = f"Resources.{logical_id}.Properties"
        merged = _merged(self._globals.get("HttpApi") or {}, own)
        for key in ("Auth", "DefinitionBody", "DefinitionUri"):
            if key in merged:
                raise TemplateError(f"{where}.{key} is not served here")
        stage = self._resolver.resolve(merged.get("StageName"), f"{where}.StageName")
        if stage not in (None, "$default"):
            raise TemplateError(f"{where}.StageName: only $default is served here, not {stage}")
        return _cors(self._resolver.resolve(merged.get("CorsConfiguration"), f"{where}.CorsConfiguration"))


def _route(function: str, properties: Mapping[str, Any], where: str) -> Route:
    _check_known_keys(
        properties, {"ApiId", "Method", "Path", "PayloadFormatVersion", "TimeoutInMillis"}, where
    )
    if as_text(properties.get("PayloadFormatVersion", "2.0")) != "2.0":
        raise TemplateError(f"{where}: only PayloadFormatVersion 2.0 is served here")
    timeout = int(properties.get("TimeoutInMillis", 30_000)) / 1000
    path = properties.get("Path")
    if path in (None, "$default"):
        return Route(function, "ANY", None, timeout)
    method = as_text(properties.get("Method", "ANY")).upper()
    return Route(function, "ANY" if method == "*" else method, path, timeout)


def _schedule(function: str, name: str, kind: str, properties: Mapping[str, Any], where: str) -> Schedule:
    _check_known_keys(properties, _SCHEDULE_PROPERTIES, where)
    given = properties.get("Input")
    return Schedule(
        function=function,
        name=as_text(properties.get("Name", name)),
        kind="ScheduleV2" if kind == "ScheduleV2" else "Schedule",
        expression=as_text(properties["ScheduleExpression" if kind == "ScheduleV2" else "Schedule"]),
        time_zone=as_text(properties.get("ScheduleExpressionTimezone", "UTC")),
        input=None if given is None else as_text(given),
        enabled=_is_true(properties.get("Enabled", True)) and properties.get("State", "ENABLED") == "ENABLED",
    )


def _cors(rules: Any) -> Cors | None:
    if rules is None or rules is False:
        return None
    if rules is True:
        return Cors(allow_origins=("*",))
    if isinstance(rules, str):
        return Cors(allow_origins=(rules,))
    return Cors(
        allow_origins=tuple(rules.get("AllowOrigins", ())),
        allow_methods=tuple(rules.get("AllowMethods", ())),
        allow_headers=tuple(rules.get("AllowHeaders", ())),
        expose_headers=tuple(rules.get("ExposeHeaders", ())),
        allow_credentials=_is_true(rules.get("AllowCredentials", False)),
        max_age=int(rules["MaxAge"]) if "MaxAge" in rules else None,
    )


def _check_known_keys(properties: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(properties) - known)
    if unknown:
        raise TemplateError(f"{where}: {', '.join(unknown)} is not served here")


def _is_true(value: Any) -> bool:
    return as_text(value) == "true"


def _with_globals(
    shared: Mapping[str, Any], own: Mapping[str, Any], ignored: str | list[str]
) -> dict[str, Any]:
    if ignored == "*":
        return dict(own)
    merged: dict[str, Any] = _merged({key: value for key, value in shared.items() if key not in ignored}, own)
    return merged


def _merged(shared: Any, own: Any) -> Any:
    """SAM's rule for Globals: maps merge, lists join, anything else is overridden."""
    if _is_map(shared) and _is_map(own):
        both = {key: _merged(shared[key], own[key]) for key in shared.keys() & own.keys()}
        return {**shared, **own, **both}
    if isinstance(shared, list) and isinstance(own, list):
        return shared + own
    return own


def _is_map(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return not (len(value) == 1 and str(next(iter(value))).startswith(("Ref", "Fn::")))

"""Finds the route of the HTTP API for a request: the most specific one that matches."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from devstack.gateway.application import Route
from devstack.gateway.errors import TemplateError

__all__ = ["Match", "RouteTable"]

_VARIABLE = re.compile(r"\{([\w.-]+)(\+?)\}")


@dataclass(frozen=True)
class Match:
    """The route of a request, with the path's variables decoded."""

    route: Route
    path_parameters: Mapping[str, str]


@dataclass(frozen=True)
class _Entry:
    route: Route
    pattern: re.Pattern[str]
    rank: tuple[bool, tuple[int, ...], bool]
    """Sorts more specific routes first: no greedy variable, early literal segments, a named method."""


class RouteTable:
    """The routes of an API. Raises TemplateError for two routes with the same key."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._default: Route | None = None
        entries: dict[str, _Entry] = {}
        for route in routes:
            if route.path is None:
                self._default = route
                continue
            key = f"{route.method} {_VARIABLE.sub(r'{\2}', route.path)}"
            if key in entries:
                raise TemplateError(f"route {route.key} is there twice")
            entries[key] = _entry(route, route.path)
        self._entries = sorted(entries.values(), key=lambda entry: entry.rank)

    def match(self, method: str, path: str) -> Match | None:
        """The route for a method and a percent-encoded path, None for API Gateway's 404."""
        canonical = "/".join(map(_canonical, path.split("/")))
        for entry in self._entries:
            if entry.route.method not in (method, "ANY"):
                continue
            found = entry.pattern.fullmatch(canonical)
            if found is not None:
                names = _VARIABLE.findall(entry.route.path or "")
                values = map(unquote, found.groups())
                return Match(
                    entry.route, {name: value for (name, _), value in zip(names, values, strict=True)}
                )
        return Match(self._default, {}) if self._default else None


def _canonical(segment: str) -> str:
    """A path with canonical segments: `h%65alth` becomes `health`, and `%2F` stays inside its segment."""
    return quote(unquote(segment), safe="")


def _entry(route: Route, path: str) -> _Entry:
    kinds: list[int] = []
    pattern = ""
    for segment in path.split("/")[1:]:
        variable = _VARIABLE.fullmatch(segment)
        if variable is None:
            kinds.append(0)
            pattern += "/" + re.escape(_canonical(segment))
        elif variable[2]:
            kinds.append(2)
            pattern += "/(.+)"
        else:
            kinds.append(1)
            pattern += "/([^/]+)"
    return _Entry(route, re.compile(pattern), (2 in kinds, tuple(kinds), route.method == "ANY"))

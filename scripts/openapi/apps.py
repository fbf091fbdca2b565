"""The functions' apps, each loaded as a program of its own under the name of its folder."""

import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# An app reads the settings when it is made; no route is called here, and nothing is connected to.
ENVIRONMENT = {
    "APP_ENV": "development",
    "NEXT_PUBLIC_SUPABASE_URL": "http://localhost",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "none",
    "SUPABASE_SERVICE_ROLE_KEY": "none",
    "SECRETS_ID": "",
}

os.environ.update(ENVIRONMENT)
sys.path.insert(0, str(ROOT / "layers" / "common"))

from fastapi import FastAPI  # noqa: E402
from fastapi.routing import APIRoute  # noqa: E402
from starlette.routing import BaseRoute  # noqa: E402


@dataclass(frozen=True)
class Served:
    """A route and the folder of the function that serves it."""

    folder: str
    route: APIRoute


def served() -> Iterator[Served]:
    """Every route of every function, folders in the order of their names, routes in that of their program."""
    for program in sorted(ROOT.glob("functions/*/app.py")):
        with _import_from(program.parent):
            spec = importlib.util.spec_from_file_location(program.parent.name, program)
            if spec is None or spec.loader is None:
                raise ImportError(f"{program} cannot be loaded")
            module = importlib.util.module_from_spec(spec)
            sys.modules[program.parent.name] = module  # type annotations are looked up there
            spec.loader.exec_module(module)
        app = getattr(module, "app", None)
        if isinstance(app, FastAPI):
            for route in _api_routes(app.routes):
                yield Served(program.parent.name, route)


def _api_routes(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """Those of included routers too, which FastAPI keeps by reference; ours add no prefix."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from _api_routes(getattr(getattr(route, "original_router", None), "routes", ()))


@contextmanager
def _import_from(folder: Path) -> Iterator[None]:
    """A function imports its own modules by their bare names, which another function may have too."""
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - known:
            if (
                str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder))
                and name != folder.name
            ):
                del sys.modules[name]

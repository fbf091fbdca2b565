"""Start a function as Lambda does and print the routes of its app as JSON:  describe_function.py app.handler

Run in a process of its own, with nothing but the environment that the template gives. A function without an HTTP
app prints an empty list.
"""

import importlib
import json
import sys

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Route


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of every route, those of included routers too."""
    described = get_openapi(title=app.title, version=app.version, routes=app.routes)["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    for route in app.routes:  # those kept out of the description
        if isinstance(route, Route):
            routes |= {(method, route.path_format) for method in (route.methods or ()) if method != "HEAD"}
    return routes


def main() -> None:
    module_name, _, handler = sys.argv[1].rpartition(".")
    module = importlib.import_module(module_name)
    assert callable(getattr(module, handler)), f"{sys.argv[1]} cannot be called"
    app = getattr(module, "app", None)
    json.dump(sorted(routes_of(app)) if isinstance(app, FastAPI) else [], sys.stdout)


if __name__ == "__main__":
    main()

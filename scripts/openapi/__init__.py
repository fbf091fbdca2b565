"""The API's one description: every function's FastAPI app, put together as OpenAPI 3.1.

`make openapi` writes it to functions/docs/openapi.json, which the docs function serves as it is.
"""

from scripts.openapi.document import TARGET, build, written

__all__ = ["TARGET", "build", "written"]

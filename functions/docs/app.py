"""Docs: the API's description, and a page that shows it. Nothing is loaded from elsewhere."""

import hashlib
import pathlib
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any

from fastapi import Header, Path, Query, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import HTMLResponse, JSONResponse

from printshop.http.app import create_app, lambda_handler
from printshop.http.errors import error_responses
from printshop.http.headers import NOTHING
from printshop.kernel.errors import NotFound

app = create_app("Docs")
app.add_middleware(GZipMiddleware, minimum_size=1000)
handler = lambda_handler(app)

HERE = pathlib.Path(__file__).parent
# Swagger UI comes with aws-lambda-powertools, which the common layer holds: the newest there is in a Python package.
SWAGGER_UI = files("aws_lambda_powertools") / "event_handler" / "openapi" / "swagger_ui"

ASSETS = {
    "swagger-ui.css": (SWAGGER_UI / "swagger-ui.min.css", "text/css; charset=utf-8"),
    "swagger-ui.js": (SWAGGER_UI / "swagger-ui-bundle.min.js", "text/javascript; charset=utf-8"),
    "start.js": (HERE / "start.js", "text/javascript; charset=utf-8"),
}
FOR_EVER = "public, max-age=31536000, immutable"
FIVE_MINUTES = "public, max-age=300"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>printshop API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/api/docs/swagger-ui.css?v={css}">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui.js?v={js}"></script>
<script src="/api/docs/start.js?v={start}"></script>
</body>
</html>
"""
POLICY = f"{NOTHING}; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
"""Everything comes from here; Swagger UI's own little pictures stand in its style sheet."""

JAVASCRIPT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/javascript": {"schema": {"type": "string"}}}}
}

type Tag = Annotated[str | None, Header(description="The ETag of an earlier answer")]


class StyleSheet(Response):
    media_type = "text/css"


@lru_cache(maxsize=8)
def _asset(name: str) -> tuple[bytes, str]:
    """A file of the page, and a short hash that changes with it."""
    contents = ASSETS[name][0].read_bytes()
    return contents, hashlib.sha256(contents).hexdigest()[:12]


@lru_cache(maxsize=1)
def _description() -> tuple[bytes, str]:
    contents = (HERE / "openapi.json").read_bytes()
    # Weak: the bytes on the wire may be compressed.
    return contents, f'W/"{hashlib.sha256(contents).hexdigest()[:32]}"'


@app.get(
    "/api/openapi.json",
    tags=["Documentation"],
    summary="OpenAPI document",
    response_class=JSONResponse,
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        304: {"description": "It is still the one with that ETag"},
    },
)
def openapi_document(if_none_match: Tag = None) -> Response:
    """This description of the API, as OpenAPI 3.1."""
    contents, tag = _description()
    headers = {"ETag": tag, "Cache-Control": FIVE_MINUTES}
    if if_none_match is not None and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(contents, media_type="application/json", headers=headers)


@app.get("/api/docs", tags=["Documentation"], response_class=HTMLResponse)
def docs_page() -> HTMLResponse:
    """A page that shows this description and tries its routes."""
    css, js, start = (_asset(name)[1] for name in ASSETS)
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": FIVE_MINUTES}
    return HTMLResponse(PAGE.format(css=css, js=js, start=start), headers=headers)


@app.get(
    "/api/docs/{asset}",
    tags=["Documentation"],
    response_class=StyleSheet,
    responses={**JAVASCRIPT, **error_responses("404 FILE_NOT_FOUND")},
)
def docs_asset(
    asset: Annotated[str, Path(json_schema_extra={"enum": [*ASSETS]})],
    v: Annotated[str | None, Query(max_length=64, description="Names the file's version")] = None,
) -> Response:
    """A file of the page."""
    if asset not in ASSETS:
        raise NotFound("FILE_NOT_FOUND", "The page has no such file; open /api/docs.")
    contents, version = _asset(asset)
    headers = {"Cache-Control": FOR_EVER if v == version else FIVE_MINUTES}
    return Response(contents, media_type=ASSETS[asset][1], headers=headers)

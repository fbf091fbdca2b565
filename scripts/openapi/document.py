"""Builds the OpenAPI document and its text, which is always the same for the same routes."""

import json
import re
import tomllib
from collections import Counter
from typing import Any

from scripts.openapi.about import DESCRIPTION, SECURITY_SCHEMES, STATUSES, TAGS, TITLE
from scripts.openapi.apps import ROOT, Served, served
from scripts.openapi.guards import error_codes_of, security_of
from scripts.openapi.samples import Schema, sample

from fastapi.openapi.utils import get_openapi  # isort: skip  (after the apps have set the environment)
from printshop.kernel.error_codes import ERROR_SENTENCES

from printshop.http.errors import ErrorResponse  # isort: skip

TARGET = ROOT / "functions" / "docs" / "openapi.json"

JSON = "application/json"
INVALID = {"$ref": "#/components/schemas/HTTPValidationError"}
REFUSED = {"$ref": "#/components/schemas/ErrorResponse"}
KEY = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "examples": ["0b9b5a3e-3f0e-4a53-9a53-5f2d4f9f0f61"],
}
FILES = {"pdf": "application/pdf", "csv": "text/csv", "png": "image/png"}

type Operation = dict[str, Any]


def build() -> dict[str, Any]:
    """The OpenAPI document of every route of every function."""
    routes = list(served())
    _name_operations(routes)
    document = get_openapi(
        title=TITLE,
        version=tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        description=DESCRIPTION,
        routes=[each.route for each in routes],
        servers=[{"url": "/"}],
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _add_error_schema(schemas)
    for each in routes:
        for method in sorted(each.route.methods or ()):
            operation = document["paths"][each.route.path_format][method.lower()]
            _complete(operation, each, schemas)
    used = {tag for path in document["paths"].values() for each in path.values() for tag in each["tags"]}
    document["tags"] = [{"name": tag, "description": TAGS[tag]} for tag in TAGS if tag in used]
    document["tags"] += [{"name": tag} for tag in sorted(used - TAGS.keys())]
    document["components"]["examples"] = _error_examples(document)
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return _with_plain_schema_names(document)


def written(document: dict[str, Any]) -> str:
    """Paths and schemas in the order of their names, everything else as it was declared."""
    parts = {**document, "components": dict(document["components"])}
    parts["paths"] = dict(sorted(document["paths"].items()))
    parts["components"]["schemas"] = dict(sorted(document["components"]["schemas"].items()))
    order = ("openapi", "info", "servers", "tags", "paths", "components")
    return json.dumps({key: parts[key] for key in order}, indent=1, ensure_ascii=False) + "\n"


def _name_operations(routes: list[Served]) -> None:
    """The function's name in camelCase; where two functions share one, its folder in front."""
    names = Counter(each.route.name for each in routes)
    for each in routes:
        name = each.route.name if names[each.route.name] == 1 else f"{each.folder}_{each.route.name}"
        each.route.operation_id = re.sub(r"_([a-z0-9])", lambda letter: letter[1].upper(), name)
    twice = [name for name, count in Counter(each.route.operation_id for each in routes).items() if count > 1]
    if twice:
        raise ValueError(f"two routes of one function are called {', '.join(map(str, twice))}: rename one")


def _add_error_schema(schemas: dict[str, Schema]) -> None:
    schema = ErrorResponse.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, definition in {**schema.pop("$defs"), "ErrorResponse": schema}.items():
        schemas.setdefault(name, definition)


def _complete(operation: Operation, each: Served, schemas: dict[str, Schema]) -> None:
    route = each.route
    operation["security"] = security_of(route)
    operation.setdefault("tags", [])
    for parameter in operation.get("parameters", []):
        if parameter["name"] == "Idempotency-Key":
            parameter |= {"required": True, "schema": KEY}
    if not route.summary:
        operation["summary"] = _sentence(route.name)
    if "description" in operation:
        operation["description"] = " ".join(operation["description"].split())
    responses = operation["responses"]
    if responses.get("422", {}).get("content", {}).get(JSON, {}).get("schema") == INVALID:
        del responses["422"]
    for status, response in responses.items():
        if status[0] in "23":
            _complete_success(response, status, route.path_format)
        elif response.get("content", {}).get(JSON, {}).get("schema") == REFUSED:
            _add_errors(responses, status, [])
    for status, codes in error_codes_of(route, operation).items():
        _add_errors(responses, str(status), codes)
    operation["responses"] = dict(sorted(responses.items()))
    _add_examples(operation, schemas)


def _complete_success(response: dict[str, Any], status: str, path: str) -> None:
    if response["description"] == "Successful Response":
        response["description"] = STATUSES[status]
    content = response.get("content", {})
    if status.startswith("3"):
        response.pop("content", None)
        if status != "304":
            location = {"description": "Where to go", "schema": {"type": "string", "format": "uri"}}
            response.setdefault("headers", {})["Location"] = location
        return
    if content.get(JSON) == {"schema": {}}:
        # The route answers a file, whose type its path names.
        for ending, media_type in FILES.items():
            if path.endswith(ending):
                del content[JSON]
                content.setdefault(media_type, {"schema": {"type": "string"}})
    for media_type, body in content.items():
        schema = body.setdefault("schema", {"type": "string"})
        if media_type != JSON and not media_type.startswith("text/"):
            schema["format"] = "binary"


def _add_errors(responses: dict[str, Any], status: str, codes: list[str]) -> None:
    """Add error codes to those that the route declares for a status."""
    response = responses.setdefault(status, {"description": "", "content": {}})
    content = response.setdefault("content", {})
    if content and JSON not in content:
        return  # a pay link answers with a page
    body = content.setdefault(JSON, {})
    # Readiness answers 503 with its findings.
    own = body.get("schema", REFUSED)
    body["schema"] = own if own == REFUSED else {"anyOf": [own, REFUSED]}
    named = [*body.get("examples", {}), *codes]
    body["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in named}
    reasons = [response["description"]] if own != REFUSED else []
    response["description"] = " or ".join([*reasons, *body["examples"]])


def _error_examples(document: dict[str, Any]) -> dict[str, Any]:
    """An example of each error code that an operation names; of a code with two statuses, the higher one's."""
    named = {
        (int(status), code)
        for path in document["paths"].values()
        for operation in path.values()
        for status, response in operation["responses"].items()
        for code, example in response.get("content", {}).get(JSON, {}).get("examples", {}).items()
        if "$ref" in example
    }
    return {
        code: {"value": {"error": _error(status, code)}}
        for status, code in sorted(named, key=lambda cause: (cause[1], cause[0]))
    }


def _error(status: int, code: str) -> dict[str, Any]:
    details = [{"field": "email", "problem": "Field required"}] if code == "INVALID_REQUEST" else None
    return {"code": code, "message": ERROR_SENTENCES[status][code], "details": details}


def _add_examples(operation: Operation, schemas: dict[str, Schema]) -> None:
    bodies = [(True, operation.get("requestBody", {}).get("content", {}))]
    bodies += [
        (False, response.get("content", {}))
        for status, response in operation["responses"].items()
        if status.startswith("2")
    ]
    for request, content in bodies:
        body = content.get(JSON)
        if body and "example" not in body and "examples" not in body:
            body["example"] = sample(body["schema"], schemas, request=request)


def _sentence(name: str) -> str:
    words = name.replace("_", " ")
    for short in ("pdf", "url", "urls", "csv", "ar"):
        words = re.sub(rf"\b{short}\b", short.upper().replace("URLS", "URLs"), words)
    return words[:1].upper() + words[1:]


def _with_plain_schema_names(document: dict[str, Any]) -> dict[str, Any]:
    """Rename schemas so that a generated client has good class names: `Data_Invoice_` is `InvoiceData`,
    `Page_Job_` is `JobPage`. Fields need no title beside their name."""
    names = {name: _plain_name(name) for name in document["components"]["schemas"]}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise ValueError(f"two schemas would be called {', '.join(twice)}: rename one of their classes")
    text = json.dumps(document)
    for old, new in names.items():
        text = text.replace(f'"#/components/schemas/{old}"', f'"#/components/schemas/{new}"')
    renamed: dict[str, Any] = json.loads(text)
    schemas = {names[name]: schema for name, schema in renamed["components"]["schemas"].items()}
    for name, schema in schemas.items():
        schema["title"] = name
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
    renamed["components"]["schemas"] = schemas
    return renamed


def _plain_name(name: str) -> str:
    if wrapped := re.fullmatch(r"(Data|Page)_(.+?)_+", name):
        inner = wrapped[2].removeprefix("Union_").replace("__", "_or_")
        return "".join(part[:1].upper() + part[1:] for part in inner.split("_")) + wrapped[1]
    # `printshop__quick_order__order__Address` is one of several: `OrderAddress`.
    *modules, last = name.replace("-", "").split("__")
    return (modules[-1].title().replace("_", "") if modules else "") + last

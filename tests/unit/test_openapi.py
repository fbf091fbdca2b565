"""The API's description: whole, true to the template, and of use to who writes against it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.template.bundle import ROOT, SOURCE

DESCRIBED = ROOT / "functions" / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(DESCRIBED.read_text())
METHODS = ("get", "post", "put", "patch", "delete")


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in methods:
                yield f"{method.upper()} {path}", methods[method]


OPERATIONS = dict(operations())
ROUTES = sorted(
    f"{event['Properties']['Method']} {event['Properties']['Path']}"
    for resource in SOURCE["Resources"].values()
    if resource["Type"] == "AWS::Serverless::Function"
    for event in resource["Properties"].get("Events", {}).values()
    if event["Type"] == "HttpApi"
)


def successes(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {status: each for status, each in operation["responses"].items() if status[0] in "23"}


def codes(operation: dict[str, Any], status: str) -> set[str]:
    content = operation["responses"].get(status, {}).get("content", {})
    return set(content.get("application/json", {}).get("examples", {}))


def test_the_description_is_that_of_the_functions_as_they_are() -> None:
    check = [sys.executable, "-m", "scripts.openapi", "--check"]
    finished = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [str(fault) for fault in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_it_describes_exactly_the_routes_of_the_template() -> None:
    assert sorted(OPERATIONS) == ROUTES


def test_every_operation_has_a_name_of_its_own_that_reads_as_one() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z][A-Za-z0-9]+", name)] == []


def test_every_noun_is_described() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag.get("description")}
    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == described


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_says_what_it_does_and_who_may(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation.get("description", "").endswith((".", "?")), "give the route function a docstring"
    assert len(operation["tags"]) == 1
    assert operation["security"] in ([], [{"bearerAuth": []}, {"cookieAuth": []}])


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_says_what_it_answers(name: str) -> None:
    answers = successes(OPERATIONS[name])
    assert answers
    for status, answer in answers.items():
        if status == "204" or status.startswith("3"):
            assert "content" not in answer
            assert status in {"204", "304"} or "Location" in answer["headers"]
        else:
            assert answer["content"]
            for media_type, body in answer["content"].items():
                assert body["schema"], f"{status} {media_type} has no schema"


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_says_how_it_refuses(name: str) -> None:
    operation = OPERATIONS[name]
    assert codes(operation, "500") == {"INTERNAL"}
    if operation["security"]:
        assert codes(operation, "401") >= {"NO_TOKEN", "TOKEN_EXPIRED", "INVALID_TOKEN", "SESSION_ENDED"}
        assert "NO_PROFILE" in codes(operation, "403")
        assert ("ORIGIN_MISMATCH" in codes(operation, "403")) == (not name.startswith("GET "))
    if "requestBody" in operation:
        assert "BODY_TOO_LARGE" in codes(operation, "413")
        assert "INVALID_REQUEST" in codes(operation, "422")
    if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", [])):
        assert "IDEMPOTENCY_KEY_MISSING" in codes(operation, "400")
        assert "IDEMPOTENCY_KEY_REUSED" in codes(operation, "422")
    if any(each["name"] == "cursor" for each in operation.get("parameters", [])):
        assert "CURSOR_INVALID" in codes(operation, "400")


def test_every_code_is_one_that_the_api_says_and_comes_with_its_sentence() -> None:
    examples = DOCUMENT["components"]["examples"]
    silent = [code for code, each in examples.items() if each["value"]["error"]["message"] == "…"]
    assert silent == []


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_example_is_what_its_schema_asks_for(name: str) -> None:
    operation = OPERATIONS[name]
    bodies = [operation.get("requestBody", {}), *successes(operation).values()]
    for body in bodies:
        content = body.get("content", {}).get("application/json")
        if content is not None:
            assert "example" in content or "examples" in content
            schema = {**content["schema"], "components": DOCUMENT["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema)
            faults = [
                f"{list(fault.instance_path)}: {fault.message}"
                for fault in validator.iter_errors(content["example"])
            ]
            assert faults == []


def test_only_what_is_meant_for_everybody_needs_no_login() -> None:
    public = {name for name, operation in OPERATIONS.items() if not operation["security"]}
    assert public == {
        *(f"POST /api/auth/{each}" for each in ("signup", "login", "refresh", "resend")),
        *(f"POST /api/auth/{each}" for each in ("forgot-password", "reset-password")),
        *(f"POST /api/public/quotes/{{token}}/{each}" for each in ("accept", "decline")),
        "GET /api/public/quotes/{token}",
        "GET /api/pay/{token}",
        "POST /api/stripe/webhook",
        "GET /api/health",
        "GET /api/openapi.json",
        "GET /api/docs",
        "GET /api/docs/{asset}",
    } & set(OPERATIONS)


def test_the_docs_function_carries_what_it_serves() -> None:
    folder = Path(DESCRIBED.parent)
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        "app.py",
        "openapi.json",
        "start.js",
    }

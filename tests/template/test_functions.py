"""Every function starts with what the template gives it, and serves exactly the routes that the template lists."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from printshop.adapters.chromium.renderer import GATEWAY_LIMIT, TIME_LIMIT
from printshop.config.settings import Settings
from printshop.documents.service import STORAGE_LIMIT
from tests.template.bundle import FUNCTIONS, ROOT, SOURCE, Bundle

Routes = set[tuple[str, str]]

SCRIPT = Path(__file__).with_name("describe_function.py")
AWS_IDENTITY = {
    "AWS_REGION": "ap-southeast-2",
    "AWS_DEFAULT_REGION": "ap-southeast-2",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
}
SECRETS = {
    "SUPABASE_SERVICE_ROLE_KEY": "service",
    "STRIPE_SECRET_KEY": "stripe",
    "STRIPE_WEBHOOK_SECRET": "webhook",
}
NOT_SETTINGS = {"POWERTOOLS_SERVICE_NAME"}
"""Variables that a library reads."""


@pytest.fixture(scope="session")
def secrets_manager(bundle: Bundle) -> Iterator[str]:
    """A Secrets Manager that holds the bundle's secret; its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "secretsmanager",
        endpoint_url=url,
        region_name="ap-southeast-2",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    name = bundle.environment(FUNCTIONS[0])["SECRETS_ID"]
    client.create_secret(Name=name, SecretString=json.dumps(SECRETS))
    client.close()
    yield url
    server.stop()


@pytest.fixture(scope="session")
def started(bundle: Bundle, secrets_manager: str) -> dict[str, subprocess.CompletedProcess[str]]:
    """Each function, started in a process of its own, with production's parameters."""

    def start(function: str) -> subprocess.CompletedProcess[str]:
        handler, folder = handler_of(function)
        environment = {
            **AWS_IDENTITY,
            **bundle.environment(function),
            "AWS_ENDPOINT_URL": secrets_manager,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{folder}:{ROOT / 'layers' / 'common'}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, str(SCRIPT), handler]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FUNCTIONS, pool.map(start, FUNCTIONS), strict=True))


def handler_of(function: str) -> tuple[str, Path]:
    """A function's handler and the folder of its code: the template's, or the image's CMD."""
    resource = SOURCE["Resources"][function]
    if resource["Properties"].get("PackageType") != "Image":
        return SOURCE["Globals"]["Function"]["Handler"], ROOT / resource["Properties"]["CodeUri"]
    dockerfile = ROOT / resource["Metadata"]["Dockerfile"]
    found = re.search(r'^CMD \["([\w.]+)"\]$', dockerfile.read_text(), re.MULTILINE)
    assert found, f"{dockerfile} names no handler"
    return found[1], dockerfile.parent


def listed_routes(bundle: Bundle) -> dict[str, Routes]:
    """The gateway's routes in the translated template, by the function that answers them."""
    routes: dict[str, Routes] = {function: set() for function in FUNCTIONS}
    (api,) = bundle.of_type("AWS::ApiGatewayV2::Api").values()
    for path, methods in api["Body"]["paths"].items():
        for method, operation in methods.items():
            uri = operation["x-amazon-apigateway-integration"]["uri"]
            arn = uri.split("/functions/")[1].removesuffix("/invocations")
            function = bundle.named("Arn", arn, {"AWS::Lambda::Function"})
            assert function, f"{method} {path} leads to {arn}"
            routes[function].add((method.upper(), path))
    return routes


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_function_starts_with_what_the_template_gives_it(
    function: str, started: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    assert started[function].returncode == 0, started[function].stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_template_lists_exactly_the_routes_that_the_app_serves(
    function: str, bundle: Bundle, started: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    assert started[function].returncode == 0, started[function].stderr
    served = {(method, path) for method, path in json.loads(started[function].stdout)}
    assert listed_routes(bundle)[function] == served


def test_no_route_catches_all(bundle: Bundle) -> None:
    routes = set().union(*listed_routes(bundle).values())
    assert len(routes) >= 28
    assert not [
        (method, path)
        for method, path in routes
        if "+" in path or "$" in path or not path.startswith("/api/") or method.startswith("X-AMAZON")
    ]


def test_every_folder_of_functions_is_deployed() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    deployed = {
        Path(resource["Properties"]["CodeUri"]).name
        for resource in SOURCE["Resources"].values()
        if "CodeUri" in resource.get("Properties", {})
    }
    assert folders == deployed


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_given_only_variables_that_settings_know(function: str, each_stage: Bundle) -> None:
    known = {name.upper() for name in Settings.model_fields} | NOT_SETTINGS
    assert each_stage.environment(function).keys() <= known


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_names_itself_in_its_logs(function: str, bundle: Bundle) -> None:
    folder = handler_of(function)[1].name
    expected = "slicer" if folder == "slicer-container" else folder
    assert bundle.environment(function)["POWERTOOLS_SERVICE_NAME"] == expected


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_of_the_gateway_ends_before_the_gateway_gives_up(function: str, bundle: Bundle) -> None:
    timeout = bundle.properties(function)["Timeout"]
    if listed_routes(bundle)[function]:
        assert timeout == 29
    else:
        assert 60 <= timeout <= 900


@pytest.mark.parametrize(
    ("function", "limit"), [("PdfFunction", GATEWAY_LIMIT), ("MailerFunction", TIME_LIMIT)]
)
def test_who_prints_lives_to_say_that_it_cannot(function: str, limit: float, bundle: Bundle) -> None:
    waits = 2 * STORAGE_LIMIT  # for what is stored, and to store
    assert limit + waits < bundle.properties(function)["Timeout"]


def test_only_who_prints_papers_carries_the_browser() -> None:
    carrying = [
        name
        for name in FUNCTIONS
        if {"Ref": "ChromiumLayer"} in SOURCE["Resources"][name]["Properties"].get("Layers", [])
    ]
    assert carrying == ["MailerFunction", "PdfFunction"]


def test_every_function_runs_on_x86_64_and_logs_for_a_stated_time(bundle: Bundle) -> None:
    groups: dict[str, dict[str, Any]] = {
        bundle.attributes[name]["Ref"]: properties
        for name, properties in bundle.of_type("AWS::Logs::LogGroup").items()
    }
    assert all(group["RetentionInDays"] == "90" for group in groups.values())
    used = [bundle.properties(name)["LoggingConfig"]["LogGroup"] for name in FUNCTIONS]
    assert sorted(used) == sorted(set(used) & groups.keys())
    assert all(bundle.properties(name)["Architectures"] == ["x86_64"] for name in FUNCTIONS)

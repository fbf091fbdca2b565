"""The HTTP API in front: what it logs, whom it answers, how much it takes."""

import json
from typing import Any

import pytest

from tests.template.bundle import Bundle, configured_parameters, deploy

THREE = "https://a.example,https://b.example,https://c.example"


@pytest.fixture(scope="module")
def stage(bundle: Bundle) -> dict[str, Any]:
    (found,) = bundle.of_type("AWS::ApiGatewayV2::Stage").values()
    return found


def test_the_access_log_is_one_line_of_json_with_the_route_and_no_path(stage: dict[str, Any]) -> None:
    line = stage["AccessLogSettings"]["Format"]
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["route"] == "$context.routeKey"
    # A path may hold a pay link's token, and an authorizer's or a header's values may hold credentials.
    telling = ("path", "authorizer", "header", "cookie", "querystring")
    assert not [value for value in fields.values() if any(each in value.lower() for each in telling)]


def test_the_access_log_goes_to_a_log_group_of_the_bundle(bundle: Bundle, stage: dict[str, Any]) -> None:
    destination = stage["AccessLogSettings"]["DestinationArn"]
    assert bundle.named("Arn", destination, {"AWS::Logs::LogGroup"}) == "ApiLogs"


def test_only_the_shops_own_pages_may_call_with_cookies(bundle: Bundle) -> None:
    (api,) = bundle.of_type("AWS::ApiGatewayV2::Api").values()
    cors = api["Body"]["x-amazon-apigateway-cors"]
    assert cors["allowOrigins"] == ["https://www.example.com"]
    assert cors["allowCredentials"] is True
    assert "idempotency-key" in cors["allowHeaders"]


@pytest.mark.parametrize("further", ["https://a.example", "https://a.example,https://b.example:8443", THREE])
def test_further_origins_are_allowed_in_front_and_told_to_the_functions(further: str) -> None:
    bundle = deploy({**configured_parameters("prod"), "FurtherOrigins": further})
    (api,) = bundle.of_type("AWS::ApiGatewayV2::Api").values()
    cors = api["Body"]["x-amazon-apigateway-cors"]
    assert cors["allowOrigins"] == ["https://www.example.com", *further.split(",")]
    assert cors["allowCredentials"] is True
    for name, function in bundle.of_type("AWS::Lambda::Function").items():
        assert function["Environment"]["Variables"]["ALLOWED_ORIGINS"] == further, name


def test_every_route_is_throttled_and_guessing_is_throttled_harder(
    bundle: Bundle, stage: dict[str, Any]
) -> None:
    usual = stage["DefaultRouteSettings"]
    assert usual["ThrottlingRateLimit"] > 0
    assert usual["ThrottlingBurstLimit"] > 0
    slower = stage["RouteSettings"]
    assert {"POST /api/auth/login", "POST /api/auth/forgot-password"} <= slower.keys()
    assert all(each["ThrottlingRateLimit"] < usual["ThrottlingRateLimit"] for each in slower.values())
    (api,) = bundle.of_type("AWS::ApiGatewayV2::Api").values()
    listed = {
        f"{method.upper()} {path}" for path, methods in api["Body"]["paths"].items() for method in methods
    }
    assert slower.keys() <= listed  # a key without a route fails the deployment


def test_the_stage_is_the_default_one_so_that_paths_have_no_prefix(stage: dict[str, Any]) -> None:
    assert stage["StageName"] == "$default"

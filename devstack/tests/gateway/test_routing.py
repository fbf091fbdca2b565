"""Routes are those of the template, the most specific first; CORS is API Gateway's own."""

import httpx
import pytest

from devstack.gateway import TemplateError
from devstack.gateway.application import Route
from devstack.gateway.routes import RouteTable

ORIGIN = "https://shop.example"


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/things/fixed", "GET /things/fixed"),
        ("GET", "/things/f%69xed", "GET /things/fixed"),
        ("GET", "/things/other", "GET /things/{id}"),
        ("GET", "/things/fixed/deep", "GET /things/{path+}"),
        ("GET", "/things/a%2Fb", "GET /things/{id}"),
        ("DELETE", "/things/fixed", "ANY /things/{id}"),
        ("OPTIONS", "/things/other", "ANY /things/{id}"),
    ],
)
def test_the_most_specific_route_takes_the_request(
    http: httpx.Client, method: str, path: str, key: str
) -> None:
    assert http.request(method, path).json()["routeKey"] == key


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", "/things/fixed/deep"),
        ("GET", "/act/echo"),
        ("HEAD", "/broken"),
        ("OPTIONS", "/broken"),
        ("GET", "/broken/"),
        ("GET", "/echo/"),
    ],
)
def test_a_route_that_the_template_lacks_is_404(http: httpx.Client, method: str, path: str) -> None:
    response = http.request(method, path)
    assert response.status_code == 404
    if method != "HEAD":
        assert response.json() == {"message": "Not Found"}


def test_head_reaches_an_any_route_and_has_no_body(http: httpx.Client) -> None:
    response = http.head("/echo/x")
    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 0
    assert response.content == b""


def test_the_default_route_takes_requests_that_match_no_other() -> None:
    table = RouteTable([Route("Rest", "ANY", None), Route("One", "GET", "/one")])
    found = [
        table.match(method, path) for method, path in (("GET", "/one"), ("POST", "/one"), ("GET", "/two"))
    ]
    assert [match.route.key if match else None for match in found] == ["GET /one", "$default", "$default"]


def test_the_same_route_twice_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"GET /things/\{name\} is there twice"):
        RouteTable([Route("One", "GET", "/things/{id}"), Route("Two", "GET", "/things/{name}")])


def test_a_preflight_from_an_allowed_origin_is_answered_without_the_function(http: httpx.Client) -> None:
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "Content-Type",
    }
    response = http.options("/broken", headers=headers)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"] == "GET,POST"
    assert response.headers["access-control-allow-headers"] == "content-type"
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["access-control-max-age"] == "60"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        {"Origin": ORIGIN, "Access-Control-Request-Method": "DELETE"},
        {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-odd"},
    ],
)
def test_a_preflight_for_what_is_not_allowed_grants_nothing(
    http: httpx.Client, headers: dict[str, str]
) -> None:
    response = http.options("/things/1", headers=headers)
    assert response.status_code == 204
    assert not [name for name in response.headers if name.startswith("access-control-")]


def test_cors_headers_of_the_function_are_replaced_by_the_apis(http: httpx.Client) -> None:
    answer = {"statusCode": 200, "headers": {"access-control-allow-origin": "*"}, "body": ""}
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://evil.example", None)):
        response = http.post("/act/answer", json={"answer": answer}, headers={"Origin": origin})
        assert response.headers.get("access-control-allow-origin") == allowed
        assert response.headers.get("access-control-expose-headers") == (allowed and "x-total")

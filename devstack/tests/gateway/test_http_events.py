"""Requests become API Gateway events (payload 2.0), answers become responses."""

import base64
from typing import Any

import httpx
import pytest


def event_for(http: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    response = http.request(method, path, **options)
    assert response.status_code == 200, response.text
    event: dict[str, Any] = response.json()
    return event


def answer_for(http: httpx.Client, answer: Any) -> httpx.Response:
    return http.post("/act/answer", json={"answer": answer})


def test_the_event_has_api_gateways_fields_of_a_request(http: httpx.Client) -> None:
    event = event_for(http, "GET", "/things/12?colour=red", headers={"User-Agent": "probe", "X-Odd": "Yes"})
    assert event["version"] == "2.0"
    assert event["routeKey"] == "GET /things/{id}"
    assert event["rawPath"] == "/things/12"
    assert event["rawQueryString"] == "colour=red"
    assert event["pathParameters"] == {"id": "12"}
    assert event["headers"]["x-odd"] == "Yes"
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert event["isBase64Encoded"] is False
    assert "body" not in event
    assert "cookies" not in event
    context = event["requestContext"]
    assert context["http"] == {
        "method": "GET",
        "path": "/things/12",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "probe",
    }
    assert context["stage"] == "$default"
    assert context["domainName"] == "127.0.0.1"
    assert context["timeEpoch"] > 1_700_000_000_000
    assert context["requestId"]


def test_a_repeated_query_parameter_is_joined_by_commas(http: httpx.Client) -> None:
    event = event_for(http, "GET", "/things/1?tag=a&tag=b%20c&empty=&plus=1+1")
    assert event["queryStringParameters"] == {"tag": "a,b c", "empty": "", "plus": "1 1"}
    assert event["rawQueryString"] == "tag=a&tag=b%20c&empty=&plus=1+1"


def test_cookies_are_a_list_and_not_a_header(http: httpx.Client) -> None:
    event = event_for(http, "GET", "/things/1", headers={"Cookie": "sb:token=abc=; other=2"})
    assert event["cookies"] == ["sb:token=abc=", "other=2"]
    assert "cookie" not in event["headers"]


def test_a_repeated_header_is_joined_by_commas(http: httpx.Client) -> None:
    event = event_for(http, "GET", "/things/1", headers=[("X-Many", "one"), ("x-many", "two")])
    assert event["headers"]["x-many"] == "one,two"


def test_raw_path_and_path_parameters_are_decoded_once(http: httpx.Client) -> None:
    event = event_for(http, "GET", "/echo/caf%C3%A9%20au%2520lait/a%2Fb")
    assert event["rawPath"] == "/echo/café au%20lait/a/b"
    assert event["pathParameters"] == {"path": "café au%20lait/a/b"}


@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-8", "application/xml"])
def test_a_text_body_stays_text(http: httpx.Client, kind: str) -> None:
    event = event_for(http, "POST", "/echo/x", content="grüße".encode(), headers={"Content-Type": kind})
    assert (event["body"], event["isBase64Encoded"]) == ("grüße", False)
    assert event["headers"]["content-length"] == "7"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("model/stl", b"solid"),
        ("application/x-www-form-urlencoded", b"a=1"),
        ("application/json", b"\xff\x00"),
    ],
)
def test_any_other_body_is_base64(http: httpx.Client, kind: str, content: bytes) -> None:
    event = event_for(http, "POST", "/echo/x", content=content, headers={"Content-Type": kind})
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == content


def test_answer_sets_status_headers_and_each_cookie(http: httpx.Client) -> None:
    answer = {
        "statusCode": 201,
        "headers": {"Content-Type": "text/csv", "X-Total": 3},
        "cookies": ["a=1; HttpOnly", "b=2; Path=/"],
        "body": "x;y",
    }
    response = answer_for(http, answer)
    assert (response.status_code, response.text) == (201, "x;y")
    assert response.headers["content-type"] == "text/csv"
    assert response.headers["x-total"] == "3"
    assert response.headers.get_list("set-cookie") == ["a=1; HttpOnly", "b=2; Path=/"]
    assert response.headers["apigw-requestid"]


def test_a_base64_answer_arrives_as_bytes(http: httpx.Client) -> None:
    body = base64.b64encode(b"%PDF\x00\xff").decode()
    response = answer_for(
        http,
        {
            "statusCode": 200,
            "headers": {"content-type": "application/pdf"},
            "body": body,
            "isBase64Encoded": True,
        },
    )
    assert response.content == b"%PDF\x00\xff"


def test_an_answer_without_a_status_is_200_json(http: httpx.Client) -> None:
    response = answer_for(http, {"figures": [1, 2]})
    assert (response.status_code, response.json()) == (200, {"figures": [1, 2]})
    assert response.headers["content-type"] == "application/json"


def test_an_empty_answer_has_no_body(http: httpx.Client) -> None:
    response = answer_for(http, {"statusCode": 204, "headers": {}, "body": ""})
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "abc"},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "?", "isBase64Encoded": True},
    ],
)
def test_a_malformed_answer_is_500(http: httpx.Client, answer: dict[str, Any]) -> None:
    response = answer_for(http, answer)
    assert (response.status_code, response.json()) == (500, {"message": "Internal Server Error"})


def test_an_exception_in_the_handler_is_500(http: httpx.Client) -> None:
    response = http.post("/act/raise", json={})
    assert (response.status_code, response.json()) == (500, {"message": "Internal Server Error"})


def test_a_handler_that_does_not_load_is_500(http: httpx.Client) -> None:
    response = http.get("/broken")
    assert (response.status_code, response.json()) == (500, {"message": "Internal Server Error"})

"""The limits of API Gateway and Lambda: sizes and times."""

import httpx
import pytest

from devstack.gateway import FunctionError, Gateway

MB = 1024 * 1024


def test_a_body_over_10_mb_is_413(http: httpx.Client) -> None:
    response = http.post("/echo/x", content=b"x" * (10 * MB + 1), headers={"Content-Type": "text/plain"})
    assert (response.status_code, response.json()) == (413, {"message": "Request Entity Too Large"})


def test_an_event_over_6_mb_is_413(http: httpx.Client) -> None:
    # Base64 makes 6.7 MB of 5 MB.
    response = http.post("/echo/x", content=b"\x00" * (5 * MB), headers={"Content-Type": "model/stl"})
    assert (response.status_code, response.json()) == (413, {"message": "Request Entity Too Large"})


def test_an_event_just_below_6_mb_arrives(http: httpx.Client) -> None:
    content = b'{"answer": "' + b"x" * (6 * MB - 4000) + b'", "act": "count"}'
    response = http.post("/act/count", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 200


def test_an_answer_over_6_mb_is_500_and_the_next_one_arrives(http: httpx.Client, gateway: Gateway) -> None:
    response = http.post("/act/large", json={"bytes": 6 * MB + 200})
    assert (response.status_code, response.json()) == (500, {"message": "Internal Server Error"})
    with pytest.raises(FunctionError) as failure:
        gateway.invoke("Shop", {"act": "large", "bytes": 6 * MB + 200})
    assert failure.value.error_type == "Function.ResponseSizeTooLarge"
    assert len(http.post("/act/large", json={"bytes": 6 * MB - 100}).text) > 6 * MB - 200


def test_a_function_slower_than_the_integration_is_503(http: httpx.Client) -> None:
    response = http.post("/slow", json={})
    assert (response.status_code, response.json()) == (503, {"message": "Service Unavailable"})


def test_a_function_past_its_timeout_is_ended_and_answers_timed_out(gateway: Gateway) -> None:
    first = gateway.invoke("Single", {"act": "count"})
    with pytest.raises(FunctionError, match=r"Task timed out after 1\.00 seconds") as failure:
        gateway.invoke("Single", {"act": "sleep", "seconds": 10})
    assert failure.value.error_type == "Sandbox.Timedout"
    second = gateway.invoke("Single", {"act": "count"})
    assert second["pid"] != first["pid"]
    assert second["served"] == 1

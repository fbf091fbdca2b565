"""The log as it leaves the process: one JSON line an event, nothing secret in it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from printshop.kernel.redaction import MASK, redact

LAYER = Path(__file__).parents[3] / "layers" / "common"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl"
PROGRAM = f"""
from printshop.kernel.log import get_logger

log = get_logger()
log.begin("request-1", route="pay")
log.info(scope="stripe.session", message="Checkout session created", data={{"invoiceId": 7}})
log.begin("request-2")
log.info(scope="supabase.connect")
log.warn(scope="pdf.render", message="Slow", error=TimeoutError("no answer"), data={{"ms": 9000}})
try:
    raise ValueError("refused {JWT} of joe@example.com by sk_live_abc123")
except ValueError as error:
    log.error(scope="http.defect", error=error)
data = {{"key": "whsec_abc", "password": "hunter2"}}
log.info(scope="auth.token", message="got {JWT} for joe@example.com", data=data)
"""


def run(**environment: str) -> list[dict[str, Any]]:
    """What a process writes on its standard output."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(LAYER), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return run()


def test_an_event_is_one_json_line_with_scope_message_and_data(lines: list[dict[str, Any]]) -> None:
    assert len(lines) == 5
    first = lines[0]
    assert (first["level"], first["scope"], first["message"]) == (
        "INFO",
        "stripe.session",
        "Checkout session created",
    )
    assert first["data"] == {"invoiceId": 7}
    assert first["service"] == "printshop"
    assert first["timestamp"].endswith("+0000")


def test_an_event_without_a_message_is_named_by_its_scope(lines: list[dict[str, Any]]) -> None:
    assert lines[1]["message"] == lines[1]["scope"] == "supabase.connect"
    assert "data" not in lines[1]


def test_a_warning_carries_its_error(lines: list[dict[str, Any]]) -> None:
    warning = lines[2]
    assert (warning["level"], warning["data"]) == ("WARNING", {"ms": 9000})
    assert warning["error"] == {"type": "TimeoutError", "message": "no answer"}


def test_an_error_carries_its_trace(lines: list[dict[str, Any]]) -> None:
    assert lines[3]["level"] == "ERROR"
    assert lines[3]["error"]["type"] == "ValueError"
    assert "Traceback" in lines[3]["exception"]


def test_the_lines_of_a_request_share_its_correlation_id_and_nothing_of_the_one_before(
    lines: list[dict[str, Any]],
) -> None:
    assert [line["correlation_id"] for line in lines] == ["request-1", *["request-2"] * 4]
    assert [line.get("route") for line in lines] == ["pay", None, None, None, None]


@pytest.mark.parametrize("secret", [JWT, "sk_live_abc123", "whsec_abc", "hunter2", "joe@example.com"])
def test_no_line_carries_a_secret(lines: list[dict[str, Any]], secret: str) -> None:
    assert [line["scope"] for line in lines if secret in json.dumps(line)] == []


def test_the_level_is_set_by_the_environment() -> None:
    levels = [line["level"] for line in run(LOG_LEVEL="WARNING", POWERTOOLS_SERVICE_NAME="pay")]
    assert levels == ["WARNING", "ERROR"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Bearer {JWT}", f"Bearer {MASK}"),
        ("key sk_live_4eC39HqLyjW", f"key {MASK}"),
        ("key rk_test_4eC39HqLyjW", f"key {MASK}"),
        ("key whsec_4eC39HqLyjW", f"key {MASK}"),
        ("key sb_secret_4eC39HqLyjW", f"key {MASK}"),
        (
            "https://h/object/sign/tmp/1/a.stl?token=abc.def",
            f"https://h/object/sign/tmp/1/a.stl?token={MASK}",
        ),
        (
            "https://h/verify?type=recovery&token_hash=abc",
            f"https://h/verify?type=recovery&token_hash={MASK}",
        ),
        ("https://shop.example/api/pay/0123abcd", f"https://shop.example/api/pay/{MASK}"),
        ("/api/public/quotes/0123abcd/accept", f"/api/public/quotes/{MASK}/accept"),
        ("to joe.smith+shop@mail.example.com now", "to j***@mail.example.com now"),
        ("invoice INV-0001 of client 7", "invoice INV-0001 of client 7"),
    ],
)
def test_a_secret_is_masked_by_its_look(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "name",
    ["password", "newPassword", "access_token", "refreshToken", "Authorization", "cookie", "Set-Cookie",
     "apikey", "api_key", "stripe-signature", "client_secret", "payToken", "privateKey"],
)  # fmt: skip
def test_a_secret_is_masked_by_the_name_of_its_field(name: str) -> None:
    assert redact({"outer": [{name: "plain words"}]}) == {"outer": [{name: MASK}]}


def test_what_is_no_secret_stays_as_it_is() -> None:
    data = {"invoiceId": 7, "ok": True, "ms": 1.5, "none": None, "keys": ["7/uuid/bunny.stl"]}
    assert redact(data) == data


def test_bytes_are_counted_not_written() -> None:
    assert redact({"body": b"\x00" * 12}) == {"body": "<12 bytes>"}


LIBRARY = f"""
import logging
import sys

if "handler" in sys.argv:  # as Lambda's runtime has one before it imports a function
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
from printshop.kernel.log import get_logger

log = get_logger()
try:
    raise ValueError("refused {JWT} of joe@example.com by sk_live_abc123")
except ValueError:
    logging.getLogger("mangum.http").exception("An error occurred for %s.", "joe@example.com")


@log.defects("janitor.defect")
def handler():
    raise ValueError("refused {JWT} of joe@example.com by sk_live_abc123")


handler()
"""


@pytest.mark.parametrize("arguments", [["handler"], []])
def test_what_a_library_and_the_runtime_write_of_a_defect_is_masked_as_well(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(LAYER)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    written = done.stdout + done.stderr
    assert done.returncode == 1
    assert "An error occurred for j***@example.com." in written
    assert written.count(f"ValueError: refused {MASK} of j***@example.com by {MASK}") == 2
    assert "DefectError: ValueError; see the log, scope janitor.defect" in done.stderr
    assert [text for text in (JWT, "joe@", "sk_live_abc123") if text in written] == []

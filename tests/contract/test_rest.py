"""PostgREST's wire, as far as the product uses it: functions called by rpc."""

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from postgrest import SyncPostgrestClient
from postgrest.exceptions import APIError

from devstack.testing.supabase import Target

from .conftest import User

Rpc = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def rpc(target: Target, functions: None, http: httpx.Client) -> Rpc:
    def call(function: str, /, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        url = f"{target.url}/rest/v1/rpc/contract_{function}"
        return http.post(url, headers=headers or target.headers(), json=params)

    return call


@pytest.fixture
def name() -> str:
    return secrets.token_hex(8)


def test_rows_carry_iso_timestamps_and_json_numbers(rest: SyncPostgrestClient, name: str) -> None:
    rest.rpc("contract_add_parent", {"p_name": name}).execute()
    rows: Any = rest.rpc("contract_parents", {}).execute().data
    row = next(row for row in rows if row["name"] == name)
    assert row["made_at"] == "2026-01-02T03:04:05.678+00:00"
    assert row["local_time"] == "2026-01-02T03:04:05"
    assert row["due"] == "2026-01-31"
    assert row["weight"] == 1.5


def test_numeric_with_trailing_zeros_is_a_number(rpc: Rpc, name: str) -> None:
    rpc("add_parent", p_name=name)
    assert re.search(r'"weight":1\.50*[,}]', rpc("parents").text)


def test_jsonb_comes_back_as_the_function_made_it(rest: SyncPostgrestClient, name: str) -> None:
    params: Any = {"p_name": name, "p_amount": 3}
    answer: Any = rest.rpc("contract_add_parent", params).execute().data
    assert answer["at"] == "2026-01-02T03:04:05.678+00:00"
    assert answer["weight"] == 1.5
    assert isinstance(answer["id"], int)


def test_arguments_arrive_by_name_with_defaults(rpc: Rpc) -> None:
    answer = rpc("echo", p_json={"a": [1, None, "ü"]}, p_numbers=[1, 2])
    assert answer.json() == {"json": {"a": [1, None, "ü"]}, "numbers": [1, 2], "text": "none"}


@pytest.mark.parametrize("value", ["text", '{"a": 1}', "", 1, 1.5, True, [], {"a": {"b": [{}]}}])
def test_a_json_argument_is_the_value_that_was_sent(rpc: Rpc, value: object) -> None:
    assert rpc("echo", p_json=value, p_numbers=[]).json()["json"] == value


def test_null_true_and_void_answers(rpc: Rpc) -> None:
    assert (rpc("null").status_code, rpc("null").json()) == (200, None)
    assert rpc("true").json() is True
    assert (rpc("void").status_code, rpc("void").content) == (204, b"")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("PT400", 400),
        ("PT404", 404),
        ("PT409", 409),
        ("PT422", 422),
        ("PT503", 503),
        ("P0001", 400),
        ("P0002", 500),
        ("22P02", 400),
        ("22023", 400),
        ("23502", 400),
        ("23503", 409),
        ("23505", 409),
        ("23514", 400),
        ("40001", 500),
        ("40P01", 500),
        ("42501", 403),
        ("53300", 503),
        ("55P03", 500),
        ("57014", 500),
        ("XX000", 500),
        ("ZZ123", 400),
    ],
)
def test_a_raised_sqlstate_keeps_its_code_and_gets_its_documented_status(
    rpc: Rpc, state: str, status: int
) -> None:
    answer = rpc("raise", p_state=state)
    assert answer.status_code == status
    assert answer.json()["code"] == state
    assert answer.json()["message"] == "a sentence"
    assert answer.json()["details"] == "a detail"


def test_the_client_library_reads_the_error(rest: SyncPostgrestClient) -> None:
    with pytest.raises(APIError) as caught:
        rest.rpc("contract_raise", {"p_state": "PT409"}).execute()
    assert (caught.value.code, caught.value.message) == ("PT409", "a sentence")
    assert (caught.value.details, caught.value.hint) == ("a detail", "a hint")


def test_a_unique_violation_is_409_with_the_key_in_its_details(rpc: Rpc, name: str) -> None:
    assert rpc("add_parent", p_name=name).status_code == 200
    answer = rpc("add_parent", p_name=name)
    assert (answer.status_code, answer.json()["code"]) == (409, "23505")
    assert name in answer.json()["details"]


def test_a_missing_parent_is_409_and_a_failed_check_400(rpc: Rpc, name: str) -> None:
    assert (rpc("orphan").status_code, rpc("orphan").json()["code"]) == (409, "23503")
    answer = rpc("add_parent", p_name=name, p_amount=0)
    assert (answer.status_code, answer.json()["code"]) == (400, "23514")


def test_what_a_raising_function_wrote_is_gone(rpc: Rpc, database: psycopg.Connection, name: str) -> None:
    rpc("add_parent", p_name=name, p_amount=0)
    row = database.execute("select count(*) from public.contract_parent where name = %s", [name]).fetchone()
    assert row == (0,)


def test_a_deferred_check_refuses_at_commit(rpc: Rpc, database: psycopg.Connection, name: str) -> None:
    answer = rpc("add_parent", p_name=f"refused-{name}")
    assert (answer.status_code, answer.json()["code"]) == (422, "PT422")
    row = database.execute(
        "select count(*) from public.contract_parent where name = %s", [f"refused-{name}"]
    ).fetchone()
    assert row == (0,)


def test_an_unknown_function_is_404_pgrst202(rpc: Rpc) -> None:
    answer = rpc("nowhere", p_x=1)
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST202")


def test_an_unreadable_body_is_400(target: Target, functions: None, http: httpx.Client) -> None:
    headers = {**target.headers(), "Content-Type": "application/json"}
    url = f"{target.url}/rest/v1/rpc/contract_raise"
    assert http.post(url, headers=headers, content=b"{").status_code == 400


def test_the_service_role_runs_under_the_timeouts_of_authenticator(rpc: Rpc) -> None:
    answer = rpc("whoami").json()
    assert (answer["role"], answer["login"]) == ("service_role", "authenticator")
    assert (answer["statement_timeout"], answer["lock_timeout"]) == ("8s", "8s")


def test_a_statement_over_its_roles_timeout_is_cancelled(rpc: Rpc, target: Target) -> None:
    began = time.monotonic()
    answer = rpc("sleep", headers=target.headers(target.publishable_key), p_seconds=6)
    assert (answer.status_code, answer.json()["code"]) == (500, "57014")
    assert 2 < time.monotonic() - began < 5


def test_only_what_was_granted_can_be_called(rpc: Rpc, target: Target) -> None:
    refused = rpc("ungranted")
    assert (refused.status_code, refused.json()["code"]) == (403, "42501")
    anonymous = rpc("null", headers=target.headers(target.publishable_key))
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "42501")


def test_only_what_was_granted_can_be_read(rpc: Rpc, target: Target, http: httpx.Client) -> None:
    peek = rpc("peek")
    assert (peek.status_code, peek.json()["code"]) == (403, "42501")
    url = f"{target.url}/rest/v1/contract_parent"
    assert http.get(url, headers=target.headers()).status_code == 200
    assert http.get(url, headers=target.headers(target.publishable_key)).status_code == 401
    assert http.delete(f"{url}?id=eq.1", headers=target.headers()).status_code == 403


def test_a_users_token_is_the_role_and_the_user(
    rpc: Rpc, target: Target, user: User, http: httpx.Client
) -> None:
    login = http.post(
        f"{target.url}/auth/v1/token?grant_type=password",
        headers=target.headers(target.publishable_key),
        json={"email": user.email, "password": user.password},
    ).json()
    headers = target.headers(target.publishable_key, login["access_token"])
    answer = rpc("whoami", headers=headers).json()
    assert (answer["role"], answer["sub"]) == ("authenticated", user.id)
    assert answer["statement_timeout"] == "8s"
    denied = rpc("null", headers=headers)
    assert (denied.status_code, denied.json()["code"]) == (403, "42501")


def test_a_call_without_a_good_key_is_401(rpc: Rpc) -> None:
    assert rpc("whoami", headers={"accept": "application/json"}).status_code == 401
    assert rpc("whoami", headers={"apikey": "sb_secret_wrong"}).status_code == 401


def test_a_forged_token_is_401(rpc: Rpc, target: Target) -> None:
    forged = (
        "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )
    answer = rpc("whoami", headers={"apikey": target.publishable_key, "Authorization": f"Bearer {forged}"})
    assert answer.status_code == 401

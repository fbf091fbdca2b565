"""Calls of SQL functions are compared with the functions that the schemas declare."""

import pytest

from scripts.sql_calls import Signature, calls, declared, problems

SIGNATURES = {
    "get_thing": Signature(frozenset({"p_id", "p_limit"}), frozenset({"p_id"})),
    "void_thing": Signature(frozenset({"p_id"}), frozenset({"p_id"})),
}


def found(source: str) -> list[str]:
    return [problem for call in calls(source, "a.py") for problem in problems(call, SIGNATURES)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('database.call("get_thing", p_id=1)', []),
        ('self._database.call("get_thing", p_id=1, p_limit=2)', []),
        ('services.database.call("get_thing", **values)', []),
        ('database.call("no_thing", p_id=1)', ["a.py:1: there is no SQL function no_thing"]),
        ('database.call("get_thing", p_idd=1)',
         ["a.py:1: get_thing has no parameter p_idd", "a.py:1: get_thing needs p_id"]),
        ('services.database.call("get_thing", p_name=1, **values)', ["a.py:1: get_thing has no parameter p_name"]),
        ('database.call("get_thing", p_limit=2)', ["a.py:1: get_thing needs p_id"]),
        ('database.call("get_thing" if a else "void_thing", p_id=1, p_limit=1)',
         ["a.py:1: void_thing has no parameter p_limit"]),
        ('client.call("anything")', []),
    ],
)  # fmt: skip
def test_a_call_that_postgresql_would_refuse_is_found(source: str, expected: list[str]) -> None:
    assert sorted(found(source)) == expected


def test_a_function_named_by_a_variable_is_checked_for_each_text_of_its_literal_type() -> None:
    act = "def act(function: Literal['get_thing', 'void_thing']) -> None:"
    source = f"{act}\n    database.call(function, p_limit=1)\n"
    assert sorted(found(source)) == [
        "a.py:2: get_thing needs p_id",
        "a.py:2: void_thing has no parameter p_limit",
        "a.py:2: void_thing needs p_id",
    ]


def test_a_function_named_by_a_variable_without_a_literal_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.py:1: name the SQL function as text, or annotate `name`"):
        found("database.call(name, p_id=1)")


def test_defaults_and_output_parameters_need_not_be_named() -> None:
    signatures = declared()
    assert signatures["get_request_context"].required == {"p_auth_user_id", "p_session_id", "p_issued_at"}
    assert signatures["invoice_print_totals"].parameters == {"p_invoice_id"}
    assert signatures["log_activity"].required >= {"client", "message"}
    assert "metadata" not in signatures["log_activity"].required

"""The judge of roles itself, on a small template of its own."""

from typing import Any

import pytest

from tests.template.bundle import Bundle
from tests.template.roles import Roles, allowed, load_roles

ACCOUNT = "123456789012"


def template(*statements: dict[str, Any], managed: list[Any] | None = None) -> dict[str, Any]:
    """One function, one queue, one policy that may be attached to its role."""
    policy = {"PolicyName": "own", "PolicyDocument": {"Statement": list(statements)}}
    return {
        "Resources": {
            "Orders": {"Type": "AWS::SQS::Queue"},
            "Worker": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"Role": {"Fn::GetAtt": ["WorkerRole", "Arn"]}},
            },
            "WorkerRole": {
                "Type": "AWS::IAM::Role",
                "Properties": {"Policies": [policy], "ManagedPolicyArns": managed or []},
            },
            "Purge": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "PolicyDocument": {
                        "Statement": allow("sqs:PurgeQueue", {"Fn::GetAtt": ["Orders", "Arn"]})
                    }
                },
            },
        }
    }


def allow(action: Any, resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def roles(*statements: dict[str, Any], managed: list[Any] | None = None) -> Roles:
    return Roles(Bundle(template(*statements, managed=managed), {}, "shop"))


SEND = allow(["sqs:SendMessage"], {"Fn::GetAtt": ["Orders", "Arn"]})


@pytest.mark.parametrize(
    "resource",
    [
        "Orders",
        "shop-Orders",
        f"arn:aws:sqs:ap-southeast-2:{ACCOUNT}:shop-Orders",
        "arn:aws:sqs:us-east-1:000000000000:shop-Orders",
        f"http://127.0.0.1:5000/{ACCOUNT}/shop-Orders",
    ],
)
def test_a_queue_is_known_by_id_name_arn_and_url(resource: str) -> None:
    assert roles(SEND).allowed("Worker", "sqs:SendMessage", resource)


def test_another_queue_is_refused() -> None:
    assert not roles(SEND).allowed("Worker", "sqs:SendMessage", "shop-Orders2")


def test_another_action_is_refused() -> None:
    assert not roles(SEND).allowed("Worker", "sqs:DeleteMessage", "Orders")


def test_actions_compare_without_case() -> None:
    assert roles(SEND).allowed("Worker", "SQS:sendmessage", "Orders")


def test_without_a_statement_everything_is_refused() -> None:
    assert not roles().allowed("Worker", "sqs:SendMessage", "Orders")


def test_a_denial_beats_a_permission() -> None:
    denial = {"Effect": "Deny", "Action": "sqs:Send*", "Resource": "*"}
    assert not roles(SEND, denial).allowed("Worker", "sqs:SendMessage", "Orders")


def test_an_attached_policy_of_the_template_counts() -> None:
    with_policy = roles(SEND, managed=[{"Ref": "Purge"}])
    assert with_policy.allowed("Worker", "sqs:PurgeQueue", "Orders")
    assert not roles(SEND).allowed("Worker", "sqs:PurgeQueue", "Orders")


def test_a_question_mark_stands_for_one_character() -> None:
    secret = allow(
        "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:ap-southeast-2:{ACCOUNT}:secret:a-??????"
    )
    assert roles(secret).allowed("Worker", "secretsmanager:GetSecretValue", "a")
    assert not roles(secret).allowed("Worker", "secretsmanager:GetSecretValue", "ab")


def test_a_policy_of_aws_is_refused_because_it_cannot_be_read_here() -> None:
    with pytest.raises(ValueError, match="AdministratorAccess"):
        roles(managed=["arn:aws:iam::aws:policy/AdministratorAccess"])


def test_a_statement_with_conditions_is_refused_because_it_cannot_be_judged_here() -> None:
    with pytest.raises(ValueError, match="Condition"):
        roles({**SEND, "Condition": {"Bool": {"aws:SecureTransport": "true"}}})


def test_a_function_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        roles(SEND).allowed("Nobody", "sqs:SendMessage", "Orders")


def test_the_template_lets_quick_order_send_and_nobody_else_of_the_gateway() -> None:
    assert allowed("QuickOrderFunction", "sqs:SendMessage", "SliceQueue")
    assert not allowed("PayFunction", "sqs:SendMessage", "SliceQueue")
    assert load_roles("printshop/x").allowed("PayFunction", "secretsmanager:GetSecretValue", "printshop/x")

"""Invocation by name, schedules, and the record of calls to AWS."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from devstack.aws import REGION, Aws
from devstack.gateway import Gateway, GatewayError, TemplateError
from devstack.gateway.invocations import Answer
from devstack.gateway.schedules import Rate, event_of, fire, parse


@pytest.fixture
def lambda_client(gateway: Gateway) -> Iterator[Any]:
    client = boto3.client(
        "lambda",
        region_name=REGION,
        endpoint_url=gateway.invoke_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    yield client
    client.close()


@pytest.mark.parametrize(
    "name", ["Shop", "local-Shop", f"arn:aws:lambda:{REGION}:123456789012:function:local-Shop"]
)
def test_a_function_is_invoked_by_id_name_or_arn(gateway: Gateway, name: str) -> None:
    assert gateway.invoke(name, {"x": 1}) == {"x": 1}


def test_an_unknown_function_is_named(gateway: Gateway) -> None:
    with pytest.raises(GatewayError, match="no function Nobody"):
        gateway.invoke("Nobody")


def test_boto3_invokes_a_function(lambda_client: Any) -> None:
    answer = lambda_client.invoke(FunctionName="Shop", Payload=json.dumps({"x": 1}))
    assert json.load(answer["Payload"]) == {"x": 1}
    assert "FunctionError" not in answer


def test_boto3_receives_a_functions_error(lambda_client: Any) -> None:
    answer = lambda_client.invoke(FunctionName="Shop", Payload=json.dumps({"act": "raise"}))
    assert answer["FunctionError"] == "Unhandled"
    error = json.load(answer["Payload"])
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "the printer is on fire")


def test_boto3_receives_an_error_for_an_unknown_function(lambda_client: Any) -> None:
    with pytest.raises(ClientError) as failure:
        lambda_client.invoke(FunctionName="Nobody")
    assert failure.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_schedule_fires_by_name_with_its_own_input(gateway: Gateway) -> None:
    assert gateway.fire("Shop") == {"act": "echo", "swept": True}


def test_a_schedule_without_input_sends_the_schedulers_event(gateway: Gateway) -> None:
    schedule = gateway.application.schedules[0]
    event = json.loads(event_of(replace(schedule, input=None), datetime(2026, 5, 1, tzinfo=UTC)))
    assert event["source"] == "aws.scheduler"
    assert event["detail-type"] == "Scheduled Event"
    assert event["time"] == "2026-05-01T00:00:00Z"


FRIDAY = datetime(2026, 5, 1, 23, 50, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "time"),
    [
        ("cron(0/15 * * * ? *)", datetime(2026, 5, 2, 0, 0, tzinfo=UTC)),
        ("cron(30 8 ? * MON-FRI *)", datetime(2026, 5, 4, 8, 30, tzinfo=UTC)),
        ("cron(0 3 1 * ? *)", datetime(2026, 6, 1, 3, 0, tzinfo=UTC)),
        ("cron(0 0 29 FEB ? *)", datetime(2028, 2, 29, 0, 0, tzinfo=UTC)),
        ("rate(1 hour)", FRIDAY + timedelta(hours=1)),
    ],
)
def test_a_schedule_names_its_next_time(expression: str, time: datetime) -> None:
    assert parse(expression).after(FRIDAY) == time


@pytest.mark.parametrize("expression", ["cron(61 * * * ? *)", "cron(0 0 L * ? *)", "rate(1 year)", "daily"])
def test_an_unsupported_schedule_is_refused(expression: str) -> None:
    with pytest.raises(TemplateError):
        parse(expression)


def test_a_schedule_fires_again_and_again(gateway: Gateway) -> None:
    schedule = gateway.application.schedules[0]
    fired: list[tuple[str, bytes]] = []

    async def invoke(function: str, event: bytes) -> Answer:
        fired.append((function, event))
        return Answer(b"null")

    async def a_while() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await fire(schedule, Rate(timedelta(milliseconds=100)), invoke, lambda *_: None)

    asyncio.run(a_while())
    assert 2 <= len(fired) <= 5
    assert set(fired) == {("Shop", b'{"act": "echo", "swept": true}')}


def test_every_aws_call_is_recorded_with_function_action_and_resource(aws: Aws, gateway: Gateway) -> None:
    gateway.invoke("Shop", {"act": "send"})
    calls = [call for call in aws.calls() if call["function"] == "Shop" and call["action"] == "SendMessage"]
    assert calls[-1]["service"] == "sqs"
    assert calls[-1]["resource"] == f"arn:aws:sqs:{REGION}:123456789012:local-Orders"


def test_the_pollers_calls_are_recorded_as_its_functions(aws: Aws, gateway: Gateway) -> None:
    calls = {(call["function"], call["action"]) for call in aws.calls()}
    assert ("Worker", "ReceiveMessage") in calls


def test_mail_lands_in_the_outbox(aws: Aws) -> None:
    ses = aws.client("ses")
    ses.verify_email_identity(EmailAddress="shop@example.com")
    ses.send_email(
        Source="shop@example.com",
        Destination={"ToAddresses": ["buyer@example.com"]},
        Message={"Subject": {"Data": "Invoice"}, "Body": {"Text": {"Data": "Thank you."}}},
    )
    raw = b"From: shop@example.com\r\nTo: buyer@example.com\r\nSubject: Quote\r\n\r\nHello."
    ses.send_raw_email(
        Source="shop@example.com", Destinations=["buyer@example.com"], RawMessage={"Data": raw}
    )
    texts = [mail.read_text() for mail in aws.mails()]
    assert "Subject: Invoice" in texts[-2]
    assert "Thank you." in texts[-2]
    assert "Subject: Quote" in texts[-1]

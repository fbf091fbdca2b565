"""SQS event sources: delivery, partial failure, redelivery, dead letters."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devstack.aws import Aws
from devstack.gateway import Gateway
from devstack.processes import wait_for
from devstack.tests.gateway.conftest import Start

Send = Callable[..., None]
Deliveries = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def send(aws: Aws, gateway: Gateway, tmp_path: Path) -> Send:
    sqs = aws.client("sqs")

    def send(*orders: dict[str, Any]) -> None:
        entries = [
            {"Id": str(number), "MessageBody": json.dumps({"log": str(tmp_path / "orders.log"), **order})}
            for number, order in enumerate(orders)
        ]
        sqs.send_message_batch(QueueUrl=gateway.queue_url("Orders"), Entries=entries)  # type: ignore[arg-type]

    return send


@pytest.fixture
def deliveries(tmp_path: Path) -> Deliveries:
    """What the function has received so far, in order."""

    def read() -> list[dict[str, Any]]:
        log = tmp_path / "orders.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return read


def left(aws: Aws, gateway: Gateway) -> int:
    """Orders in the queue, those in flight included."""
    names: list[Any] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = aws.client("sqs").get_queue_attributes(
        QueueUrl=gateway.queue_url("Orders"), AttributeNames=names
    )
    return sum(int(value) for value in attributes["Attributes"].values())


def dead_letters(aws: Aws, gateway: Gateway) -> list[str]:
    """The bodies of the messages that were given up on."""
    received = aws.client("sqs").receive_message(
        QueueUrl=gateway.queue_url("Spoiled"), MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [message["Body"] for message in received.get("Messages", [])]


def test_a_message_arrives_as_lambda_delivers_it_and_is_deleted(
    aws: Aws, gateway: Gateway, send: Send, deliveries: Deliveries
) -> None:
    send({"number": 1})
    wait_for(lambda: deliveries() and not left(aws, gateway), 8, "the delivery")
    record = deliveries()[0]["record"]
    assert json.loads(record["body"])["number"] == 1
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith("-Orders")
    assert record["awsRegion"] == "ap-southeast-2"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"messageId", "receiptHandle", "md5OfBody", "messageAttributes"} <= set(record)


def test_only_the_failed_message_of_a_batch_is_redelivered_and_then_dead_lettered(
    aws: Aws, gateway: Gateway, send: Send, deliveries: Deliveries, tmp_path: Path
) -> None:
    send({"number": 1}, {"number": 2, "becomes": "spoiled"}, {"number": 3})
    own = str(tmp_path)
    wait_for(lambda: [body for body in dead_letters(aws, gateway) if own in body], 8, "the dead letter")
    counts = [json.loads(each["record"]["body"])["number"] for each in deliveries()]
    assert sorted(counts) == [1, 2, 2, 3]


@pytest.mark.parametrize("becomes", ["raised", "nonsense"])
def test_a_failed_invocation_leaves_every_message_in_the_queue(
    aws: Aws, gateway: Gateway, send: Send, deliveries: Deliveries, becomes: str
) -> None:
    send({"number": 1, "becomes": becomes})
    wait_for(lambda: len(deliveries()) == 2, 8, "the second delivery")
    assert [each["record"]["attributes"]["ApproximateReceiveCount"] for each in deliveries()] == ["1", "2"]


def test_the_message_of_a_killed_process_is_delivered_again(
    aws: Aws, gateway: Gateway, send: Send, deliveries: Deliveries
) -> None:
    send({"number": 1, "becomes": "slow once"})
    first = wait_for(deliveries, 5, "the first delivery")[0]
    os.kill(first["pid"], signal.SIGKILL)
    wait_for(lambda: len(deliveries()) == 2 and not left(aws, gateway), 8, "the second delivery")
    first, second = deliveries()
    assert first["record"]["messageId"] == second["record"]["messageId"]
    assert first["pid"] != second["pid"]


def test_no_more_batches_than_the_maximum_concurrency_run_at_once(
    aws: Aws, gateway: Gateway, send: Send, deliveries: Deliveries
) -> None:
    for number in range(4):
        send({"number": number, "becomes": "slow once"})
        time.sleep(0.2)
    wait_for(lambda: len(deliveries()) >= 2, 5, "two deliveries")
    time.sleep(0.5)
    assert len({each["pid"] for each in deliveries()}) == len(deliveries()) == 2
    gateway.recycle("Worker")


def test_a_message_sent_after_stop_stays_in_the_queue(aws: Aws, start_gateway: Start) -> None:
    gateway = start_gateway()
    url = gateway.queue_url("Orders")
    gateway.stop()
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    received = aws.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=2)
    assert len(received["Messages"]) == 1

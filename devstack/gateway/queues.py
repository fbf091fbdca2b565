"""SQS event sources: what Lambda's pollers do between a queue and a function."""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from devstack.gateway.application import QueueSource
from devstack.gateway.intrinsics import REGION
from devstack.gateway.invocations import Answer, EventTooLargeError, Invoke

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

__all__ = ["QueuePoller"]

WAIT_SECONDS = 1
"""Length of one long poll: short, because the gateway waits for the last one when it stops."""

PAUSE_AFTER_FAILURE = 0.5


class QueuePoller:
    """Feeds one queue to one function until it is stopped.

    A message is deleted once the function has dealt with it; otherwise it stays, and SQS delivers it again when
    its visibility timeout is over, or moves it to the dead-letter queue.
    """

    def __init__(
        self, source: QueueSource, sqs: "SQSClient", invoke: Invoke, note: Callable[[str, str], None]
    ) -> None:
        self._source = source
        self._sqs = sqs
        self._invoke = invoke
        self._note = note
        self._room = asyncio.Semaphore(source.maximum_concurrency)
        self._batches: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Poll until `stop`."""
        while not self._stopping:
            # As on AWS, a message is received only when there is room to work on it.
            await self._room.acquire()
            messages = [] if self._stopping else await self._receive()
            if not messages:
                self._room.release()
                continue
            batch = asyncio.ensure_future(self._process(messages))
            self._batches.add(batch)
            batch.add_done_callback(self._on_batch_done)

    def stop(self) -> None:
        """Receive no more; what has been received is still worked on."""
        self._stopping = True
        self._room.release()

    async def finished(self) -> None:
        """Wait for the batches under way."""
        await asyncio.gather(*self._batches)

    def _on_batch_done(self, batch: asyncio.Task[None]) -> None:
        self._batches.discard(batch)
        self._room.release()

    async def _receive(self) -> "list[MessageTypeDef]":
        try:
            received = await asyncio.to_thread(
                self._sqs.receive_message,
                QueueUrl=self._source.queue_url,
                MaxNumberOfMessages=self._source.batch_size,
                WaitTimeSeconds=WAIT_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except (BotoCoreError, ClientError) as error:
            if not self._stopping:
                self._note(self._source.function, f"{self._source.queue_arn}: {error}")
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
            return []
        return received.get("Messages", [])

    async def _process(self, messages: "list[MessageTypeDef]") -> None:
        event = {"Records": [_record(message, self._source.queue_arn) for message in messages]}
        try:
            answer = await self._invoke(self._source.function, json.dumps(event).encode())
        except EventTooLargeError as error:
            self._note(self._source.function, f"{self._source.queue_arn}: the batch is too large: {error}")
            return
        failed = self._failed(answer, {message["MessageId"] for message in messages})
        done = [message for message in messages if message["MessageId"] not in failed]
        if done:
            await self._delete(done)

    def _failed(self, answer: Answer, sent: set[str]) -> set[str]:
        """The ids of the messages to keep: all of them, if the function failed or names one that it never got."""
        if answer.failed:
            return sent
        if not self._source.reports_item_failures:
            return set()
        failed = _reported(answer)
        if failed is None or not failed <= sent:
            self._note(
                self._source.function, f"not a report of batch item failures: {answer.payload[:200]!r}"
            )
            return sent
        return failed

    async def _delete(self, messages: "list[MessageTypeDef]") -> None:
        try:
            await asyncio.to_thread(
                self._sqs.delete_message_batch,
                QueueUrl=self._source.queue_url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                    for index, message in enumerate(messages)
                ],
            )
        except (BotoCoreError, ClientError) as error:
            self._note(self._source.function, f"{self._source.queue_arn}: {error}")


def _reported(answer: Answer) -> set[str] | None:
    """The message ids of a batch item failure report; None for anything that is not one."""
    report = json.loads(answer.payload or b"null")
    if not report:
        return set()
    failures = (report.get("batchItemFailures") or []) if isinstance(report, dict) else None
    if not isinstance(failures, list):
        return None
    identifiers: set[str] = set()
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or not identifier:
            return None
        identifiers.add(identifier)
    return identifiers


def _record(message: "MessageTypeDef", queue_arn: str) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in attributes.items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


def _attribute(value: Any) -> dict[str, Any]:
    """As Lambda spells a message attribute: `stringValue`, with the unused lists empty."""
    spelled = {
        name[0].lower() + name[1:]: content for name, content in value.items() if name.endswith("Value")
    }
    return {**spelled, "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}

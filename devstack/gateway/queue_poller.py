"""SQS event sources: polls a queue and invokes its function, as Lambda's pollers do."""

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

LONG_POLL_SECONDS = 1
"""Duration of one long poll: short, because `stop` waits for the last one."""

PAUSE_AFTER_FAILURE = 0.5


class QueuePoller:
    """Invokes one function with the messages of one queue until it is stopped.

    A message is deleted after the function has processed it. Otherwise SQS delivers it again after its visibility
    timeout, or moves it to the dead-letter queue.
    """

    def __init__(
        self, source: QueueSource, sqs: "SQSClient", invoke: Invoke, log: Callable[[str, str], None]
    ) -> None:
        self._source = source
        self._sqs = sqs
        self._invoke = invoke
        self._log = log
        self._free_slots = asyncio.Semaphore(source.maximum_concurrency)
        self._batches: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Poll until `stop`."""
        while not self._stopping:
            # As on AWS, a message is received only when it can be processed at once.
            await self._free_slots.acquire()
            messages = [] if self._stopping else await self._receive()
            if not messages:
                self._free_slots.release()
                continue
            batch = asyncio.ensure_future(self._process(messages))
            self._batches.add(batch)
            batch.add_done_callback(self._on_batch_done)

    def stop(self) -> None:
        """Stop receiving; messages that were received are still processed."""
        self._stopping = True
        self._free_slots.release()

    async def finished(self) -> None:
        """Wait for the running batches."""
        await asyncio.gather(*self._batches)

    def _on_batch_done(self, batch: asyncio.Task[None]) -> None:
        self._batches.discard(batch)
        self._free_slots.release()

    async def _receive(self) -> "list[MessageTypeDef]":
        try:
            received = await asyncio.to_thread(
                self._sqs.receive_message,
                QueueUrl=self._source.queue_url,
                MaxNumberOfMessages=self._source.batch_size,
                WaitTimeSeconds=LONG_POLL_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except (BotoCoreError, ClientError) as error:
            if not self._stopping:
                self._log(self._source.function, f"{self._source.queue_arn}: {error}")
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
            return []
        return received.get("Messages", [])

    async def _process(self, messages: "list[MessageTypeDef]") -> None:
        event = {"Records": [_record(message, self._source.queue_arn) for message in messages]}
        try:
            answer = await self._invoke(self._source.function, json.dumps(event).encode())
        except EventTooLargeError as error:
            self._log(self._source.function, f"{self._source.queue_arn}: the batch is too large: {error}")
            return
        failed = self._failed(answer, {message["MessageId"] for message in messages})
        done = [message for message in messages if message["MessageId"] not in failed]
        if done:
            await self._delete(done)

    def _failed(self, answer: Answer, sent: set[str]) -> set[str]:
        """The ids of the messages to keep: all of them if the function failed or reports an unknown id."""
        if answer.failed:
            return sent
        if not self._source.reports_item_failures:
            return set()
        failed = _failed_ids(answer)
        if failed is None or not failed <= sent:
            self._log(self._source.function, f"not a report of batch item failures: {answer.payload[:200]!r}")
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
            self._log(self._source.function, f"{self._source.queue_arn}: {error}")


def _failed_ids(answer: Answer) -> set[str] | None:
    """The message ids of a batch item failure report; None if it is malformed."""
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
    """A message attribute in Lambda's spelling: `stringValue`, with the unused lists empty."""
    spelled = {
        name[0].lower() + name[1:]: content for name, content in value.items() if name.endswith("Value")
    }
    return {**spelled, "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}

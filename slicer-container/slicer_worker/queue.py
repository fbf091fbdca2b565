"""The slice queue at SQS, as both homes use it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from printshop.log import get_logger
from printshop.settings import Settings, SettingsError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = get_logger()


@dataclass(frozen=True, slots=True)
class Message:
    receipt: str
    body: str


class SliceQueue:
    """One queue by its URL."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def receive(self, visibility_seconds: int, wait_seconds: int) -> Message | None:
        """The next message, hidden from others for a while; None after a wait without one. Raises BotoCoreError
        or ClientError."""
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=1,
            VisibilityTimeout=visibility_seconds,
            WaitTimeSeconds=wait_seconds,
        )
        messages = answer.get("Messages", [])
        return Message(messages[0]["ReceiptHandle"], messages[0]["Body"]) if messages else None

    def show_again(self, receipt: str, seconds: int) -> None:
        """Make a received message visible again in `seconds`. Failing that, its visibility runs out by itself."""
        try:
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=seconds
            )
        except (BotoCoreError, ClientError) as error:
            log.warn(scope="slicer.queue", message="Visibility not changed", error=error)

    def delete(self, receipt: str) -> None:
        """Acknowledge. Failing that, the message comes again and finds nothing left to do."""
        try:
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)
        except (BotoCoreError, ClientError) as error:
            log.warn(scope="slicer.queue", message="Message not deleted", error=error)


def slice_queue(settings: Settings) -> SliceQueue:
    """The queue that SLICE_QUEUE_URL names. Raises SettingsError without one."""
    if settings.slice_queue_url is None:
        raise SettingsError("The environment cannot be used. SLICE_QUEUE_URL: is missing. See .env.example.")
    return SliceQueue(boto3.client("sqs"), settings.slice_queue_url)

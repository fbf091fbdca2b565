"""The slice queues at SQS, two lanes, as both homes use them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from printshop.config.settings import Settings, SettingsError
from printshop.kernel.log import get_logger

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

    @property
    def name(self) -> str:
        """The end of its URL, which is the end of its ARN, too."""
        return self._url.rsplit("/", 1)[-1]

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

    def change_visibility(self, receipt: str, seconds: int) -> None:
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


@dataclass(frozen=True, slots=True)
class SliceQueues:
    """Small models and inspections in one queue, large models in the other."""

    small: SliceQueue
    large: SliceQueue

    def of_arn(self, arn: str) -> SliceQueue:
        """The lane that a record's `eventSourceARN` names. Raises KeyError for another queue's."""
        return {lane.name: lane for lane in (self.small, self.large)}[arn.rsplit(":", 1)[-1]]


def slice_queues(settings: Settings) -> SliceQueues:
    """The queues that SLICE_QUEUE_URL and LARGE_SLICE_QUEUE_URL name. Raises SettingsError without them."""
    urls = {
        "SLICE_QUEUE_URL": settings.slice_queue_url,
        "LARGE_SLICE_QUEUE_URL": settings.large_slice_queue_url,
    }
    if missing := [f"{name}: is missing" for name, url in urls.items() if url is None]:
        raise SettingsError(f"The environment cannot be used. {'; '.join(missing)}. See .env.example.")
    client = boto3.client("sqs")
    small, large = (SliceQueue(client, url) for url in urls.values() if url)
    return SliceQueues(small, large)

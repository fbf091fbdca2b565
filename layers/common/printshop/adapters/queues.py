"""The queues: SQS, by boto3. A message names a row; the state of the work is in the database alone."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from printshop.config.settings import Settings, SettingsError
from printshop.kernel.errors import Unavailable
from printshop.kernel.log import get_logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

type Lane = Literal["SMALL", "LARGE"]

PEEK_SECONDS = 30
"""How long a letter that was read stays hidden, so that the next call gives others."""
LETTERS = 5000
"""More than an outage leaves in the two weeks that letters live: what lies behind this many would not be heard."""

log = get_logger()


@lru_cache(maxsize=1)
def _client() -> "SQSClient":
    config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    client: SQSClient = boto3.client("sqs", config=config)
    return client


class _Queue:
    """One queue. Raises SettingsError without its URL."""

    def __init__(self, url: str | None, variable: str) -> None:
        if url is None:
            raise SettingsError(f"{variable} is missing: name the SQS queue.")
        self._url = url
        self._sqs = _client()

    def send(self, scope: str, message: dict[str, Any]) -> None:
        try:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps(message))
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        log.info(scope=scope, data=message)

    def peek(self, limit: int) -> list[str]:
        """The bodies of messages, which become visible again after a while."""
        found: dict[str, str] = {}
        for _ in range(0, limit, 10):
            try:
                answer = self._sqs.receive_message(
                    QueueUrl=self._url, MaxNumberOfMessages=10, VisibilityTimeout=PEEK_SECONDS
                )
            except (BotoCoreError, ClientError) as error:
                raise _unavailable() from error
            messages = answer.get("Messages", [])
            found |= {message["MessageId"]: message["Body"] for message in messages}
            if not messages:
                break
        return list(found.values())

    def depth(self) -> int:
        """About how many messages wait; a call that proves the queue answers."""
        try:
            answer = self._sqs.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessages"]
            )
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def _unavailable() -> Unavailable:
    return Unavailable("QUEUE_UNAVAILABLE", retry_after=5)


class SliceQueue:
    """The slicer's, in two lanes, so that big jobs never stand in the way of small ones.

    A slice is `{"fileId", "requestId"}`; an inspection `{"fileId", "task": "inspect"}`.
    """

    def __init__(self, settings: Settings) -> None:
        self._lanes = {
            "SMALL": _Queue(settings.slice_queue_url, "SLICE_QUEUE_URL"),
            "LARGE": _Queue(settings.large_slice_queue_url, "LARGE_SLICE_QUEUE_URL"),
        }

    def send(self, file_id: int, request_id: UUID | str, lane: Lane) -> None:
        """Hand one committed request to the slicer. Raises Unavailable; the janitor then sends it again."""
        self._lanes[lane].send("slicer.queued", {"fileId": file_id, "requestId": str(request_id)})

    def send_message(self, message: dict[str, Any]) -> None:
        """Send a message of the janitor: `{"fileId", "queue"}`, for a slice with `requestId`. Raises Unavailable."""
        if message["requestId"]:
            self.send(message["fileId"], message["requestId"], message["queue"])
        else:
            self.send_inspection(message["fileId"], message["queue"])

    def send_inspection(self, file_id: int, lane: Lane) -> None:
        """Ask for a model's topology and picture. Raises Unavailable; the janitor then sends it again."""
        self._lanes[lane].send("slicer.inspection", {"fileId": file_id, "task": "inspect"})

    def depth(self) -> int:
        """About how many messages wait in both lanes; a call that proves the queues answer."""
        return sum(lane.depth() for lane in self._lanes.values())


class DeadLetters:
    """What the slicer's queues gave up on. Letters are read, not removed: they are the shop's to look at."""

    def __init__(self, settings: Settings) -> None:
        self._queues = [
            _Queue(settings.slice_dead_letters_url, "SLICE_DEAD_LETTERS_URL"),
            _Queue(settings.large_slice_dead_letters_url, "LARGE_SLICE_DEAD_LETTERS_URL"),
        ]

    def read(self, limit: int = LETTERS) -> list[str]:
        """The letters' bodies, at most `limit` a queue. Raises Unavailable."""
        return [letter for queue in self._queues for letter in queue.peek(limit)]


class MailQueue:
    """The mailer's: `{"mailId"}`."""

    def __init__(self, settings: Settings) -> None:
        self._queue = _Queue(settings.mail_queue_url, "MAIL_QUEUE_URL")

    def depth(self) -> int:
        """About how many messages wait; a call that proves the queue answers."""
        return self._queue.depth()

    def send(self, mail_id: int) -> None:
        """Hand one committed mail to the mailer. Raises Unavailable; the janitor then sends it again."""
        self._queue.send("mail.queued", {"mailId": mail_id})

    def send_all(self, mail_ids: Iterable[int]) -> int:
        """Send the mails that a repair found unsent; return how many went."""
        sent = 0
        for mail_id in mail_ids:
            self.send(mail_id)
            sent += 1
        return sent

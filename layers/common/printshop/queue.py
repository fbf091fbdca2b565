"""The queues: SQS, by boto3. A message names a row; the state of the work is in the database alone."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from printshop.errors import Unavailable
from printshop.log import get_logger
from printshop.settings import Settings, SettingsError

log = get_logger()


class _Queue:
    """One queue. Raises SettingsError without its URL."""

    def __init__(self, url: str | None, variable: str) -> None:
        if url is None:
            raise SettingsError(f"{variable} is missing: name the SQS queue.")
        self._url = url
        config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})
        self._sqs = boto3.client("sqs", config=config)

    def _send(self, scope: str, message: dict[str, Any]) -> None:
        try:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps(message))
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        log.info(scope=scope, data=message)

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
    return Unavailable("QUEUE_UNAVAILABLE", "The queue did not answer; try again in a moment.", retry_after=5)


class SliceQueue(_Queue):
    """The slicer's: `{"fileId", "requestId"}`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.slice_queue_url, "SLICE_QUEUE_URL")

    def send(self, file_id: int, request_id: UUID | str) -> None:
        """Hand one committed request to the slicer. Raises Unavailable; the janitor then sends it again."""
        self._send("slicer.queued", {"fileId": file_id, "requestId": str(request_id)})

    def send_all(self, messages: Iterable[dict[str, Any]]) -> int:
        """Send the messages that a repair found unsent; return how many went."""
        sent = 0
        for message in messages:
            self.send(message["fileId"], message["requestId"])
            sent += 1
        return sent


class MailQueue(_Queue):
    """The mailer's: `{"mailId"}`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.mail_queue_url, "MAIL_QUEUE_URL")

    def send(self, mail_id: int) -> None:
        """Hand one committed mail to the mailer. Raises Unavailable; the janitor then sends it again."""
        self._send("mail.queued", {"mailId": mail_id})

    def send_all(self, mail_ids: Iterable[int]) -> int:
        """Send the mails that a repair found unsent; return how many went."""
        sent = 0
        for mail_id in mail_ids:
            self.send(mail_id)
            sent += 1
        return sent

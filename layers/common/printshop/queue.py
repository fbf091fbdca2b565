"""The slice queue: SQS, by boto3."""

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


class SliceQueue:
    """Messages are `{"fileId", "requestId"}`; the state of a job is in the database, never in the message."""

    def __init__(self, settings: Settings) -> None:
        if settings.slice_queue_url is None:
            raise SettingsError("SLICE_QUEUE_URL is missing: name the SQS queue of the slicer.")
        self._url = settings.slice_queue_url
        config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})
        self._sqs = boto3.client("sqs", config=config)

    def send(self, file_id: int, request_id: UUID | str) -> None:
        """Hand one committed request to the slicer. Raises Unavailable; the janitor then sends it again."""
        body = json.dumps({"fileId": file_id, "requestId": str(request_id)})
        try:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=body)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(
                "QUEUE_UNAVAILABLE", "The slicer's queue did not answer.", retry_after=5
            ) from error
        log.info(scope="slicer.queued", data={"fileId": file_id})

    def send_all(self, messages: Iterable[dict[str, Any]]) -> int:
        """Send the messages that a repair found unsent; return how many went."""
        sent = 0
        for message in messages:
            self.send(message["fileId"], message["requestId"])
            sent += 1
        return sent

    def depth(self) -> int:
        """About how many messages wait; a call that proves the queue answers."""
        try:
            answer = self._sqs.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessages"]
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("QUEUE_UNAVAILABLE", "The slicer's queue did not answer.") from error
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

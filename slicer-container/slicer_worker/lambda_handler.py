"""The Lambda home: SQS events (batch size 1), answered with ReportBatchItemFailures."""

import os
from functools import lru_cache
from typing import Any

from printshop.log import get_logger
from printshop.settings import load_settings
from slicer_worker.queue import SliceQueue, slice_queue
from slicer_worker.start import start_worker
from slicer_worker.worker import SliceWorker

log = get_logger()


class SqsHandler:
    """Delivers the records of an event; those to be tried again are reported and made visible soon."""

    def __init__(self, worker: SliceWorker, queue: SliceQueue) -> None:
        self._worker = worker
        self._queue = queue

    def __call__(self, event: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
        failures = []
        for record in event["Records"]:
            log.begin(record["messageId"])
            seconds = self._worker.deliver(record["body"])
            if seconds is not None:
                # Without this it would stay hidden for the queue's whole visibility timeout.
                self._queue.show_again(record["receiptHandle"], seconds)
                failures.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failures}


@lru_cache(maxsize=1)
def _cold_start() -> SqsHandler:
    settings = load_settings()
    megabytes = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
    # The slicer must run out of memory before the sandbox does, which would take this process along.
    return SqsHandler(start_worker(settings, memory_bytes=megabytes * 1024**2), slice_queue(settings))


def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    return _cold_start()(event)

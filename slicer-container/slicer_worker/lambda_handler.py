"""The Lambda home: SQS events (batch size 1), answered with ReportBatchItemFailures."""

import os
from functools import lru_cache
from typing import Any

from printshop.config.settings_provider import current
from printshop.kernel.log import get_logger
from slicer_worker.factory import build_worker, memory_per_child
from slicer_worker.slice_queues import SliceQueues, slice_queues
from slicer_worker.worker import SliceWorker

log = get_logger()


class SqsHandler:
    """Delivers the records of an event, one after the other; those to be tried again are reported, and shown soon."""

    def __init__(self, worker: SliceWorker, lanes: SliceQueues) -> None:
        self._worker = worker
        self._lanes = lanes

    def __call__(self, event: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
        failures = []
        for record in event["Records"]:
            log.begin(record["messageId"])
            lane = self._lanes.of_arn(record["eventSourceARN"])
            seconds = self._worker.deliver(record["body"])
            if seconds is not None:
                # Without this it would stay hidden for the queue's whole visibility timeout.
                lane.change_visibility(record["receiptHandle"], seconds)
                failures.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failures}


@lru_cache(maxsize=1)
def _cold_start() -> SqsHandler:
    settings = current.read()
    sandbox = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) * 1024**2
    return SqsHandler(build_worker(settings, memory_per_child(sandbox, 1)), slice_queues(settings))


@log.defects("slicer.defect")
def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    return _cold_start()(event)

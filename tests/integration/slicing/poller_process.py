"""The Fargate poller as a process of its own, on a real queue and collaborators in memory, for a test to signal:

    poller_process QUEUE_URL MODEL GRACE_SECONDS

Every file that a message names is a fine slice of MODEL. A line on standard output for each thing that happens.
"""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import boto3

from printshop.slicing.claims import Claims
from slicer_worker.poller import Poller
from slicer_worker.queue import SliceQueue
from slicer_worker.worker import SliceWorker
from tests.integration.slicing.stores import SETTINGS, FolderObjects, Job, MemoryDatabase, worker_settings

queue_url, model, grace_seconds = sys.argv[1:]
folder = Path(tempfile.mkdtemp())
objects = FolderObjects(folder / "tmp")
key = objects.put("7/aaaa/part.stl", Path(model).read_bytes())
database = MemoryDatabase()
for number in range(1, 10):
    database.jobs[number] = Job(
        storage_key=key, filename="part.stl", settings=SETTINGS | {"layerHeight": 0.05}
    )
(folder / "scratch").mkdir()
worker = SliceWorker(
    Claims(database),
    objects,
    worker_settings(slicer_bin=os.environ.get("SLICER_BIN", "prusaslicer"), slicer_concurrency=2),
    scratch_parent=folder / "scratch",
)


def tell() -> None:
    told: set[tuple[int, str]] = set()
    while True:
        for number, job in list(database.jobs.items()):
            event = f"failed:{job.failures[-1]['code']}" if job.failures else job.status
            if event != "idle" and (number, event) not in told:
                told.add((number, event))
                print(number, event, flush=True)
        if os.getppid() != parent:
            os._exit(3)
        time.sleep(0.05)


parent = os.getppid()
threading.Thread(target=tell, daemon=True).start()
client = boto3.client("sqs")
client.meta.events.register(
    "provide-client-params.sqs.ChangeMessageVisibility",
    lambda params, **_: print(f"visible again in {params['VisibilityTimeout']} s", flush=True),
)
poller = Poller(worker, SliceQueue(client, queue_url), threads=2, wait_seconds=1)
signal.signal(signal.SIGTERM, poller.drain)
print("polling", flush=True)
code = poller.run(float(grace_seconds))
time.sleep(0.2)
left = len(list((folder / "scratch").iterdir()))
print(f"exit with {left} folders in scratch", flush=True)
shutil.rmtree(folder)
sys.exit(code)

"""The Fargate poller as a process of its own, on real queues and collaborators in memory, for a test to signal:

    poller_process SMALL_QUEUE_URL LARGE_QUEUE_URL MODEL [--threads 2] [--grace-seconds 30] …

Files 1 to 9 are fine slices of MODEL, 11 to 19 quick ones of a cube. A line on standard output for each thing that
happens.
"""

import argparse
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
from slicer_worker.ecs_task import ScaleInProtection
from slicer_worker.poller import Poller
from slicer_worker.slice_queues import SliceQueue, SliceQueues
from slicer_worker.worker import SliceWorker
from tests.integration.slicing.stores import SETTINGS, FolderObjects, MemoryDatabase, job_of, worker_settings
from tests.unit.slicing.model_makers import binary_stl, box

parser = argparse.ArgumentParser()
parser.add_argument("small_url")
parser.add_argument("large_url")
parser.add_argument("model", type=Path)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--grace-seconds", type=float, default=30)
parser.add_argument("--renew-seconds", type=float, default=60)
options = parser.parse_args()

folder = Path(tempfile.mkdtemp())
objects = FolderObjects(folder / "tmp")
fine, quick = SETTINGS | {"layerHeight": 0.05}, SETTINGS
model = objects.put("7/aaaa/part.stl", options.model.read_bytes())
cube = objects.put("7/aaaa/cube.stl", binary_stl(box(20)))
database = MemoryDatabase()
for number in range(1, 10):
    database.jobs[number] = job_of(objects, model, settings=fine)
    database.jobs[number + 10] = job_of(objects, cube, settings=quick)
(folder / "scratch").mkdir()
worker = SliceWorker(
    Claims(database),
    objects,
    worker_settings(
        slicer_bin=os.environ.get("SLICER_BIN", "prusaslicer"), slicer_concurrency=options.threads
    ),
    scratch_parent=folder / "scratch",
)


def tell() -> None:
    told: set[tuple[int, str]] = set()
    while True:
        for number, job in list(database.jobs.items()):
            event = f"failed:{job.failures[-1]['code']}" if job.failures else job.status
            event = "given back" if job.given_back else event
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
poller = Poller(
    worker,
    SliceQueues(SliceQueue(client, options.small_url), SliceQueue(client, options.large_url)),
    options.threads,
    ScaleInProtection(os.environ.get("ECS_AGENT_URI"), renew_seconds=1, quiet_seconds=1),
    renew_seconds=options.renew_seconds,
    long_poll_seconds=1,
    look_seconds=1,
)
signal.signal(signal.SIGTERM, poller.drain)
print("polling", flush=True)
code = poller.run(options.grace_seconds)
time.sleep(0.2)
left = len(list((folder / "scratch").iterdir()))
print(f"exit with {left} folders in scratch", flush=True)
shutil.rmtree(folder)
sys.exit(code)

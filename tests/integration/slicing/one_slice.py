"""A worker process with one slow slice, for a test to kill:  one_slice BUCKET_FOLDER KEY SCRATCH_FOLDER"""

import json
import os
import sys
from pathlib import Path

from printshop.slicing.claims import Claims
from slicer_worker.worker import SliceWorker
from tests.integration.slicing.stores import SETTINGS, FolderObjects, MemoryDatabase, job_of, worker_settings

bucket, key, scratch = sys.argv[1:]
database = MemoryDatabase()
objects = FolderObjects(Path(bucket))
database.jobs[1] = job_of(objects, key, settings=SETTINGS | {"layerHeight": 0.05})
worker = SliceWorker(
    Claims(database),
    objects,
    worker_settings(slicer_bin=os.environ.get("SLICER_BIN", "prusaslicer")),
    scratch_parent=Path(scratch),
)
worker.deliver(json.dumps({"fileId": 1, "requestId": "r"}))

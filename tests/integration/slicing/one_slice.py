"""A worker process with one slow slice, for a test to kill:  one_slice BUCKET_FOLDER KEY SCRATCH_FOLDER"""

import json
import os
import sys
from pathlib import Path

from printshop.slicing.claims import Claims
from slicer_worker.worker import SliceWorker
from tests.integration.slicing.stores import SETTINGS, FolderObjects, Job, MemoryDatabase, worker_settings

bucket, key, scratch = sys.argv[1:]
database = MemoryDatabase()
database.jobs[1] = Job(storage_key=key, filename="part.stl", settings=SETTINGS | {"layerHeight": 0.05})
worker = SliceWorker(
    Claims(database),
    FolderObjects(Path(bucket)),
    worker_settings(slicer_bin=os.environ.get("SLICER_BIN", "prusaslicer")),
    scratch_parent=Path(scratch),
)
worker.deliver(json.dumps({"fileId": 1, "requestId": "r"}))

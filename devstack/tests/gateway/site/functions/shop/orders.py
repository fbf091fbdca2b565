"""Takes orders off a queue; the body says what becomes of each."""

import json
import os
import time
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], context: Any) -> Any:
    failures = []
    for record in event["Records"]:
        order = json.loads(record["body"])
        if "log" in order:
            with Path(order["log"]).open("a") as log:
                log.write(json.dumps({"pid": os.getpid(), "record": record}) + "\n")
        match order.get("becomes"):
            case "spoiled":
                failures.append({"itemIdentifier": record["messageId"]})
            case "slow once" if record["attributes"]["ApproximateReceiveCount"] == "1":
                time.sleep(4)
            case "nonsense":
                return {"batchItemFailures": [{"itemIdentifier": "unknown"}]}
            case "raised":
                raise ValueError("the order cannot be read")
    return {"batchItemFailures": failures}

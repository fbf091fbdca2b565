"""A handler that does what its event asks for; by HTTP, what the path or the JSON body asks for."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

served = count(1)


def handler(event: dict[str, Any], context: Any) -> Any:
    if "requestContext" not in event:
        return act(event, context)
    match event["routeKey"]:
        case "POST /act/{what}":
            body = event.get("body") or "{}"
            text = base64.b64decode(body) if event["isBase64Encoded"] else body
            return act({"act": event["pathParameters"]["what"], **json.loads(text)}, context)
        case "POST /slow":
            time.sleep(1)
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}


def act(order: dict[str, Any], context: Any) -> Any:
    match order.get("act"):
        case "sleep":
            begun = time.time()
            time.sleep(order["seconds"])
            return {"begun": begun, "ended": time.time(), "pid": os.getpid()}
        case "environment":
            return dict(os.environ)
        case "context":
            names = ("aws_request_id", "function_name", "memory_limit_in_mb", "invoked_function_arn")
            return {name: getattr(context, name) for name in names} | {
                "remaining": context.get_remaining_time_in_millis()
            }
        case "raise":
            raise ValueError("the printer is on fire")
        case "exit":
            os._exit(3)
        case "spawn":
            # A session of its own and an empty environment: nothing ties this child to us any more.
            child = subprocess.Popen(["/bin/sleep", "60"], env={}, start_new_session=True)
            time.sleep(order.get("seconds", 0))
            if order.get("then") == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            return child.pid
        case "answer":
            return order["answer"]
        case "large":
            return "x" * order["bytes"]
        case "count":
            return {"served": next(served), "pid": os.getpid()}
        case "modules":
            import tool  # type: ignore[import-not-found]  # noqa: PLC0415  (only the layer has it)

            return {"tool": tool.NAME, "from": tool.__file__, "cwd": str(Path.cwd()), "path": sys.path}
        case "send":
            import boto3  # noqa: PLC0415  (slow, and needed by one test)

            queue = os.environ["ORDERS_URL"]
            return boto3.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")["MessageId"]
    return order

"""The ECS agent's endpoints for a task, as documented: task protection and the task's limits.

agent = EcsAgent()
start(poller, env={"ECS_AGENT_URI": agent.agent_uri, "ECS_CONTAINER_METADATA_URI_V4": agent.metadata_uri})
agent.states        every requested protection state, in order
agent.close()
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ON: dict[str, Any] = {"ProtectionEnabled": True, "ExpiresInMinutes": 10}
OFF: dict[str, Any] = {"ProtectionEnabled": False}
"""The protection states that the poller requests while it works, and while it is idle."""

MEMORY_MB = 4096


class EcsAgent:
    """A local server in place of the agent. While `refuses` is set, it answers as during a deployment."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []
        self.refuses = False
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                if self.path != "/api/1234/task-protection/v1/state":
                    self.send_error(404)
                    return
                state = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                agent.states.append(state)
                failure = {"failure": {"Arn": "task", "Reason": "DEPLOYMENT_BLOCKED", "Detail": None}}
                taken = {"protection": {"ProtectionEnabled": state["ProtectionEnabled"], "TaskArn": "task"}}
                self._answer(failure if agent.refuses else taken)

            def do_GET(self) -> None:
                if self.path != "/v4/1234/task":
                    self.send_error(404)
                    return
                self._answer({"Family": "slicer", "Limits": {"CPU": 2, "Memory": MEMORY_MB}})

            def _answer(self, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{self._server.server_port}"
        self.agent_uri = f"{address}/api/1234"
        self.metadata_uri = f"{address}/v4/1234"

    def wait_for(self, state: dict[str, Any], seconds: float = 10) -> None:
        """Wait until a state has been requested. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while state not in self.states:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{state} is not among {self.states}")
            time.sleep(0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

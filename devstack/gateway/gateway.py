"""The gateway: serves the HTTP API, functions, queues and schedules of a template."""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devstack.aws import Aws
from devstack.gateway.application import Application
from devstack.gateway.deployment import deploy
from devstack.gateway.errors import FunctionError, GatewayError
from devstack.gateway.http_api import HttpApi
from devstack.gateway.invocations import Answer
from devstack.gateway.invoke_api import invoke_api
from devstack.gateway.launcher import ImageCommand, Launcher
from devstack.gateway.queue_poller import QueuePoller
from devstack.gateway.routes import RouteTable
from devstack.gateway.runtime_api import runtime_api
from devstack.gateway.schedules import event_of, fire, parse
from devstack.gateway.server import EventLoop, Server, listen
from devstack.gateway.workers import Pool, Slots

__all__ = ["Gateway"]

MOST_PROCESSES = 48
"""Processes at once, of all functions together; idle ones are ended to make room."""


class Gateway:
    """Serves a SAM template on this machine as AWS does.

    `parameters` are the template's; `built` runs the folder that `sam build` made; `image` runs image functions in
    their image; `port` is the HTTP API's (0: a free one, known from the start); `aws` has to be running. Raises
    TemplateError where the template contains something that cannot be resolved or is not supported here.

        gateway = Gateway(Path("template.yaml"), run_dir, parameters={…}, aws=aws)
        gateway.start()
        httpx.get(gateway.api_url + "/api/health")
        gateway.invoke("JanitorFunction", {})
        gateway.stop()
    """

    def __init__(
        self,
        template: Path,
        run_dir: Path,
        *,
        parameters: Mapping[str, str],
        aws: Aws,
        built: bool = False,
        image: ImageCommand | None = None,
        fire_schedules: bool = False,
        port: int = 0,
        most_processes: int = MOST_PROCESSES,
        stack_name: str = "local",
        temp_dir: Path | None = None,
    ) -> None:
        """`temp_dir` holds a temporary folder for each function; without it, all use the machine's."""
        self._template = template
        self._temp_dir = temp_dir
        self._run_dir = run_dir
        self._parameters = dict(parameters)
        self._aws = aws
        self._built = built
        self._image = image
        self._fire_schedules = fire_schedules
        self._stack_name = stack_name
        self._api_socket = listen(port)
        self._invoke_socket = listen()
        self._api_port, self._invoke_port = (
            socket.getsockname()[1] for socket in (self._api_socket, self._invoke_socket)
        )
        self._runtime_sockets = [listen() for _ in range(most_processes)]
        self._application = Application({})
        self._pools: dict[str, Pool] = {}
        self._servers: list[Server] = []
        self._polling: list[asyncio.Future[None]] = []
        self._firing: list[asyncio.Future[None]] = []
        self._pollers: list[QueuePoller] = []
        self._loop: EventLoop | None = None

    # ---- addresses

    @property
    def api_url(self) -> str:
        """The HTTP API."""
        return f"http://127.0.0.1:{self._api_port}"

    @property
    def invoke_url(self) -> str:
        """Lambda's Invoke API: the endpoint URL for boto3's lambda client."""
        return f"http://127.0.0.1:{self._invoke_port}"

    def queue_url(self, logical_id: str) -> str:
        """The URL of a queue of the template; KeyError if there is none."""
        return self._application.queue_urls[logical_id]

    @property
    def application(self) -> Application:
        """The contents of the template, once started."""
        return self._application

    # ---- start and stop

    def start(self) -> None:
        """Read the template, create its queues and secrets, and serve. Raises TemplateError."""
        try:
            self._serve()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything; running invocations fail. A second call does nothing."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.run(self._stop())
            loop.close()
        for socket in (self._api_socket, self._invoke_socket, *self._runtime_sockets):
            socket.close()

    # ---- functions

    def invoke(self, name: str, payload: Any = None, timeout: float | None = None) -> Any:
        """Invoke a function (logical id, name or ARN) and return its result, both as JSON values.

        Raises FunctionError when the function fails, TimeoutError after `timeout` seconds of waiting.
        """
        function = self._function_id(name)
        event = json.dumps({} if payload is None else payload).encode()
        answer = self._on_loop(self._run(function, event), timeout)
        result = json.loads(answer.payload or b"null")
        if answer.failed:
            raise FunctionError(function, result)
        return result

    def fire(self, name: str, timeout: float | None = None) -> Any:
        """Invoke a function with the event of its (first) schedule. Raises as `invoke` does."""
        function = self._function_id(name)
        for schedule in self._application.schedules:
            if schedule.function == function:
                return self.invoke(function, json.loads(event_of(schedule, datetime.now(UTC))), timeout)
        raise GatewayError(f"{function} has no schedule")

    def recycle(self, name: str) -> None:
        """End a function's processes, a busy one after its invocation; the next invocation starts a new one."""
        pool = self._pools[self._function_id(name)]
        self._on_loop(_in_loop(pool.recycle))

    def processes(self, name: str) -> list[int]:
        """The process ids of a function, oldest first."""
        pool = self._pools[self._function_id(name)]
        return self._on_loop(_in_loop(pool.process_ids))

    def log_of(self, name: str) -> Path:
        """The log file of a function."""
        return self._run_dir / "logs" / f"{self._function_id(name)}.log"

    # ---- internals

    def _serve(self) -> None:
        self._application = application = deploy(
            self._template,
            parameters=self._parameters,
            aws=self._aws,
            api_url=self.api_url,
            built=self._built,
            stack_name=self._stack_name,
        )
        routes = RouteTable(application.routes)
        slots = Slots(socket.getsockname()[1] for socket in self._runtime_sockets)
        launcher = Launcher(
            self._run_dir,
            built=self._built,
            aws_url=self._aws.endpoint_url,
            packages=application.packages,
            image=self._image,
            temp_dir=self._temp_dir,
        )
        for function in application.functions.values():
            self._pools[function.logical_id] = Pool(
                function,
                slots,
                start=functools.partial(launcher.start, function),
                log=functools.partial(self._log, function.logical_id),
            )
        self._servers = [
            Server(runtime_api(slots), self._runtime_sockets),
            Server(invoke_api(self._find, self._run), [self._invoke_socket]),
            Server(HttpApi(routes, application.cors, self._run, self._log), [self._api_socket]),
        ]
        self._loop = EventLoop()
        self._loop.run(self._start())

    async def _start(self) -> None:
        for server in self._servers:
            server.start()
        for source in self._application.sources:
            # On AWS the poller uses the function's role.
            sqs = self._aws.client("sqs", signed_as=source.function)
            poller = QueuePoller(source, sqs, self._run, self._log)
            self._pollers.append(poller)
            self._polling.append(asyncio.ensure_future(poller.run()))
        if self._fire_schedules:
            for schedule in self._application.schedules:
                if schedule.enabled:
                    times = parse(schedule.expression)
                    self._firing.append(asyncio.ensure_future(fire(schedule, times, self._run, self._log)))

    async def _stop(self) -> None:
        for task in self._firing:
            task.cancel()
        await asyncio.gather(*self._firing, return_exceptions=True)
        for poller in self._pollers:
            poller.stop()
        # Wait for the last long poll: a cancelled one could still receive a message, and lose it.
        await asyncio.gather(*self._polling)
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        await asyncio.gather(*(poller.finished() for poller in self._pollers))
        await asyncio.gather(*(server.stop() for server in self._servers))

    async def _run(self, function: str, event: bytes) -> Answer:
        return await self._pools[function].invoke(event)

    def _find(self, name: str) -> str | None:
        for function in self._application.functions.values():
            if name in (function.logical_id, function.name, function.arn):
                return function.logical_id
        return None

    def _function_id(self, name: str) -> str:
        function = self._find(name)
        if function is None:
            raise GatewayError(f"the template has no function {name}")
        return function

    def _on_loop[T](self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        if self._loop is None:
            coroutine.close()
            raise GatewayError("the gateway is not running")
        return self._loop.run(coroutine, timeout)

    def _log(self, function: str, text: str) -> None:
        """Write a line of the gateway into a function's log."""
        log = self._run_dir / "logs" / f"{function}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as lines:
            lines.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ} gateway: {text}\n")


async def _in_loop[T](call: Callable[[], T]) -> T:
    return call()

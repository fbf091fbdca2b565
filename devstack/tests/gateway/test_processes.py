"""One invocation at a time per process, as many processes as the load needs, and none left over."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.gateway import FunctionError, Gateway
from devstack.processes import wait_for
from devstack.tests.gateway.conftest import SITE, Start
from devstack.tests.gateway.probing import descendants, is_running


def overlap(runs: list[dict[str, Any]]) -> bool:
    """True if there is a moment at which all of them ran."""
    last_begun: float = max(run["begun"] for run in runs)
    first_ended: float = min(run["ended"] for run in runs)
    return last_begun < first_ended


def in_the_background(gateway: Gateway, name: str, payload: Any) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(gateway.invoke(name, payload))
        except FunctionError as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def sleepers(gateway: Gateway, name: str) -> set[int]:
    """The children that a function's processes have started."""
    return {child for pid in gateway.processes(name) for child in descendants(pid)}


def test_eight_invocations_overlap_in_processes_of_their_own(gateway: Gateway) -> None:
    with ThreadPoolExecutor(8) as threads:
        runs = list(threads.map(lambda _: gateway.invoke("Shop", {"act": "sleep", "seconds": 1.5}), range(8)))
    assert overlap(runs)
    assert len({run["pid"] for run in runs}) == 8


def test_two_http_requests_overlap(gateway: Gateway) -> None:
    def post(_: int) -> dict[str, Any]:
        run: dict[str, Any] = httpx.post(f"{gateway.api_url}/act/sleep", json={"seconds": 0.5}).json()
        return run

    with ThreadPoolExecutor(2) as threads:
        assert overlap(list(threads.map(post, range(2))))


def test_one_caller_after_another_needs_one_process(start_gateway: Start) -> None:
    gateway = start_gateway()
    runs = [gateway.invoke("Shop", {"act": "count"}) for _ in range(30)]
    assert len({run["pid"] for run in runs}) == 1
    assert [run["served"] for run in runs] == list(range(1, 31))


def test_the_process_that_served_last_serves_next(gateway: Gateway) -> None:
    with ThreadPoolExecutor(2) as threads:
        seconds = [0.3, 0.6]
        runs = list(
            threads.map(lambda each: gateway.invoke("Shop", {"act": "sleep", "seconds": each}), seconds)
        )
    for _ in range(3):
        time.sleep(0.1)
        assert gateway.invoke("Shop", {"act": "count"})["pid"] == runs[1]["pid"]


def test_reserved_concurrency_caps_the_processes(gateway: Gateway) -> None:
    with ThreadPoolExecutor(3) as threads:
        runs = list(
            threads.map(lambda _: gateway.invoke("Single", {"act": "sleep", "seconds": 0.1}), range(3))
        )
    assert len({run["pid"] for run in runs}) == 1


def test_an_idle_process_is_ended_for_another_function(start_gateway: Start) -> None:
    gateway = start_gateway(most_processes=2)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: gateway.invoke("Shop", {"act": "sleep", "seconds": 0.5}), range(2)))
    assert len(gateway.processes("Shop")) == 2
    assert gateway.invoke("Press", {"sheets": 3}, timeout=5)["pressed"] == 3
    assert len(gateway.processes("Shop")) == 1


def test_a_killed_process_fails_its_invocation_and_the_next_one_succeeds(gateway: Gateway) -> None:
    pid = gateway.invoke("Single", {"act": "count"})["pid"]
    under_way = in_the_background(gateway, "Single", {"act": "sleep", "seconds": 20})
    time.sleep(0.3)
    assert gateway.processes("Single") == [pid]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(FunctionError, match="signal: killed") as failure:
        under_way.result(timeout=5)
    assert failure.value.error_type == "Runtime.ExitError"
    assert gateway.invoke("Single", {"act": "count"})["pid"] != pid


def test_an_idle_process_that_was_killed_is_replaced(gateway: Gateway) -> None:
    pid = gateway.invoke("Single", {"act": "count"})["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not gateway.processes("Single"), 3, "the end of the process")
    assert gateway.invoke("Single", {"act": "count"})["pid"] != pid


def test_a_process_that_exits_fails_with_its_status(gateway: Gateway) -> None:
    with pytest.raises(FunctionError, match="exit status 3"):
        gateway.invoke("Shop", {"act": "exit"})


def test_a_child_dies_with_the_process_that_was_killed(gateway: Gateway) -> None:
    under_way = in_the_background(gateway, "Single", {"act": "spawn", "then": "die", "seconds": 0.7})
    child = wait_for(lambda: sleepers(gateway, "Single"), 20, "the child").pop()
    with pytest.raises(FunctionError, match="signal: killed"):
        under_way.result(timeout=20)
    wait_for(lambda: not is_running(child), 20, "the end of the child")


def test_a_child_dies_with_a_process_that_ran_out_of_time(gateway: Gateway) -> None:
    under_way = in_the_background(gateway, "Single", {"act": "spawn", "seconds": 20})
    child = wait_for(lambda: sleepers(gateway, "Single"), 3, "the child").pop()
    with pytest.raises(FunctionError, match="timed out"):
        under_way.result(timeout=5)
    wait_for(lambda: not is_running(child), 3, "the end of the child")


def test_a_handler_that_does_not_load_answers_its_error_each_time(gateway: Gateway) -> None:
    for _ in range(2):
        with pytest.raises(FunctionError, match="the drawer is jammed") as failure:
            gateway.invoke("Broken", {})
        assert failure.value.error_type == "RuntimeError"
    assert "the drawer is jammed" in gateway.log_of("Broken").read_text()


def test_recycle_starts_new_processes_and_lets_a_busy_one_finish(gateway: Gateway) -> None:
    pid = gateway.invoke("Single", {"act": "count"})["pid"]
    under_way = in_the_background(gateway, "Single", {"act": "sleep", "seconds": 0.5})
    time.sleep(0.2)
    gateway.recycle("Single")
    assert under_way.result(timeout=5)["pid"] == pid
    assert gateway.invoke("Single", {"act": "count"})["pid"] != pid


def test_stop_ends_every_process_and_fails_running_invocations(start_gateway: Start) -> None:
    before = descendants(os.getpid())
    gateway = start_gateway()
    gateway.invoke("Press", {"sheets": 1})
    under_way = in_the_background(gateway, "Shop", {"act": "spawn", "seconds": 20})
    wait_for(lambda: sleepers(gateway, "Shop"), 3, "the child")
    started = descendants(os.getpid()) - before
    begun = time.monotonic()
    gateway.stop()
    assert time.monotonic() - begun < 3
    assert not any(map(is_running, started))
    with pytest.raises(FunctionError):
        under_way.result(timeout=1)
    with pytest.raises(httpx.ConnectError):
        httpx.get(gateway.api_url)


def test_every_process_ends_when_the_program_is_killed(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from devstack.aws import Aws
from devstack.gateway import Gateway
run = Path({str(tmp_path)!r})
aws = Aws(run)
aws.start()
aws.put_secret("gateway-tests/token", {{"value": "x"}})
gateway = Gateway(Path({str(SITE / "template.yaml")!r}), run, parameters={{"Colour": "red"}}, aws=aws)
gateway.start()
print(gateway.invoke("Shop", {{"act": "spawn"}}), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        sleeper = int(child.stdout.readline())
        started = descendants(child.pid)
        assert sleeper in started
        child.kill()
    wait_for(lambda: not any(map(is_running, started)), 6, "the end of every process")

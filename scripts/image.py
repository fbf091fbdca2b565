"""`make image-test`: the slicer's image on the local stack, as a Lambda function and as a Fargate task.

Three models go through API, queue and the image's worker, once with the image's own entry point and SQS events from
a Runtime API (Lambda), and once with the poller (Fargate). The figures must equal those of the image's PrusaSlicer on
its command line. Prints time and memory of the slices, from which docs/slicing-cost.md is computed.

The container has a read-only root, its own /tmp, the image's user without capabilities, and only the given variables.
It shares this machine's network and processes and has no seccomp filter and no limits of memory or processors: what
depends on those can be tested on ECS and Lambda only.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from devstack import Stack
from devstack.aws import REGION
from devstack.image import OFF, ON, PATH, Container, ContainerError, EcsAgent
from devstack.processes import start
from scripts.command_line import arguments, read_figures
from scripts.demo import SETTINGS, Shop, StepFailedError, check, upload, wait_for_slice
from scripts.sample_models import gallery_model

MODELS = ("box.stl", "bunny.stl", "M3x10_screw.stl")
PROFILES = Path("/opt/slicer/app/printshop/slicing/profiles")
TASK = "SlicerTask"
"""The task's access key, by which its calls are found."""
TASK_CALLS = {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetSecretValue"}
WRITABLE = (
    "import json, os; print(json.dumps([path for path, _, _ in os.walk('/') if os.access(path, os.W_OK)]))"
)
STATUS = "print(open('/proc/self/status').read()); import os; print(sorted(os.environ))"


@dataclass(frozen=True)
class Usage:
    """What the slices of one runtime used: seconds by file, and peak resident memory in MB by program."""

    slice_s: dict[str, float]
    inspection_s: float
    memory_mb: Mapping[str, int]


class MemoryWatch:
    """Records the peak memory of the container's processes, which are known by their root folder."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mb: dict[str, int] = {}

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if str((process / "root").readlink()) != self._root:
                        continue
                    status = dict(
                        re.findall(r"^(Name|VmHWM):\s+(\S+)", (process / "status").read_text(), re.M)
                    )
                except OSError:
                    continue
                megabytes = int(status.get("VmHWM", 0)) // 1024
                name = status["Name"]
                self.peak_mb[name] = max(megabytes, self.peak_mb.get(name, 0))


def check_isolation(image: Container) -> None:
    """Check user, capabilities, writable folders and variables, and the error without configuration."""
    check(image.config["User"] == "slicer", "the image's user is not slicer")
    check("/tmp" in image.config["Volumes"], "the image does not declare /tmp a volume")
    check("LC_ALL=C.UTF-8" in image.config["Env"], "the image's locale is another")
    output = image.run("python", "-c", STATUS)
    check(re.search(r"^Uid:\s+0\b", output, re.M) is None, "the image runs as root")
    check(set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\s+(\S+)", output, re.M)) == {"0" * 16}, "it has capabilities")
    check("NoNewPrivs:\t1" in output, "it may gain privileges")
    variables = sorted(each.partition("=")[0] for each in image.config["Env"])
    check(str(variables) in output, "it sees other variables than the image's own")
    writable = json.loads(image.run("python", "-c", WRITABLE))
    check(
        [path for path in writable if not path.startswith("/proc/")] == ["/tmp"],
        f"it may write to {writable}",
    )
    bare = subprocess.run(
        image.command("python", "-m", "slicer_worker.poller"),
        env=PATH,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    check(bare.returncode != 0, "the poller runs without a project")
    check("NEXT_PUBLIC_SUPABASE_URL: is missing" in bare.stderr, bare.stderr[-500:])
    print(
        "  as slicer, without capabilities; writes to /tmp alone; without variables it names them", flush=True
    )


@cache
def command_line_figures(image: Container, model: Path) -> tuple[float, int]:
    """Grams and seconds of the image's PrusaSlicer on its command line."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o777)  # so that the image's user can write to it
        shutil.copy(model, folder)
        image.run(
            "prusa-slicer",
            *arguments(PROFILES),
            "--output",
            "/mnt/out.gcode",
            f"/mnt/{model.name}",
            folder=folder,
        )
        return read_figures((folder / "out.gcode").read_text())


def slice_all(stack: Stack, image: Container) -> dict[int, str]:
    """Slice every model by the API and compare the figures; returns file id → model name."""
    shop = Shop(stack.api_url)
    shop.token = stack.sign_up("image@example.com").accessToken
    files: dict[int, str] = {}
    for model in map(gallery_model, MODELS):
        file_id = upload(shop, model)["id"]
        shop.data("POST", "quick-order/slice", json={"file": {"id": file_id, **SETTINGS}}, expect=202)
        status = wait_for_slice(shop, file_id)
        check(status["status"] == "completed", f"{model.name}: {status}")
        compare(model.name, status["result"], command_line_figures(image, model))
        files[file_id] = model.name
    return files


def compare(name: str, result: dict[str, Any], expected: tuple[float, int]) -> None:
    grams, seconds = expected
    slicer = f"{result['slicer']} {result['slicerVersion']}"
    print(
        f"  {name:<18}{slicer}: queue {result['massMg'] / 1000:g} g {result['timeSec']} s, "
        f"command line {grams:g} g {seconds} s",
        flush=True,
    )
    check(result["slicerVersion"].startswith("2.9"), "the image's slicer is not 2.9")
    # The slicer's threads add up in any order: two of its runs differ by that much.
    check(abs(result["massMg"] / 1000 - grams) <= 0.0101, f"{name}: the grams differ")
    check(abs(result["timeSec"] - seconds) <= 1, f"{name}: the seconds differ")


def read_usage(log: Path, files: Mapping[int, str], memory_mb: Mapping[str, int]) -> Usage:
    """Usage by the worker's log: from claim to completion, and from an inspection's download to its end."""
    written = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    claimed: dict[int, datetime] = {}
    slices: dict[str, float] = {}
    inspections: list[float] = []
    downloaded: datetime | None = None
    for line in written:
        at = datetime.strptime(line["timestamp"], "%Y-%m-%d %H:%M:%S,%f%z")
        file_id = int((line.get("data") or {}).get("fileId", 0))
        match line.get("scope"):
            case "slicer.claim":
                claimed[file_id] = at
            case "slicer.complete":
                slices[files[file_id]] = (at - claimed[file_id]).total_seconds()
            case "storage.download":
                downloaded = at
            case "slicer.inspection" if downloaded:
                inspections.append((at - downloaded).total_seconds())
    return Usage(slices, max(inspections, default=0.0), memory_mb)


def as_lambda(image: Container) -> Usage:
    """Slice with the image's entry point as the template's function, which the gateway invokes with SQS events."""
    with MemoryWatch(image.root) as watch, Stack(image=image.entry_point) as stack:
        log = stack.gateway.log_of("SlicerFunction")
        with log_on_failure(log):
            files = slice_all(stack, image)
    found = read_usage(log, files, watch.peak_mb)
    shutil.rmtree(stack.run_dir, ignore_errors=True)
    return found


def as_fargate(image: Container) -> Usage:
    """Slice with the poller and the variables of the template's task; checks heartbeats and task protection."""
    agent = EcsAgent()
    with MemoryWatch(image.root) as watch, Stack(parameters={"SlicerHome": "fargate"}) as stack:
        with poller(image, stack, agent) as log:
            files = slice_all(stack, image)
            agent.wait_for(OFF)
        calls = [call for call in stack.aws.calls() if call["function"] == TASK]
        found = read_usage(log, files, watch.peak_mb)
    agent.close()
    heartbeats = [call for call in calls if call["action"] == "ChangeMessageVisibility"]
    check(bool(heartbeats), "no message's visibility was extended")
    check({call["action"] for call in calls} <= TASK_CALLS, "the task did more than its role allows")
    check(agent.states[0] == ON, "the task was not protected")
    print(f"  {len(heartbeats)} heartbeats; protection {agent.states.count(ON)} times on", flush=True)
    shutil.rmtree(stack.run_dir, ignore_errors=True)
    return found


@contextmanager
def log_on_failure(log: Path) -> Iterator[None]:
    """Print the end of the worker's log when the block fails."""
    try:
        yield
    except StepFailedError:
        print(*log.read_text().splitlines()[-20:], sep="\n", file=sys.stderr)
        raise


@contextmanager
def poller(image: Container, stack: Stack, agent: EcsAgent) -> Iterator[Path]:
    """Run the poller as a task; yields its log. It has the function's variables, as the template's tests check."""
    environment = {
        **stack.gateway.application.functions["SlicerFunction"].environment,
        "AWS_ENDPOINT_URL": stack.aws.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": TASK,
        "AWS_SECRET_ACCESS_KEY": "local",
        "ECS_AGENT_URI": agent.agent_uri,
        "ECS_CONTAINER_METADATA_URI_V4": agent.metadata_uri,
    }
    log = stack.run_dir / "poller.log"
    program = ("python", "-m", "slicer_worker.poller", "--renew-seconds", "0.5")
    process = start(image.command(*program, environment=environment), env=PATH, log=log)
    try:
        with log_on_failure(log):
            yield log
    finally:
        check(process.stop(30) == 0, f"the poller ended with an error:\n{process.log_tail()}")


def main() -> int:
    runtimes: dict[str, Callable[[Container], Usage]] = {"Lambda": as_lambda, "Fargate": as_fargate}
    try:
        with Container() as image:
            print("the image's container:", flush=True)
            check_isolation(image)
            rows = []
            for name, run in runtimes.items():
                print(f"the image on the local stack as {name}:", flush=True)
                rows.append((name, run(image)))
    except (ContainerError, StepFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    print("seconds from claim to completion, the longest inspection, and the most resident memory:")
    for name, found in rows:
        seconds = ", ".join(f"{model} {spent:.2f}" for model, spent in found.slice_s.items())
        memory = ", ".join(f"{program} {size} MB" for program, size in sorted(found.memory_mb.items()))
        print(f"  {name:<9}{seconds}; inspection {found.inspection_s:.2f}; {memory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

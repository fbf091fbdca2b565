"""The slicer's image on the local stack, in both of its homes.

`make image-test`: box, bunny and screw go through API, queue and the image's worker, once as Lambda (the image's own
entry point, fed with SQS events by a Runtime API) and once as a Fargate task (the poller), and come out with the
figures that the image's own PrusaSlicer prints on its plain command line. What a slice takes is printed:
docs/slicing-cost.md is computed from it.

The container has a read-only root, a /tmp of its own, the image's user without capabilities and no other variable
than those it is given. It shares this machine's network and processes, so nothing in it is PID 1, and has no seccomp
filter and no limit of memory or processors, and its /tmp gets its rights here: those are ECS's and Lambda's to show.
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
from scripts.command_line import arguments, figures_of
from scripts.demo import SETTINGS, Shop, StepFailed, must, upload, wait_for_slice
from scripts.sample_models import gallery_model

MODELS = ("box.stl", "bunny.stl", "M3x10_screw.stl")
PROFILES = Path("/opt/slicer/app/printshop/slicing/profiles")
TASK = "SlicerTask"
"""The access key of the task, under which its calls are recorded."""
TASK_CALLS = {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetSecretValue"}
WRITABLE = (
    "import json, os; print(json.dumps([path for path, _, _ in os.walk('/') if os.access(path, os.W_OK)]))"
)
STATUS = "print(open('/proc/self/status').read()); import os; print(sorted(os.environ))"


@dataclass(frozen=True)
class Taken:
    """What the slices of one home took: seconds by file, and the most resident memory in MB by program."""

    slice_s: dict[str, float]
    inspection_s: float
    memory_mb: Mapping[str, int]


class MemoryWatch:
    """Looks at the container's processes all the while, as their root folder tells them."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_mb: dict[str, int] = {}

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
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


def check_the_box(image: Container) -> None:
    """Not root, nothing to gain, no place to write but /tmp, no variable of ours, and a clear word without any."""
    must(image.config["User"] == "slicer", "the image's user is not slicer")
    must("/tmp" in image.config["Volumes"], "the image does not declare /tmp a volume")
    must("LC_ALL=C.UTF-8" in image.config["Env"], "the image's locale is another")
    said = image.run("python", "-c", STATUS)
    must(re.search(r"^Uid:\s+0\b", said, re.M) is None, "the image runs as root")
    must(set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\s+(\S+)", said, re.M)) == {"0" * 16}, "it has capabilities")
    must("NoNewPrivs:\t1" in said, "it may gain privileges")
    variables = sorted(each.partition("=")[0] for each in image.config["Env"])
    must(str(variables) in said, "it sees other variables than the image's own")
    writable = json.loads(image.run("python", "-c", WRITABLE))
    must(
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
    must(bare.returncode != 0, "the poller runs without a project")
    must("NEXT_PUBLIC_SUPABASE_URL: is missing" in bare.stderr, bare.stderr[-500:])
    print(
        "  as slicer, without capabilities; writes to /tmp alone; without variables it names them", flush=True
    )


@cache
def by_hand(image: Container, model: Path) -> tuple[float, int]:
    """Grams and seconds of the image's plain command line."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o777)  # the image's user is nobody in particular
        shutil.copy(model, folder)
        image.run(
            "prusa-slicer",
            *arguments(PROFILES),
            "--output",
            "/mnt/out.gcode",
            f"/mnt/{model.name}",
            folder=folder,
        )
        return figures_of((folder / "out.gcode").read_text())


def slice_all(stack: Stack, image: Container) -> dict[int, str]:
    """Slice every model by the API, with the figures by hand; their names by file."""
    shop = Shop(stack.api_url)
    shop.token = stack.sign_up("image@example.com").accessToken
    files: dict[int, str] = {}
    for model in map(gallery_model, MODELS):
        file_id = upload(shop, model)["id"]
        shop.data("POST", "quick-order/slice", json={"file": {"id": file_id, **SETTINGS}}, expect=202)
        status = wait_for_slice(shop, file_id)
        must(status["status"] == "completed", f"{model.name}: {status}")
        compare(model.name, status["result"], by_hand(image, model))
        files[file_id] = model.name
    return files


def compare(name: str, result: dict[str, Any], hand: tuple[float, int]) -> None:
    grams, seconds = hand
    slicer = f"{result['slicer']} {result['slicerVersion']}"
    print(
        f"  {name:<18}{slicer}: queue {result['massMg'] / 1000:g} g {result['timeSec']} s, "
        f"by hand {grams:g} g {seconds} s",
        flush=True,
    )
    must(result["slicerVersion"].startswith("2.9"), "the image's slicer is not 2.9")
    # The slicer's threads add up in any order: two runs of its own differ by that much.
    must(abs(result["massMg"] / 1000 - grams) <= 0.0101, f"{name}: the grams differ")
    must(abs(result["timeSec"] - seconds) <= 1, f"{name}: the seconds differ")


def taken(log: Path, files: Mapping[int, str], memory_mb: Mapping[str, int]) -> Taken:
    """What the worker's log says: from claim to completion, and from an inspection's download to its end."""
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
    return Taken(slices, max(inspections, default=0.0), memory_mb)


def as_lambda(image: Container) -> Taken:
    """The image's own entry point as the function of the template: the gateway's Runtime API hands it SQS events."""
    with MemoryWatch(image.root) as watch, Stack(image=image.entry_point) as stack:
        log = stack.gateway.log_of("SlicerFunction")
        with said_on_failure(log):
            files = slice_all(stack, image)
    found = taken(log, files, watch.peak_mb)
    shutil.rmtree(stack.run_dir, ignore_errors=True)
    return found


def as_fargate(image: Container) -> Taken:
    """The poller with the variables of the template's task, on ECS's word; heartbeat and protection are seen."""
    agent = EcsAgent()
    with MemoryWatch(image.root) as watch, Stack(parameters={"SlicerHome": "fargate"}) as stack:
        with poller(image, stack, agent) as log:
            files = slice_all(stack, image)
            agent.wait_for(OFF)
        calls = [call for call in stack.aws.calls() if call["function"] == TASK]
        found = taken(log, files, watch.peak_mb)
    agent.close()
    heartbeats = [call for call in calls if call["action"] == "ChangeMessageVisibility"]
    must(bool(heartbeats), "no message was hidden anew")
    must({call["action"] for call in calls} <= TASK_CALLS, "the task did more than its role allows")
    must(agent.states[0] == ON, "the task was not protected")
    print(f"  {len(heartbeats)} heartbeats; protection {agent.states.count(ON)} times on", flush=True)
    shutil.rmtree(stack.run_dir, ignore_errors=True)
    return found


@contextmanager
def said_on_failure(log: Path) -> Iterator[None]:
    """Print the end of the worker's log when the block fails."""
    try:
        yield
    except StepFailed:
        print(*log.read_text().splitlines()[-20:], sep="\n", file=sys.stderr)
        raise


@contextmanager
def poller(image: Container, stack: Stack, agent: EcsAgent) -> Iterator[Path]:
    """A running task; its log. Its variables are the function's, as the template's tests hold."""
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
        with said_on_failure(log):
            yield log
    finally:
        must(process.stop(30) == 0, f"the poller did not end well:\n{process.log_tail()}")


def main() -> int:
    homes: dict[str, Callable[[Container], Taken]] = {"Lambda": as_lambda, "Fargate": as_fargate}
    try:
        with Container() as image:
            print("the image's container:", flush=True)
            check_the_box(image)
            rows = []
            for name, home in homes.items():
                print(f"the image on the local stack as {name}:", flush=True)
                rows.append((name, home(image)))
    except (ContainerError, StepFailed) as error:
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

"""The slicer's image on the local stack, as Fargate would run it: its poller takes the queue.

`make image-test`: box, bunny and screw go through API, queue and the image's worker, and come out with the figures
that the image's own PrusaSlicer prints on its plain command line.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.by_hand import arguments, figures_of
from local.demo import SETTINGS, Shop, StepFailed, must, upload, wait_for_slice
from local.models import gallery_model
from local.processes import start
from local.stack import ROOT, Stack

IMAGE = "localhost/printshop-slicer:latest"
STATE = ROOT / ".local" / "image"
BUILDAH: list[str | Path] = [
    "buildah",
    "--root",
    STATE / "storage",
    "--runroot",
    STATE / "run",
    "--storage-driver",
    "vfs",
]
PROFILES = Path("/opt/slicer/app/printshop/slicing/profiles")
MODELS = ("box.stl", "bunny.stl", "M3x10_screw.stl")


@contextmanager
def container() -> Iterator[str]:
    """A container of the image, where there is no Docker engine; its name."""
    made = subprocess.run(
        [*BUILDAH, "from", "--pull=never", IMAGE], check=True, capture_output=True, text=True
    )
    name = made.stdout.strip()
    try:
        yield name
    finally:
        subprocess.run([*BUILDAH, "rm", name], check=True, capture_output=True)


def inside(
    name: str, *program: str | Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> list[str | Path]:
    """The command line that runs `program` in the container, with `folder` as /exchange."""
    variables = [f"--env={key}={value}" for key, value in (environment or {}).items()]
    volumes = [f"--volume={folder}:/exchange"] if folder else []
    return [*BUILDAH, "run", "--isolation", "chroot", *variables, *volumes, name, "--", *program]


def by_hand(name: str, model: Path) -> tuple[float, int]:
    """Grams and seconds of the image's plain command line."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o777)  # the image's user is nobody in particular
        shutil.copy(model, folder)
        output = f"/exchange/{model.stem}.gcode"
        command = ["prusa-slicer", *arguments(PROFILES), "--output", output, f"/exchange/{model.name}"]
        subprocess.run(inside(name, *command, folder=folder), check=True, capture_output=True)
        return figures_of((folder / f"{model.stem}.gcode").read_text())


def worker_environment(stack: Stack) -> dict[str, str]:
    """What a Fargate task definition would give the poller."""
    return {
        "NEXT_PUBLIC_SUPABASE_URL": stack.supabase.url,
        "NEXT_PUBLIC_SUPABASE_ANON_KEY": stack.supabase.publishable_key,
        "SUPABASE_SERVICE_ROLE_KEY": stack.supabase.secret_key,
        "SLICE_QUEUE_URL": stack.queue_url,
        "AWS_ENDPOINT_URL": stack.aws.endpoint_url,
        "AWS_DEFAULT_REGION": "ap-southeast-2",
        "AWS_ACCESS_KEY_ID": "SlicerFunction",
        "AWS_SECRET_ACCESS_KEY": "local",
    }


def compare(stack: Stack, name: str) -> None:
    shop = Shop(stack.api_url)
    shop.token = stack.sign_up("image@example.com").accessToken
    for model in map(gallery_model, MODELS):
        file_id = upload(shop, model)
        shop.data("POST", "quick-order/slice", json={"file": {"id": file_id, **SETTINGS}}, expect=202)
        status = wait_for_slice(shop, file_id)
        must(status["status"] == "completed", f"{model.name}: {status['metadata'].get('error')}")
        result = status["result"]
        grams, seconds = by_hand(name, model)
        slicer = f"{result['slicer']} {result['slicerVersion']}"
        print(
            f"  {model.name:<18}{slicer}: queue {result['massMg'] / 1000:g} g {result['timeSec']} s, "
            f"by hand {grams:g} g {seconds} s",
            flush=True,
        )
        must(result["slicerVersion"].startswith("2.9"), "the image's slicer is not 2.9")
        # The slicer's threads add up in any order: two runs of its own differ by that much.
        must(abs(result["massMg"] / 1000 - grams) <= 0.0101, f"{model.name}: the grams differ")
        must(abs(result["timeSec"] - seconds) <= 1, f"{model.name}: the seconds differ")


def main() -> int:
    if not shutil.which("buildah") or os.geteuid() != 0:
        print("This check needs root and buildah: sudo apt-get install buildah", file=sys.stderr)
        return 2
    print("the image's poller on the local stack:", flush=True)
    with Stack(parameters={"SlicerHome": "fargate"}) as stack, container() as name:
        poller = start(
            inside(name, "python", "-m", "slicer_worker.poller", environment=worker_environment(stack)),
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
            log=stack.run_dir / "poller.log",
        )
        try:
            compare(stack, name)
        except StepFailed as error:
            print(f"{error}\n{poller.log_tail()}", file=sys.stderr)
            return 1
        finally:
            poller.stop(30)
    shutil.rmtree(stack.run_dir, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the slicer's image without a container engine: in a mount namespace, chroot and user of its own.

    with Container() as image:
        process = start(image.entry_point({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}), env=PATH, log=log)

The program sees the image's files, read-only, and its own /tmp. It runs as the image's user without capabilities,
and has only the image's variables and the given ones. It shares this machine's network and /proc. Needs root and
buildah, which stores the image.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

IMAGE = "localhost/printshop-slicer:latest"
STATE = Path(__file__).resolve().parents[2] / ".local" / "image"
BUILDAH: list[str | Path] = [
    *("buildah", "--root", STATE / "storage", "--runroot", STATE / "run", "--storage-driver", "vfs")
]
UNSHARE = shutil.which("unshare") or "/usr/bin/unshare"
PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
"""The environment in which the command lines below are started."""

# In a private mount namespace: no other process sees these mounts, and they end with the last process in it.
SET_UP = """
root=$1 folder=$2; shift 2
mount --bind "$root" "$root"
mount -t tmpfs -o mode=755,nosuid devices "$root/dev"
for device in null zero full random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount --bind /proc "$root/proc"
mount -t tmpfs -o mode=1777,nosuid,nodev scratch "$root/tmp"
[ -z "$folder" ] || mount --bind "$folder" "$root/mnt"
mount -o remount,bind,ro "$root/dev"
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""


class ContainerError(RuntimeError):
    """This machine cannot run the image; the message says what is missing."""


class Container:
    """A container made from the image; programs in it cannot write to its files."""

    def __init__(self) -> None:
        if not shutil.which("buildah") or os.geteuid() != 0:
            raise ContainerError("This check needs root and buildah: sudo apt-get install buildah")
        self._name = ""
        self.root = Path()
        self.config: Mapping[str, Any] = {}
        """Env, Entrypoint, Cmd, User, WorkingDir and Volumes of the Dockerfile."""

    def __enter__(self) -> Self:
        self.config = json.loads(_buildah("inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
        self._name = _buildah("from", "--pull=never", IMAGE)
        self.root = Path(_buildah("mount", self._name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _buildah("umount", self._name)
        _buildah("rm", self._name)

    def entry_point(self, environment: Mapping[str, str]) -> list[str | Path]:
        """The command line that runs the image's own entry point."""
        return self.command(*self.config["Entrypoint"], *self.config["Cmd"], environment=environment)

    def command(
        self, *program: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> list[str | Path]:
        """The command line that runs `program`, with `folder` as /mnt, in the same process."""
        user = self.config["User"]
        assigned = [*self.config["Env"], *(f"{name}={value}" for name, value in (environment or {}).items())]
        return [
            *(UNSHARE, "--mount", "--propagation", "private", "--"),
            *("sh", "-euc", SET_UP, "container", self.root, folder or ""),
            *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"),
            *("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"),
            *("env", "--ignore-environment", f"--chdir={self.config['WorkingDir']}", *assigned, *program),
        ]

    def run(self, *program: str, folder: Path | None = None) -> str:
        """Run `program` and return its output. Raises CalledProcessError when it fails."""
        line = self.command(*program, folder=folder)
        return subprocess.run(line, env=PATH, check=True, capture_output=True, text=True).stdout


def _buildah(*arguments: str) -> str:
    done = subprocess.run([*BUILDAH, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ContainerError(f"buildah {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()

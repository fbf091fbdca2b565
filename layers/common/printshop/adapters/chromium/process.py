"""Chromium as a process: started in a group of its own, tied to our life, ended without a trace."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from printshop.adapters.chromium.installation import Chromium

START_LIMIT: Final = 12.0
"""Seconds for a browser to open its DevTools port; warm machines need 0.05–0.2, a cold Lambda some seconds."""

FLAGS: Final = (
    "--headless=shell",
    # One process: one thing to watch, to measure and to kill, and no orphan or zombie if it falls. Lambda does not
    # let Chromium start its helpers anyway. We keep one page and no browser context, which is what this mode bears.
    "--single-process",
    "--no-zygote",
    # Lambda gives no namespaces. What stands instead: no scripts, no network, no secrets in the environment.
    "--no-sandbox",
    # Every name and every address resolves to nothing: also what request interception does not see (preconnect).
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-port=0",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-crash-reporter",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--disk-cache-size=1",
    "--font-render-hinting=none",
    "--hide-scrollbars",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
)

_ENDPOINT: Final = re.compile(r"DevTools listening on (ws://\S+)")
_STARTER: Final = Path(__file__).with_name("launcher.py")


class BrowserFailedError(Exception):
    """The browser died, hung up or refused a command: it must not be used again."""


class BrowserNotStartedError(BrowserFailedError):
    """The executable runs, if at all, but opens no DevTools port."""


class ChromiumProcess:
    """A running Chromium, from construction to `stop()`."""

    def __init__(self, chromium: Chromium, workspace: Path) -> None:
        """Start it, unpacked if need be. The thread that starts it must outlive it: its end ends the browser."""
        executable = chromium.unpack(workspace)
        _sweep(workspace)
        self._folder = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=workspace))
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(_STARTER), str(os.getpid()), str(executable), *FLAGS),
                f"--user-data-dir={self._folder}",
                "about:blank",
            ],
            env=_environment(chromium, self._folder),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._end = weakref.finalize(self, _end, self._process, self._folder)
        assert self._process.stderr is not None  # noqa: S101  (asked for above)
        self._errors = _ErrorStream(self._process.stderr)

    def endpoint(self) -> str:
        """Its DevTools address (ws://127.0.0.1:…). Blocks until it is told.

        Raises BrowserNotStartedError, with the last lines of its stderr, if that takes too long.
        """
        address = self._errors.endpoint(START_LIMIT)
        if address is None:
            raise BrowserNotStartedError(
                f"Chromium did not start: {self._errors.tail() or 'it said nothing'}"
            )
        return address

    @property
    def pid(self) -> int:
        """The process id, which is the process group's as well."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        # Looks without reaping, so that the process id stays ours until `stop`.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    @property
    def resident_bytes(self) -> int:
        """Memory in use, 0 when it is gone. One process, so one number."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except OSError:
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def last_words(self) -> str:
        """The end of what Chromium wrote to stderr."""
        return self._errors.tail()

    def stop(self) -> None:
        """Kill the whole process group, reap it, remove its folder. Harmless when it is gone already."""
        self._end()


class _ErrorStream:
    """Reads stderr to its end, so that Chromium never blocks on it; keeps the last lines."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: deque[str] = deque(maxlen=20)
        self._endpoint: str | None = None
        self._known = threading.Event()
        self._thread = threading.Thread(
            target=self._read, args=(stream,), name="chromium-stderr", daemon=True
        )
        self._thread.start()

    def endpoint(self, seconds: float) -> str | None:
        """The DevTools address, as soon as it is told; None if the stream ends or the time runs out first."""
        self._known.wait(seconds)
        return self._endpoint

    def tail(self) -> str:
        return " | ".join(self._lines)[-1000:]

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                if self._endpoint is None and (match := _ENDPOINT.search(line)):
                    self._endpoint = match[1]
                    self._known.set()
                elif line.strip():
                    self._lines.append(line.strip()[:300])
        self._known.set()


def _environment(chromium: Chromium, folder: Path) -> Mapping[str, str]:
    """Nothing of ours: Chromium has no use for our keys."""
    environment = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "XDG_CACHE_HOME": str(folder.parent),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PATH": os.defpath,
    }
    if chromium.libraries:
        environment["LD_LIBRARY_PATH"] = str(chromium.libraries)
    if chromium.fonts:
        environment["FONTCONFIG_FILE"] = str(chromium.fonts)
    return environment


def _end(process: subprocess.Popen[str], folder: Path) -> None:
    # Killed before it is waited for: a process that died by itself keeps its id, and so its group's, until then.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _sweep(workspace: Path) -> None:
    """Remove the folders of owners that were killed before they could tidy up."""
    for folder in workspace.glob("run-*"):
        owner = folder.name.split("-")[1]
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)

"""Starts the processes of functions: command line, environment, and the layers under /opt."""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from devstack.gateway.application import Function
from devstack.gateway.intrinsics import REGION
from devstack.processes import Process, start

__all__ = ["ImageCommand", "Launcher", "private_opt"]

type ImageCommand = Callable[[Mapping[str, str]], list[str | Path]]
"""The command line that runs an image function's entry point in its image, with these variables."""

PROCESS_BOX = Path(__file__).with_name("process_box.py")
RUNTIME_DISTRIBUTIONS = ("awslambdaric", "simplejson", "snapshot-restore-py")
SET_BY_IMAGE = (
    "LANG",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "TZ",
)
"""Variables that the image sets for an image function, not Lambda."""
SITE_PACKAGES = f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def private_opt() -> bool:
    """Whether a process can have its own /opt: only root can make mount namespaces.

    Otherwise the environment names the layers' Python and bin folders, and a template parameter has to name any other
    path that the product looks up under /opt.
    """
    hidden = any(
        Path(part).resolve().is_relative_to("/opt") for part in (sys.base_prefix, sys.prefix, PROCESS_BOX)
    )
    if os.geteuid() != 0 or hidden or not Path("/opt").is_dir():
        return False
    return (
        subprocess.run([*_boxed(Path("/opt")), "/bin/true"], capture_output=True, check=False).returncode == 0
    )


@dataclass(frozen=True)
class _Opt:
    """A folder with the contents of /opt, and the path under which the process sees it."""

    folder: Path
    seen_as: str
    mounted: bool


class Launcher:
    """Starts processes of functions. `packages` are the folders that an image function copies in.

    With `image`, image functions run in their image instead of from the source tree. With `temp_dir` each function
    has its own temporary folder there, as it has its own /tmp on Lambda.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        built: bool,
        aws_url: str,
        packages: Iterable[Path],
        image: ImageCommand | None = None,
        temp_dir: Path | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._temp_dir = temp_dir
        self._built = built
        self._aws_url = aws_url
        self._packages = tuple(packages)
        self._image = image
        self._private_opt = built and private_opt()
        self._opts: dict[tuple[Path, ...], _Opt] = {}

    def start(self, function: Function, port: int) -> Process:
        """Start a process that takes its invocations from the Runtime API on `port`."""
        if function.image and self._image is not None:
            environment = self._environment(function, port, None)
            given = {name: value for name, value in environment.items() if name not in SET_BY_IMAGE}
            return start(
                [*_boxed(None), *self._image(given)],
                env={"PATH": os.environ["PATH"]},
                log=self._log_of(function),
            )
        opt = self._opt(function.layers) if self._built and function.layers else None
        bare = self._built and not function.image
        python = [str(getattr(sys, "_base_executable", sys.executable)), "-S"] if bare else [sys.executable]
        return start(
            [
                *_boxed(opt.folder if opt and opt.mounted else None),
                *python,
                "-m",
                "awslambdaric",
                function.handler,
            ],
            env=self._environment(function, port, opt),
            cwd=function.code,
            log=self._log_of(function),
        )

    def _log_of(self, function: Function) -> Path:
        return self._run_dir / "logs" / f"{function.logical_id}.log"

    def _environment(self, function: Function, port: int, opt: _Opt | None) -> dict[str, str]:
        """The variables of the template and of Lambda, and no others."""
        now = datetime.now(UTC)
        task = str(function.code)
        libraries = [task, f"{task}/lib"] + ([f"{opt.seen_as}/lib"] if opt else [])
        programs = ["/usr/local/bin", "/usr/bin", "/bin"] + ([f"{opt.seen_as}/bin"] if opt else [])
        return {
            **function.environment,
            "AWS_ACCESS_KEY_ID": function.logical_id,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self._aws_url,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{now:%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "LAMBDA_RUNTIME_DIR": str(self._runtime) if self._built else "/var/runtime",
            "LAMBDA_TASK_ROOT": task,
            "LANG": "en_US.UTF-8",
            "LD_LIBRARY_PATH": ":".join(libraries),
            "PATH": ":".join(programs),
            "PYTHONPATH": ":".join(self._python_path(function, opt)),
            "TZ": ":UTC",
            "_HANDLER": function.handler,
            **self._own_temp(function),
        }

    def _own_temp(self, function: Function) -> dict[str, str]:
        if self._temp_dir is None:
            return {}
        folder = self._temp_dir / function.logical_id
        folder.mkdir(parents=True, exist_ok=True)
        return {"TMPDIR": str(folder)}

    def _python_path(self, function: Function, opt: _Opt | None) -> list[str]:
        """PYTHONPATH; `python -m` puts the function's own folder before it."""
        if function.image:
            return [str(folder) for folder in self._packages]
        if not self._built:
            return [str(folder) for folder in reversed(function.layers)]
        return ([f"{opt.seen_as}/{SITE_PACKAGES}", f"{opt.seen_as}/python"] if opt else []) + [
            str(self._runtime)
        ]

    @property
    def _runtime(self) -> Path:
        """A folder with AWS's runtime client only, as /var/runtime on Lambda."""
        folder = self._run_dir / "runtime"
        if not folder.exists():
            folder.mkdir(parents=True)
            for name in RUNTIME_DISTRIBUTIONS:
                distribution = importlib.metadata.distribution(name)
                for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
                    (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
        return folder

    def _opt(self, layers: tuple[Path, ...]) -> _Opt:
        """Copy the layers over each other, the last on top, as Lambda fills /opt."""
        if layers not in self._opts:
            name = hashlib.sha256("\n".join(map(str, layers)).encode()).hexdigest()[:12]
            folder = self._run_dir / "opt" / name
            folder.mkdir(parents=True)
            for layer in layers:
                shutil.copytree(layer, folder, symlinks=True, dirs_exist_ok=True, copy_function=_link)
            self._opts[layers] = _Opt(folder, "/opt" if self._private_opt else str(folder), self._private_opt)
        return self._opts[layers]


def _boxed(opt: Path | None) -> list[str]:
    return [sys.executable, "-I", "-S", str(PROCESS_BOX), *(["--opt", str(opt)] if opt else []), "--"]


def _link(source: str, target: str) -> None:
    """Make a hard link where possible, else a copy: a layer with a browser weighs 100 MB."""
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

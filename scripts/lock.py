"""`make lock`: resolves the requirement files from pyproject.toml, with hashes and without a registry's address."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = ROOT / ".local" / "uv" / "bin" / "uv"
ALL = "requirements/dev.txt"
COMPILE: list[str | Path] = [
    UV, "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url",
    "--no-emit-find-links", "--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_34",
]  # fmt: skip

# The development file comes first: it constrains the deployed ones to the tested versions.
FILES = {
    ALL: ["pyproject.toml", "--group", "dev"],
    "layers/common/requirements.txt": ["pyproject.toml", "--constraint", ALL],
    "layers/chromium/requirements.txt": ["--group", "pyproject.toml:chromium", "--constraint", ALL],
    "functions/back_office/requirements.txt": ["--group", "pyproject.toml:back-office", "--constraint", ALL],
    "functions/quick_order/requirements.txt": ["--group", "pyproject.toml:quick-order", "--constraint", ALL],
    "slicer-container/requirements.txt": ["--group", "pyproject.toml:slicer", "--constraint", ALL],
    "requirements/sam.txt": ["--group", "pyproject.toml:sam"],
    "requirements/audit.txt": ["--group", "pyproject.toml:audit"],
    "requirements/bench.txt": ["--group", "pyproject.toml:bench"],
}


def main() -> int:
    for file, sources in FILES.items():
        print(f"  {file}", flush=True)
        subprocess.run([*COMPILE, *sources, *sys.argv[1:], "--output-file", file], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The rival of the cold PDF, run as a process: python bare_start.py PACKED LAYER FLAG…

Unpacks PACKED as it streams in, starts it with the FLAGs and with the libraries and fonts of LAYER, and kills it once
it prints its DevTools address. Prints the seconds, without those of its imports.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

packed, layer, flags = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
if packed.suffix == ".br":  # as in the npm package; only the benchmarks' environment has brotli
    import brotli  # type: ignore[import-not-found]
else:
    from backports import zstd


def unpacked() -> Iterator[bytes]:
    if packed.suffix == ".br":
        decompressor = brotli.Decompressor()
        with packed.open("rb") as source:
            while chunk := source.read(1 << 18):
                yield decompressor.process(chunk)
    else:
        with zstd.open(packed) as source:
            while chunk := source.read(1 << 20):
                yield chunk


with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    executable = Path(folder, "chromium")
    with executable.open("wb") as target:
        target.writelines(unpacked())
    executable.chmod(0o700)
    environment = {
        "PATH": os.defpath,
        "HOME": folder,
        "LD_LIBRARY_PATH": str(layer / "lib"),
        "FONTCONFIG_FILE": str(layer / "fonts.conf"),
    }
    process = subprocess.Popen(
        [executable, *flags, f"--user-data-dir={folder}/profile", "about:blank"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        while "DevTools listening on" not in process.stderr.readline():
            pass
        print(time.perf_counter() - start)
        process.kill()

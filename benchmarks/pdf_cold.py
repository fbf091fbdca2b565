"""The first PDF of a new environment: unpack, launch and print, in a fresh process.

Rival: brotli and the bare start of the same Chromium with the same flags until it tells its address, in a fresh
process as well; the quickest of either, for a busy machine only ever adds. Limit: 1.2 times. Measured from after the
imports that either needs to begin.
"""

import subprocess
import sys

from printshop.pdf.chromium import Chromium

ROUNDS = 5

OURS = """
import asyncio, sys, tempfile, time
from pathlib import Path
from printshop.pdf.chromium import find_chromium
from printshop.pdf.renderer import Renderer
from printshop.pdf.template import render_html
from tests.unit.pdf.documents import business, invoice

async def cold(folder):
    renderer = Renderer(find_chromium(sys.argv[1]), workspace=Path(folder))
    await renderer.pdf(render_html(invoice(4), business()))
    took = time.perf_counter() - start
    await renderer.close()
    return took

with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    print(asyncio.run(cold(folder)))
"""
BARE = """
import sys, tempfile, time
from pathlib import Path
from benchmarks.bare_devtools import unpack_and_launch
from printshop.pdf.process import FLAGS

with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    unpack_and_launch(Path(sys.argv[1]), Path(folder), FLAGS)
    print(time.perf_counter() - start)
"""


def _seconds(code: str, chromium: Chromium) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code, str(chromium.source)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def main(chromium: Chromium) -> None:
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        bare.append(_seconds(BARE, chromium))
        ours.append(_seconds(OURS, chromium))
    cold, start = min(ours), min(bare)
    print(f"cold, {ROUNDS} fresh processes each; rival: bare unpack and launch")
    print(f"  {'printshop, unpack, launch, print':<34} min {cold * 1000:7.0f} ms")
    print(f"  {'rival: unpack, launch':<34} min {start * 1000:7.0f} ms")
    print(f"  ratio {cold / start:.2f}\n  {'held' if cold <= start * 1.2 else 'MISSED'}: within 1.2 times")

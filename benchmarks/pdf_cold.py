"""The first PDF of a new environment: unpack, launch and print, in a fresh process.

Rival: the bare unpacking and start of the same packed Chromium with the same flags, until it prints its address, in a
fresh process as well; the quickest of either, for a busy machine only ever adds. Limit: 1.2 times. The last line sets
it against the package as npm carries it, by brotli instead of zstd. Measured from after the imports that either needs
to begin.
"""

import subprocess
import sys
from pathlib import Path

from printshop.adapters.chromium.installation import Chromium
from printshop.adapters.chromium.process import FLAGS

ROUNDS = 15

ROOT = Path(__file__).parents[1]
BENCH_PYTHON = ROOT / ".local" / "bench" / "bin" / "python"
AS_NPM_HAS_IT = (
    ROOT / ".local" / "bench-npm" / "node_modules" / "@sparticuz" / "chromium" / "bin" / "chromium.br"
)
BARE = Path(__file__).with_name("bare_start.py")

OURS = """
import asyncio, sys, tempfile, time
from pathlib import Path
from printshop.adapters.chromium.installation import find_chromium
from printshop.adapters.chromium.renderer import Renderer
from printshop.documents.template import render_html
from tests.unit.documents.documents import business, invoice

async def cold(folder):
    renderer = Renderer(find_chromium(sys.argv[1]), workspace=Path(folder))
    renderer.prepare()
    await renderer.pdf(render_html(invoice(4), business()))
    took = time.perf_counter() - start
    await renderer.close()
    return took

with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    print(asyncio.run(cold(folder)))
"""


def _seconds(*command: str | Path) -> float:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main(chromium: Chromium) -> None:
    if not AS_NPM_HAS_IT.exists():
        print("the rival of the cold start is not set up: `make setup-bench`")
        return
    layer = chromium.source.parent
    ours: list[float] = []
    as_npm_has_it: list[float] = []
    as_we_have_it: list[float] = []
    for _ in range(ROUNDS):
        as_npm_has_it.append(_seconds(BENCH_PYTHON, BARE, AS_NPM_HAS_IT, layer, *FLAGS))
        as_we_have_it.append(_seconds(sys.executable, BARE, chromium.source, layer, *FLAGS))
        ours.append(_seconds(sys.executable, "-c", OURS, chromium.source))
    cold, rival, as_npm = min(ours), min(as_we_have_it), min(as_npm_has_it)
    print(f"cold, {ROUNDS} fresh processes each; rival: bare unpack and launch")
    print(f"  {'printshop, unpack, launch, print':<34} min {cold * 1000:7.0f} ms")
    print(f"  {'rival: unpack, launch':<34} min {rival * 1000:7.0f} ms")
    print(f"  ratio {cold / rival:.2f}\n  {'held' if cold <= rival * 1.2 else 'MISSED'}: within 1.2 times")
    print(
        f"  {'the rival on the package of npm':<34} min {as_npm * 1000:7.0f} ms   ratio {cold / as_npm:.2f}"
    )

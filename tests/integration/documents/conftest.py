"""A real Chromium, warm for the whole session where a test does not need its own."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from printshop.adapters.chromium.installation import Chromium, find_chromium
from printshop.adapters.chromium.renderer import Renderer
from scripts.preview import print_sheet
from tests.integration.documents.probes import REPOSITORY, CountingServer, Run, Tapped
from tests.unit.documents.gallery import gallery

INSTALLED = REPOSITORY / ".local" / "chromium"


@pytest.fixture(scope="session")
def chromium() -> Chromium:
    """The layer's browser, laid out by the layer's own script."""
    subprocess.run(
        [REPOSITORY / "layers" / "chromium" / "install.sh", INSTALLED],
        env={**os.environ, "PYTHON": sys.executable},
        check=True,
    )
    return find_chromium(str(INSTALLED / "chromium.zst"), layer=REPOSITORY / "no-layer")


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """The one event loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="session")
def renderer(chromium: Chromium, run: Run) -> Iterator[Renderer]:
    shared = Renderer(chromium)
    yield shared
    run(shared.close())


@pytest.fixture(scope="session")
def printed(renderer: Renderer, run: Run) -> Callable[[str], bytes]:
    """A sheet of the gallery as it is served, printed once: printed("invoice-paid")."""

    @cache
    def contents(name: str) -> bytes:
        made: bytes = run(print_sheet(renderer, gallery()[name]()))
        return made

    return contents


@pytest.fixture
def make_renderer(chromium: Chromium, run: Run) -> Iterator[Callable[..., Renderer]]:
    """A renderer of the test's own: make_renderer(time_limit=…)."""
    made: list[Renderer] = []

    def make(browser: Chromium = chromium, **options: Any) -> Renderer:
        made.append(Renderer(browser, **options))
        return made[-1]

    yield make
    for one in made:
        run(one.close())


@pytest.fixture
def tapped(tmp_path: Path, chromium: Chromium) -> Callable[..., Tapped]:
    """A tapped browser: tapped(), or tapped({"kind": "hang", "method": "Page.printToPDF", "times": 1})."""

    def make(fault: dict[str, Any] | None = None) -> Tapped:
        return Tapped(tmp_path, chromium, fault)

    return make


@pytest.fixture
def blocked() -> Iterator[list[dict[str, Any]]]:
    """What the renderer logged as refused: {"kind", "url"} each."""
    seen: list[dict[str, Any]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "scope", "") == "pdf.blocked" and hasattr(record, "data"):
                seen.append(record.data)

    logger, listener = logging.getLogger(os.environ.get("POWERTOOLS_SERVICE_NAME", "printshop")), Listener()
    logger.addHandler(listener)
    yield seen
    logger.removeHandler(listener)


@pytest.fixture
def outside() -> Iterator[CountingServer]:
    server = CountingServer()
    yield server
    server.close()

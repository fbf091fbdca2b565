"""The gallery and every hostile file, from the customer's upload to the stated outcome, on a stack of their own."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from devstack import Stack
from scripts.sample_models import gallery
from tests.conftest import Client, sign_up
from tests.integration.api.traces import nothing_left_behind, wait_until_quiet
from tests.support.orders import put, slice_request, wait_for_slice
from tests.unit.geometry.hostile_files import ACCEPTED, REFUSED, SLICED, Hostile

MARKER = Path("/tmp/printshop-corpus-was-here")
"""What the command inside one of the files would make."""
API, WORKER = "QuickOrderFunction", "SlicerFunction"
MAX_MEGABYTES = {API: 500, WORKER: 150}

EVERY_TIME = {
    "truncated", "g-code as STL", "program as STL", "zip bomb", "entity bomb", "traversal", "components 40 deep",
    "NaN in a 3MF", "5 m", "0.01 mm", "solid binary", "3MF with a command", "box.stl", "bunny.stl",
}  # fmt: skip
"""The rest takes its turn in the full size."""


def some(name: str) -> tuple[pytest.MarkDecorator, ...]:
    return () if name in EVERY_TIME else (pytest.mark.full,)


def of_corpus(files: list[Hostile]) -> list[Any]:
    return [pytest.param(file, id=file.name, marks=some(file.name)) for file in files]


@dataclass(frozen=True)
class House:
    """A stack whose functions have temporary folders of their own, and a customer."""

    stack: Stack
    temp: Path
    database: psycopg.Connection
    client: Client

    def leftovers(self) -> list[str]:
        return [
            str(path.relative_to(self.temp))
            for name in (API, WORKER)
            for path in (self.temp / name).glob("*")
        ]

    def peak_megabytes(self, function: str) -> int:
        """The most memory that any of the function's processes ever held."""
        statuses = [
            Path(f"/proc/{process}/status").read_text() for process in self.stack.gateway.processes(function)
        ]
        return max((int(status.partition("VmHWM:")[2].split()[0]) for status in statuses), default=0) // 1024

    def complete(self, filename: str, contents: bytes) -> httpx.Response:
        """Upload as a customer does; the answer to `complete`, or to what was refused before."""
        body = {"files": [{"filename": filename, "sizeBytes": len(contents)}]}
        asked = self.client.post("quick-order/uploads", body)
        if not asked.is_success:
            return asked
        upload = asked.json()["data"]["files"][0]
        assert put(upload, contents).is_success
        return self.client.post(f"quick-order/uploads/{upload['id']}/complete")

    def sliced(self, file_id: int, **changes: Any) -> dict[str, Any]:
        self.client.data("POST", "quick-order/slice", slice_request(file_id, **changes))
        return wait_for_slice(self.client, file_id)


@pytest.fixture(scope="module")
def house_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    temp = tmp_path_factory.mktemp("temp")
    with (
        Stack(tmp_path_factory.mktemp("corpus"), parameters={"MaxModelMb": "100"}, temp_dir=temp) as stack,
        psycopg.connect(stack.postgres.url, autocommit=True) as database,
    ):
        yield House(stack, temp, database, sign_up(stack))


@pytest.fixture
def house(house_of_its_own: House) -> Iterator[House]:
    """The house, which has to be as tidy after each file as before."""
    house = house_of_its_own
    MARKER.unlink(missing_ok=True)
    # A customer a file: none of them meets the limit of waiting slices.
    yield House(house.stack, house.temp, house.database, sign_up(house.stack))
    wait_until_quiet(house.stack)
    deadline = time.monotonic() + 5
    while house.leftovers() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert house.leftovers() == []
    assert not MARKER.exists(), "a command inside a model was run"
    for function, most in MAX_MEGABYTES.items():
        assert house.peak_megabytes(function) < most


@pytest.mark.parametrize("file", of_corpus(REFUSED))
def test_a_file_that_is_no_good_model_is_refused_and_nothing_of_it_stays(house: House, file: Hostile) -> None:
    contents = file.build()
    with nothing_left_behind(house.stack, house.database):
        refused = house.complete(file.filename, contents)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, file.code)


@pytest.mark.parametrize("file", of_corpus(ACCEPTED))
def test_a_file_that_is_a_model_after_all_ends_in_figures_or_in_a_reason(house: House, file: Hostile) -> None:
    accepted = house.complete(file.filename, file.build()).json()["data"]
    assert tuple(warning["code"] for warning in accepted["report"]["warnings"]) == file.warnings
    status = house.sliced(accepted["id"])
    assert outcome_of(status) in file.slicer
    assert status["metadata"]["fallback"] is (status["status"] == "failed")


def outcome_of(status: dict[str, Any]) -> str:
    if status["status"] == "completed":
        result = status["result"]
        assert min(result["massMg"], result["volumeMm3"], result["timeSec"]) > 0
        return SLICED
    code: str = status["metadata"]["error"].partition(":")[0]
    return code


@pytest.mark.parametrize(
    "model", [pytest.param(path, id=name, marks=some(name)) for name, path in gallery().items()]
)
def test_a_model_of_the_gallery_is_priced_counted_and_drawn(house: House, model: Path) -> None:
    accepted = house.complete(model.name, model.read_bytes()).json()["data"]
    assert accepted["report"]["warnings"] == []
    assert outcome_of(house.sliced(accepted["id"])) == SLICED
    wait_until_quiet(house.stack)
    seen = house.client.data("GET", f"quick-order/files/{accepted['id']}")
    assert seen["topology"]["triangles"] == accepted["geometry"]["triangles"]
    picture = house.client.get(seen["previewUrl"].removeprefix("/api/"), follow_redirects=True)
    assert picture.content.startswith(b"\x89PNG")


def test_while_a_slicer_runs_no_key_is_within_its_reach(house: House) -> None:
    bunny = gallery()["bunny.stl"]
    file_id = house.complete(bunny.name, bunny.read_bytes()).json()["data"]["id"]
    wait_until_quiet(house.stack)
    house.client.data("POST", "quick-order/slice", slice_request(file_id, layerHeight=0.1))
    worker, slicer = wait_for_slicer(house)
    environment = dict(
        entry.split("=", 1) for entry in Path(f"/proc/{slicer}/environ").read_text().rstrip("\0").split("\0")
    )
    for place in (f"/proc/{worker}/environ", f"/proc/{worker}/mem", f"/proc/{worker}/maps"):
        assert "ermission denied" in read_as_the_slicer(place), place
    assert read_as_the_slicer(f"/proc/{slicer}/environ") == "", "the slicer's own is what may be read"
    assert wait_for_slice(house.client, file_id)["status"] == "completed"
    assert environment.keys() == {"LC_ALL", "HOME", "TMPDIR", "LD_PRELOAD", "_STDBUF_O"}
    assert house.stack.supabase.secret_key not in environment.values()


def wait_for_slicer(house: House) -> tuple[int, int]:
    """(worker, slicer) once a slicer runs below one of the worker's processes."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for worker in house.stack.gateway.processes(WORKER):
            for task in Path(f"/proc/{worker}/task").glob("*"):
                for child in (task / "children").read_text().split():
                    if b"prusa" in Path(f"/proc/{child}/cmdline").read_bytes().partition(b"\0")[0]:
                        return worker, int(child)
        time.sleep(0.02)
    raise TimeoutError("no slicer was started")


def read_as_the_slicer(place: str) -> str:
    """What a process of the same user says that has no capabilities and tries to read one byte there."""
    fence = ["setpriv", "--no-new-privs"]
    if os.geteuid() == 0:
        fence += ["--inh-caps=-all", "--bounding-set=-all"]
    done = subprocess.run([*fence, "head", "-c", "1", place], capture_output=True, text=True, check=False)
    return done.stderr

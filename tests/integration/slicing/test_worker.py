"""One worker from message to stored g-code, with a real slicer and its two collaborators in memory."""

import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from printshop.adapters.sandbox import MEMORY_BYTES
from printshop.slicing.claims import Claims
from printshop.slicing.slicer import find_slicer
from slicer_worker.worker import LATER, SOON, SliceWorker
from tests.integration.slicing.command_line import BUNNY, SCREW, slice_by_hand
from tests.integration.slicing.stores import (
    SETTINGS,
    FolderObjects,
    Job,
    MemoryDatabase,
    job_of,
    worker_settings,
)
from tests.unit.slicing.model_makers import binary_stl, box, sphere, three_mf

CUBE = binary_stl(box(20))
BODY = json.dumps({"fileId": 1, "requestId": "0f8fad5b-d9cb-469f-a165-70867728950e"})
FINE = SETTINGS | {"layerHeight": 0.05}
"""Makes the bunny take some three seconds."""


class Bench:
    """A worker with one file to slice, number 1."""

    def __init__(self, folder: Path) -> None:
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.database = MemoryDatabase()
        self.objects = FolderObjects(folder / "tmp")

    def upload(self, data: bytes, filename: str = "part.stl", settings: dict[str, Any] = SETTINGS) -> Job:
        number = len(self.database.jobs) + 1
        key = self.objects.put(f"7/{number}/model", data)
        job = job_of(self.objects, key, filename, settings=settings)
        self.database.jobs[len(self.database.jobs) + 1] = job
        return job

    def worker(self, **settings: Any) -> SliceWorker:
        defaults = {"slicer_bin": os.environ.get("SLICER_BIN", "prusaslicer")}
        return SliceWorker(
            Claims(self.database),
            self.objects,
            worker_settings(**(defaults | settings)),
            scratch_parent=self.scratch,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    assert list(bench.scratch.iterdir()) == [], "something was left in scratch"
    assert slicers_in(bench.scratch) == [], "a slicer was left behind"


def slicers_in(scratch: Path) -> list[int]:
    """The slicer processes that work in a scratch folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(scratch).encode() in command and b"--export-gcode" in command and state != "Z":
            found.append(int(process.name))
    return found


def wait_for_slicer(scratch: Path) -> int:
    deadline = time.monotonic() + 10
    while not (found := slicers_in(scratch)):
        assert time.monotonic() < deadline, "the slicer did not start"
        time.sleep(0.02)
    return found[0]


def only_failure(job: Job) -> dict[str, Any]:
    (failure,) = job.failures
    return failure


def test_a_slice_is_stored_with_the_figures_of_a_slice_by_hand(bench: Bench, tmp_path: Path) -> None:
    job = bench.upload(BUNNY.read_bytes(), "Mein Häschen.stl")
    assert bench.worker().deliver(BODY) is None
    grams, volume, _ = slice_by_hand(BUNNY, tmp_path, "--layer-height", "0.2", "--fill-density", "15%")
    slicer = find_slicer(os.environ.get("SLICER_BIN", "prusaslicer"))
    assert (job.status, job.attempts) == ("completed", 1)
    assert job.result is not None
    time_sec, filament_mm = job.result.pop("timeSec"), job.result.pop("filamentMm")
    key = job.result.pop("gcodeKey")
    # The slicer's own runs differ by a hundredth of a gram at most.
    assert job.result == {
        "massMg": pytest.approx(grams * 1000, abs=10),
        "volumeMm3": pytest.approx(volume * 1000, abs=10),
        "slicer": "PrusaSlicer",
        "slicerVersion": slicer.version_text,
        "profile": "generic/pla",
        "notes": [],
        "gcodeBytes": bench.objects.path(key).stat().st_size,
    }
    assert time_sec > 3600
    assert filament_mm > 1000
    assert re.fullmatch(r"gcode/[0-9a-f-]{36}\.gcode\.gz", key)
    assert bench.objects.content_types[key] == "application/gzip"
    assert b"; filament used [g] =" in gzip.decompress(bench.objects.path(key).read_bytes())


def test_progress_is_stored_at_most_once_a_second_and_never_falls(bench: Bench) -> None:
    job = bench.upload(BUNNY.read_bytes(), settings=FINE)
    began = time.monotonic()
    assert bench.worker().deliver(BODY) is None
    percents = [percent for percent, _ in job.progress]
    assert 1 <= len(percents) <= time.monotonic() - began
    assert percents == sorted(percents)
    assert not any("/" in stage for _, stage in job.progress)


@pytest.mark.parametrize(
    ("data", "filename", "code"),
    [
        (CUBE[:-7], "part.stl", "MODEL_TRUNCATED"),
        (CUBE, "part.3mf", "MODEL_NOT_3MF"),
        (b"G28\nG1 X1\n" * 50, "gcode.stl", "MODEL_NOT_STL"),
    ],
)
def test_a_model_that_cannot_be_sliced_fails_at_once_and_for_good(
    bench: Bench, data: bytes, filename: str, code: str
) -> None:
    job = bench.upload(data, filename)
    assert bench.worker().deliver(BODY) is None
    assert (job.status, job.attempts) == ("failed", 1)
    assert (only_failure(job)["code"], only_failure(job)["final"]) == (code, True)
    assert bench.objects.keys() == {job.storage_key}


def test_a_model_that_does_not_fit_is_told_by_how_much_without_a_slicer(bench: Bench) -> None:
    job = bench.upload(CUBE)
    job.box_mm = (20, 20, 243.4)
    assert bench.worker().deliver(BODY) is None
    assert only_failure(job)["code"] == "MODEL_TOO_LARGE"
    assert only_failure(job)["reason"].startswith("The model is 23.4 mm too tall for Prusa MK4 (220 mm); ")
    assert only_failure(job)["final"] is True


def test_a_model_that_is_not_the_accepted_one_fails_for_good(bench: Bench) -> None:
    job = bench.upload(CUBE)
    job.content_hash = hashlib.sha256(b"another").hexdigest()
    assert bench.worker().deliver(BODY) is None
    assert (only_failure(job)["code"], only_failure(job)["final"]) == ("MODEL_CHANGED", True)


def test_a_g_code_that_another_stored_first_is_removed(bench: Bench) -> None:
    job = bench.upload(CUBE)
    bench.database.known_already.add(1)
    assert bench.worker().deliver(BODY) is None
    assert (job.status, bench.objects.keys()) == ("completed", {job.storage_key})


def test_a_model_thinner_than_a_layer_is_never_priced(bench: Bench) -> None:
    job = bench.upload(binary_stl(box(0.01)))
    assert bench.worker().deliver(BODY) is None
    assert only_failure(job)["code"] in {"MODEL_NOTHING_TO_PRINT", "MODEL_OUTSIDE_BED"}


def test_a_file_that_is_gone_fails_for_good(bench: Bench) -> None:
    job = bench.upload(CUBE)
    bench.objects.delete("tmp", [job.storage_key])
    assert bench.worker().deliver(BODY) is None
    assert (only_failure(job)["code"], only_failure(job)["final"]) == ("MODEL_MISSING", True)


def test_a_gcode_too_large_for_the_bucket_fails_for_good(bench: Bench) -> None:
    job = bench.upload(CUBE)
    bench.objects.limit_bytes = 1000
    assert bench.worker().deliver(BODY) is None
    assert (only_failure(job)["code"], only_failure(job)["final"]) == ("GCODE_TOO_LARGE", True)
    assert bench.objects.keys() == {job.storage_key}


def test_slicing_that_is_switched_off_fails_for_good_without_a_slicer(bench: Bench) -> None:
    job = bench.upload(CUBE)
    assert bench.worker(slicer_disable=True, slicer_bin="/nowhere/slicer").deliver(BODY) is None
    assert (only_failure(job)["code"], only_failure(job)["final"]) == ("SLICER_DISABLED", True)


def test_a_missing_slicer_is_tried_twice(bench: Bench) -> None:
    job = bench.upload(CUBE)
    worker = bench.worker(slicer_bin="/nowhere/slicer")
    assert worker.deliver(BODY) == SOON
    assert worker.deliver(BODY) is None
    assert [(failure["code"], failure["final"]) for failure in job.failures] == [
        ("SLICER_MISSING", False)
    ] * 2
    assert (job.status, job.attempts) == ("failed", 2)


def test_a_timeout_ends_the_slicer_and_is_tried_again(bench: Bench) -> None:
    job = bench.upload(BUNNY.read_bytes(), settings=FINE)
    began = time.monotonic()
    assert bench.worker(slicer_timeout_ms=500).deliver(BODY) == SOON
    assert time.monotonic() - began < 3
    assert (only_failure(job)["code"], only_failure(job)["final"]) == ("SLICER_TIMEOUT", False)
    assert bench.objects.keys() == {job.storage_key}


def test_a_slicer_killed_in_mid_job_is_tried_again_and_ends_in_one_result(bench: Bench) -> None:
    job = bench.upload(BUNNY.read_bytes(), settings=FINE)
    worker = bench.worker()
    answers: list[int | None] = []
    thread = threading.Thread(target=lambda: answers.append(worker.deliver(BODY)), daemon=True)
    thread.start()
    os.kill(wait_for_slicer(bench.scratch), signal.SIGKILL)
    thread.join()
    assert answers == [SOON]
    assert (only_failure(job)["code"], only_failure(job)["final"]) == ("SLICER_CRASHED", False)
    assert worker.deliver(BODY) is None
    assert worker.deliver(BODY) is None  # delivered once too often
    assert (job.status, job.attempts) == ("completed", 2)
    assert job.result is not None
    assert bench.objects.keys() == {job.storage_key, job.result["gcodeKey"]}


def test_a_worker_killed_in_mid_job_leaves_a_counted_attempt_and_a_scratch_folder_that_is_swept(
    bench: Bench, tmp_path: Path
) -> None:
    model = bench.objects.put("7/aaaa/part.stl", BUNNY.read_bytes())
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.integration.slicing.one_slice",
            str(tmp_path / "tmp"),
            model,
            str(bench.scratch),
        ],
        env={"PYTHONPATH": "layers/common:slicer-container:.", "PATH": os.environ["PATH"]},
    )
    slicer = wait_for_slicer(bench.scratch)
    assert len(list(bench.scratch.iterdir())) == 1
    sweep = (
        "from printshop.slicing.scratch_folder import sweep_scratch; from pathlib import Path; import sys;"
    )
    sweep += "print(sweep_scratch(Path(sys.argv[1])))"

    def swept() -> int:
        answer = subprocess.run(
            [sys.executable, "-c", sweep, str(bench.scratch)],
            env={"PYTHONPATH": "layers/common"},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(answer.stdout)

    assert swept() == 0, "the folder of a live worker was swept"
    worker.kill()
    worker.wait()
    deadline = time.monotonic() + 5
    while slicer in slicers_in(bench.scratch):
        assert time.monotonic() < deadline, "the slicer outlived its worker"
        time.sleep(0.02)
    assert swept() == 1


def test_a_late_worker_stores_nothing_and_removes_its_upload(bench: Bench) -> None:
    job = bench.upload(CUBE)
    bench.database.before_complete.append(1)
    assert bench.worker().deliver(BODY) is None
    assert (job.result, job.failures) == (None, [])
    assert bench.objects.keys() == {job.storage_key}


def test_a_worker_that_loses_its_claim_stops_its_slicer(bench: Bench) -> None:
    job = bench.upload(binary_stl(sphere(60, 150)), settings=FINE)  # would take half a minute
    worker = bench.worker()
    answers: list[int | None] = []
    thread = threading.Thread(target=lambda: answers.append(worker.deliver(BODY)), daemon=True)
    thread.start()
    wait_for_slicer(bench.scratch)
    lost = time.monotonic()
    bench.database.take_over(1)
    thread.join()
    assert time.monotonic() - lost < 12
    assert answers == [None]
    assert (job.result, job.failures) == (None, [])
    assert bench.objects.keys() == {job.storage_key}


def test_a_file_that_somebody_else_holds_is_left_to_him_for_ten_to_sixty_seconds(bench: Bench) -> None:
    job = bench.upload(CUBE)
    bench.database.take_over(1)
    assert bench.worker().deliver(BODY) == LATER
    job.lease_ends = time.monotonic() + 30
    assert bench.worker().deliver(BODY) == pytest.approx(30, abs=1)
    job.lease_ends = time.monotonic() + 1
    assert bench.worker().deliver(BODY) == SOON
    assert job.claimed_at == []


@pytest.mark.parametrize("function", ["claim_slice", "complete_slice", "fail_slice"])
def test_a_database_that_goes_away_gets_the_message_again(bench: Bench, function: str) -> None:
    job = bench.upload(CUBE if function != "fail_slice" else CUBE[:-1])
    bench.database.away_for.add(function)
    worker = bench.worker()
    assert worker.deliver(BODY) == LATER
    bench.database.away_for.clear()
    job.lease_ends = 0  # the lease has run out
    assert worker.deliver(BODY) is None
    assert job.status == ("failed" if function == "fail_slice" else "completed")


@pytest.mark.parametrize("method", ["download_to", "upload_from"])
def test_a_storage_that_is_away_three_times_costs_no_attempt(bench: Bench, method: str) -> None:
    job = bench.upload(CUBE)
    bench.objects.away_for[method] = 3
    worker = bench.worker()
    for _ in range(3):
        assert worker.deliver(BODY) == LATER
        assert (job.status, job.attempts) == ("idle", 0)
    assert worker.deliver(BODY) is None
    assert (job.status, job.attempts, job.failures) == ("completed", 1, [])
    assert job.result is not None
    assert bench.objects.keys() == {job.storage_key, job.result["gcodeKey"]}


def test_progress_that_cannot_be_stored_does_not_cost_the_slice(bench: Bench) -> None:
    job = bench.upload(BUNNY.read_bytes(), settings=FINE)
    bench.database.away_for.add("report_slice_progress")
    assert bench.worker().deliver(BODY) is None
    assert job.status == "completed"


def test_at_most_slicer_concurrency_slices_run_at_once(bench: Bench) -> None:
    first, second = bench.upload(SCREW.read_bytes()), bench.upload(SCREW.read_bytes())
    worker = bench.worker(slicer_concurrency=1)
    bodies = [BODY, BODY.replace('"fileId": 1', '"fileId": 2')]
    threads = [threading.Thread(target=worker.deliver, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    early, late = sorted([first, second], key=lambda job: job.settled_at)
    assert early.settled_at <= late.claimed_at[0]


def test_two_slots_slice_side_by_side(bench: Bench) -> None:
    first, second = bench.upload(SCREW.read_bytes()), bench.upload(SCREW.read_bytes())
    worker = bench.worker(slicer_concurrency=2)
    bodies = [BODY, BODY.replace('"fileId": 1', '"fileId": 2')]
    threads = [threading.Thread(target=worker.deliver, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(first.claimed_at[0], second.claimed_at[0]) < min(first.settled_at, second.settled_at)
    assert first.status == second.status == "completed"


@pytest.mark.parametrize(
    "body", ["", "not json", "[]", "{}", '{"fileId": "x", "requestId": "y"}', '{"fileId": 0}']
)
def test_a_message_that_is_none_is_tried_again_until_it_is_a_dead_letter(bench: Bench, body: str) -> None:
    assert bench.worker().deliver(body) == SOON


def test_a_message_for_a_file_that_is_gone_is_acknowledged(bench: Bench) -> None:
    assert bench.worker().deliver(BODY) is None


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd\n.stl", "é.stl", "a b%2f..\\c?.stl", f"{'x' * 300}.stl"]
)
def test_no_name_of_a_file_leads_out_of_its_key(bench: Bench, filename: str) -> None:
    job = bench.upload(CUBE, filename)
    assert bench.worker().deliver(BODY) is None
    assert job.result is not None
    assert re.fullmatch(r"gcode/[0-9a-f-]{36}\.gcode\.gz", job.result["gcodeKey"])


def test_a_script_inside_a_3mf_never_runs(bench: Bench, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    script = tmp_path / "attack.sh"
    script.write_text(f"#!/bin/sh\ntouch {marker}\n")
    script.chmod(0o755)
    config = f"; generated by a slicer\n; post_process = {script}\n"
    model = three_mf(tmp_path / "attack.3mf", parts={"Metadata/Slic3r_PE.config": config})
    if find_slicer(os.environ.get("SLICER_BIN", "prusaslicer")).version < (2, 6, 0):
        slice_by_hand(model, tmp_path)
        assert marker.exists(), "the attack is real: by hand, the script runs"
        marker.unlink()
    job = bench.upload(model.read_bytes(), "attack.3mf")
    assert bench.worker().deliver(BODY) is None
    assert job.status == "completed"
    assert not marker.exists()


def _subverted(folder: Path, ending: str) -> str:
    """A program that slices by the real slicer, and then does `ending` in the scratch folder."""
    slicer = find_slicer(os.environ.get("SLICER_BIN", "prusaslicer")).binary
    program = folder / "subverted"
    program.write_text(f'#!/bin/sh\n{slicer} "$@" || exit\ncase "$1" in --help*) ;; *) {ending} ;; esac\n')
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("leave", ["mkfifo model.gcode", "ln -s /etc/passwd model.gcode"])
def test_a_slicer_that_leaves_no_plain_file_has_made_no_g_code(
    bench: Bench, tmp_path: Path, leave: str
) -> None:
    job = bench.upload(CUBE)
    worker = bench.worker(slicer_bin=_subverted(tmp_path, f"rm model.gcode; {leave}"))
    worker.deliver(BODY)
    assert only_failure(job)["code"] == "NO_GCODE"
    assert bench.objects.keys() == {job.storage_key}


def test_a_link_that_a_slicer_leaves_is_not_written_through(bench: Bench, tmp_path: Path) -> None:
    job = bench.upload(CUBE)
    ours = tmp_path / "ours"
    ours.write_text("untouched")
    assert bench.worker(slicer_bin=_subverted(tmp_path, f"ln -s {ours} model.gcode.gz")).deliver(BODY) is None
    assert (job.status, ours.read_text()) == ("completed", "untouched")


def test_the_heartbeat_names_binary_version_and_a_writable_temp_folder(bench: Bench) -> None:
    bench.worker().heartbeat()
    (detail,) = bench.database.heartbeats
    slicer = find_slicer(os.environ.get("SLICER_BIN", "prusaslicer"))
    assert detail == {
        "binary": slicer.binary,
        "product": slicer.product,
        "version": slicer.version_text,
        "tmpWritable": True,
    }


def test_the_heartbeat_of_a_worker_without_slicer_says_so(bench: Bench) -> None:
    bench.worker(slicer_bin="/nowhere/slicer").heartbeat()
    assert bench.database.heartbeats == [
        {"binary": None, "product": None, "version": None, "tmpWritable": True}
    ]


def test_a_program_that_is_no_slicer_is_not_taken_for_one(bench: Bench) -> None:
    bench.worker(slicer_bin="/bin/true").heartbeat()
    assert bench.database.heartbeats[0]["binary"] is None


def test_an_inspection_takes_no_more_memory_than_a_child_of_its_worker_may(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    job = bench.upload(CUBE)
    small, usual = (
        SliceWorker(
            Claims(bench.database),
            bench.objects,
            worker_settings(),
            memory_bytes=memory,
            scratch_parent=bench.scratch,
        )
        for memory in (100 * 1024**2, MEMORY_BYTES)
    )
    body = json.dumps({"fileId": 1, "task": "inspect"})
    assert small.deliver(body) is None
    assert job.inspection in ({"error": "INSPECTION_OUT_OF_MEMORY"}, {"error": "INSPECTION_CRASHED"})
    assert vars(caplog.records[-1])["data"]["log"], "why it failed is nowhere to be read"
    again = bench.database.jobs[1] = bench.upload(CUBE)
    assert usual.deliver(body) is None
    assert again.inspection
    assert again.inspection["topology"]["isWatertight"] is True

"""The fence around the slicer, tried from the inside by real programs."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from printshop.adapters.sandbox import Limits, ProcessResult, run_sandboxed
from tests.integration.slicing.own_processes import ALONE, needs_own_processes

SECRET = "service-key-of-the-parent"


def inside(script: str, scratch: Path, limits: Limits | None = None) -> ProcessResult:
    return run_sandboxed(["/bin/sh", "-c", script], scratch=scratch, limits=limits or Limits(timeout_s=20))


def outside(script: str, scratch: Path, *prefix: str) -> str:
    """What a Python program with a secret in its environment prints, run in a process of its own."""
    return subprocess.run(
        [*prefix, sys.executable, "-c", script, str(scratch)],
        env={"PYTHONPATH": "layers/common", "SUPABASE_SERVICE_ROLE_KEY": SECRET, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def wait_until_gone(*pids: int) -> None:
    deadline = time.monotonic() + 5
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, f"still alive: {pids}"
        time.sleep(0.02)


def test_the_environment_is_empty_but_for_a_locale_and_a_home_in_the_scratch_folder(tmp_path: Path) -> None:
    ended = run_sandboxed(["/usr/bin/env"], scratch=tmp_path, limits=Limits(timeout_s=20))
    variables = dict(line.split("=", 1) for line in ended.tail.splitlines())
    # The last two are how stdbuf makes the program print line by line.
    assert variables.keys() == {"LC_ALL", "HOME", "TMPDIR", "LD_PRELOAD", "_STDBUF_O"}
    assert (variables["LC_ALL"], variables["HOME"]) == ("C.UTF-8", str(tmp_path))


def test_standard_input_is_closed_and_the_scratch_folder_is_the_working_folder(tmp_path: Path) -> None:
    ended = inside("cat; pwd; ls /proc/self/fd", tmp_path)
    assert ended == ProcessResult(0, timed_out=False, stopped=False, tail=f"{tmp_path}\n0\n1\n2\n3")


def test_no_capability_no_new_privilege_no_core(tmp_path: Path) -> None:
    ended = inside("grep -E 'Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status; ulimit -c", tmp_path)
    *status, core = ended.tail.splitlines()
    values = dict(line.split(":\t") for line in status)
    assert values["NoNewPrivs"] == "1"
    assert int(values["CapEff"], 16) == int(values["CapPrm"], 16) == int(values["CapAmb"], 16) == 0
    assert core == "0"


@pytest.mark.parametrize("user", ["as it is", "nobody"])
def test_the_parents_environment_and_memory_cannot_be_read(tmp_path: Path, user: str) -> None:
    tmp_path.chmod(0o777)
    script = (
        "import ctypes, os, sys; from pathlib import Path\n"
        "from printshop.adapters.sandbox import Limits, run_sandboxed\n"
        "os.chdir(sys.argv[1])\n"
        "if sys.argv[2] == 'nobody' and os.geteuid() == 0:\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # a change of user makes undumpable, too: undo that\n"
        "look = 'id -u; cat /proc/$PPID/environ; head -c 1 /proc/$PPID/mem; cat /proc/$PPID/maps; echo looked'\n"
        "print(run_sandboxed(['/bin/sh', '-c', look], scratch=Path('.'), limits=Limits(10)).tail)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), user],
        env={"PYTHONPATH": "layers/common", "SUPABASE_SERVICE_ROLE_KEY": SECRET, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert SECRET not in answer.stdout
    assert answer.stdout.count("ermission denied") == 3
    assert answer.stdout.rstrip().endswith("looked")


WORKER_AS_PID_1 = """
import ctypes, os, sys
from pathlib import Path
from printshop.adapters.sandbox import Limits, run_sandboxed

os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # a change of user makes undumpable, too: undo that
look = "for each in /proc/[0-9]*; do echo $each; tr '\\\\0' '\\\\n' < $each/environ; done"
print(run_sandboxed(["/bin/sh", "-c", look], scratch=Path("."), limits=Limits(10)).tail)
"""

WORKER_WITH_THREE_RUNS = """
import os, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from printshop.adapters.sandbox import Limits, become_subreaper, run_sandboxed

scratch = Path(sys.argv[1])
mark = f"300.{os.getpid()}"
in_its_group = f"sleep {mark} & (sleep {mark} &) "
out_of_it = f"setsid sleep {mark} & setsid sh -c 'setsid sleep {mark} & setsid sleep {mark} & exit' & "

def wait_for(name):
    return f"until [ -e {name} ]; do sleep 0.02; done; "

def run(program):
    return run_sandboxed(["/bin/sh", "-c", program], scratch=scratch, limits=Limits(20))

def marked():
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    return sum(line == f"sleep\\0{mark}\\0".encode() for line in lines)

become_subreaper()
own = subprocess.Popen(["/bin/sleep", "300"])
with ThreadPoolExecutor(3) as threads:
    third = threads.submit(run, f"({wait_for('third')} echo whole) | tr w W; exit 5")
    for name, code in (("first", 3), ("second", 4)):
        leaver = threads.submit(run, f"{in_its_group}; {out_of_it} {wait_for(name)} exit {code}")
        while marked() < 5:
            time.sleep(0.02)
        (scratch / name).touch()
        print(name, leaver.result().code, "left:", marked(), "third ended:", third.done())
    (scratch / "third").touch()
    print("third", third.result().code, third.result().tail)
print("own child:", own.poll())
own.kill()
own.wait()
try:
    print("unreaped:", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no other child")
"""


WORKER_WITH_A_TRACER = """
import os, sys, time
from pathlib import Path
from printshop.adapters.sandbox import Limits, become_subreaper, run_sandboxed

program = '''
import ctypes, os, time
libc, leader = ctypes.CDLL(None), os.getpid()
libc.prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER: whoever likes
if os.fork() == 0:
    os.setsid()
    print("traced" if libc.ptrace(0x4206, leader, None, None) == 0 else "refused", flush=True)  # PTRACE_SEIZE
    time.sleep(300)
time.sleep(0.5)
os._exit(6)
'''
become_subreaper()
began = time.monotonic()
ended = run_sandboxed([sys.executable, "-c", program], scratch=Path(sys.argv[1]), limits=Limits(timeout_s=1.5))
print(ended.code, "in time," if time.monotonic() - began < 8 else "late,", ended.tail)
try:
    print("unreaped:", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child")
"""


@needs_own_processes
def test_as_pid_1_of_a_container_the_worker_shows_its_environment_in_no_process(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    answer = outside(WORKER_AS_PID_1, tmp_path, *ALONE)
    assert SECRET not in answer
    assert "/proc/1/environ: Permission denied" in answer
    assert "HOME=." in answer, "not even the program's own environment was seen"


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param((), id="adopter"),
        pytest.param(ALONE, id="PID 1", marks=needs_own_processes),
    ],
)
def test_what_leaves_the_group_is_killed_and_reaped_and_no_other_threads_child_is(
    tmp_path: Path, prefix: tuple[str, ...]
) -> None:
    assert outside(WORKER_WITH_THREE_RUNS, tmp_path, *prefix).splitlines() == [
        "first 3 left: 0 third ended: False",
        "second 4 left: 0 third ended: False",
        "third 5 Whole",
        "own child: None",
        "no other child",
    ]


def test_a_straggler_that_has_left_the_group_and_prints_on_ends_with_the_time(tmp_path: Path) -> None:
    began = time.monotonic()
    ended = inside("setsid yes & exit 7", tmp_path, Limits(timeout_s=1))
    assert (ended.code, ended.timed_out) == (7, False)
    assert time.monotonic() - began < 5


def test_a_tracer_that_has_left_the_group_does_not_keep_the_program(tmp_path: Path) -> None:
    assert outside(WORKER_WITH_A_TRACER, tmp_path).splitlines() == ["6 in time, traced", "no child"]


def test_a_timeout_kills_the_whole_group(tmp_path: Path) -> None:
    began = time.monotonic()
    ended = inside("sleep 300 & echo $!; echo $$; sleep 300", tmp_path, Limits(timeout_s=0.5))
    assert (ended.timed_out, ended.code) == (True, -signal.SIGKILL)
    assert time.monotonic() - began < 5
    wait_until_gone(*map(int, ended.tail.split()))


def test_a_straggler_in_the_background_is_killed_and_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    ended = inside("sleep 300 & echo $!; exit 7", tmp_path)
    assert (ended.code, ended.timed_out) == (7, False)
    assert time.monotonic() - began < 5
    wait_until_gone(int(ended.tail))


def test_a_program_that_closes_its_output_early_keeps_its_exit_code(tmp_path: Path) -> None:
    assert inside("exec >&- 2>&-; sleep 0.3; exit 5", tmp_path).code == 5


def test_the_program_stops_when_it_is_told_to(tmp_path: Path) -> None:
    ended = run_sandboxed(
        ["/bin/sh", "-c", "echo $$; sleep 300"],
        scratch=tmp_path,
        limits=Limits(timeout_s=20),
        keep_going=lambda: False,
    )
    assert (ended.stopped, ended.timed_out) == (True, False)
    wait_until_gone(int(ended.tail))


def test_a_slow_callback_does_not_stretch_the_time_limit(tmp_path: Path) -> None:
    killed_after: list[float] = []
    began = time.monotonic()

    def slow() -> bool:
        time.sleep(4)
        return True

    def watch() -> None:
        pid_file = tmp_path / "pid"
        while not pid_file.exists() or not pid_file.read_text().strip():
            time.sleep(0.02)
        pid = int(pid_file.read_text())
        while is_alive(pid):
            time.sleep(0.02)
        killed_after.append(time.monotonic() - began)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    ended = run_sandboxed(
        ["/bin/sh", "-c", "echo $$ > pid; exec sleep 300"],
        scratch=tmp_path,
        limits=Limits(timeout_s=1.5),
        keep_going=slow,
    )
    watcher.join()
    assert ended.timed_out
    assert killed_after[0] < 4


def test_the_program_dies_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from printshop.adapters.sandbox import Limits, run_sandboxed\n"
        "sleep = ['/bin/sh', '-c', 'echo $$ > pid; exec sleep 300']\n"
        "run_sandboxed(sleep, scratch=Path(sys.argv[1]), limits=Limits(60))\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env={"PYTHONPATH": "layers/common", "PATH": "/usr/bin:/bin"},
    )
    pid_file = tmp_path / "pid"
    while not pid_file.exists() or not pid_file.read_text().strip():
        time.sleep(0.02)
    pid = int(pid_file.read_text())
    assert is_alive(pid)
    worker.kill()
    worker.wait()
    wait_until_gone(pid)


def test_memory_beyond_the_limit_is_not_given(tmp_path: Path) -> None:
    limits = Limits(timeout_s=20, memory_bytes=200 * 1024**2)
    ended = run_sandboxed(
        [sys.executable, "-c", "print(len(bytearray(300 * 1024**2)))"], scratch=tmp_path, limits=limits
    )
    assert ended.code != 0
    assert "MemoryError" in ended.tail


def test_a_file_beyond_the_limit_ends_the_program(tmp_path: Path) -> None:
    limits = Limits(timeout_s=20, file_bytes=1024**2)
    ended = run_sandboxed(["/usr/bin/head", "-c", "2M", "/dev/zero"], scratch=tmp_path, limits=limits)
    assert ended.code == 0, "a pipe is no file"
    ended = run_sandboxed(
        ["/usr/bin/dd", "if=/dev/zero", "of=big", "bs=64k", "count=32"], scratch=tmp_path, limits=limits
    )
    assert ended.code == -signal.SIGXFSZ
    assert (tmp_path / "big").stat().st_size <= 1024**2


def test_lines_arrive_while_the_program_runs(tmp_path: Path) -> None:
    arrived: list[tuple[str, float]] = []
    began = time.monotonic()
    run_sandboxed(
        # tr is a C program that buffers into a pipe, as slicers are.
        ["/bin/sh", "-c", "(echo early; sleep 1.5; echo late) | tr l L"],
        scratch=tmp_path,
        limits=Limits(timeout_s=20),
        on_line=lambda line: arrived.append((line, time.monotonic() - began)),
    )
    assert [line for line, _ in arrived] == ["earLy", "Late"]
    assert arrived[0][1] < 1 < arrived[1][1]


def test_only_the_last_lines_are_kept_however_much_is_printed(tmp_path: Path) -> None:
    ended = inside("yes | head -n 200000; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last", tmp_path)
    lines = ended.tail.splitlines()
    assert len(lines) == 40
    assert lines[-1] == "last"
    assert max(map(len, lines)) <= 400

"""Chromium as a process: killed, hung, grown, left behind. Every document is answered and nothing stays."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from printshop.adapters.chromium.installation import Chromium, find_chromium, make_workspace
from printshop.adapters.chromium.renderer import TIME_LIMIT, Renderer
from printshop.documents.template import render_html
from printshop.kernel.errors import Unavailable
from tests.integration.documents.probes import REPOSITORY, Run, Tapped, page, processes_below, text_of
from tests.unit.documents.documents import LOGO, business, invoice

type MakeRenderer = Callable[..., Renderer]


def gone(pid: int | None, seconds: float = 5) -> bool:
    """True once there is no such process, not even a zombie."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.01)
    return False


def run_folders(workspace: Path) -> list[Path]:
    return list(workspace.glob("run-*"))


@pytest.fixture
def workspace(tmp_path: Path, chromium: Chromium) -> Path:
    """A workspace of the test's own, the browser in it."""
    own = make_workspace(tmp_path)
    shared = chromium.unpack(make_workspace())
    (own / shared.name).hardlink_to(shared)
    return own


def test_nothing_starts_before_the_first_document(make_renderer: MakeRenderer, run: Run) -> None:
    renderer = make_renderer()
    assert renderer.version.startswith("147.0.2-")
    assert renderer.pid is None
    run(renderer.close())


def test_a_document_on_its_way_has_the_browser_unpacked_and_none_started(
    make_renderer: MakeRenderer, run: Run, tmp_path: Path
) -> None:
    renderer = make_renderer(workspace=tmp_path)

    async def prepared() -> None:
        renderer.prepare()
        renderer.prepare()
        await asyncio.get_running_loop().shutdown_default_executor()

    with asyncio.Runner() as its_own:
        its_own.run(prepared())
    (executable,) = tmp_path.glob("chromium-*")
    assert executable.stat().st_mode & 0o100  # whole: what is half unpacked cannot be run
    assert renderer.pid is None
    assert run(renderer.pdf("<p>now</p>")).startswith(b"%PDF-")


def test_one_browser_serves_every_document(make_renderer: MakeRenderer, run: Run) -> None:
    renderer = make_renderer()
    run(renderer.pdf(page("one")))
    first = renderer.pid
    run(renderer.pdf(page("two")))
    assert renderer.pid == first


def test_documents_at_once_are_printed_in_turn_and_never_mixed(make_renderer: MakeRenderer, run: Run) -> None:
    renderer = make_renderer()

    async def together() -> list[bytes]:
        return await asyncio.gather(*(renderer.pdf(page(f"<p>document {n}</p>" * 30)) for n in range(8)))

    for number, contents in enumerate(run(together())):
        words = text_of(contents).replace("document", "").split()
        assert set(words) == {str(number)}


def test_close_leaves_no_process_no_zombie_and_no_folder(
    make_renderer: MakeRenderer, run: Run, workspace: Path
) -> None:
    renderer = make_renderer(workspace=workspace)
    run(renderer.pdf(page("x")))
    assert renderer.pid is not None
    family = [renderer.pid, *processes_below(renderer.pid)]
    assert len(run_folders(workspace)) == 1
    run(renderer.close())
    assert [pid for pid in family if Path(f"/proc/{pid}").exists()] == []
    assert run_folders(workspace) == []
    assert "again" in text_of(run(renderer.pdf(page("again"))))


def test_it_is_one_process_in_a_group_of_its_own(make_renderer: MakeRenderer, run: Run) -> None:
    renderer = make_renderer()
    run(renderer.pdf(page("x")))
    assert renderer.pid is not None
    assert processes_below(renderer.pid) == []
    assert os.getpgid(renderer.pid) == renderer.pid != os.getpgid(0)


def test_it_writes_no_core_and_knows_none_of_our_variables(
    make_renderer: MakeRenderer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_of_the_test")
    renderer = make_renderer()
    run(renderer.pdf(page("x")))
    limits = Path(f"/proc/{renderer.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if "core" in line).split()[4:6] == ["0", "0"]
    assert "sb_secret" not in Path(f"/proc/{renderer.pid}/environ").read_text()


def test_a_workspace_that_is_gone_is_a_clear_error_and_one_that_is_back_serves(
    make_renderer: MakeRenderer, run: Run, tmp_path: Path
) -> None:
    renderer = make_renderer(workspace=tmp_path / "later")
    with pytest.raises(Unavailable, match="RENDERER_UNAVAILABLE"):
        run(renderer.pdf(page("x")))
    (tmp_path / "later").mkdir()
    assert text_of(run(renderer.pdf(page("back")))) == "back"


def test_a_browser_killed_between_documents_is_replaced(make_renderer: MakeRenderer, run: Run) -> None:
    renderer = make_renderer()
    run(renderer.pdf(page("one")))
    first = renderer.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert text_of(run(renderer.pdf(page("two")))) == "two"
    assert gone(first)
    assert renderer.pid != first


def test_ten_kills_in_the_middle_of_documents_cost_no_answer(
    make_renderer: MakeRenderer, run: Run, workspace: Path
) -> None:
    renderer = make_renderer(workspace=workspace)
    html = render_html(invoice(60), business())

    async def killed_after(delay: float) -> tuple[bytes, bool]:
        work = asyncio.ensure_future(renderer.pdf(html))
        await asyncio.sleep(delay)
        at_work = not work.done()
        if renderer.pid:
            os.kill(renderer.pid, signal.SIGKILL)
        return await work, at_work

    run(renderer.pdf(html))
    killed = set()
    for step in range(40):  # one that finished before its kill does not count
        pid, began = renderer.pid, time.monotonic()
        contents, at_work = run(killed_after(0.003 * (step % 10 + 1)))
        assert time.monotonic() - began < TIME_LIMIT
        assert "page 4 of 4" in text_of(contents)
        if at_work:
            killed.add(pid)
        if len(killed) == 10:
            break
    assert len(killed) == 10
    assert len(run_folders(workspace)) == 1
    run(renderer.close())
    assert run_folders(workspace) == []


@pytest.mark.parametrize("method", ["Fetch.enable", "Page.setDocumentContent", "Page.printToPDF"])
def test_a_browser_killed_by_a_command_is_replaced_and_the_document_printed(
    make_renderer: MakeRenderer, tapped: Callable[..., Tapped], run: Run, method: str
) -> None:
    tap = tapped({"kind": "kill", "method": method, "times": 1})
    renderer = make_renderer(tap.chromium)
    assert text_of(run(renderer.pdf(page("printed")))) == "printed"
    assert len(tap.parameters("Fetch.enable")) == 2


@pytest.mark.parametrize("method", ["Runtime.evaluate", "Page.printToPDF"])
def test_a_browser_that_hangs_is_replaced_within_the_limit(
    make_renderer: MakeRenderer, tapped: Callable[..., Tapped], run: Run, method: str
) -> None:
    renderer = make_renderer(tapped({"kind": "hang", "method": method, "times": 1}).chromium, time_limit=6)
    start = time.monotonic()
    assert text_of(run(renderer.pdf(page("printed")))) == "printed"
    assert 3 <= time.monotonic() - start < 6


def test_a_browser_that_hangs_twice_is_a_clear_error_and_leaves_nothing(
    make_renderer: MakeRenderer, tapped: Callable[..., Tapped], run: Run, workspace: Path
) -> None:
    tap = tapped({"kind": "hang", "method": "Page.printToPDF", "times": 2})
    renderer = make_renderer(tap.chromium, time_limit=5, workspace=workspace)
    before = processes_below(os.getpid())
    start = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        run(renderer.pdf(page("x")))
    assert (caught.value.code, caught.value.status) == ("RENDER_FAILED", 503)
    assert time.monotonic() - start < 7
    assert processes_below(os.getpid()) == before
    assert run_folders(workspace) == []
    assert text_of(run(renderer.pdf(page("recovered")))) == "recovered"


def test_a_browser_that_never_answers_is_given_up_in_time(
    make_renderer: MakeRenderer, tapped: Callable[..., Tapped], run: Run
) -> None:
    renderer = make_renderer(tapped({"kind": "silent", "method": "", "times": 0}).chromium, time_limit=1)
    start = time.monotonic()
    with pytest.raises(Unavailable, match="RENDER_FAILED"):
        run(renderer.pdf(page("x")))
    assert time.monotonic() - start < 3


def test_a_program_that_is_no_browser_is_a_clear_error(
    make_renderer: MakeRenderer, run: Run, tmp_path: Path
) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho 'libnss3.so: cannot open shared object file' >&2\nexit 127\n")
    program.chmod(0o755)
    renderer = make_renderer(find_chromium(str(program), layer=tmp_path / "no-layer"))
    with pytest.raises(Unavailable, match="RENDERER_UNAVAILABLE") as caught:
        run(renderer.pdf(page("x")))
    assert "libnss3.so" in str(caught.value.__cause__)


def test_a_browser_grown_beyond_the_bound_is_replaced(make_renderer: MakeRenderer, run: Run) -> None:
    renderer = make_renderer(recycle_bytes=1)
    pids = set()
    for number in range(3):
        assert text_of(run(renderer.pdf(page(str(number))))) == str(number)
        pids.add(renderer.pid)
    assert len(pids) == 3
    assert gone(sorted(pid for pid in pids if pid)[0])


@pytest.mark.parametrize("renders", [80, pytest.param(500, marks=pytest.mark.full)])
def test_memory_temp_folder_and_processes_stay_as_they_were_over_many_documents(
    make_renderer: MakeRenderer, run: Run, workspace: Path, renders: int
) -> None:
    renderer = make_renderer(workspace=workspace, recycle_bytes=1 << 40)

    def files() -> int:
        found = subprocess.run(
            ["du", "-sk", "--exclude=chromium-*", workspace], capture_output=True, check=True
        )
        return int(found.stdout.split()[0])

    async def many(first: int, last: int) -> None:
        for number in range(first, last):
            await renderer.pdf(render_html(invoice(number % 40 + 1), business(logoDataUrl=LOGO)))
        await asyncio.sleep(0.2)  # the last one is wiped behind its answer

    run(many(0, max(40, renders // 10)))
    pid, kilobytes_then, files_then = renderer.pid, proportional_kilobytes(renderer.pid), files()
    run(many(max(40, renders // 10), renders))
    assert renderer.pid == pid
    assert proportional_kilobytes(pid) <= kilobytes_then * 1.2
    assert files() <= files_then + 256
    family = [pid, *processes_below(pid or 0)]
    run(renderer.close())
    assert [one for one in family if Path(f"/proc/{one}").exists()] == []
    assert run_folders(workspace) == []


def proportional_kilobytes(pid: int | None) -> int:
    """Memory of a process and of all below it, what they share counted once (PSS)."""
    assert pid is not None
    sizes = (Path(f"/proc/{one}/smaps_rollup").read_text() for one in (pid, *processes_below(pid)))
    return sum(
        int(next(line for line in size.splitlines() if line.startswith("Pss:")).split()[1]) for size in sizes
    )


def test_a_cancelled_document_does_not_spoil_the_next(make_renderer: MakeRenderer, run: Run) -> None:
    renderer = make_renderer()

    async def cancelled() -> None:
        await renderer.pdf(page("warm"))
        work = asyncio.ensure_future(renderer.pdf(render_html(invoice(60), business())))
        await asyncio.sleep(0.02)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    run(cancelled())
    assert text_of(run(renderer.pdf(page("next")))) == "next"


def test_a_new_event_loop_gets_a_new_browser(make_renderer: MakeRenderer, run: Run) -> None:
    renderer = make_renderer()
    with asyncio.Runner() as other:
        assert text_of(other.run(renderer.pdf(page("one")))) == "one"
        first = renderer.pid
    assert text_of(run(renderer.pdf(page("two")))) == "two"
    assert renderer.pid != first
    assert gone(first)


OWNER = """
    import asyncio, sys
    from pathlib import Path
    from printshop.adapters.chromium.installation import find_chromium
    from printshop.adapters.chromium.renderer import Renderer

    async def main():
        renderer = Renderer(find_chromium(sys.argv[1]), workspace=Path(sys.argv[2]))
        await renderer.pdf("<p>x</p>")
        print(renderer.pid, flush=True)
        if sys.argv[3] == "stay":
            await asyncio.sleep(60)

    asyncio.run(main())
"""


def owner(chromium: Chromium, workspace: Path, how: str) -> tuple[subprocess.Popen[str], int]:
    """A process with a warm browser, and the browser's id."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), str(chromium.source), str(workspace), how],
        env={
            "PYTHONPATH": str(REPOSITORY / "layers" / "common"),
            "LOG_LEVEL": "ERROR",
            "PATH": os.environ["PATH"],
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_the_browser_dies_with_a_killed_owner_and_the_next_one_tidies_up(
    chromium: Chromium, make_renderer: MakeRenderer, run: Run, workspace: Path
) -> None:
    with owner(chromium, workspace, "stay")[0] as process:
        (left,) = run_folders(workspace)
        process.kill()
    browsers = [pid for pid in processes_below(1) if str(left) in _command(pid)]
    assert all(gone(pid) for pid in browsers)
    run(make_renderer(workspace=workspace).pdf(page("x")))
    assert left not in run_folders(workspace)


def test_a_killed_owners_browser_is_gone_at_once(chromium: Chromium, workspace: Path) -> None:
    process, browser = owner(chromium, workspace, "stay")
    with process:
        process.kill()
    deadline = time.monotonic() + 5
    while _running(browser) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _running(browser)


def test_an_owner_that_ends_without_closing_leaves_nothing(chromium: Chromium, workspace: Path) -> None:
    process, browser = owner(chromium, workspace, "leave")
    with process:
        assert process.wait(10) == 0
    assert gone(browser)
    assert run_folders(workspace) == []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _running(pid: int) -> bool:
    """Alive; a zombie that its adoptive parent has not yet waited for is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from backports import zstd

from printshop.adapters.chromium.installation import Chromium, find_chromium, make_workspace
from printshop.adapters.database import DatabaseError
from printshop.documents.heartbeat import record_heartbeat, renderer_health
from printshop.kernel.errors import Unavailable
from tests.unit.documents.fakes import DOWN, FakeDatabase

PROGRAM = b"#!/bin/sh\nexit 0\n" * 200_000


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer whose browser is a shell script."""
    folder = tmp_path / "opt" / "chromium"
    (folder / "lib").mkdir(parents=True)
    (folder / "fonts.conf").write_text("<fontconfig/>")
    (folder / "VERSION").write_text("147.0.2\n")
    third = len(PROGRAM) // 3 + 1
    parts = [PROGRAM[start : start + third] for start in range(0, len(PROGRAM), third)]
    (folder / "chromium.zst").write_bytes(b"".join(map(zstd.compress, parts)))
    return folder


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    return tmp_path / "absent"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(file: Path) -> Path:
    file.write_bytes(b"#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_the_layers_browser_comes_first(layer: Path, path: Path) -> None:
    other = program(path / "chromium")
    assert find_chromium(str(other), layer=layer).source == layer / "chromium.zst"


def test_chromium_bin_comes_second(nowhere: Path, path: Path, tmp_path: Path) -> None:
    program(path / "chromium")
    named = program(tmp_path / "my-chromium")
    assert find_chromium(str(named), layer=nowhere).source == named


def test_chromium_bin_may_be_a_name_on_path(nowhere: Path, path: Path) -> None:
    named = program(path / "my-chromium")
    assert find_chromium("my-chromium", layer=nowhere).source == named


def test_chromium_bin_may_be_a_packed_browser_with_its_libraries_and_fonts(
    nowhere: Path, layer: Path
) -> None:
    chromium = find_chromium(str(layer / "chromium.zst"), layer=nowhere)
    assert chromium.version == "147.0.2"
    assert chromium.libraries == layer / "lib"
    assert chromium.fonts == layer / "fonts.conf"


@pytest.mark.parametrize("name", ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"])
def test_a_browser_on_path_comes_last(nowhere: Path, path: Path, name: str) -> None:
    found = program(path / name)
    chromium = find_chromium(None, layer=nowhere)
    assert chromium.source == found
    assert chromium.libraries is None
    assert chromium.fonts is None


def test_a_chromium_bin_that_names_no_file_gives_way_to_path(nowhere: Path, path: Path) -> None:
    found = program(path / "chromium")
    assert find_chromium("/no/such/chromium", layer=nowhere).source == found


def test_no_browser_anywhere_is_a_clear_error(nowhere: Path, path: Path) -> None:
    with pytest.raises(Unavailable, match="in the layer, in CHROMIUM_BIN or on PATH") as caught:
        find_chromium(None, layer=nowhere)
    assert caught.value.code == "RENDERER_UNAVAILABLE"


def test_another_executable_is_another_version(nowhere: Path, tmp_path: Path) -> None:
    one, two = program(tmp_path / "one"), program(tmp_path / "two")
    two.write_bytes(b"#!/bin/sh\n\n")
    versions = {find_chromium(str(file), layer=nowhere).version for file in (one, two)}
    assert len(versions) == 2


def test_a_packed_browser_is_unpacked_whole_private_and_once(layer: Path, tmp_path: Path) -> None:
    chromium = find_chromium(None, layer=layer)
    workspace = make_workspace(tmp_path)
    executable = chromium.unpack(workspace)
    assert executable.read_bytes() == PROGRAM
    assert executable.stat().st_mode & 0o777 == 0o700
    written = executable.stat().st_mtime_ns
    assert chromium.unpack(workspace) == executable
    assert executable.stat().st_mtime_ns == written


def test_many_at_once_unpack_it_once(layer: Path, tmp_path: Path) -> None:
    chromium = find_chromium(None, layer=layer)
    workspace = make_workspace(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        inodes = {file.stat().st_ino for file in pool.map(chromium.unpack, [workspace] * 8)}
    assert len(inodes) == 1
    assert [file.name for file in workspace.glob("*.part")] == []


def test_what_earlier_releases_and_interruptions_left_is_removed(layer: Path, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    (workspace / "chromium-143.0.0-1").write_bytes(b"old")
    (workspace / "chromium-147.0.2-1.part").write_bytes(b"half")
    executable = find_chromium(None, layer=layer).unpack(workspace)
    assert list(workspace.glob("chromium-*")) == [executable]


@pytest.mark.parametrize("damage", ["cut short", "garbage"])
def test_a_damaged_package_is_refused_and_leaves_nothing(layer: Path, tmp_path: Path, damage: str) -> None:
    packed = layer / "chromium.zst"
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2] if damage == "cut short" else os.urandom(5000))
    workspace = make_workspace(tmp_path)
    with pytest.raises(Unavailable, match="RENDERER_UNAVAILABLE"):
        find_chromium(None, layer=layer).unpack(workspace)
    assert list(workspace.glob("chromium-*")) == []


def test_a_disk_that_fills_up_with_the_last_piece_leaves_no_half_browser(layer: Path, tmp_path: Path) -> None:
    chromium = find_chromium(None, layer=layer)
    workspace = make_workspace(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(PROGRAM) - 10, limits[1]))
    try:
        with pytest.raises(Unavailable, match="File too large"):
            chromium.unpack(workspace)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(workspace.glob("chromium-*")) == []
    assert chromium.unpack(workspace).read_bytes() == PROGRAM


def test_an_executable_is_run_where_it_lies(tmp_path: Path) -> None:
    file = program(tmp_path / "chromium")
    assert Chromium(file, "1").unpack(tmp_path / "unused") == file


def test_the_workspace_is_private(tmp_path: Path) -> None:
    assert make_workspace(tmp_path).stat().st_mode & 0o777 == 0o700


def test_a_workspace_that_somebody_planted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"printshop-pdf-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="another user"):
        make_workspace(tmp_path)


def test_a_temp_folder_that_cannot_be_written_is_a_clear_error() -> None:
    with pytest.raises(Unavailable, match="cannot be written"):
        make_workspace(Path("/proc"))


def test_the_heartbeat_tells_binary_version_and_temp_folder(layer: Path) -> None:
    database = FakeDatabase()
    record_heartbeat(database, str(layer / "chromium.zst"))
    detail = {"binary": str(layer / "chromium.zst"), "version": "147.0.2", "tmpWritable": True}
    assert database.calls == [("record_heartbeat", {"p_component": "pdf", "p_detail": detail})]


def test_a_missing_browser_is_told_as_such(path: Path, nowhere: Path) -> None:
    assert renderer_health(None, layer=nowhere) == {"binary": None, "version": None, "tmpWritable": True}


@pytest.mark.parametrize("failure", [DOWN, DatabaseError("record_heartbeat: 42883")])
def test_a_heartbeat_that_is_not_stored_stops_nothing(layer: Path, failure: Exception) -> None:
    record_heartbeat(FakeDatabase(failure=failure), str(layer / "chromium.zst"))

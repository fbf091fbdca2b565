"""The hashed requirement files: what was resolved, and that nothing in them is left to chance."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEVELOPMENT = ROOT / "requirements" / "dev.txt"
DEPLOYED = (
    ROOT / "layers" / "common" / "requirements.txt",
    ROOT / "layers" / "chromium" / "requirements.txt",
    ROOT / "slicer-container" / "requirements.txt",
)
FILES = sorted(
    {
        path
        for pattern in ("*/requirements.txt", "layers/*/requirements.txt", "requirements/*.txt")
        for path in ROOT.glob(pattern)
    }
)
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;]+)(?P<marker> ;[^\\]*)?$")
HASH = re.compile(r"^--hash=sha256:[0-9a-f]{64}$")


def read(path: Path) -> dict[str, tuple[str, list[str]]]:
    """name → (version, hashes); fails on a line that is neither."""
    text = path.read_text().replace("\\\n", "\n")
    pins: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#"):
            continue
        if pin := PIN.match(line):
            name = pin["name"]
            pins[name] = (pin["version"], [])
        else:
            assert HASH.match(line), f"{path.name}: {line}"
            pins[name][1].append(line)
    return pins


def version(name: str, path: Path = DEVELOPMENT) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", read(path)[name][0])[:3])


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_part_has_its_requirement_file() -> None:
    assert {DEVELOPMENT, *DEPLOYED} <= set(FILES)


@pytest.mark.parametrize("path", FILES, ids=label)
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    pins = read(path)
    assert pins
    assert [name for name, (_, hashes) in pins.items() if not hashes] == []


@pytest.mark.parametrize("path", FILES, ids=label)
def test_no_file_names_a_host_or_an_index(path: Path) -> None:
    assert re.findall(r"https?://\S+|--(?:extra-)?index-url|--find-links|\S+ @ \S+", path.read_text()) == []


@pytest.mark.parametrize("path", DEPLOYED, ids=label)
def test_what_is_deployed_is_what_was_tested(path: Path) -> None:
    tested = read(DEVELOPMENT)
    assert {name: pin for name, pin in read(path).items() if tested.get(name) != pin} == {}


def test_the_resolver_took_the_current_supabase_client() -> None:
    common = DEPLOYED[0]
    for name in ("supabase", "postgrest", "storage3", "supabase-auth"):
        assert version(name, common)[:2] == (2, 34), name


def test_pyppeteer_lives_with_current_websockets_urllib3_and_pyee() -> None:
    assert version("pyppeteer") == (2, 0, 0)
    for path in (DEVELOPMENT, DEPLOYED[1]):
        assert version("websockets", path)[0] == 15
        assert version("urllib3", path)[0] >= 2
        assert version("pyee", path)[0] >= 13


def test_money_and_web_come_in_the_versions_they_were_written_for() -> None:
    common = DEPLOYED[0]
    assert version("stripe", common)[0] == 16
    assert version("aws-lambda-powertools", common)[0] == 3
    assert version("pydantic", common)[0] == 2
    assert version("fastapi", common) >= (0, 165)


def test_nothing_of_the_tests_is_deployed() -> None:
    for path in DEPLOYED:
        assert not {"moto", "pytest", "hypothesis", "psycopg", "mypy"} & set(read(path))


def test_the_browser_stays_out_of_the_common_layer() -> None:
    assert not {"pyppeteer", "jinja2", "backports-zstd"} & set(read(DEPLOYED[0]))

"""The handbook's pages: links, paths, commands and variables that they name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "devstack/*.md")
    for path in ROOT.glob(pattern)
)
IDS = [str(page) for page in PAGES]
FOLDERS = (
    "benchmarks|devstack|docs|events|functions|layers|requirements|scripts|slicer-container|supabase|tests"
)
NAMED_PATH = re.compile(rf"`((?:{FOLDERS})/[\w./-]*)`")
NAMED_FILE = re.compile(r"`((?:Makefile|NOTICE|[\w-]+\.(?:toml|yaml|md)|\.env\.example))`")
DOTTED = re.compile(r"`(printshop(?:\.\w+)+)`")
SQL_NAMED = re.compile(r"SQL\s+function\s+`(\w+)`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)|src=\"([^\":]+)\"")
TARGET = re.compile(r"`(?:[A-Z_]+=\S+ )*make ([a-z-]+)|^make ([a-z-]+)", re.MULTILINE)
VARIABLE = re.compile(r"^\| (`[A-Z_`, ]+`) \|", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = (ROOT / page).read_text()
    missing = [name for name in NAMED_PATH.findall(text) if not (ROOT / name).exists()]
    missing += [name for name in NAMED_FILE.findall(text) if not _exists_somewhere(name, page)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_name_of_the_code_that_a_page_uses_exists(page: Path) -> None:
    text = (ROOT / page).read_text()
    assert [name for name in DOTTED.findall(text) if not _is_defined(name)] == []
    sql = "".join(file.read_text() for file in (ROOT / "supabase" / "schemas").rglob("*.sql"))
    assert [name for name in SQL_NAMED.findall(text) if f"function {name}(" not in sql] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = [link or image for link, image in LINK.findall((ROOT / page).read_text())]
    assert [link for link in links if not (ROOT / page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_make_command_of_a_page_is_a_target(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {one or other for one, other in TARGET.findall((ROOT / page).read_text())}
    assert named - targets == set()


def test_the_configuration_page_lists_the_variables_of_the_example_environment() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    listed = {name for cell in VARIABLE.findall(page) for name in re.findall(r"[A-Z_]{4,}", cell)}
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert listed - example == set(), "the page names a variable that nothing reads"
    theirs = ("AWS_", "POWERTOOLS_")  # explained where those libraries are
    assert {name for name in example if f"`{name}`" not in page and not name.startswith(theirs)} == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def _is_defined(name: str) -> bool:
    """A package, a module, or a function or class of one."""
    parts = name.split(".")
    below = ROOT / "layers" / "common"
    if (below.joinpath(*parts)).is_dir() or below.joinpath(*parts).with_suffix(".py").is_file():
        return True
    module = below.joinpath(*parts[:-1]).with_suffix(".py")
    return module.is_file() and bool(
        re.search(rf"^(async def|def|class) {parts[-1]}\b", module.read_text(), re.MULTILINE)
    )


def _exists_somewhere(name: str, page: Path) -> bool:
    """At the root or beside the page."""
    return (ROOT / name).exists() or (ROOT / page.parent / name).exists()

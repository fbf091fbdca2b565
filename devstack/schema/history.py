"""The history of the schema: migrations in the order of their versions, and which of them are released.

A released migration may have run on a shop's database, so it is never edited again: `released_migrations.tsv` holds
its checksum. A newer one may be generated anew until it is released.
"""

import hashlib
from pathlib import Path

__all__ = ["changed_since_release", "mark_released", "migrations", "released", "unreleased"]

HEADER = "file\tsha256"


def migrations(project: Path) -> list[Path]:
    """Every migration, in the order in which they are applied."""
    return sorted((project / "migrations").glob("*.sql"))


def released(project: Path) -> dict[str, str]:
    """The released migrations: file name to SHA-256 of the file."""
    lines = _record(project).read_text().splitlines() if _record(project).exists() else [HEADER]
    return dict(line.split("\t") for line in lines[1:])


def unreleased(project: Path) -> list[Path]:
    """The migrations that no shop has yet."""
    known = released(project)
    return [path for path in migrations(project) if path.name not in known]


def changed_since_release(project: Path) -> list[str]:
    """What breaks the history, one sentence each: released migrations that were edited, removed or preceded."""
    present = {path.name: path for path in migrations(project)}
    known = released(project)
    broken = [f"{name} was released and is gone" for name in known if name not in present]
    broken += [
        f"{name} was released and has been edited"
        for name, checksum in known.items()
        if name in present and _checksum(present[name]) != checksum
    ]
    last = max(known, default="")
    broken += [
        f"{path.name} is older than {last}, which is released"
        for path in unreleased(project)
        if path.name < last
    ]
    return broken


def mark_released(project: Path) -> list[str]:
    """Record every migration as released; the names that are new. ValueError when the history is broken."""
    broken = changed_since_release(project)
    if broken:
        raise ValueError("; ".join(broken))
    added = [path.name for path in unreleased(project)]
    rows = [f"{path.name}\t{_checksum(path)}" for path in migrations(project)]
    _record(project).write_text("\n".join([HEADER, *rows]) + "\n")
    return added


def _record(project: Path) -> Path:
    return project / "released_migrations.tsv"


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""The rights matrix as it stands in matrix.tsv."""

from dataclasses import dataclass
from pathlib import Path

ROLES = ("nobody", "owner", "other", "admin", "expired")


@dataclass(frozen=True)
class Rights:
    """One route: what each caller gets, `ok` or the status of the refusal."""

    method: str
    path: str
    cells: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def allowed(self) -> list[str]:
        return [role for role in ROLES if self.cells[role] == "ok"]

    @property
    def denied(self) -> dict[str, int]:
        return {role: int(cell) for role, cell in self.cells.items() if cell != "ok"}


def read_matrix() -> list[Rights]:
    lines = Path(__file__).with_name("matrix.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    header, *entries = rows
    assert header == ["method", "path", *ROLES]
    return [Rights(method, path, dict(zip(ROLES, cells, strict=True))) for method, path, *cells in entries]

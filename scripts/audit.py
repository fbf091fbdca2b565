"""`make audit`: checks every locked requirement file and package-lock.json for published advisories.

pip-audit asks PyPI, `npm audit` the npm registry. The audit passes only if every package of every lock was looked up:
a skipped or unknown package fails like a vulnerable one. First, each service must report the advisories of a release
that is known to have some; otherwise its files count as "not checked". Debian's packages in the slicer image and the
browser inside its npm package are not covered.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar

from devstack.supabase import npm

ROOT = Path(__file__).resolve().parents[1]
PIP_AUDIT = ROOT / ".local" / "audit" / "bin" / "pip-audit"

KNOWN_BAD_PYTHON = ("jinja2", "2.4.1")
"""Advisories of 2014 and later, such as CVE-2014-1402."""
KNOWN_BAD_NPM = ("minimist", "0.0.8")
"""CVE-2020-7598 and CVE-2021-44906."""

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


class NotCheckedError(Exception):
    """A service gave no report; the message is the tool's output."""


@dataclass(frozen=True)
class Report:
    """The result for one lock: how many packages were looked up, and which are vulnerable or skipped."""

    file: str
    checked: int = 0
    vulnerable: Sequence[str] = ()
    skipped: Sequence[str] = ()
    not_checked: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it has packages, all were looked up, and none is vulnerable."""
        return bool(self.checked) and not (self.vulnerable or self.skipped or self.not_checked)

    def lines(self) -> Iterator[str]:
        if self.not_checked is not None:
            yield f"  {self.file:44} NOT CHECKED"
            return
        verdict = "ok" if self.passed else f"{len(self.vulnerable)} vulnerable, {len(self.skipped)} skipped"
        yield f"  {self.file:44} {self.checked:4} packages  {verdict}"
        yield from (f"      vulnerable: {line}" for line in self.vulnerable)
        yield from (f"      skipped: {line}" for line in self.skipped)


@dataclass(frozen=True)
class PipAudit:
    """pip-audit on hashed requirement files; `options` choose another service than PyPI."""

    options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    service: ClassVar[str] = "Python's advisories"

    def check(self, lock: Path) -> Report:
        """Raises NotCheckedError when the service did not answer."""
        # Not --strict, which stops at the first skipped package and does not name the others.
        output = _run(
            [PIP_AUDIT, "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--desc", "off",
             "--format", "json", *self.options, "--requirement", lock],
            lock.parent, self.environment,
        )  # fmt: skip
        report = _json(output)
        if "dependencies" not in report:
            raise NotCheckedError(_last_line(output.stderr))
        skipped = {
            _canonical(one["name"]): one["skip_reason"]
            for one in report["dependencies"]
            if "skip_reason" in one
        }
        looked_up = {
            _canonical(one["name"]): one for one in report["dependencies"] if "skip_reason" not in one
        }
        for name, version in _PIN.findall(lock.read_text()):
            # A marker that does not match this machine silently drops a package.
            if _canonical(name) not in {*skipped, *looked_up}:
                skipped[_canonical(name)] = f"pip-audit left {name} {version} out"
        vulnerable = [
            f"{name} {one['version']}: {bug['id']}, fixed in {', '.join(bug['fix_versions']) or 'no release'}"
            for name, one in looked_up.items()
            for bug in one["vulns"]
        ]
        return Report(_label(lock), len(looked_up), vulnerable, list(skipped.values()))

    def knows_advisories(self) -> None:
        """Raises NotCheckedError unless the service reports the advisories of an old release."""
        name, version = KNOWN_BAD_PYTHON
        with tempfile.TemporaryDirectory() as folder:
            lock = Path(folder) / "requirements.txt"
            lock.write_text(f"{name}=={version} --hash=sha256:{'0' * 64}\n")
            _check_is_known(self.check(lock), name, version)


@dataclass(frozen=True)
class NpmAudit:
    """`npm audit` on package-lock.json files."""

    environment: dict[str, str] = field(default_factory=dict)
    service: ClassVar[str] = "npm's advisories"

    def check(self, lock: Path) -> Report:
        """Raises NotCheckedError when the registry did not answer."""
        output = _run(
            # All kinds by name: NODE_ENV or a user's npmrc may exclude some.
            [*npm(), "audit", "--json", "--package-lock-only",
             "--include=prod", "--include=dev", "--include=optional", "--include=peer"],
            lock.parent, self.environment,
        )  # fmt: skip
        report = _json(output)
        if "auditReportVersion" not in report:
            raise NotCheckedError(report.get("message") or _last_line(output.stderr))
        packages = {path: one for path, one in json.loads(lock.read_text())["packages"].items() if path}
        skipped = [
            f"{path} is not from the registry"
            for path, one in packages.items()
            if one.get("link") or not one.get("version") or not _is_from_registry(one.get("resolved"))
        ]
        looked_up = min(report["metadata"]["dependencies"]["total"], len(packages) - len(skipped))
        missing = len(packages) - len(skipped) - looked_up
        if missing:
            skipped.append(f"npm left {missing} of {len(packages)} packages out")
        vulnerable = [
            f"{name} {one['range']}: {', '.join(_titles(one)) or one['severity']}"
            for name, one in report["vulnerabilities"].items()
        ]
        return Report(_label(lock), looked_up, vulnerable, skipped)

    def knows_advisories(self) -> None:
        """Raises NotCheckedError unless the registry reports the advisories of an old release."""
        name, version = KNOWN_BAD_NPM
        packages = {"": {"dependencies": {name: version}}, f"node_modules/{name}": {"version": version}}
        with tempfile.TemporaryDirectory() as folder:
            lock = Path(folder) / "package-lock.json"
            lock.with_name("package.json").write_text(json.dumps(packages[""]))
            lock.write_text(json.dumps({"lockfileVersion": 3, "requires": True, "packages": packages}))
            _check_is_known(self.check(lock), name, version)


def locks(root: Path, name: str) -> list[Path]:
    """The repository's files with a name, except installed and built ones."""
    found: list[Path] = []
    for folder, below, files in root.walk():
        below[:] = [one for one in below if not one.startswith(".") and one != "node_modules"]
        found += [folder / file for file in files if fnmatch(file, name)]
    return sorted(found)


def python_locks(root: Path) -> list[Path]:
    """The hashed requirement files."""
    return [*locks(root, "requirements.txt"), *locks(root / "requirements", "*.txt")]


def audit(files: Sequence[Path], auditor: PipAudit | NpmAudit) -> list[Report]:
    """One report per file; all are "not checked" if the service gives no advisories."""
    try:
        auditor.knows_advisories()
    except NotCheckedError as error:
        return [_not_checked(path, auditor, error) for path in files]
    return [_report(path, auditor) for path in files]


def summary(reports: Sequence[Report]) -> tuple[bool, list[str]]:
    """Whether the audit passed, and what to print."""
    lines = [line for report in reports for line in report.lines()]
    lines += sorted({f"  {report.not_checked}" for report in reports if report.not_checked is not None})
    checked = sum(report.checked for report in reports)
    passed = bool(reports) and all(report.passed for report in reports)
    if passed:
        verdict = "none has a published advisory."
    else:
        verdict = (
            f"{sum(len(report.vulnerable) for report in reports)} advisories, "
            f"{sum(len(report.skipped) for report in reports)} packages skipped, "
            f"{sum(report.not_checked is not None for report in reports)} files not checked. The audit failed."
        )
    if not checked:
        verdict = "Nothing was checked. The audit failed."
        return False, [*lines, verdict]
    return passed, [*lines, f"{checked} packages in {len(reports)} files were looked up: {verdict}"]


def main() -> int:
    reports = [
        *audit(python_locks(ROOT), PipAudit()),
        *audit(locks(ROOT, "package-lock.json"), NpmAudit()),
    ]
    passed, lines = summary(reports)
    print("\n".join(lines))
    return 0 if passed else 1


def _report(path: Path, auditor: PipAudit | NpmAudit) -> Report:
    try:
        return auditor.check(path)
    except NotCheckedError as error:
        return _not_checked(path, auditor, error)


def _not_checked(path: Path, auditor: PipAudit | NpmAudit, error: NotCheckedError) -> Report:
    return Report(_label(path), not_checked=f"{auditor.service} are not to be had here: {error}")


def _check_is_known(report: Report, name: str, version: str) -> None:
    if report.skipped:
        raise NotCheckedError(f"{name} {version}, asked for as a trial: {report.skipped[0]}")
    if not report.vulnerable:
        raise NotCheckedError(f"{name} {version} is said to have none, and has some.")


def _run(
    argv: Sequence[str | Path], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in argv],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _json(output: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        report = json.loads(output.stdout)
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no answer")


def _titles(vulnerability: dict[str, Any]) -> list[str]:
    return [one["title"] if isinstance(one, dict) else f"by {one}" for one in vulnerability["via"]]


def _is_from_registry(resolved: str | None) -> bool:
    # Locks made here contain no URL, which means the registry.
    return resolved is None or resolved.startswith(("https://", "http://"))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _label(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


if __name__ == "__main__":
    sys.exit(main())

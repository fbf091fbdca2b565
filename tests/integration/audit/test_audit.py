"""`make audit` passes only on what was really looked up: the real pip-audit and npm, on small locks."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.audit import (
    KNOWN_BAD_NPM,
    KNOWN_BAD_PYTHON,
    ROOT,
    NotCheckedError,
    NpmAudit,
    PipAudit,
    Report,
    audit,
    locks,
    python_locks,
    summary,
)
from scripts.lock import FILES
from tests.integration.audit.advisories import Advisories, advisories

HASH = f"--hash=sha256:{'0' * 64}"
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def served() -> Iterator[Advisories]:
    with advisories(
        dict([KNOWN_BAD_PYTHON, KNOWN_BAD_NPM, ("requests", "1.0.0"), ("lodash", "1.0.0")])
    ) as server:
        yield server


def pip_audit(served: Advisories) -> PipAudit:
    return PipAudit(("--vulnerability-service", "osv", "--osv-url", f"{served.url}/osv"))


def npm_audit(served: Advisories, folder: Path) -> NpmAudit:
    return NpmAudit({"npm_config_registry": served.url, "npm_config_cache": str(folder / "npm")})


def requirements(folder: Path, *pins: str) -> Path:
    lock = folder / "requirements.txt"
    lock.write_text("".join(f"{pin} {HASH}\n" for pin in pins))
    return lock


def package_lock(folder: Path, **versions: str | dict[str, object]) -> Path:
    packages: dict[str, object] = {"": {"dependencies": dict.fromkeys(versions, "*")}}
    packages |= {
        f"node_modules/{name}": one if isinstance(one, dict) else {"version": one}
        for name, one in versions.items()
    }
    (folder / "package.json").write_text(json.dumps({"dependencies": dict.fromkeys(versions, "*")}))
    lock = folder / "package-lock.json"
    lock.write_text(json.dumps({"lockfileVersion": 3, "requires": True, "packages": packages}))
    return lock


def only(reports: list[Report]) -> Report:
    (report,) = reports
    return report


def test_python_packages_without_an_advisory_pass_and_are_counted(served: Advisories, tmp_path: Path) -> None:
    reports = audit(
        [requirements(tmp_path, "requests==2.0.0", "Typing_Extensions==4.0.0")], pip_audit(served)
    )
    assert only(reports).checked == 2
    assert {"requests", "typing-extensions"} <= served.asked
    passed, lines = summary(reports)
    assert passed
    assert lines[-1] == "2 packages in 1 files were looked up: none has a published advisory."


def test_a_python_package_with_an_advisory_fails_and_is_named(served: Advisories, tmp_path: Path) -> None:
    reports = [pip_audit(served).check(requirements(tmp_path, "requests==1.0.0", "six==1.0.0"))]
    assert only(reports).vulnerable == ["requests 1.0.0: TEST-requests, fixed in 9.0.0"]
    assert not summary(reports)[0]


def test_a_python_package_that_a_marker_leaves_out_counts_as_skipped(
    served: Advisories, tmp_path: Path
) -> None:
    reports = [
        pip_audit(served).check(
            requirements(tmp_path, "requests==2.0.0", 'six==1.0.0 ; sys_platform == "win32"')
        )
    ]
    assert only(reports).skipped == ["pip-audit left six 1.0.0 out"]
    assert only(reports).checked == 1
    assert not summary(reports)[0]


def test_a_python_package_that_the_index_does_not_have_is_never_a_pass(tmp_path: Path) -> None:
    """Asked of the real index; where that is out of reach, nothing was checked."""
    report = PipAudit().check(requirements(tmp_path, "printshop-has-no-such-package==1.0.0"))
    assert (report.checked, report.passed) == (0, False)
    if report.not_checked is None:
        assert "printshop-has-no-such-package" in report.skipped[0]
    assert not summary([report])[0]


def test_an_unreachable_service_of_python_is_never_a_pass(tmp_path: Path) -> None:
    unreachable = PipAudit(("--vulnerability-service", "osv", "--osv-url", f"{UNREACHABLE}/osv"))
    passed, lines = summary(audit([requirements(tmp_path, "requests==2.0.0")], unreachable))
    assert not passed
    assert "NOT CHECKED" in lines[0]
    assert lines[-1] == "Nothing was checked. The audit failed."


def test_a_service_of_python_that_knows_no_advisory_at_all_is_never_a_pass(tmp_path: Path) -> None:
    with advisories({}) as silent:
        report = only(audit([requirements(tmp_path, "requests==2.0.0")], pip_audit(silent)))
    assert not report.passed
    assert "jinja2 2.4.1 is said to have none" in (report.not_checked or "")


def test_a_requirement_without_a_hash_is_not_taken_for_checked(served: Advisories, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("requests==2.0.0\n")
    with pytest.raises(NotCheckedError, match="hash"):
        pip_audit(served).check(lock)


def test_npm_packages_without_an_advisory_pass_and_are_counted(served: Advisories, tmp_path: Path) -> None:
    reports = audit([package_lock(tmp_path, lodash="4.0.0", ms="2.0.0")], npm_audit(served, tmp_path))
    assert only(reports).checked == 2
    assert {"lodash", "ms"} <= served.asked
    assert summary(reports)[0]


def test_development_packages_are_asked_for_in_production_too(served: Advisories, tmp_path: Path) -> None:
    lock = package_lock(tmp_path, lodash={"version": "1.0.0", "dev": True})
    npm = npm_audit(served, tmp_path)
    production = {"NODE_ENV": "production", "npm_config_omit": "dev"}
    report = NpmAudit({**npm.environment, **production}).check(lock)
    assert report.vulnerable == ["lodash 1.0.0: lodash is known"]


def test_an_npm_package_with_an_advisory_fails_and_is_named(served: Advisories, tmp_path: Path) -> None:
    reports = [npm_audit(served, tmp_path).check(package_lock(tmp_path, lodash="1.0.0", ms="2.0.0"))]
    assert only(reports).vulnerable == ["lodash 1.0.0: lodash is known"]
    assert not summary(reports)[0]


def test_an_npm_package_from_elsewhere_counts_as_skipped(served: Advisories, tmp_path: Path) -> None:
    elsewhere: dict[str, object] = {
        "version": "1.0.0",
        "resolved": "git+ssh://git@example.com/left/pad.git#0123456789",
    }
    reports = [npm_audit(served, tmp_path).check(package_lock(tmp_path, ms="2.0.0", pad=elsewhere))]
    assert only(reports).skipped == ["node_modules/pad is not from the registry"]
    assert not summary(reports)[0]


@pytest.mark.parametrize(
    "environment", [{"npm_config_registry": UNREACHABLE}, {"npm_config_offline": "true"}]
)
def test_an_unreachable_registry_of_npm_is_never_a_pass(environment: dict[str, str], tmp_path: Path) -> None:
    no_retries = {"npm_config_fetch_retries": "0", "npm_config_cache": str(tmp_path / "npm")}
    reports = audit([package_lock(tmp_path, ms="2.0.0")], NpmAudit({**no_retries, **environment}))
    assert only(reports).not_checked
    passed, lines = summary(reports)
    assert (passed, lines[-1]) == (False, "Nothing was checked. The audit failed.")


def test_an_audit_of_no_file_is_never_a_pass() -> None:
    assert summary([]) == (False, ["Nothing was checked. The audit failed."])


def test_one_file_that_was_not_checked_fails_the_others_with_it() -> None:
    passed, lines = summary([Report("a", 3), Report("b", not_checked="silent")])
    assert not passed
    assert "3 packages" in lines[-1]
    assert "1 files not checked" in lines[-1]


def test_every_lock_of_the_repository_is_audited() -> None:
    python = {str(path.relative_to(ROOT)) for path in python_locks(ROOT)}
    assert python == {*FILES, "requirements/uv.txt"}
    node = {str(path.relative_to(ROOT)) for path in locks(ROOT, "package-lock.json")}
    assert node == {"layers/chromium/package-lock.json", "devstack/supabase/package-lock.json"}

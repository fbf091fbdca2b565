"""Under what an attempt is counted: spellings of one mailbox, networks of one customer, and nothing readable."""

from typing import Any

import pytest

from printshop.accounts.attempts import GUESSES, MAILINGS, MAILS, PASSWORDS, Attempts
from printshop.config.settings import load_settings
from tests.unit.config.test_settings import MINIMAL


class Counter:
    """Takes the database's place: remembers what was to be counted."""

    def __init__(self) -> None:
        self.counted: list[list[dict[str, Any]]] = []

    def call(self, function: str, /, *, p_subjects: list[dict[str, Any]]) -> Any:
        assert function == "count_attempt"
        self.counted.append(p_subjects)
        return {"counted": True}


def attempts(**environment: str) -> tuple[Attempts, Counter]:
    counter = Counter()
    return Attempts(load_settings({**MINIMAL, **environment}), counter), counter  # type: ignore[arg-type]


def test_a_password_counts_for_its_account_and_its_source() -> None:
    tried, counter = attempts()
    found = tried.password("Joe@Example.com", "203.0.113.7")
    (subjects,) = counter.counted
    assert [(each["attempts"], each["seconds"]) for each in subjects] == [PASSWORDS, GUESSES]
    assert [each["subject"] for each in subjects] == [found.account, found.source]
    assert all(len(each["subject"]) == 64 for each in subjects)
    assert tried.of(tried.recovery("203.0.113.7"), "joe@example.com").account == found.account


def test_mails_are_counted_apart_from_passwords() -> None:
    tried, counter = attempts()
    tried.password("joe@example.com", "203.0.113.7")
    tried.mail("joe@example.com", "203.0.113.7")
    passwords, mails = counter.counted
    assert [(each["attempts"], each["seconds"]) for each in mails] == [MAILS, MAILINGS]
    assert not {each["subject"] for each in passwords} & {each["subject"] for each in mails}


@pytest.mark.parametrize("spelling", ["JOE@EXAMPLE.COM", " joe@example.com ", "jo\uff45@example.com"])
def test_spellings_of_one_mailbox_are_one_account(spelling: str) -> None:
    tried, _ = attempts()
    assert tried.password(spelling, None) == tried.password("joe@example.com", None)
    assert tried.password("joan@example.com", None) != tried.password("joe@example.com", None)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("unix:", "unix:", True),
    ],
)
def test_an_ipv6_customer_is_his_network(one: str, other: str, alike: bool) -> None:
    tried, _ = attempts()
    assert (tried.recovery(one).source == tried.recovery(other).source) is alike


def test_behind_a_proxy_the_account_alone_is_counted() -> None:
    tried, counter = attempts(LIMIT_BY_SOURCE="0")
    assert tried.password("joe@example.com", "203.0.113.7").source is None
    assert [len(subjects) for subjects in counter.counted] == [1]
    # Nothing is left to count of a link whose owner is not known yet.
    tried.recovery("203.0.113.7")
    assert len(counter.counted) == 1


def test_another_projects_key_gives_other_hashes() -> None:
    tried, _ = attempts()
    elsewhere, _ = attempts(SUPABASE_SERVICE_ROLE_KEY="sb_secret_other")
    assert tried.password("joe@example.com", None) != elsewhere.password("joe@example.com", None)

"""Attempts counted in the database: pauses that grow and end, and no way round by asking at once."""

from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from printshop.accounts.attempts import GUESSES, PASSWORDS, Limit
from tests.integration.schema.shop import Shop, call

Subjects = list[dict[str, Any]]


def subjects(*limits: Limit) -> Subjects:
    """New ones."""
    return [{"subject": sha256(uuid4().bytes).hexdigest(), **limit._asdict()} for limit in limits]


def waits(shop: Shop, counted: Subjects) -> int:
    """Seconds until the next attempt may be made; 0 when this one may, and was counted."""
    answer = shop.call("count_attempt", p_subjects=counted)
    if "error" not in answer:
        return 0
    assert (answer["error"]["status"], answer["error"]["code"]) == (429, "TOO_MANY_ATTEMPTS")
    return int(answer["error"]["details"]["retryAfterSeconds"])


def passes(shop: Shop, seconds: float) -> None:
    """Time, for every count there is."""
    shop.rows.execute(
        "update login_attempts set counted_at = counted_at - make_interval(secs => %s)", (seconds,)
    )


def exhausted(shop: Shop, counted: Subjects) -> None:
    assert [waits(shop, counted) for _ in range(counted[0]["attempts"])] == [0] * counted[0]["attempts"]


def test_the_tenth_wrong_password_is_the_last_before_a_pause(shop: Shop) -> None:
    account = subjects(PASSWORDS)
    exhausted(shop, account)
    assert 28 <= waits(shop, account) <= 30


def test_each_further_attempt_doubles_the_pause_up_to_a_quarter_of_an_hour(shop: Shop) -> None:
    account = subjects(PASSWORDS)
    exhausted(shop, account)
    pauses = []
    for _ in range(12):
        pauses.append(waits(shop, account))
        passes(shop, pauses[-1])
        assert waits(shop, account) == 0
    steps = [round(pause / 30) for pause in pauses]
    assert steps[:5] == [1, 2, 4, 8, 16]
    # During such a wait, a little is forgiven: some pauses are as long as the one before.
    assert steps == sorted(steps)
    assert steps[-2:] == [30, 30]


def test_a_refused_attempt_makes_no_pause_longer(shop: Shop) -> None:
    account = subjects(PASSWORDS)
    exhausted(shop, account)
    assert max(waits(shop, account) for _ in range(50)) <= 30
    passes(shop, 30)
    assert waits(shop, account) == 0


def test_whoever_guesses_all_day_gets_a_hundred_guesses(shop: Shop) -> None:
    account, made, clock = subjects(PASSWORDS), 0, 0
    while clock < 24 * 3600:
        pause = waits(shop, account)
        made += pause == 0
        passes(shop, pause)
        clock += pause
    assert 90 < made < 120


def test_a_customer_may_log_in_again_a_quarter_of_an_hour_after_the_last_guess_of_another(shop: Shop) -> None:
    account = subjects(PASSWORDS)
    for _ in range(40):
        passes(shop, waits(shop, account))
        waits(shop, account)
    passes(shop, 15 * 60)
    assert waits(shop, account) == 0


def test_a_success_clears_the_account_and_takes_one_attempt_off_the_source(shop: Shop) -> None:
    both = subjects(PASSWORDS, GUESSES)
    attempt = {"account": both[0]["subject"], "source": both[1]["subject"]}
    exhausted(shop, both)
    shop.call("reset_rate_limit", p_attempt=attempt)
    levels = shop.rows.execute(
        "select subject, round(level_milli / 1000.0)::integer from login_attempts where subject = any(%s)",
        (list(attempt.values()),),
    ).fetchall()
    assert levels == [(attempt["source"], 9)]


def test_a_source_pauses_although_every_account_is_another(shop: Shop) -> None:
    (source,) = subjects(GUESSES)
    made = [waits(shop, [*subjects(PASSWORDS), source]) for _ in range(GUESSES.attempts + 5)]
    assert made[: GUESSES.attempts] == [0] * GUESSES.attempts
    assert min(made[GUESSES.attempts :]) > 0


def test_a_paused_source_counts_nothing_on_the_accounts_that_it_tries(shop: Shop) -> None:
    """Else one address could pause a customer by attempts that were never made."""
    (source,), account = subjects(Limit(1, 3600)), subjects(PASSWORDS)
    exhausted(shop, [source])
    for _ in range(30):
        assert waits(shop, [*account, source]) > 0
    assert shop.value("select level_milli from login_attempts where subject = %s", account[0]["subject"]) == 0


def test_slow_attempts_are_never_paused(shop: Shop) -> None:
    account = subjects(PASSWORDS)
    for _ in range(60):
        assert waits(shop, account) == 0
        passes(shop, PASSWORDS.seconds)


@pytest.mark.parametrize("callers", [24])
def test_guesses_made_at_once_are_counted_one_by_one(shop: Shop, callers: int) -> None:
    both = subjects(PASSWORDS, GUESSES)

    def guess(connection: Any, number: int) -> bool:
        # Each names the two in an order of its own: the function locks in one.
        return "error" not in call(connection, "count_attempt", p_subjects=both[:: 1 if number % 2 else -1])

    assert sum(shop.at_once(callers, guess)) == PASSWORDS.attempts


def test_counts_age_out_with_the_janitors_round(shop: Shop) -> None:
    old, young = subjects(PASSWORDS), subjects(PASSWORDS)
    waits(shop, old)
    passes(shop, 25 * 3600)
    waits(shop, young)
    shop.call("age_documents")
    kept = {row[0] for row in shop.rows.execute("select subject from login_attempts")}
    assert old[0]["subject"] not in kept
    assert young[0]["subject"] in kept


def test_no_address_can_be_stored_as_it_is(shop: Shop) -> None:
    with pytest.raises(Exception, match="login_attempts_subject_check"):
        shop.call("count_attempt", p_subjects=[{"subject": "joe@example.com", **PASSWORDS._asdict()}])

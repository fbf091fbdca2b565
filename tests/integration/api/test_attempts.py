"""Guessing through the gateway: a limit by account and by source, alike for known and unknown addresses."""

import re
import time
from uuid import uuid4

import httpx
import psycopg
import pytest

from devstack import Stack
from printshop.accounts.attempts import GUESSES, MAILINGS, MAILS, PASSWORDS
from tests.conftest import Client, sign_up
from tests.integration.api.refusals import refused
from tests.integration.api.test_account import recovery_token


def guess(stack: Stack, email: str, password: str = "a wrong password", **headers: str) -> httpx.Response:
    """From another address each time."""
    return Client(stack.api_url).post("auth/login", {"email": email, "password": password}, headers=headers)


def paused(response: httpx.Response) -> int:
    """The seconds of Retry-After, which a refusal for too many attempts must name."""
    error = refused(response, 429, "TOO_MANY_ATTEMPTS")
    assert error["details"] == {"retryAfterSeconds": int(response.headers["retry-after"])}
    return int(response.headers["retry-after"])


def guessed_out(stack: Stack, email: str) -> None:
    answers = [guess(stack, email).status_code for _ in range(PASSWORDS.attempts)]
    assert answers == [401] * PASSWORDS.attempts


def later(database: psycopg.Connection, seconds: int) -> None:
    database.execute(
        "update login_attempts set counted_at = counted_at - make_interval(secs => %s)", (seconds,)
    )


def test_an_account_pauses_after_ten_wrong_passwords_wherever_they_come_from(
    stack: Stack, customer: Client, database: psycopg.Connection
) -> None:
    guessed_out(stack, customer.email)
    assert 0 < paused(guess(stack, customer.email, customer.password)) <= 30
    assert sign_up(stack).token  # nobody else waits
    later(database, 30)
    assert guess(stack, customer.email, customer.password).status_code == 200
    # The success cleared the count: ten more.
    guessed_out(stack, customer.email)


def test_known_and_unknown_addresses_pause_alike(stack: Stack, customer: Client) -> None:
    unknown = f"{uuid4().hex}@example.com"
    for address in (customer.email, unknown):
        guessed_out(stack, address)
    answers = [guess(stack, address) for address in (customer.email, unknown)]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert {answer.json()["error"]["message"] for answer in answers} == {
        "Too many attempts; wait as long as Retry-After says, then try again."
    }


def test_another_spelling_of_the_address_is_the_same_account(stack: Stack, customer: Client) -> None:
    guessed_out(stack, customer.email)
    spellings = [customer.email.upper(), f" {customer.email} ", f"Ada <{customer.email}>"]
    assert {guess(stack, spelling).status_code for spelling in spellings} == {429}


def test_the_current_password_cannot_be_guessed_by_changing_it(stack: Stack, customer: Client) -> None:
    body = {"currentPassword": "not it", "newPassword": "a brand new password"}
    answers = [customer.post("auth/change-password", body).status_code for _ in range(PASSWORDS.attempts)]
    assert answers == [403] * PASSWORDS.attempts
    paused(customer.post("auth/change-password", {**body, "currentPassword": customer.password}))
    paused(guess(stack, customer.email, customer.password))


def test_whoever_has_the_mail_gets_in_while_another_guesses(stack: Stack) -> None:
    customer = sign_up(stack)
    guessed_out(stack, customer.email)
    paused(guess(stack, customer.email))
    customer.data("POST", "auth/forgot-password", {"email": customer.email})
    body = {"tokenHash": recovery_token(stack, customer.email), "newPassword": "another password"}
    assert Client(stack.api_url).data("POST", "auth/reset-password", body)["user"]["email"] == customer.email
    assert guess(stack, customer.email, "another password").status_code == 200


def test_one_source_pauses_whatever_it_guesses_and_writes_into_its_headers(stack: Stack) -> None:
    attacker = Client(stack.api_url)

    def reset(number: int) -> httpx.Response:
        body = {"tokenHash": uuid4().hex, "newPassword": "long enough"}
        return attacker.post("auth/reset-password", body, headers={"X-Forwarded-For": f"198.51.100.{number}"})

    begun, answers = time.monotonic(), [reset(0)]
    while answers[-1].status_code == 422:
        answers.append(reset(len(answers)))
    grown = (
        int((time.monotonic() - begun) / GUESSES.seconds) + 1
    )  # one more each time that so long has passed
    assert GUESSES.attempts <= len(answers) - 1 <= GUESSES.attempts + grown
    paused(answers[-1])
    login = {"email": f"{uuid4().hex}@example.com", "password": "a wrong password"}
    paused(attacker.post("auth/login", login))
    assert guess(stack, login["email"], **{"X-Forwarded-For": attacker.address}).status_code == 401


@pytest.mark.parametrize("route", ["resend", "forgot-password"])
def test_a_mailbox_is_not_flooded_and_nobody_learns_whose_it_is(stack: Stack, route: str) -> None:
    for address in (sign_up(stack).email, f"{uuid4().hex}@example.com"):
        answers = [
            Client(stack.api_url).post(f"auth/{route}", {"email": address}) for _ in range(MAILS.attempts)
        ]
        # A sign-up may have sent one as well.
        assert [answer.status_code for answer in answers[:-1]] == [200] * (MAILS.attempts - 1)
        paused(Client(stack.api_url).post(f"auth/{route}", {"email": address}))


def test_one_source_does_not_have_mails_sent_or_sign_up_for_ever(stack: Stack) -> None:
    crowd = Client(stack.api_url)
    answers = [
        crowd.post("auth/forgot-password", {"email": f"{uuid4().hex}@example.com"}).status_code
        for _ in range(MAILINGS.attempts)
    ]
    assert answers == [200] * MAILINGS.attempts
    body = {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex, "name": "One of many"}
    paused(crowd.post("auth/signup", body))


def test_what_is_stored_of_an_attempt_is_a_hash_and_a_time(
    stack: Stack, database: psycopg.Connection
) -> None:
    client = Client(stack.api_url)
    client.post("auth/login", {"email": f"{uuid4().hex}@example.com", "password": "wrong"})
    kept = [row[0] for row in database.execute("select login_attempts::text from login_attempts")]
    assert len(kept) >= 2
    assert [
        row for row in kept if not re.fullmatch(r'\([0-9a-f]{64},\d+,("[\d :.+-]+"|-infinity)\)', row)
    ] == []

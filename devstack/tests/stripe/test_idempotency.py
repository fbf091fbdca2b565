import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from devstack.testing.stripe_shop import Shop, order


def _post(shop: Shop, key: str, amount: int = 5_000) -> stripe.checkout.Session:
    return shop.client.v1.checkout.sessions.create(order(amount), {"idempotency_key": key})


def test_the_same_key_answers_the_first_session_again(shop: Shop) -> None:
    first, again = _post(shop, "replay-1"), _post(shop, "replay-1")

    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert first.last_response is not None
    assert again.last_response.headers["original-request"] == first.last_response.headers["request-id"]
    assert again.last_response.headers["request-id"] != first.last_response.headers["request-id"]


def test_the_first_answer_stays_even_when_the_object_has_changed(shop: Shop) -> None:
    first = _post(shop, "replay-2")
    shop.client.v1.checkout.sessions.expire(first.id)

    assert _post(shop, "replay-2").status == "open"


def test_the_same_key_with_other_parameters_is_an_idempotency_error(shop: Shop) -> None:
    _post(shop, "misuse-1")

    with pytest.raises(stripe.IdempotencyError) as refused:
        _post(shop, "misuse-1", 6_000)

    assert refused.value.http_status == 400
    assert refused.value.error is not None
    assert refused.value.error.type == "idempotency_error"
    assert "with the same parameters they were first used with" in str(refused.value)


def test_the_same_key_at_another_endpoint_is_an_idempotency_error(shop: Shop) -> None:
    _post(shop, "misuse-2")

    with pytest.raises(stripe.IdempotencyError, match="same endpoint they were first used for"):
        shop.client.v1.refunds.create({"charge": "ch_1"}, {"idempotency_key": "misuse-2"})


def test_an_error_of_the_endpoint_is_saved(shop: Shop) -> None:
    for replayed in (None, "true"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            _post(shop, "too-small", 1)
        assert refused.value.code == "amount_too_small"
        assert refused.value.headers.get("idempotent-replayed") == replayed  # type: ignore[union-attr]


def test_a_500_is_saved_and_replayed(shop: Shop) -> None:
    shop.stand_in.control.fail_next("server_error", method="POST", path="/v1/checkout/sessions")

    for replayed in (None, "true"):
        with pytest.raises(stripe.APIError) as failed:
            _post(shop, "broken")
        assert failed.value.http_status == 500
        assert failed.value.headers.get("idempotent-replayed") == replayed  # type: ignore[union-attr]
    assert _post(shop, "broken-2").status == "open"


def test_a_parameter_error_is_not_saved_so_that_the_key_works_with_corrected_parameters(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        shop.client.v1.checkout.sessions.create(order(colour="red"), {"idempotency_key": "corrected"})

    assert _post(shop, "corrected").status == "open"


def test_a_second_request_with_the_key_of_a_running_one_is_a_conflict(shop: Shop) -> None:
    shop.stand_in.control.fail_next("slow", method="POST", path="/v1/checkout/sessions", seconds=0.4)
    start = threading.Barrier(2)

    def attempt() -> str:
        start.wait()
        try:
            return _post(shop, "twins").id
        except stripe.APIError as conflict:
            assert conflict.http_status == 409
            assert conflict.error is not None
            return str(conflict.error.code)

    with ThreadPoolExecutor(2) as people:
        outcomes = [one.result() for one in [people.submit(attempt), people.submit(attempt)]]

    assert "idempotency_key_in_use" in outcomes
    assert _post(shop, "twins").id in outcomes


def test_a_lost_answer_is_found_again_by_the_sdks_own_retry(shop: Shop) -> None:
    shop.stand_in.control.fail_next("answer_lost", method="POST", path="/v1/checkout/sessions")
    before = len(shop.client.v1.checkout.sessions.list({"limit": 100}).data)

    session = shop.client.v1.checkout.sessions.create(
        order(),
        {"idempotency_key": "lost", "max_network_retries": 1},
    )

    assert session.last_response is not None
    assert session.last_response.headers["idempotent-replayed"] == "true"
    assert len(shop.client.v1.checkout.sessions.list({"limit": 100}).data) == min(before + 1, 100)
    assert [call.replayed for call in shop.stand_in.control.requests() if call.idempotency_key == "lost"] == [
        False,
        True,
    ]


def test_a_key_is_forgotten_after_a_day(fresh_shop: Shop) -> None:
    first = _post(fresh_shop, "daily")
    fresh_shop.stand_in.control.advance_clock(24 * 3600 - 60)
    assert _post(fresh_shop, "daily").id == first.id

    fresh_shop.stand_in.control.advance_clock(60)

    assert _post(fresh_shop, "daily").id != first.id


def test_a_key_of_more_than_255_characters_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="255"):
        _post(shop, "k" * 256)


def test_a_read_ignores_the_key(shop: Shop) -> None:
    options: stripe.RequestOptions = {"idempotency_key": "reading"}
    shop.client.v1.balance.retrieve(options=options)

    assert shop.client.v1.accounts.retrieve_current(options=options).id is not None

import time

import pytest
import stripe

from devstack.testing.stripe_shop import Shop, order


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("server_error", stripe.APIError, 500),
        ("unavailable", stripe.APIError, 503),
        ("rate_limited", stripe.RateLimitError, 429),
        ("reset", stripe.APIConnectionError, None),
        ("timeout", stripe.APIConnectionError, None),
        ("answer_lost", stripe.APIConnectionError, None),
    ],
)
def test_a_fault_occurs_as_often_as_set_and_is_counted(
    shop: Shop, kind: str, error: type[stripe.StripeError], status: int | None
) -> None:
    control = shop.stand_in.control
    before = control.counters().get(f"fault.{kind}", 0)
    control.fail_next(kind, times=2, path="/v1/balance", seconds=0.05)  # type: ignore[arg-type]
    assert shop.client.v1.accounts.retrieve_current() is not None

    for _ in range(2):
        with pytest.raises(error) as failed:
            shop.client.v1.balance.retrieve()
        assert failed.value.http_status == status

    assert shop.client.v1.balance.retrieve() is not None
    assert control.counters()[f"fault.{kind}"] - before == 2


@pytest.mark.parametrize(
    ("kind", "done"),
    [("server_error", 0), ("unavailable", 0), ("reset", 0), ("timeout", 0), ("answer_lost", 1)],
)
def test_only_a_lost_answer_leaves_the_work_done(shop: Shop, kind: str, done: int) -> None:
    charge = shop.paid_charge(10_000)
    shop.stand_in.control.fail_next(kind, method="POST", seconds=0.05)  # type: ignore[arg-type]

    with pytest.raises(stripe.StripeError):
        shop.client.v1.refunds.create({"charge": charge.id, "amount": 100})

    assert len(shop.client.v1.refunds.list({"charge": charge.id}).data) == done


@pytest.mark.parametrize("kind", ["unavailable", "rate_limited", "reset"])
def test_a_fault_before_the_endpoint_leaves_the_key_free(shop: Shop, kind: str) -> None:
    shop.stand_in.control.fail_next(kind, method="POST")  # type: ignore[arg-type]
    with pytest.raises(stripe.StripeError):
        shop.client.v1.checkout.sessions.create(order(), {"idempotency_key": f"free-{kind}"})

    session = shop.client.v1.checkout.sessions.create(order(), {"idempotency_key": f"free-{kind}"})

    assert session.last_response is not None
    assert "idempotent-replayed" not in session.last_response.headers


def test_the_sdk_retries_over_a_short_outage(shop: Shop) -> None:
    shop.stand_in.control.fail_next("unavailable", times=1)

    assert shop.client.v1.balance.retrieve(options={"max_network_retries": 1}).object == "balance"


def test_a_slow_answer_outlasts_an_impatient_client_but_the_work_is_done(shop: Shop) -> None:
    http = stripe.RequestsClient(timeout=0.2)
    impatient = stripe.StripeClient(
        "sk_test_51StandIn",
        base_addresses={"api": shop.stand_in.url},
        http_client=http,
        max_network_retries=0,
    )
    charge = shop.paid_charge()
    shop.stand_in.control.fail_next("slow", method="POST", seconds=0.5)

    started = time.monotonic()
    with pytest.raises(stripe.APIConnectionError):
        impatient.v1.refunds.create({"charge": charge.id})
    assert time.monotonic() - started < 0.5
    http.close()  # type: ignore[no-untyped-call]

    deadline = time.monotonic() + 5
    while not shop.client.v1.charges.retrieve(charge.id).refunded:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_cleared_faults_do_not_occur(shop: Shop) -> None:
    shop.stand_in.control.fail_next("server_error", times=5)

    shop.stand_in.control.clear_faults()

    assert shop.client.v1.balance.retrieve() is not None

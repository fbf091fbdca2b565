import pytest
import stripe

from devstack.testing.stripe_shop import Shop


def test_a_partial_refund_counts_on_the_charge(shop: Shop) -> None:
    charge = shop.paid_charge(10_000)

    refund = shop.client.v1.refunds.create(
        {"payment_intent": str(charge.payment_intent), "amount": 2_500, "reason": "requested_by_customer"}
    )

    assert (refund.amount, refund.status, refund.charge) == (2_500, "succeeded", charge.id)
    assert refund.payment_intent == charge.payment_intent
    after = shop.client.v1.charges.retrieve(charge.id, {"expand": ["refunds"]})
    assert (after.amount_refunded, after.refunded) == (2_500, False)
    assert after.refunds is not None
    assert [one.id for one in after.refunds.data] == [refund.id]


def test_a_refund_without_an_amount_takes_the_whole_rest(shop: Shop) -> None:
    charge = shop.paid_charge(10_000)
    shop.client.v1.refunds.create({"charge": charge.id, "amount": 1})

    assert shop.client.v1.refunds.create({"charge": charge.id}).amount == 9_999

    assert shop.client.v1.charges.retrieve(charge.id).refunded


def test_charge_refunded_events_carry_cumulative_amounts(shop: Shop) -> None:
    charge = shop.paid_charge(10_000)
    for amount in (1_000, 2_000):
        shop.client.v1.refunds.create({"charge": charge.id, "amount": amount})

    events = [event for event in shop.events_about(charge.id) if event.type == "charge.refunded"]

    assert [event.data.object["amount_refunded"] for event in events] == [1_000, 3_000]
    assert [event.data.to_dict()["previous_attributes"] for event in events] == [
        {"amount_refunded": 0},
        {"amount_refunded": 1_000},
    ]


@pytest.mark.parametrize(
    ("before", "limit"), [(0, "charge amount (A$100.00)"), (9_000, "unrefunded amount on charge (A$10.00)")]
)
def test_more_than_the_rest_is_refused(shop: Shop, before: int, limit: str) -> None:
    charge = shop.paid_charge(10_000)
    if before:
        shop.client.v1.refunds.create({"charge": charge.id, "amount": before})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.refunds.create({"charge": charge.id, "amount": 20_000})

    assert refused.value.user_message == f"Refund amount (A$200.00) is greater than {limit}"
    assert refused.value.param == "amount"
    assert shop.client.v1.charges.retrieve(charge.id).amount_refunded == before


def test_a_charge_that_is_refunded_already_is_refused(shop: Shop) -> None:
    charge = shop.paid_charge()
    shop.client.v1.refunds.create({"charge": charge.id})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.refunds.create({"charge": charge.id, "amount": 1})

    assert refused.value.code == "charge_already_refunded"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "parameter_missing"),
        ({"charge": "ch_1", "payment_intent": "pi_1"}, "parameters_exclusive"),
        ({"charge": "ch_1"}, "resource_missing"),
        ({"charge": "ch_1", "amount": 0}, "parameter_invalid_integer"),
    ],
)
def test_a_refund_of_nothing_in_particular_is_refused(shop: Shop, params: dict[str, str], code: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.refunds.create(params)  # type: ignore[arg-type]

    assert refused.value.code == code
    assert refused.value.http_status == 400


def test_refunds_are_listed_by_charge_and_retrieved(shop: Shop) -> None:
    charge = shop.paid_charge(10_000)
    first = shop.client.v1.refunds.create({"charge": charge.id, "amount": 100, "metadata": {"by": "admin"}})
    second = shop.client.v1.refunds.create({"charge": charge.id, "amount": 200})

    assert [one.id for one in shop.client.v1.refunds.list({"charge": charge.id}).data] == [
        second.id,
        first.id,
    ]
    found = shop.client.v1.refunds.retrieve(first.id, {"expand": ["charge"]})
    assert found.metadata is not None
    assert found.metadata["by"] == "admin"
    assert isinstance(found.charge, stripe.Charge)


def test_a_refund_that_fails_later_gives_the_charge_its_money_back(shop: Shop) -> None:
    charge = shop.paid_charge(10_000)
    shop.client.v1.refunds.create({"charge": charge.id, "amount": 1_000})
    refund = shop.client.v1.refunds.create({"charge": charge.id})

    shop.stand_in.control.fail_refund(refund.id, "expired_or_canceled_card")

    failed = shop.client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    after = shop.client.v1.charges.retrieve(charge.id)
    assert (after.amount_refunded, after.refunded) == (1_000, False)
    assert [event.type for event in shop.events_about(refund.id)] == [
        "refund.created",
        "refund.failed",
        "refund.updated",
        "charge.refund.updated",
    ]
    assert shop.client.v1.refunds.create({"charge": charge.id}).amount == 9_000


def test_the_card_with_slow_refunds_keeps_them_pending_until_settled(shop: Shop) -> None:
    refund = shop.client.v1.refunds.create({"charge": shop.paid_charge(card="4000000000007726").id})
    assert (refund.status, refund.pending_reason) == ("pending", "processing")

    shop.stand_in.control.settle_refund(refund.id)

    assert shop.client.v1.refunds.retrieve(refund.id).status == "succeeded"
    updated = shop.events_about(refund.id)[1]
    assert updated.type == "refund.updated"
    assert updated.data.to_dict()["previous_attributes"] == {
        "pending_reason": "processing",
        "status": "pending",
    }


@pytest.mark.parametrize(
    ("won", "ending"),
    [
        (True, ["charge.dispute.funds_reinstated", "charge.dispute.closed"]),
        (False, ["charge.dispute.closed"]),
    ],
)
def test_a_dispute_takes_the_funds_and_gives_them_back_only_if_won(
    shop: Shop, won: bool, ending: list[str]
) -> None:
    charge = shop.paid_charge()

    dispute = shop.stand_in.control.open_dispute(charge.id)
    assert shop.client.v1.charges.retrieve(charge.id).disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.refunds.create({"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    shop.stand_in.control.close_dispute(dispute, won=won)

    assert [event.type for event in shop.events_about(dispute)] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        *ending,
    ]
    assert shop.client.v1.disputes.retrieve(dispute).status == ("won" if won else "lost")


def test_the_disputed_test_card_is_disputed_by_itself(shop: Shop) -> None:
    charge = shop.paid_charge(card="4000000000000259")

    assert charge.disputed
    disputes = shop.client.v1.disputes.list({"charge": charge.id}).data
    assert [one.reason for one in disputes] == ["fraudulent"]

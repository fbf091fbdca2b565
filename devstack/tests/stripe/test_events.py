import pytest
import stripe

from devstack.testing.stripe_shop import Shop
from devstack.testing.webhooks import Receiver


def test_a_card_payment_makes_four_events_with_their_cause(shop: Shop) -> None:
    session = shop.paid_session()
    payment = str(session.payment_intent)
    charge = shop.client.v1.charges.list({"payment_intent": payment}).data[0]

    about_payment = shop.events_about(payment)
    (about_charge,) = shop.events_about(charge.id)
    (completed,) = shop.events_about(session.id)

    assert [event.type for event in about_payment] == ["payment_intent.created", "payment_intent.succeeded"]
    assert about_charge.type == "charge.succeeded"
    assert completed.type == "checkout.session.completed"
    assert completed.request is not None
    assert (completed.request.id, completed.request.idempotency_key) == (None, None)
    assert about_charge.request is not None
    assert about_charge.request.id is not None
    assert completed.api_version == stripe.api_version
    assert completed.data.object["payment_status"] == "paid"
    assert completed.data.object["metadata"]["invoiceId"] == "42"


def test_an_event_made_by_the_api_names_its_request_and_key(shop: Shop) -> None:
    charge = shop.paid_charge()
    refund = shop.client.v1.refunds.create({"charge": charge.id}, {"idempotency_key": f"refund-{charge.id}"})

    (created,) = shop.events_about(refund.id)

    assert created.request is not None
    assert created.request.idempotency_key == f"refund-{charge.id}"
    assert refund.last_response is not None
    assert created.request.id == refund.last_response.headers["request-id"]


def test_an_event_has_the_object_as_it_was_then(shop: Shop) -> None:
    charge = shop.paid_charge(10_000)
    shop.client.v1.refunds.create({"charge": charge.id})

    succeeded = shop.events_about(charge.id)[0]

    assert shop.client.v1.events.retrieve(succeeded.id).data.object["amount_refunded"] == 0


def test_events_are_listed_by_type_group_time_and_cursor(fresh_shop: Shop) -> None:
    listing = fresh_shop.client.v1.events
    fresh_shop.paid_session()
    first = listing.list({"limit": 100}).data
    fresh_shop.stand_in.control.advance_clock(100)
    fresh_shop.paid_session()

    assert len(listing.list({"type": "checkout.session.completed"}).data) == 2
    assert {one.type for one in listing.list({"type": "charge.*"}).data} == {"charge.succeeded"}
    several = listing.list({"types": ["charge.succeeded", "payment_intent.created"]}).data
    assert sorted({one.type for one in several}) == ["charge.succeeded", "payment_intent.created"]
    assert len(listing.list({"created": {"gte": first[0].created + 50}}).data) == 4
    assert len(listing.list({"created": {"lt": first[0].created + 50}}).data) == 4
    everything = [one.id for one in listing.list({"limit": 3}).auto_paging_iter()]
    assert len(everything) == len(set(everything)) == 8
    assert [one.id for one in listing.list({"ending_before": everything[2]}).data] == everything[:2]
    assert [one.id for one in listing.list({"starting_after": everything[6]}).data] == everything[7:]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        listing.list({"type": "charge.succeeded", "types": ["charge.failed"]})
    assert refused.value.code == "parameters_exclusive"


def test_delivery_success_tells_lost_events_from_delivered_ones(shop: Shop, webhook: Receiver) -> None:
    control = shop.stand_in.control
    delivered = shop.paid_session()
    webhook.wait_for(4)
    control.wait_until_delivered()
    control.set_delivery(drop=("*",))
    lost = shop.paid_session()

    def completed(success: bool) -> list[str]:
        found = shop.client.v1.events.list(
            {"delivery_success": success, "type": "checkout.session.completed", "limit": 100}
        )
        return [event.data.object["id"] for event in found.data]

    assert lost.id in completed(False)
    assert lost.id not in completed(True)
    assert delivered.id in completed(True)
    assert delivered.id not in completed(False)
    assert len(webhook.received) == 4
    assert shop.events_about(lost.id)[0].pending_webhooks == 1
    assert shop.events_about(delivered.id)[0].pending_webhooks == 0


def test_events_older_than_thirty_days_are_gone(fresh_shop: Shop) -> None:
    session = fresh_shop.paid_session()
    (event,) = fresh_shop.events_about(session.id)

    fresh_shop.stand_in.control.advance_clock(30 * 24 * 3600 + 1)

    assert fresh_shop.client.v1.events.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        fresh_shop.client.v1.events.retrieve(event.id)

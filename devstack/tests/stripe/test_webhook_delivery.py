import json
import time
from typing import Any

import pytest
import stripe

from devstack.stripe import pay
from devstack.testing.stripe_shop import RETRY_SECONDS, WEBHOOK_SECRET, Shop
from devstack.testing.webhooks import Received, Receiver, receiving

CARD_PAYMENT = {
    "charge.succeeded",
    "checkout.session.completed",
    "payment_intent.created",
    "payment_intent.succeeded",
}


def _types(received: list[Received]) -> list[str]:
    return [one.event(WEBHOOK_SECRET).type for one in received]


def _completed(webhook: Receiver) -> list[Received]:
    return [one for one in webhook.received if b'"type": "checkout.session.completed"' in one.body]


def _until_completed(webhook: Receiver, count: int) -> list[Received]:
    deadline = time.monotonic() + 8
    while len(_completed(webhook)) < count:
        assert time.monotonic() < deadline, f"{len(_completed(webhook))} of {count} came"
        time.sleep(0.01)
    return _completed(webhook)


def test_a_payment_reaches_the_webhook_signed_so_that_the_sdk_accepts_it(
    shop: Shop, webhook: Receiver
) -> None:
    session = shop.paid_session()

    received = webhook.wait_for(4)

    assert set(_types(received)) == CARD_PAYMENT
    (completed,) = _completed(webhook)
    event = completed.event(WEBHOOK_SECRET)
    assert event.data.object["id"] == session.id
    assert event.data.object["amount_total"] == 12_345
    assert event.livemode is False
    assert event.pending_webhooks == 1
    assert completed.content_type == "application/json; charset=utf-8"


def test_a_tampered_body_or_another_secret_is_not_accepted(shop: Shop, webhook: Receiver) -> None:
    shop.paid_session()
    received = webhook.wait_for(4)[0]

    with pytest.raises(stripe.SignatureVerificationError):
        received.event("whsec_other")
    with pytest.raises(stripe.SignatureVerificationError):
        Received(received.body + b" ", received.signature, "").event(WEBHOOK_SECRET)


def test_non_ascii_characters_arrive_as_utf_8_and_verify(shop: Shop, webhook: Receiver) -> None:
    session = shop.open_session(metadata={"client": "Žofie Ångström 株式会社"})
    pay(str(session.url))

    (completed,) = _until_completed(webhook, 1)

    assert "Žofie Ångström 株式会社".encode() in completed.body
    assert completed.event(WEBHOOK_SECRET).data.object["metadata"]["client"] == "Žofie Ångström 株式会社"


def test_both_secrets_sign_while_a_secret_is_rolled(shop: Shop, webhook: Receiver) -> None:
    control = shop.stand_in.control
    new = control.roll_secret(overlap_seconds=3600)
    shop.paid_session()
    received = webhook.wait_for(4)[0]
    assert received.signature.count("v1=") == 2
    assert received.event(WEBHOOK_SECRET).id == received.event(new).id

    newest = control.roll_secret(overlap_seconds=0)
    webhook.received.clear()
    shop.paid_session()
    received = webhook.wait_for(4)[0]

    assert received.signature.count("v1=") == 1
    assert received.event(newest).object == "event"


def test_an_answer_other_than_2xx_is_tried_again_with_a_fresh_signature(
    shop: Shop, webhook: Receiver
) -> None:
    statuses = iter([500, 302, 404])
    webhook.answer = lambda one: next(statuses, 200) if b"checkout.session.completed" in one.body else 200
    session = shop.paid_session()

    tries = _until_completed(webhook, 4)
    shop.stand_in.control.wait_until_delivered()

    assert {one.event(WEBHOOK_SECRET).data.object["id"] for one in tries} == {session.id}
    (delivery,) = [
        one for one in shop.stand_in.control.deliveries() if one.event_id == json.loads(tries[0].body)["id"]
    ]
    assert delivery.state == "delivered"
    assert [attempt.status for attempt in delivery.attempts] == [500, 302, 404, 200]
    tried = [attempt.at for attempt in delivery.attempts]
    for earlier, later, pause in zip(tried, tried[1:], RETRY_SECONDS, strict=False):
        assert later - earlier >= pause


def test_a_webhook_that_never_answers_2xx_is_given_up_and_stays_undelivered(
    shop: Shop, webhook: Receiver
) -> None:
    webhook.answer = lambda _: 503
    session = shop.paid_session()

    _until_completed(webhook, 5)
    shop.stand_in.control.wait_until_delivered()

    (event,) = shop.events_about(session.id)
    assert event.pending_webhooks == 1
    assert [one.state for one in shop.stand_in.control.deliveries() if one.event_id == event.id] == ["failed"]


def test_a_closed_port_is_logged_as_an_error_and_tried_again(shop: Shop) -> None:
    with receiving() as gone:
        pass
    shop.stand_in.set_webhook(gone.url)
    session = shop.paid_session()
    (event,) = shop.events_about(session.id)

    shop.stand_in.control.wait_until_delivered()

    (delivery,) = [one for one in shop.stand_in.control.deliveries() if one.event_id == event.id]
    assert len(delivery.attempts) == 5
    assert {attempt.status for attempt in delivery.attempts} == {None}
    assert delivery.attempts[0].error is not None
    assert delivery.attempts[0].error.startswith("ConnectError")


def test_duplicates_are_the_same_event_delivered_several_times(shop: Shop, webhook: Receiver) -> None:
    before = shop.stand_in.control.counters().get("delivery.duplicated", 0)
    shop.stand_in.control.set_delivery(copies=3)
    shop.paid_session()

    webhook.wait_for(12)

    assert len({one.event(WEBHOOK_SECRET).id for one in _completed(webhook)}) == 1
    assert len(_completed(webhook)) == 3
    assert shop.stand_in.control.counters()["delivery.duplicated"] - before == 8


def test_a_delay_keeps_events_back_for_that_long(shop: Shop, webhook: Receiver) -> None:
    shop.stand_in.control.set_delivery(delay_seconds=0.4)
    shop.paid_session()
    paid = time.monotonic()
    assert webhook.received == []

    webhook.wait_for(4)

    assert time.monotonic() - paid > 0.3


def test_held_events_are_released_one_by_one_in_a_shuffled_order(shop: Shop, webhook: Receiver) -> None:
    control = shop.stand_in.control
    control.set_delivery(hold=True)
    made = [str(shop.paid_session().id) for _ in range(3)]
    assert webhook.received == []

    order = control.release(seed=7)

    received = [one.event(WEBHOOK_SECRET).id for one in webhook.wait_for(12)]
    assert received == order
    happened = [event.id for event in reversed(shop.client.v1.events.list({"limit": 12}).data)]
    assert sorted(order) == sorted(happened)
    assert order != happened
    assert len({one.event(WEBHOOK_SECRET).data.object["id"] for one in _completed(webhook)} & set(made)) == 3


def test_a_dropped_type_never_arrives_and_the_others_do(shop: Shop, webhook: Receiver) -> None:
    control = shop.stand_in.control
    control.set_delivery(drop=("checkout.session.*", "charge.succeeded"))
    shop.paid_session()

    webhook.wait_for(2)
    control.wait_until_delivered()

    assert sorted(_types(webhook.received)) == ["payment_intent.created", "payment_intent.succeeded"]
    assert control.counters()["delivery.dropped"] >= 2
    assert "checkout.session.completed" in {one.event_type for one in control.deliveries("dropped")}


def test_an_event_is_delivered_again_whatever_the_delivery_settings(shop: Shop, webhook: Receiver) -> None:
    control = shop.stand_in.control
    control.set_delivery(drop=("*",))
    session = shop.paid_session()
    (event,) = shop.events_about(session.id)

    assert control.deliver_again(event.id, times=20) == 20

    webhook.wait_for(20)
    assert {one.event(WEBHOOK_SECRET).id for one in webhook.received} == {event.id}
    control.wait_until_delivered()
    assert shop.client.v1.events.retrieve(event.id).pending_webhooks == 0


@pytest.mark.parametrize(
    ("forgery", "field", "value"),
    [({"livemode": True}, "livemode", True), ({"api_version": "2024-06-20"}, "api_version", "2024-06-20")],
)
def test_a_forged_delivery_has_the_given_overrides(
    shop: Shop, webhook: Receiver, forgery: dict[str, Any], field: str, value: Any
) -> None:
    session = shop.paid_session()
    webhook.wait_for(4)
    (event,) = shop.events_about(session.id)
    webhook.received.clear()

    shop.stand_in.control.deliver_again(event.id, **forgery)

    assert webhook.wait_for(1)[0].event(WEBHOOK_SECRET)[field] == value


def test_an_old_or_foreign_signature_is_refused_by_the_sdk(shop: Shop, webhook: Receiver) -> None:
    session = shop.paid_session()
    webhook.wait_for(4)
    (event,) = shop.events_about(session.id)
    for forgery in ({"signed_seconds_ago": 301}, {"secret": "whsec_forger"}):
        webhook.received.clear()
        shop.stand_in.control.deliver_again(event.id, **forgery)
        with pytest.raises(stripe.SignatureVerificationError):
            webhook.wait_for(1)[0].event(WEBHOOK_SECRET)


def test_livemode_can_be_forged_on_the_event_itself(shop: Shop) -> None:
    session = shop.paid_session()
    (event,) = shop.events_about(session.id)

    shop.stand_in.control.set_livemode(event.id, True)

    forged = shop.client.v1.events.retrieve(event.id)
    assert forged.livemode is True
    assert forged.data.object["livemode"] is True


def test_an_endpoint_made_by_the_api_has_its_own_secret_version_and_events(shop: Shop) -> None:
    with receiving() as receiver:
        endpoint = shop.client.v1.webhook_endpoints.create(
            {
                "url": receiver.url,
                "enabled_events": ["checkout.session.completed", "charge.refunded"],
                "api_version": stripe.api_version,  # type: ignore[typeddict-item]
            }
        )
        assert endpoint.secret is not None
        shop.paid_session()
        (received,) = receiver.wait_for(1)
        event = received.event(endpoint.secret)
        assert (event.type, event.api_version) == ("checkout.session.completed", stripe.api_version)

        shop.client.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
        shop.paid_session()
        shop.stand_in.control.wait_until_delivered()

        assert len(receiver.received) == 1
    kept = shop.client.v1.webhook_endpoints.retrieve(endpoint.id)
    assert kept.status == "disabled"
    assert "secret" not in kept.to_dict()
    assert endpoint.id in {one.id for one in shop.client.v1.webhook_endpoints.list().data}


def test_the_endpoints_version_shapes_the_delivery_and_the_accounts_the_api(shop: Shop) -> None:
    with receiving() as receiver:
        shop.stand_in.control.set_webhook(receiver.url, WEBHOOK_SECRET, api_version="2026-09-30.endive")
        session = shop.paid_session()
        delivered = receiver.wait_for(4)[0].event(WEBHOOK_SECRET)
        shop.stand_in.control.set_webhook(None)

    assert delivered.api_version == "2026-09-30.endive"
    assert shop.events_about(session.id)[0].api_version == stripe.api_version


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"enabled_events": ["checkout.session.paid"]}, "enabled_events[0]"),
        ({"enabled_events": []}, "enabled_events"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"api_version": "2024-06-20"}, "api_version"),
    ],
)
def test_an_endpoint_for_unknown_events_addresses_or_versions_is_refused(
    shop: Shop, changes: dict[str, Any], param: str
) -> None:
    wanted: dict[str, Any] = {"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"], **changes}

    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.webhook_endpoints.create(wanted)  # type: ignore[arg-type]

    assert refused.value.param == param


def test_without_a_webhook_events_are_kept_for_the_api_alone(shop: Shop) -> None:
    session = shop.paid_session()

    (event,) = shop.events_about(session.id)

    assert event.pending_webhooks == 0
    assert [one for one in shop.stand_in.control.deliveries() if one.event_id == event.id] == []

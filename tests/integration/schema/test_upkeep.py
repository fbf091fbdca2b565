"""What the janitor asks of the database: harmless twice, never in the way of who is working."""

from typing import Any
from uuid import uuid4

import pytest

from printshop.adapters.storage.keys import pdf_filename
from tests.integration.schema.shop import Customer, Shop

LONG_AGO = "update tmp_files set created_at = now() - interval '25 hours' where id = any (%s)"


def expire(shop: Shop, hours: int = 24) -> Any:
    return shop.call("expire_tmp_files", p_retention_hours=hours, p_limit=10_000)


def left(shop: Shop, *files: int) -> set[int]:
    """Which of these files still have a row."""
    return {
        row[0] for row in shop.rows.execute("select id from tmp_files where id = any (%s)", (list(files),))
    }


def aged(shop: Shop, *files: int) -> None:
    shop.rows.execute(LONG_AGO.encode(), (list(files),))


def requeue(shop: Shop) -> Any:
    answer = shop.call("requeue_slices")
    return answer["settled"], {
        message["fileId"]: message["requestId"] for message in answer["messages"] if message["requestId"]
    }


# -- slices ----------------------------------------------------------------------------------------------------


def test_a_request_whose_message_never_left_is_sent_again_after_two_minutes(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    assert requested["id"] not in requeue(shop)[1]
    shop.rows.execute(
        "update tmp_files set (queued_at, sent_at) = (now() - interval '3 minutes', now() - interval '3 minutes')"
        " where id = %s",
        (requested["id"],),
    )
    assert requeue(shop)[1][requested["id"]] == requested["requestId"]
    assert requested["id"] not in requeue(shop)[1]


def test_a_lost_worker_gives_its_slice_back_and_then_up(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    shop.claim(requested)
    assert requested["id"] not in requeue(shop)[1]
    shop.expire_lease(requested["id"])
    assert requeue(shop)[1][requested["id"]] == requested["requestId"]
    status = shop.status(customer, requested["id"])
    assert (status["status"], status["queued"]) == ("idle", True)
    assert shop.claim(requested)["attempt"] == 2
    shop.expire_lease(requested["id"])
    assert requeue(shop)[0] == 1
    assert shop.status(customer, requested["id"])["metadata"]["fallback"] is True
    assert requeue(shop)[0] == 0


def test_a_worker_whose_slice_was_given_back_is_late(shop: Shop) -> None:
    customer = shop.customer()
    claimed = shop.claim(shop.request(customer, shop.uploaded(customer)))
    shop.expire_lease(claimed["fileId"])
    requeue(shop)
    assert shop.complete(claimed) == {"outcome": "late"}


def test_sending_again_does_not_cost_a_waiting_customer_his_place(shop: Shop) -> None:
    shop.rows.execute("update tmp_files set queued_at = null where queued_at is not null")
    first, second = shop.customer(), shop.customer()
    waiting = shop.request(first, shop.uploaded(first))
    shop.rows.execute(
        "update tmp_files set (queued_at, sent_at) = (now() - interval '3 minutes', now() - interval '3 minutes')"
        " where id = %s",
        (waiting["id"],),
    )
    newer = shop.request(second, shop.uploaded(second))
    requeue(shop)
    places = (
        shop.status(first, waiting["id"])["placeInQueue"],
        shop.status(second, newer["id"])["placeInQueue"],
    )
    assert places == (1, 2)


# -- temporary files -------------------------------------------------------------------------------------------


def test_files_past_retention_expire_once_and_younger_ones_stay(shop: Shop) -> None:
    customer = shop.customer()
    old, young = shop.uploaded(customer), shop.uploaded(customer)
    key = shop.value("select storage_key from tmp_files where id = %s", old)
    aged(shop, old)
    assert key not in expire(shop, 48)["storageKeys"]
    assert key in expire(shop)["storageKeys"]
    assert left(shop, old, young) == {young}
    assert expire(shop) == {"files": 0, "storageKeys": []}


def test_a_file_that_waits_or_is_sliced_never_expires(shop: Shop) -> None:
    customer = shop.customer()
    waiting = shop.request(customer, shop.uploaded(customer))["id"]
    running = shop.claim(shop.request(customer, shop.uploaded(customer)))["fileId"]
    aged(shop, waiting, running)
    expire(shop)
    assert left(shop, waiting, running) == {waiting, running}


def test_a_model_takes_its_g_codes_row_with_it_and_leaves_the_cached_object(shop: Shop) -> None:
    customer = shop.customer()
    status = shop.sliced(customer)
    both = (status["id"], status["outputId"])
    key = shop.value("select storage_key from tmp_files where id = %s", status["id"])
    aged(shop, status["outputId"])
    expire(shop)
    assert left(shop, *both) == set(both)
    aged(shop, status["id"])
    gone = expire(shop)["storageKeys"]
    assert key in gone
    assert not [each for each in gone if "gcode" in each]
    assert left(shop, *both) == set()


def reserved(shop: Shop, customer: Customer, status: Any) -> None:
    items = [{"file": str(status["id"]), "settingsHash": status["settingsHash"]}]
    shop.call(
        "quick_order_inputs", p_user_id=customer.user_id, p_client_id=customer.client_id, p_items=items,
        p_reserve=True, p_key=None, p_body_hash=None,
    )  # fmt: skip


def test_the_files_of_an_open_checkout_do_not_expire(shop: Shop) -> None:
    customer = shop.customer()
    status = shop.sliced(customer)
    both = (status["id"], status["outputId"])
    aged(shop, *both)
    reserved(shop, customer, status)
    expire(shop)
    assert left(shop, *both) == set(both)
    shop.rows.execute(
        "update tmp_files set reserved_until = now() - interval '1 second' where id = %s", (status["id"],)
    )
    expire(shop)
    assert left(shop, *both) == set()


# -- objects without a row -----------------------------------------------------------------------------------------


def note(shop: Shop, *keys: str, bucket: str = "tmp") -> Any:
    return shop.call("record_stray_objects", p_bucket=bucket, p_keys=list(keys))


def seen_long_ago(shop: Shop, key: str, hours: int) -> None:
    shop.rows.execute(
        "update stray_objects set first_seen_at = now() - make_interval(hours => %s) where key = %s",
        (hours, key),
    )


def test_an_object_without_a_row_is_ripe_at_the_second_look_after_48_hours(shop: Shop) -> None:
    key = f"7/{uuid4()}/late.stl"
    assert note(shop, key) == {"strays": 1, "ripe": []}
    assert note(shop, key) == {"strays": 1, "ripe": []}
    seen_long_ago(shop, key, 47)
    assert note(shop, key)["ripe"] == []
    seen_long_ago(shop, key, 49)
    assert note(shop, key) == {"strays": 1, "ripe": [key]}
    assert shop.call("forget_stray_objects", p_bucket="tmp", p_keys=[key]) == {"forgotten": 1}
    assert note(shop, key)["ripe"] == []


def test_an_object_with_a_row_is_no_stray_and_one_that_gets_its_row_stops_being_one(shop: Shop) -> None:
    customer = shop.customer()
    known = shop.value("select storage_key from tmp_files where id = %s", shop.uploaded(customer))
    assert note(shop, known) == {"strays": 0, "ripe": []}
    key = f"{customer.user_id}/{uuid4()}/slow.stl"
    note(shop, key)
    seen_long_ago(shop, key, 49)
    row = {"storageKey": key, "filename": "slow.stl", "sizeBytes": 1, "mimeType": "model/stl"}
    shop.call("save_tmp_files", p_user_id=customer.user_id, p_files=[row], p_uploaded=True)
    assert note(shop, key) == {"strays": 0, "ripe": []}
    assert shop.value("select count(*) from stray_objects where key = %s", key) == 0


def test_a_pdf_is_known_by_its_documents_number_or_by_the_mail_that_it_went_with(shop: Shop) -> None:
    customer = shop.customer()
    shop.rows.execute("update settings set invoice_prefix = 'Ü & Co/'")
    try:
        number = shop.invoice(customer)["number"]
    finally:
        shop.rows.execute("update settings set invoice_prefix = 'INV-'")
    sent = f"sent/{uuid4()}.pdf"
    known = [pdf_filename("invoice", number), pdf_filename("receipt", number)]
    assert note(shop, *known, bucket="pdfs")["strays"] == 0
    strays = [pdf_filename("quote", number), f"invoice-{uuid4()}.pdf", sent, f"health/{uuid4()}.pdf"]
    assert note(shop, *known, *strays, bucket="pdfs")["strays"] == 4
    shop.rows.execute(
        "insert into mails (kind, invoice_id, to_address, pdf_key)"
        " select 'INVOICE', id, 'ada@example.com', %s from invoices where number = %s",
        (sent, number),
    )
    assert note(shop, *known, *strays, bucket="pdfs")["strays"] == 3


def test_a_key_is_known_in_its_own_bucket_only(shop: Shop) -> None:
    key = shop.value("select storage_key from tmp_files where id = %s", shop.uploaded(shop.customer()))
    assert note(shop, key, bucket="order-files")["strays"] == 1
    assert note(shop, key, bucket="attachments")["strays"] == 1


# -- documents and jobs --------------------------------------------------------------------------------------------


def age(shop: Shop) -> Any:
    return shop.call("age_documents")


def test_invoices_fall_overdue_after_due_date_and_grace(shop: Shop) -> None:
    age(shop)
    customer = shop.customer()
    late, today, paid = (shop.invoice(customer)["id"] for _ in range(3))
    shop.rows.execute(
        "update invoices set due_date = business_today() - 1 where id = any (%s)", ([late, paid],)
    )
    shop.rows.execute(
        "insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', 12375)", (paid,)
    )
    shop.rows.execute("update settings set overdue_grace_days = 1")
    try:
        assert age(shop)["invoicesOverdue"] == 0
    finally:
        shop.rows.execute("update settings set overdue_grace_days = 0")
    assert age(shop)["invoicesOverdue"] == 1
    assert age(shop)["invoicesOverdue"] == 0
    statuses = [
        shop.value("select status::text from invoices where id = %s", each) for each in (late, today, paid)
    ]
    assert statuses == ["OVERDUE", "PENDING", "PENDING"]
    logged = shop.rows.execute(
        "select action from activity_logs where invoice_id = %s order by id", (late,)
    ).fetchall()
    assert logged[-1] == ("INVOICE_OVERDUE",)


@pytest.mark.parametrize(
    ("status", "after"),
    [("PENDING", "EXPIRED"), ("DRAFT", "DRAFT"), ("ACCEPTED", "ACCEPTED"), ("CONVERTED", "CONVERTED")],
)
def test_only_a_sent_quote_expires_on_the_day_after_its_last(shop: Shop, status: str, after: str) -> None:
    client = shop.customer().client_id
    insert = (
        "insert into quotes (number, client_id, status, issue_date, valid_until, currency, subtotal_cents,"
        " tax_rate_bps, tax_cents, total_cents)"
        " values (%s, %s, %s, business_today(), business_today() - %s::int, 'AUD', 0, 0, 0, 0) returning id"
    )
    past = shop.value(insert, str(uuid4()), client, status, 1)
    last_day = shop.value(insert, str(uuid4()), client, status, 0)
    age(shop)
    assert shop.value("select status::text from quotes where id = %s", past) == after
    assert shop.value("select status::text from quotes where id = %s", last_day) == status
    logged = shop.value(
        "select count(*) from activity_logs where quote_id = %s and action = 'QUOTE_EXPIRED'", past
    )
    assert logged == (1 if after == "EXPIRED" else 0)


def test_finished_jobs_are_archived_after_a_week(shop: Shop) -> None:
    customer = shop.customer()
    invoices = [shop.invoice(customer)["id"] for _ in range(2)]
    for invoice, days in zip(invoices, (8, 6), strict=True):
        shop.call("ensure_job", p_invoice_id=invoice, p_actor={"userId": customer.user_id})
        shop.rows.execute(
            "update jobs set completed_at = now() - make_interval(days => %s) where invoice_id = %s",
            (days, invoice),
        )
    assert age(shop)["jobsArchived"] == 1
    assert age(shop)["jobsArchived"] == 0
    archived = "select archived_at is not null from jobs where invoice_id = %s"
    assert [shop.value(archived, invoice) for invoice in invoices] == [True, False]


def test_an_idempotency_key_is_kept_for_seven_days(shop: Shop) -> None:
    customer = shop.customer()
    shop.invoice(customer)
    backdate = "update idempotency_keys set created_at = now() - make_interval(days => %s) where user_id = %s"
    for days, left in ((6, 1), (8, 0)):
        shop.rows.execute(backdate.encode(), (days, customer.user_id))
        age(shop)
        assert (
            shop.value("select count(*) from idempotency_keys where user_id = %s", customer.user_id) == left
        )


def test_a_heartbeat_is_kept_with_its_age(shop: Shop) -> None:
    for version in ("2.5.0", "2.9.2"):
        shop.call(
            "record_heartbeat", p_component="slicer", p_detail={"version": version, "tmpWritable": True}
        )
    beat = shop.call("readiness")["components"]["slicer"]
    assert (beat["version"], beat["tmpWritable"]) == ("2.9.2", True)
    assert 0 <= beat["ageSeconds"] < 60


def letter_of(requested: Any) -> list[dict[str, Any]]:
    return [{"fileId": requested["id"], "requestId": requested["requestId"]}]


def test_a_file_that_its_queue_gave_up_on_says_failed(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    shop.rows.execute(
        "update tmp_files set sent_at = now() - interval '1 hour' where id = %s",
        (requested["id"],),
    )
    twice = letter_of(requested) * 2
    assert shop.call("fail_dead_letter_slices", p_messages=twice) == {"settled": 1}
    assert shop.call("fail_dead_letter_slices", p_messages=twice) == {"settled": 0}
    status = shop.status(customer, requested["id"])
    assert (status["status"], status["metadata"]["fallback"]) == ("failed", True)
    assert status["metadata"]["error"].startswith("SLICER_GAVE_UP: ")


@pytest.mark.parametrize(
    ("sent", "letters"),
    [("now() - interval '1 hour'", 1), ("now()", 2)],
    ids=["nothing answered for a while", "it was sent again just now"],
)
def test_a_dead_letter_of_a_file_that_may_yet_be_sliced_settles_nothing(
    shop: Shop, sent: str, letters: int
) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    shop.rows.execute(f"update tmp_files set sent_at = {sent} where id = %s".encode(), (requested["id"],))
    assert shop.call("fail_dead_letter_slices", p_messages=letter_of(requested) * letters) == {"settled": 0}
    assert shop.status(customer, requested["id"])["queued"] is True


def test_a_dead_letter_of_an_older_request_settles_nothing(shop: Shop) -> None:
    customer = shop.customer()
    first = shop.request(customer, shop.uploaded(customer))
    shop.fail(shop.claim(first), final=True)
    second = shop.request(customer, first["id"])
    shop.rows.execute(
        "update tmp_files set sends = 9, sent_at = now() - interval '9 hours' where id = %s", (second["id"],)
    )
    assert shop.call("fail_dead_letter_slices", p_messages=letter_of(first) * 2) == {"settled": 0}


def test_messages_that_did_not_go_after_all_are_the_next_rounds_first(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    shop.rows.execute(
        "update tmp_files set sent_at = now() - interval '3 minutes' where id = %s", (requested["id"],)
    )
    messages = [
        message for message in shop.call("requeue_slices")["messages"] if message["fileId"] == requested["id"]
    ]
    (slice_message,) = [message for message in messages if message["requestId"]]
    assert requeue(shop)[1].get(requested["id"]) is None
    shop.call("undo_slice_sends", p_messages=[slice_message])
    assert requeue(shop)[1][requested["id"]] == requested["requestId"]
    assert shop.value("select sends from tmp_files where id = %s", requested["id"]) == 1


def test_a_slice_that_is_given_back_has_lost_no_attempt(shop: Shop) -> None:
    customer = shop.customer()
    requested = shop.request(customer, shop.uploaded(customer))
    for _ in range(3):
        claimed = shop.claim(requested)
        assert claimed["attempt"] == 1
        given = {"p_file_id": claimed["fileId"], "p_claim_token": claimed["claimToken"]}
        assert shop.call("release_slice", **given) is True
        assert shop.call("release_slice", **given) is False
    assert shop.status(customer, requested["id"])["queued"] is True

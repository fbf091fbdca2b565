"""The outbox: one mailer at a time has a mail, a late one writes nothing, and the fifth attempt is the last."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.schema.shop import Shop, call


@pytest.fixture
def invoice(shop: Shop) -> Any:
    return shop.invoice(shop.customer())


def queue(shop: Shop, invoice: Any, to: str | None = "ada@example.com") -> int:
    return int(
        shop.call(
            "queue_mail",
            p_kind="INVOICE",
            p_document_id=invoice["id"],
            p_to=to,
            p_message="Thank you!",
            p_user_id=None,
        )
    )


def claim(shop: Shop, mail_id: int) -> Any:
    return shop.call("claim_mail", p_mail_id=mail_id, p_lease_seconds=90)


def finish(shop: Shop, mail_id: int, token: Any) -> Any:
    return shop.call("mark_mail_sent", p_mail_id=mail_id, p_claim_token=token, p_provider_id="ses-1")


def fail(shop: Shop, mail_id: int, token: Any, *, final: bool = False) -> Any:
    return shop.call(
        "fail_mail", p_mail_id=mail_id, p_claim_token=token, p_reason="SES did not answer.", p_final=final
    )


def expire_lease(shop: Shop, mail_id: int) -> None:
    shop.rows.execute("update mails set lease_until = now() - interval '1 second' where id = %s", (mail_id,))


def requeued(shop: Shop) -> list[int]:
    return list(shop.call("requeue_mails")["mailIds"])


def row(shop: Shop, mail_id: int) -> Any:
    found = shop.rows.execute(
        "select status::text, attempts, claim_token, error from mails where id = %s", (mail_id,)
    )
    return found.fetchone()


def actions(shop: Shop, mail_id: int) -> list[str]:
    found = shop.rows.execute(
        "select action from activity_logs where metadata ->> 'mailId' = %s order by id", (str(mail_id),)
    )
    return [action for (action,) in found]


def test_a_queued_mail_is_in_its_documents_activity_with_who_sent_it(shop: Shop) -> None:
    customer = shop.customer()
    invoice = shop.invoice(customer)
    mail_id = shop.call(
        "queue_mail",
        p_kind="INVOICE",
        p_document_id=invoice["id"],
        p_to="ada@example.com",
        p_message="",
        p_user_id=customer.user_id,
    )
    logged = shop.rows.execute(
        """select client_id, invoice_id, action, message, metadata from activity_logs
            where metadata ->> 'mailId' = %s""",
        (str(mail_id),),
    ).fetchall()
    assert logged == [
        (
            customer.client_id,
            invoice["id"],
            "INVOICE_MAIL_QUEUED",
            f"Invoice {invoice['number']} is on its way by e-mail",
            {"to": "ada@example.com", "mailId": mail_id, "userId": customer.user_id},
        )
    ]


def test_a_claim_holds_everything_to_send(shop: Shop, invoice: Any) -> None:
    claimed = claim(shop, queue(shop, invoice))
    assert claimed["state"] == "claimed"
    assert (claimed["to"], claimed["message"], claimed["attempt"]) == ("ada@example.com", "Thank you!", 1)
    assert claimed["document"]["number"] == invoice["number"]
    assert claimed["business"]["name"] == "3D Print Bureau"


def test_a_sent_mail_is_done_and_told_of(shop: Shop, invoice: Any) -> None:
    mail_id = queue(shop, invoice)
    assert finish(shop, mail_id, claim(shop, mail_id)["claimToken"]) == {"written": True}
    assert row(shop, mail_id) == ("SENT", 1, None, None)
    assert claim(shop, mail_id) == {"state": "done"}
    assert actions(shop, mail_id) == ["INVOICE_MAIL_QUEUED", "INVOICE_MAILED"]


def test_of_many_mailers_at_once_one_gets_the_mail(shop: Shop, invoice: Any) -> None:
    for _ in range(50):
        mail_id = queue(shop, invoice)

        def take(connection: psycopg.Connection, _: int, mail_id: int = mail_id) -> str:
            return str(call(connection, "claim_mail", p_mail_id=mail_id, p_lease_seconds=90)["state"])

        assert sorted(shop.at_once(3, take)) == ["busy", "busy", "claimed"]


def test_a_late_mailer_writes_nothing(shop: Shop, invoice: Any) -> None:
    mail_id = queue(shop, invoice)
    late = claim(shop, mail_id)["claimToken"]
    expire_lease(shop, mail_id)
    current = claim(shop, mail_id)["claimToken"]
    assert finish(shop, mail_id, late) == {"written": False}
    assert fail(shop, mail_id, late, final=True) == {"written": False, "status": None}
    assert row(shop, mail_id)[0] == "SENDING"
    assert finish(shop, mail_id, current) == {"written": True}
    assert fail(shop, mail_id, current) == {"written": False, "status": None}
    assert actions(shop, mail_id) == ["INVOICE_MAIL_QUEUED", "INVOICE_MAILED"]


def test_a_passing_failure_goes_back_into_the_queue_and_the_fifth_is_the_last(
    shop: Shop, invoice: Any
) -> None:
    mail_id = queue(shop, invoice)
    for attempt in range(1, 5):
        assert fail(shop, mail_id, claim(shop, mail_id)["claimToken"]) == {
            "written": True,
            "status": "QUEUED",
        }
        assert row(shop, mail_id) == ("QUEUED", attempt, None, "SES did not answer.")
    assert fail(shop, mail_id, claim(shop, mail_id)["claimToken"]) == {"written": True, "status": "FAILED"}
    assert claim(shop, mail_id) == {"state": "done"}
    assert actions(shop, mail_id) == ["INVOICE_MAIL_QUEUED", "INVOICE_MAIL_FAILED"]


def test_a_mail_whose_mailer_died_five_times_is_given_up(shop: Shop, invoice: Any) -> None:
    mail_id = queue(shop, invoice)
    for _ in range(5):
        assert claim(shop, mail_id)["state"] == "claimed"
        expire_lease(shop, mail_id)
    assert claim(shop, mail_id) == {"state": "done"}
    status, attempts, _, error = row(shop, mail_id)
    assert (status, attempts) == ("FAILED", 5)
    assert error == "The mailer was interrupted five times; send it again."


def test_a_final_failure_is_the_last(shop: Shop, invoice: Any) -> None:
    mail_id = queue(shop, invoice)
    token = claim(shop, mail_id)["claimToken"]
    assert fail(shop, mail_id, token, final=True) == {"written": True, "status": "FAILED"}
    assert claim(shop, mail_id) == {"state": "done"}


def test_an_invoice_voided_meanwhile_is_not_sent(shop: Shop, invoice: Any) -> None:
    mail_id = queue(shop, invoice)
    shop.rows.execute("update invoices set status = 'VOID' where id = %s", (invoice["id"],))
    assert claim(shop, mail_id) == {"state": "done"}
    assert row(shop, mail_id)[0] == "FAILED"


def test_an_unknown_mail_is_nothing_to_do(shop: Shop) -> None:
    assert claim(shop, 2**40) == {"state": "done"}
    assert finish(shop, 2**40, uuid4()) == {"written": False}


def test_only_what_was_lost_is_sent_again_and_once(shop: Shop, invoice: Any) -> None:
    fresh, lost, working, dead, sent = (queue(shop, invoice) for _ in range(5))
    for mail_id in (working, dead):
        claim(shop, mail_id)
    expire_lease(shop, dead)
    finish(shop, sent, claim(shop, sent)["claimToken"])
    shop.rows.execute(
        "update mails set queued_at = now() - interval '3 minutes' where id = any (%s)",
        ([lost, working, dead, sent],),
    )
    ours = {fresh, lost, working, dead, sent}
    assert ours & set(requeued(shop)) == {lost, dead}
    assert ours & set(requeued(shop)) == set()
    assert claim(shop, dead)["attempt"] == 2


def test_a_deleted_documents_mails_go_with_it(shop: Shop, invoice: Any) -> None:
    mail_id = queue(shop, invoice)
    shop.rows.execute("delete from invoices where id = %s", (invoice["id"],))
    assert claim(shop, mail_id) == {"state": "done"}


def test_without_an_address_the_paper_is_kept_and_no_mail_is_told_of(shop: Shop, invoice: Any) -> None:
    mail_id = queue(shop, invoice, to=None)
    claimed = claim(shop, mail_id)
    assert (claimed["state"], claimed["to"]) == ("claimed", None)
    noted = {"p_mail_id": mail_id, "p_claim_token": claimed["claimToken"], "p_pdf_key": "sent/one.pdf"}
    assert shop.call("set_mail_pdf", **noted) == {"written": True}
    assert finish(shop, mail_id, claimed["claimToken"]) == {"written": True}
    sent = {"p_kind": "invoice", "p_id": invoice["id"], "p_client_id": None}
    assert shop.call("get_sent_pdf", **sent)["storageKey"] == "sent/one.pdf"
    told = "select count(*) from activity_logs where invoice_id = %s and action like 'INVOICE_MAIL%%'"
    assert shop.value(told, invoice["id"]) == 0


def test_a_mail_notes_its_pdf_only_while_it_is_its_mailers(shop: Shop, invoice: Any) -> None:
    mail_id = queue(shop, invoice)
    token = claim(shop, mail_id)["claimToken"]

    def noted(claim_token: Any, key: str) -> bool:
        params = {"p_mail_id": mail_id, "p_claim_token": claim_token, "p_pdf_key": key}
        return bool(shop.call("set_mail_pdf", **params)["written"])

    assert noted(token, "sent/one.pdf")
    expire_lease(shop, mail_id)
    second = claim(shop, mail_id)["claimToken"]
    assert not noted(token, "sent/late.pdf")
    sent = {"p_kind": "invoice", "p_id": invoice["id"], "p_client_id": None}
    assert shop.call("get_sent_pdf", **sent)["error"]["code"] == "NOT_SENT"
    finish(shop, mail_id, second)
    assert shop.call("get_sent_pdf", **sent) == {"number": invoice["number"], "storageKey": "sent/one.pdf"}
    assert not noted(second, "sent/late.pdf")

"""One mail on its way: claimed, put on paper, written, sent, and its row settled.

The PDF is kept as it goes out, and noted with the mail before that: what a customer got can always be shown, and a
mail whose PDF cannot be kept waits until it can. A shop that sends no e-mail has its PDFs kept all the same.

A mail is sent at least once. A mailer that dies between SES's answer and the row leaves a claim that runs out, and
the next one sends again, as the same message; everything before and after that one moment is exactly once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import NAMESPACE_URL, uuid5

from printshop.adapters.database import Database
from printshop.adapters.ses import SECONDS, MailFailed, Sender
from printshop.adapters.storage.objects import Storage
from printshop.config.settings import Settings
from printshop.documents.archive import keep_sent
from printshop.documents.loaders import invoice_paper, quote_paper
from printshop.documents.schemas import Business, Document
from printshop.documents.service import Pdf
from printshop.kernel.errors import ApiError
from printshop.kernel.log import get_logger
from printshop.mail.address import AddressRefused, mailbox, named_mailbox
from printshop.mail.compose import Letter, compose

LEASE_SECONDS: Final = 90
"""Longer than the function may run, shorter than the queue hides a message whose mailer died."""

log = get_logger()


class Printer(Protocol):
    """Puts a document on paper. Raises Unavailable."""

    def __call__(self, document: Document, business: Business) -> Pdf: ...


@dataclass(frozen=True, slots=True)
class Outbox:
    """Sends what the `mails` table holds. The sender is opened when there is something to send."""

    database: Database
    storage: Storage
    settings: Settings
    printed: Printer
    sender: Callable[[], Sender]

    def deliver(self, mail_id: int) -> bool:
        """Send a mail if it is to be sent; False when its message has to come again.

        Harmless for a mail that was sent, is being sent, was given up or is gone. Raises Unavailable.
        """
        began = time.monotonic()
        claim = self.database.call("claim_mail", p_mail_id=mail_id, p_lease_seconds=LEASE_SECONDS)
        if claim["state"] != "claimed":
            log.info(scope="mail.skipped", data={"mailId": mail_id, "state": claim["state"]})
            return True
        try:
            provider_id = self._send(mail_id, claim, began)
        except MailFailed as error:
            return self._failed(mail_id, claim, error)
        except ApiError as error:
            return self._failed(mail_id, claim, MailFailed(error.message, final=False))
        settled = self.database.call(
            "mark_mail_sent", p_mail_id=mail_id, p_claim_token=claim["claimToken"], p_provider_id=provider_id
        )
        log.info(scope="mail.sent", data={"mailId": mail_id, "providerId": provider_id, **settled})
        return True

    def _send(self, mail_id: int, claim: dict[str, Any], began: float) -> str | None:
        """The provider's id; None where there is nobody to mail to and the paper is only kept."""
        if claim["to"] is None:
            self._keep(mail_id, claim, self.printed(self._paper(claim), _business(claim)))
            return None
        letter = self._letter(mail_id, claim)
        pdf = self.printed(letter.document, letter.business)
        mail = compose(letter, pdf, datetime.now(UTC))
        if time.monotonic() - began > LEASE_SECONDS - 2 * SECONDS:
            # The claim may run out while SES works, and another mailer would send the same.
            raise MailFailed("It took too long to make the mail.", final=False)
        self._keep(mail_id, claim, pdf)
        return self.sender().send(mail)

    def _keep(self, mail_id: int, claim: dict[str, Any], pdf: Pdf) -> None:
        noted = self.database.call(
            "set_mail_pdf",
            p_mail_id=mail_id,
            p_claim_token=claim["claimToken"],
            p_pdf_key=keep_sent(self.storage, pdf),
        )
        if not noted["written"]:
            raise MailFailed("Another mailer took it over.", final=False)

    def _letter(self, mail_id: int, claim: dict[str, Any]) -> Letter:
        if self.settings.email_from is None:
            raise MailFailed("E-mail is switched off; set EMAIL_FROM and send it again.", final=True)
        try:
            return Letter(
                document=self._paper(claim),
                business=_business(claim),
                message=claim["message"],
                sender=named_mailbox(self.settings.email_from),
                to=mailbox(claim["to"], claim["document"]["client"]["name"]),
                identity=str(
                    uuid5(NAMESPACE_URL, f"{self.settings.next_public_supabase_url}/mails/{mail_id}")
                ),
            )
        except AddressRefused as error:
            raise MailFailed(str(error), final=True) from error

    def _paper(self, claim: dict[str, Any]) -> Document:
        document = claim["document"]
        paper = invoice_paper if document["kind"] == "invoice" else quote_paper
        return paper(document, self.settings)

    def _failed(self, mail_id: int, claim: dict[str, Any], error: MailFailed) -> bool:
        log.warn(scope="mail.failed", error=error, data={"mailId": mail_id, "final": error.final})
        self.database.call(
            "fail_mail",
            p_mail_id=mail_id,
            p_claim_token=claim["claimToken"],
            p_reason=error.reason,
            p_final=error.final,
        )
        return error.final


def _business(claim: dict[str, Any]) -> Business:
    return Business.model_validate(claim["business"])

"""SES, by boto3: one call, one message. A failure is either final or worth another try."""

from email.message import EmailMessage
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

MAX_BYTES: Final = 10 * 1024 * 1024
"""SES takes no larger message, its attachments encoded."""

SECONDS: Final = 15
"""At most for one call."""

_FINAL: Final = {
    "MessageRejected": "SES refused the message",
    "InvalidParameterValue": "SES refused an address",
    "MailFromDomainNotVerified": "The sender's domain is not verified with SES",
    "MailFromDomainNotVerifiedException": "The sender's domain is not verified with SES",
    "AccountSendingPausedException": "SES has paused sending for this account",
}


class MailFailed(Exception):
    """A mail did not go. `final`: no other try can help."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


class Sender:
    """Hands messages to SES in the function's own region."""

    def __init__(self) -> None:
        # One try a call: after a lost answer nobody knows whether the mail went, and the queue comes back anyway.
        config = Config(connect_timeout=5, read_timeout=SECONDS - 5, retries={"total_max_attempts": 1})
        self._ses = boto3.client("ses", config=config)

    def send(self, mail: EmailMessage) -> str:
        """Send; SES's id of the message. Raises MailFailed."""
        contents = mail.as_bytes()
        if len(contents) > MAX_BYTES:
            raise MailFailed("The PDF is too large for a mail; send a link instead.", final=True)
        (sender,), (to,) = mail["From"].addresses, mail["To"].addresses
        try:
            answer = self._ses.send_raw_email(
                Source=sender.addr_spec, Destinations=[to.addr_spec], RawMessage={"Data": contents}
            )
        except ClientError as error:
            raise _failed(error) from error
        except BotoCoreError as error:
            raise MailFailed("SES did not answer.", final=False) from error
        return str(answer["MessageId"])


def _failed(error: ClientError) -> MailFailed:
    told = error.response["Error"]
    code, text = told.get("Code", ""), told.get("Message", "")
    if said := _FINAL.get(code):
        return MailFailed(f"{said}: {text.rstrip('.')}.", final=True)
    return MailFailed(f"SES did not take the message ({code}).", final=False)

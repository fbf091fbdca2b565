"""SES's answers, as boto3 brings them: which end a mail, and which are tried again."""

from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from devstack.testing.serving import QuietHandler, serving
from printshop.adapters.ses import MAX_BYTES, MailFailed, Sender

REFUSAL = (
    '<ErrorResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><Error><Type>Sender</Type>'
    "<Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
)


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, str, str], Sender]]:
    """A server that answers every call with one refusal, and a sender that calls it."""
    answer: tuple[int, str] = (500, "")

    class Answers(QuietHandler):
        def do_POST(self) -> None:
            self.body()
            status, text = answer
            self.answer(status, text.encode(), "text/xml")

    def refusing(status: int, code: str, text: str) -> Sender:
        nonlocal answer
        answer = (status, REFUSAL.format(code=code, text=text))
        return Sender()

    with serving(Answers) as url:
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "ap-southeast-2",
        }.items():
            monkeypatch.setenv(name, value)
        yield refusing


def mail(size: int = 10) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = "shop@example.com", "ada@example.com"
    message.set_content("x" * size, cte="quoted-printable")
    return message


@pytest.mark.parametrize(
    ("status", "code", "final"),
    [
        (400, "MessageRejected", True),
        (400, "MailFromDomainNotVerified", True),
        (400, "MailFromDomainNotVerifiedException", True),
        (400, "InvalidParameterValue", True),
        (400, "AccountSendingPausedException", True),
        (400, "Throttling", False),
        (403, "ExpiredToken", False),
        (403, "AccessDenied", False),
        (500, "InternalFailure", False),
        (503, "ServiceUnavailable", False),
    ],
)
def test_a_refusal_is_final_where_no_other_try_can_help(
    ses: Callable[[int, str, str], Sender], status: int, code: str, final: bool
) -> None:
    with pytest.raises(MailFailed) as refused:
        ses(status, code, "Email address is not verified.").send(mail())
    assert refused.value.final is final
    assert refused.value.reason.endswith(".")


def test_an_outage_is_tried_again(monkeypatch: pytest.MonkeyPatch, ses: Callable[..., Sender]) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(MailFailed) as refused:
        ses(500, "Never", "asked").send(mail())
    assert refused.value.final is False


def test_a_mail_above_10_mb_is_never_sent(ses: Callable[..., Sender]) -> None:
    with pytest.raises(MailFailed, match="too large") as refused:
        ses(500, "Never", "asked").send(mail(MAX_BYTES))
    assert refused.value.final is True

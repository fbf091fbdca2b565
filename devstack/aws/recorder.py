"""moto's server with a recorder of calls in front of it.

    python -P recorder.py PORT CALLS_FILE OUTBOX_FOLDER

Every call is one line of CALLS_FILE: `{"time", "function", "service", "action", "resource"}`, where the function
is the access key that signed the call (the gateway gives each function its logical id as its access key). Mail that
is sent through SES is saved in OUTBOX_FOLDER as .eml files.
"""

import io
import json
import re
import sys
import threading
import time
from collections.abc import Iterable
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_RESOURCE_KEYS = ("QueueUrl", "QueueName", "SecretId", "Name", "Source")


class Recorder:
    """A WSGI application that records every signed call and passes it on."""

    def __init__(self, application: "WSGIApplication", calls: Path, outbox: Path) -> None:
        self._application = application
        self._calls = calls
        self._outbox = outbox
        self._mails = 0
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if signed is None:
            return self._application(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        function, region, service = signed.groups()
        action, parameters = _call(environ, body)
        call = {
            "time": time.time(),
            "function": function,
            "service": service,
            "action": action,
            "resource": _resource(service, region, parameters),
        }
        with self._lock, self._calls.open("a") as lines:
            lines.write(json.dumps(call) + "\n")
        answer = list(self._application(environ, start_response))
        if service == "ses":
            self._deliver()
        return answer

    def _deliver(self) -> None:
        from moto.core.models import DEFAULT_ACCOUNT_ID  # noqa: PLC0415  (moto loads a service when it is first used)
        from moto.ses.models import ses_backends  # noqa: PLC0415

        with self._lock:
            sent = [
                message
                for backend in ses_backends[DEFAULT_ACCOUNT_ID].values()
                for message in backend.sent_messages
            ]
            for message in sent[self._mails :]:
                self._mails += 1
                (self._outbox / f"{self._mails:04d}.eml").write_bytes(_as_mail(message))


def _call(environ: "WSGIEnvironment", body: bytes) -> tuple[str, dict[str, Any]]:
    """The action's name and its parameters, from any of AWS's wire protocols."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return target.rsplit(".", 1)[-1], json.loads(body or b"{}")
    form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
    return form.get("Action", f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"), form


def _resource(service: str, region: str, parameters: dict[str, Any]) -> str | None:
    """The resource of the call: a queue's ARN, else the name in its parameters."""
    name = next((str(parameters[key]) for key in _RESOURCE_KEYS if parameters.get(key)), None)
    if name is None or service != "sqs" or "/" not in name:
        return name
    account, queue = name.rsplit("/", 2)[-2:]
    return f"arn:aws:sqs:{region}:{account}:{queue}"


def _as_mail(message: Any) -> bytes:
    if hasattr(message, "raw_data"):
        raw: str = message.raw_data
        return raw.encode()
    mail = EmailMessage()
    mail["From"] = message.source
    mail["To"] = ", ".join(message.destinations.get("ToAddresses", []))
    mail["Subject"] = message.subject
    mail.set_content(message.body)
    return mail.as_bytes()


def main(port: int, calls: Path, outbox: Path) -> None:
    """Serve until the process ends."""
    outbox.mkdir(parents=True, exist_ok=True)
    application = Recorder(DomainDispatcherApplication(create_backend_app), calls, outbox)
    make_server(
        "127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler
    ).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))

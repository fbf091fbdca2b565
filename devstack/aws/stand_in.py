"""SQS, SES and Secrets Manager on this machine: moto's server, called by boto3.

aws = Aws(run_dir / "aws")
aws.start()
aws.put_secret("printshop/local", {"STRIPE_SECRET_KEY": "sk_test_…"})
aws.client("sqs").list_queues()
aws.calls()                         # each call: function, service, action, resource
aws.stop()
"""

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
from botocore.config import Config

from devstack.processes import Process, free_port, start, wait_for

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sqs import SQSClient


REGION = "ap-southeast-2"
RECORDER = Path(__file__).with_name("recorder.py")


class Aws:
    """One moto server, its data in memory. Calls are recorded in `run_dir/aws-calls.jsonl`, mail in `outbox`."""

    def __init__(self, run_dir: Path) -> None:
        self.outbox = run_dir / "outbox"
        self._calls = run_dir / "aws-calls.jsonl"
        self._log = run_dir / "logs" / "aws.log"
        self._port = free_port()
        self._process: Process | None = None
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def endpoint_url(self) -> str:
        """The value for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The server's process. Raises RuntimeError while it does not run."""
        if self._process is None:
            raise RuntimeError("the AWS stand-in is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers. Raises ProcessError, TimeoutError."""
        self._calls.parent.mkdir(parents=True, exist_ok=True)
        self._calls.touch()
        process = start(
            # -P: the script's own folder must not be on sys.path.
            [sys.executable, "-P", RECORDER, str(self._port), self._calls, self.outbox],
            env={"PATH": "/usr/bin:/bin", "MOTO_PORT": str(self._port)},
            log=self._log,
        )
        self._process = process
        wait_for(lambda: process.running() and self._answers(), 30, "the AWS stand-in")

    def stop(self) -> None:
        """Stop the server; its data is lost."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    @overload
    def client(self, service: Literal["sqs"], *, signed_as: str = ...) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["ses"], *, signed_as: str = ...) -> "SESClient": ...
    @overload
    def client(self, service: str, *, signed_as: str = ...) -> Any: ...

    def client(self, service: str, *, signed_as: str = "local") -> Any:
        """A boto3 client, made once; `signed_as` is the access key and appears in the recorded calls."""
        if (service, signed_as) not in self._clients:
            self._clients[service, signed_as] = boto3.client(
                service,
                region_name=REGION,
                endpoint_url=self.endpoint_url,
                aws_access_key_id=signed_as,
                aws_secret_access_key="local",
                config=Config(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=30),
            )
        return self._clients[service, signed_as]

    def put_secret(self, name: str, values: Mapping[str, str]) -> None:
        """Create or update a Secrets Manager secret that holds a JSON object."""
        secrets = self.client("secretsmanager")
        try:
            secrets.create_secret(Name=name, SecretString=json.dumps(dict(values)))
        except secrets.exceptions.ResourceExistsException:
            secrets.put_secret_value(SecretId=name, SecretString=json.dumps(dict(values)))

    def calls(self) -> list[dict[str, Any]]:
        """Every signed call so far: `time`, `function` (its logical id), `service`, `action`, `resource`."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()]

    def mails(self) -> list[Path]:
        """The .eml files that were sent, oldest first."""
        return sorted(self.outbox.glob("*.eml"))

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

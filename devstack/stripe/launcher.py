"""The stand-in as a child process that can be stopped, killed and started again on the same port."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from devstack.processes import Process, free_port, start, wait_for
from devstack.stripe.client import Control

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 30.0


class StripeStandIn:
    """One stand-in with its state in `run_dir`.

    stand_in = StripeStandIn(run_dir, webhook_url=None, secret_key="sk_test_1", webhook_secret="whsec_1")
    stand_in.start()
    StripeClient("sk_test_1", base_addresses={"api": stand_in.url})
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        webhook_url: str | None,
        secret_key: str,
        webhook_secret: str,
        api_version: str | None = None,
        retry_seconds: Sequence[float] | None = None,
    ) -> None:
        """`api_version` defaults to the SDK's; `retry_seconds` are the pauses between attempts at a webhook."""
        self._run_dir = run_dir
        self._webhook_url = webhook_url
        self._keys = {"STRIPE_SECRET_KEY": secret_key, "STRIPE_WEBHOOK_SECRET": webhook_secret}
        self._options = ["--api-version", api_version] if api_version else []
        if retry_seconds is not None:
            self._options += ["--retry-seconds", ",".join(str(pause) for pause in retry_seconds)]
        self._process: Process | None = None
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.control = Control(self.url)

    def start(self) -> None:
        """Start, or restart with the stored state; returns when it answers."""
        if self.control.closed:
            self.control = Control(self.url)
        arguments = ["--port", str(self._port), "--state-dir", str(self._run_dir), *self._options]
        if self._webhook_url:
            arguments += ["--webhook-url", self._webhook_url]
        process = start(
            [sys.executable, "-m", "devstack.stripe", *arguments],
            # The keys go by the environment: every process on the machine can read a command line.
            env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_ROOT), **self._keys},
            log=self._run_dir / "stripe.log",
            cwd=_ROOT,
        )
        self._process = process
        wait_for(lambda: process.running() and self.control.answers(), _START_SECONDS, "the Stripe stand-in")

    def set_webhook(self, url: str) -> None:
        """Send events to `url` from now on, and after a restart too."""
        self._webhook_url = url
        self.control.set_webhook(url, self._keys["STRIPE_WEBHOOK_SECRET"])

    def stop(self) -> None:
        """End it gracefully and wait for that."""
        if self._process is not None:
            self._process.stop()
        self.control.close()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()

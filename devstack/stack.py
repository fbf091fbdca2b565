"""The whole stack on this machine: PostgreSQL, Supabase, SQS, Stripe and the functions behind their gateway.

    with Stack(run_dir) as stack:
        httpx.get(f"{stack.api_url}/api/health")

`python -m devstack` (`make up`) serves it in the foreground and writes `.local/stack.json`.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from devstack.auth_admin import AuthAdmin
from devstack.aws import Aws
from devstack.database import Postgres
from devstack.gateway import Gateway
from devstack.gateway.launcher import ImageCommand
from devstack.processes import free_port
from devstack.stripe import StripeStandIn
from devstack.supabase import Supabase

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / ".local" / "run"
SECRETS_ID = "printshop/local"
SENDER = "shop@example.com"
"""The sender of all mail here, verified with the SES stand-in."""
CHROMIUM = ROOT / ".local" / "chromium"
BUILT_CHROMIUM = ROOT / ".aws-sam" / "build" / "ChromiumLayer" / "chromium"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Login:
    """A user of the stack, signed in through the API."""

    email: str
    password: str
    accessToken: str  # noqa: N815  (as in .local/stack.json)


class Stack:
    """All stand-ins and the gateway, started and stopped together. `built` runs the output of `make build`."""

    def __init__(
        self,
        run_dir: Path | None = None,
        *,
        built: bool = False,
        image: ImageCommand | None = None,
        confirm_email: bool = False,
        fire_schedules: bool = False,
        parameters: dict[str, str] | None = None,
        temp_dir: Path | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        """`parameters` override the template's; `image` runs the slicer in its image; `temp_dir` is the gateway's."""
        self.run_dir = run_dir or RUNS / f"{time.strftime('%H%M%S')}-{os.getpid()}-{secrets.token_hex(2)}"
        self._progress = progress
        self._parameters = parameters or {}
        self._temp_dir = temp_dir
        self._built = built
        self._image = image
        self._fire_schedules = fire_schedules
        self.stripe_key = f"sk_test_{secrets.token_hex(12)}"
        self.webhook_secret = f"whsec_{secrets.token_hex(16)}"
        self.postgres = Postgres(self.run_dir / "postgres")
        self._confirm_email = confirm_email
        # Below /tmp, as on Lambda.
        self._pdf_cache = Path("/tmp") / f"printshop-pdfs-{os.getpid()}-{secrets.token_hex(4)}"
        self.aws = Aws(self.run_dir / "aws")
        self.stripe = StripeStandIn(
            self.run_dir / "stripe",
            webhook_url=None,
            secret_key=self.stripe_key,
            webhook_secret=self.webhook_secret,
        )
        self.supabase: Supabase
        self.gateway: Gateway

    def start(self) -> Self:
        """Start all parts; returns when the API answers."""
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            others = [pool.submit(self.aws.start), pool.submit(self.stripe.start)]
            self.postgres.start()
            self.supabase = Supabase(
                self.run_dir / "supabase",
                self.postgres.url,
                confirm_email=self._confirm_email,
                progress=lambda _: None,
            )
            self.supabase.start()
            for other in others:
                other.result()
        self._store_secrets()
        self.aws.client("ses").verify_email_identity(EmailAddress=SENDER)
        port = free_port()
        self.gateway = Gateway(
            ROOT / "template.yaml",
            self.run_dir / "gateway",
            parameters=self.template_parameters(port),
            built=self._built,
            image=self._image,
            aws=self.aws,
            fire_schedules=self._fire_schedules,
            port=port,
            temp_dir=self._temp_dir,
        )
        self.gateway.start()
        self.stripe.control.set_webhook(f"{self.api_url}/api/stripe/webhook", self.webhook_secret)
        self._progress(f"the stack serves at {self.api_url} ({time.monotonic() - began:.1f} s)")
        return self

    def stop(self) -> None:
        """Stop every running part."""
        for part in ("gateway", "stripe", "aws", "supabase", "postgres"):
            if hasattr(self, part):
                getattr(self, part).stop()
        shutil.rmtree(self._pdf_cache, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def api_url(self) -> str:
        return self.gateway.api_url

    @property
    def queue_url(self) -> str:
        return self.gateway.queue_url("SliceQueue")

    @property
    def large_queue_url(self) -> str:
        return self.gateway.queue_url("LargeSliceQueue")

    @property
    def mail_queue_url(self) -> str:
        return self.gateway.queue_url("MailQueue")

    @property
    def auth_admin(self) -> AuthAdmin:
        return AuthAdmin(self.supabase.url, self.supabase.secret_key)

    def sign_up(self, email: str, *, name: str = "Customer", company: str = "") -> Login:
        """A new client's login, made through the API."""
        password = secrets.token_urlsafe(12)
        body = {"email": email, "password": password, "name": name, "company": company}
        response = httpx.post(f"{self.api_url}/api/auth/signup", json=body, timeout=30)
        response.raise_for_status()
        return Login(email, password, response.json()["data"]["accessToken"])

    def admin(self, email: str) -> Login:
        """A new admin's login, made as by `make admin`."""
        password = self.auth_admin.make_admin(email) or secrets.token_urlsafe(12)
        body = {"email": email, "password": password}
        response = httpx.post(f"{self.api_url}/api/auth/login", json=body, timeout=30)
        response.raise_for_status()
        return Login(email, password, response.json()["data"]["accessToken"])

    def describe(self) -> dict[str, Any]:
        """The contents of `.local/stack.json`: addresses, keys and three logins."""
        return {
            "pid": os.getpid(),
            "apiUrl": self.api_url,
            "supabaseUrl": self.supabase.url,
            "secretKey": self.supabase.secret_key,
            "publishableKey": self.supabase.publishable_key,
            "databaseUrl": self.supabase.database_url,
            "queueUrl": self.queue_url,
            "largeQueueUrl": self.large_queue_url,
            "outbox": str(self.aws.outbox),
            "awsEndpointUrl": self.aws.endpoint_url,
            "stripeUrl": self.stripe.url,
            "webhookSecret": self.webhook_secret,
            "admin": asdict(self.admin("admin@example.com")),
            "client": asdict(self.sign_up("client@example.com", name="Clara Client")),
            "otherClient": asdict(self.sign_up("other@example.com", name="Otto Other")),
        }

    def _store_secrets(self) -> None:
        self.aws.put_secret(
            SECRETS_ID,
            {
                "SUPABASE_SERVICE_ROLE_KEY": self.supabase.secret_key,
                "SUPABASE_JWT_SECRET": self.supabase.jwt_secret,
                "STRIPE_SECRET_KEY": self.stripe_key,
                "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
            },
        )

    def template_parameters(self, port: int) -> dict[str, str]:
        """The parameters of template.yaml for a gateway on `port`."""
        url = f"http://127.0.0.1:{port}"
        return {
            "AppUrl": url,
            "SupabaseUrl": self.supabase.url,
            "SupabasePublishableKey": self.supabase.publishable_key,
            "SecretsId": SECRETS_ID,
            "StripeApiBase": self.stripe.url,
            "EmailFrom": f"3D Print Bureau <{SENDER}>",
            "EmailIdentity": SENDER,
            "StripeSuccessUrl": f"{url}/paid",
            "StripeCancelUrl": f"{url}/cancelled",
            "SlicerBin": os.environ.get("SLICER_BIN") or _find_slicer(),
            "SlicerMaximumConcurrency": "2",
            # Not used as root: the layer is mounted on /opt then.
            "ChromiumBin": str((BUILT_CHROMIUM if self._built else CHROMIUM) / "chromium.zst"),
            "PdfCacheDir": str(self._pdf_cache),
            **self._parameters,
        }


def _find_slicer() -> str:
    return shutil.which("prusaslicer") or shutil.which("prusa-slicer") or "prusaslicer"


def remove_old_runs() -> None:
    """Remove the folders of ended runs except the newest, whose logs may be of use."""
    ended = [run for run in RUNS.glob("*-*-*") if not Path(f"/proc/{run.name.split('-')[1]}").exists()]
    for run in sorted(ended, key=lambda run: run.stat().st_mtime)[:-1]:
        shutil.rmtree(run, ignore_errors=True)

"""The environment, read once, as one typed and bounded model.

The names are the seed's own, in capitals. An unreadable or missing value is one `SettingsError` that names
every variable at fault, raised while the function starts, never a NaN in the middle of a request.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

PARAMETER = re.compile(r"ssm:(?=.)|(?=arn:[^:]+:ssm:)")
"""Begins a SECRETS_ID that is a parameter of the Parameter Store; any other is a secret of Secrets Manager."""

PRODUCTION = ("stripe_secret_key", "stripe_webhook_secret", "stripe_success_url", "stripe_cancel_url")
"""What development may omit."""


class SettingsError(RuntimeError):
    """The environment cannot be used; the message names each variable and what it must be."""


def _strip_slash(value: Any) -> Any:
    return value.rstrip("/") if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _switch(value: Any) -> Any:
    if value not in {"0", "1", False}:
        raise ValueError('must be "1" (on) or "0" (off)')
    return value == "1"


def _comma_list(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def origin_of(url: str) -> str:
    """A URL's origin as a browser writes it: lower case, without the scheme's usual port."""
    scheme, _, rest = url.lower().partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}://{host.removesuffix({'http': ':80', 'https': ':443'}.get(scheme, ''))}"


Url = Annotated[str, BeforeValidator(_strip_slash), Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$")]
Origin = Annotated[str, Field(pattern=r"^https?://[^\s/,*@]+$")]
Currency = Annotated[str, BeforeValidator(_upper), Field(pattern=r"^[A-Z]{3}$")]


class Settings(BaseModel):
    """What the environment says. Field names are the variables' names in lower case."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    app_env: Literal["development", "production"] = "development"
    next_public_app_url: Url = "http://localhost:3000"
    allowed_origins: Annotated[tuple[Origin, ...], BeforeValidator(_comma_list)] = ()
    """Further origins than the app's own whose pages may call, and write, with cookies; comma between."""
    limit_by_source: Annotated[bool, BeforeValidator(_switch)] = True
    """Off where a proxy stands before the API: then all callers share one address."""
    next_public_supabase_url: Url
    next_public_supabase_anon_key: str = Field(min_length=1)
    supabase_service_role_key: SecretStr = Field(min_length=1)
    supabase_jwt_secret: SecretStr | None = None
    """The legacy HS256 secret, where the project still signs with it; otherwise the project's JWKS is used."""

    stripe_secret_key: SecretStr | None = None
    stripe_webhook_secret: SecretStr | None = None
    stripe_success_url: Url | None = None
    stripe_cancel_url: Url | None = None
    stripe_currency: Currency = "AUD"
    stripe_api_base: Url = "https://api.stripe.com"

    slicer_bin: str = "prusaslicer"
    slicer_disable: Annotated[bool, BeforeValidator(_switch)] = False
    slicer_concurrency: int = Field(1, ge=1, le=4)
    slicer_timeout_ms: int = Field(120_000, ge=30_000, le=300_000)
    slice_queue_url: Url | None = None
    large_slice_queue_url: Url | None = None
    slice_dead_letters_url: Url | None = None
    large_slice_dead_letters_url: Url | None = None
    mail_queue_url: Url | None = None
    email_from: str | None = Field(None, pattern=r"^[^\r\n]*[^@\s]+@[^@\s]+$", max_length=320)
    """Who sends quotes and invoices by e-mail, as SES has verified it; without it no mail is sent."""

    max_model_mb: int = Field(50, ge=1, le=100)
    tmp_retention_hours: int = Field(24, ge=24, le=48)
    download_url_seconds: int = Field(120, ge=60, le=300)
    pdf_cache_dir: str = "data/pdfs"
    chromium_bin: str | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    secrets_id: str | None = None

    @model_validator(mode="after")
    def _production_is_complete(self) -> Self:
        if self.app_env == "production" and self.next_public_app_url.startswith("http://"):
            raise ValueError("production needs an https NEXT_PUBLIC_APP_URL")
        if self.app_env == "production" and any(url.startswith("http://") for url in self.allowed_origins):
            raise ValueError("production needs https ALLOWED_ORIGINS")
        return self

    @property
    def origins(self) -> frozenset[str]:
        """Whose pages may write with cookies, as a browser's Origin header names them."""
        return frozenset(map(origin_of, (self.next_public_app_url, *self.allowed_origins)))

    @property
    def service_key(self) -> str:
        return self.supabase_service_role_key.get_secret_value()

    @property
    def stripe_key(self) -> str | None:
        return self.stripe_secret_key.get_secret_value() if self.stripe_secret_key else None

    @property
    def webhook_secret(self) -> str | None:
        return self.stripe_webhook_secret.get_secret_value() if self.stripe_webhook_secret else None

    @property
    def max_model_bytes(self) -> int:
        return self.max_model_mb * 1024 * 1024


def _secrets(secrets_id: str) -> Mapping[str, str]:
    # Imported here: only a deployment keeps its secrets at AWS, and boto3 costs 100 ms.
    from aws_lambda_powertools.utilities import parameters  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    # A request waits for this, and the gateway for the request.
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    try:
        # Never from a cache: when it is time to ask again is for printshop.config.settings_provider to say.
        if parameter := PARAMETER.match(secrets_id):
            name = secrets_id[parameter.end() :]
            text = parameters.SSMProvider(boto_config=config).get(name, decrypt=True, force_fetch=True)
        else:
            text = parameters.SecretsProvider(boto_config=config).get(secrets_id, force_fetch=True)
    except parameters.exceptions.GetParameterError as error:
        raise SettingsError(f"SECRETS_ID: the secret {secrets_id} cannot be read: {error}") from None
    try:
        document = json.loads(text) if isinstance(text, str | bytes) else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise SettingsError(f"SECRETS_ID: the secret {secrets_id} must hold a JSON object of variables.")
    return {str(name): str(text) for name, text in document.items() if text is not None}


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment (and the secret that SECRETS_ID names, laid over it).

    Raises SettingsError, one sentence per variable at fault. Blank variables count as absent.
    """
    source = dict(os.environ if environ is None else environ)
    if secrets_id := source.get("SECRETS_ID", "").strip():
        source.update(_secrets(secrets_id))
    values = {
        name: source[name.upper()].strip()
        for name in Settings.model_fields
        if source.get(name.upper(), "").strip()
    }
    lines = []
    if values.get("app_env") == "production":
        lines = [f"{name.upper()}: production needs it" for name in PRODUCTION if name not in values]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        lines += _explain(error)
    if lines:
        raise SettingsError(f"The environment cannot be used. {'; '.join(lines)}. See .env.example.")
    return settings


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in fault["loc"]).upper()
        reason = "is missing" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {reason}" if name else reason)
    return lines

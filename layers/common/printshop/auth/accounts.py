"""Opening, using and closing a login, on Supabase Auth.

Each call has a client of its own: a signed-in user on a shared one would lend his session to the next request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from supabase_auth import Session, SyncGoTrueClient, SyncMemoryStorage
from supabase_auth.errors import AuthApiError, AuthError, AuthRetryableError
from supabase_auth.types import Options

from printshop.auth.tokens import Identity
from printshop.auth.users import User
from printshop.database import Database
from printshop.errors import (
    ApiError,
    Conflict,
    Forbidden,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from printshop.log import get_logger
from printshop.settings import Settings

log = get_logger()


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session's two tokens; `expires_in` is seconds of the access token's life."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class Login:
    """A signed-in user and his session."""

    user: User
    tokens: Tokens


class Accounts:
    """The use cases of the account routes."""

    def __init__(self, settings: Settings, client: httpx.Client, database: Database) -> None:
        self._url = f"{settings.next_public_supabase_url}/auth/v1"
        self._public_headers = {
            "apikey": settings.next_public_supabase_anon_key,
            "Authorization": f"Bearer {settings.next_public_supabase_anon_key}",
        }
        self._app_url = settings.next_public_app_url
        self._client = client
        self._database = database

    def sign_up(self, *, email: str, password: str, name: str, company: str, phone: str) -> Login | None:
        """Make a login. None when the project wants the e-mail confirmed first (also for a known address)."""
        profile = {"name": name, "company": company, "phone": phone}
        answer = self._ask(
            lambda auth: auth.sign_up({"email": email, "password": password, "options": {"data": profile}})
        )
        log.info(scope="supabase.sign_up", data={"confirmed": answer.session is not None})
        return self._open(answer.session) if answer.session else None

    def log_in(self, *, email: str, password: str) -> Login:
        """Sign in; the first login of a confirmed address opens its account."""
        answer = self._ask(lambda auth: auth.sign_in_with_password({"email": email, "password": password}))
        return self._open(self._session(answer.session))

    def refresh(self, refresh_token: str) -> Login:
        """Trade a refresh token for a new session; the old token is spent."""
        ended = Unauthorized("SESSION_ENDED", "This session has ended; log in again.")
        answer = self._ask(lambda auth: auth.refresh_session(refresh_token), refused=ended)
        return self._open(self._session(answer.session))

    def log_out(self, user: User, identity: Identity, access_token: str) -> None:
        """End this session: its refresh token at once, its access token within the user cache's seconds."""
        self._ask(lambda auth: auth.admin.sign_out(access_token, "local"))
        if identity.session_id:
            self._database.call("end_session", p_user_id=user.id, p_session_id=str(identity.session_id))

    def change_password(self, identity: Identity, *, current: str, new: str) -> Login:
        """Set a new password for whoever knows the current one; every session ends, a new one begins."""
        auth = self._auth()
        self._ask(
            lambda _: auth.sign_in_with_password({"email": identity.email, "password": current}),
            refused=Forbidden("WRONG_PASSWORD", "The current password is not right."),
        )
        return self._set_password(auth, new, identity.session_id)

    def reset_password(self, *, token_hash: str, new: str) -> Login:
        """Set a new password with the token of a recovery mail; every other session ends."""
        auth = self._auth()
        self._ask(
            lambda _: auth.verify_otp({"token_hash": token_hash, "type": "recovery"}),
            refused=Unprocessable(
                "RECOVERY_LINK_INVALID", "This link is spent or too old; ask for a new one."
            ),
        )
        return self._set_password(auth, new, None)

    def _set_password(self, auth: SyncGoTrueClient, new: str, ended: UUID | None) -> Login:
        user = self._ask(lambda _: auth.update_user({"password": new})).user
        self._database.call(
            "end_all_sessions", p_auth_user_id=user.id, p_session_id=str(ended) if ended else None
        )
        self._ask(lambda _: auth.sign_out({"scope": "global"}))
        return self.log_in(email=user.email or "", password=new)

    def resend_confirmation(self, email: str) -> None:
        """Send the confirmation mail again; says nothing about whether the address is known."""
        self._quietly("supabase.resend", lambda auth: auth.resend({"type": "signup", "email": email}))

    def forgot_password(self, email: str) -> None:
        """Send a recovery mail; says nothing about whether the address is known."""
        target: Options = {"redirect_to": f"{self._app_url}/reset-password"}
        self._quietly("supabase.recover", lambda auth: auth.reset_password_for_email(email, target))

    @staticmethod
    def _session(session: Session | None) -> Session:
        if session is None:
            raise Unauthorized("SESSION_ENDED", "This session has ended; log in again.")
        return session

    def _open(self, session: Session) -> Login:
        profile: dict[str, Any] = session.user.user_metadata or {}
        user = self._database.call(
            "open_account",
            p_auth_user_id=session.user.id,
            p_email=session.user.email,
            p_name=profile.get("name"),
            p_company=profile.get("company"),
            p_phone=profile.get("phone"),
        )
        tokens = Tokens(session.access_token, session.refresh_token, session.expires_in)
        return Login(User.model_validate(user), tokens)

    def _auth(self) -> SyncGoTrueClient:
        return SyncGoTrueClient(
            url=self._url,
            headers=self._public_headers,
            auto_refresh_token=False,
            persist_session=False,
            storage=SyncMemoryStorage(),
            http_client=self._client,
        )

    def _ask[T](self, request: Callable[[SyncGoTrueClient], T], *, refused: ApiError | None = None) -> T:
        try:
            return request(self._auth())
        except AuthApiError as error:
            raise _translate(error, refused) from error
        except (AuthRetryableError, httpx.HTTPError) as error:
            raise _unavailable() from error
        except AuthError as error:
            raise refused or Unauthorized("SESSION_ENDED", "This session has ended; log in again.") from error

    def _quietly(self, scope: str, request: Callable[[SyncGoTrueClient], Any]) -> None:
        try:
            self._ask(request)
        except Unavailable:
            raise
        except ApiError as error:
            # The caller must not learn which addresses are known, nor that one asks too often.
            log.warn(scope=scope, message="The mail was not sent", error=error)


def _unavailable() -> Unavailable:
    return Unavailable(
        "AUTH_UNAVAILABLE", "The login service did not answer; try again in a moment.", retry_after=2
    )


_REFUSALS: dict[str, tuple[type[ApiError], str, str]] = {
    "user_already_exists": (
        Conflict,
        "EMAIL_TAKEN",
        "This address has an account; log in, or reset the password.",
    ),
    "email_exists": (Conflict, "EMAIL_TAKEN", "This address has an account; log in, or reset the password."),
    "weak_password": (Unprocessable, "WEAK_PASSWORD", "Choose a longer or less common password."),
    "same_password": (Unprocessable, "WEAK_PASSWORD", "Choose a password that differs from the current one."),
    "email_not_confirmed": (
        Forbidden,
        "EMAIL_NOT_CONFIRMED",
        "Open the link in the confirmation mail first.",
    ),
    "email_address_invalid": (Unprocessable, "INVALID_EMAIL", "This is not an address that mail can reach."),
    "validation_failed": (Unprocessable, "INVALID_EMAIL", "This is not an address that mail can reach."),
    "invalid_credentials": (Unauthorized, "WRONG_CREDENTIALS", "E-mail or password is not right."),
}


def _translate(error: AuthApiError, refused: ApiError | None) -> ApiError:
    if error.status == 429:
        return TooManyRequests("TOO_MANY_ATTEMPTS", "Too many attempts; wait a minute.", retry_after=60)
    if error.status >= 500:
        return _unavailable()
    if refused is not None and error.code not in {"weak_password", "same_password"}:
        return refused
    if error.code in _REFUSALS:
        kind, code, message = _REFUSALS[error.code]
        return kind(code, message)
    return Unauthorized("SESSION_ENDED", "This session has ended; log in again.")

"""Opening, using and closing a login, on Supabase Auth.

Each call has a client of its own: a signed-in user on a shared one would lend their session to the next request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from supabase_auth import Session, SyncGoTrueClient, SyncMemoryStorage
from supabase_auth.types import Options

from printshop.accounts.attempts import Attempt, Attempts
from printshop.accounts.errors import ask, session_ended
from printshop.accounts.logins import is_invitation
from printshop.accounts.tokens import Identity
from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.config.settings import Settings
from printshop.kernel.errors import ApiError, Forbidden, Unavailable, Unprocessable
from printshop.kernel.log import get_logger

log = get_logger()


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session's two tokens; `expires_in` is seconds of the access token's life."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class Login:
    """A signed-in user and their session."""

    user: User
    tokens: Tokens


class Accounts:
    """The use cases of the account routes. Those that could guess, or have mails sent, are told the `source`: the
    caller's network address, by which attempts are counted; they raise TooManyRequests TOO_MANY_ATTEMPTS."""

    def __init__(self, settings: Settings, client: httpx.Client, database: Database) -> None:
        self._url = f"{settings.next_public_supabase_url}/auth/v1"
        self._public_headers = {
            "apikey": settings.next_public_supabase_anon_key,
            "Authorization": f"Bearer {settings.next_public_supabase_anon_key}",
        }
        self._app_url = settings.next_public_app_url
        self._client = client
        self._database = database
        self._attempts = Attempts(settings, database)

    def sign_up(
        self, *, email: str, password: str, name: str, company: str, phone: str, source: str | None
    ) -> Login | None:
        """Make a login. None when the project wants the e-mail confirmed first (also for a known address)."""
        self._attempts.mail(email, source)
        profile = {"name": name, "company": company, "phone": phone}
        answer = self._ask(
            lambda auth: auth.sign_up({"email": email, "password": password, "options": {"data": profile}})
        )
        log.info(scope="supabase.sign_up", data={"confirmed": answer.session is not None})
        return self._open(answer.session) if answer.session else None

    def log_in(self, *, email: str, password: str, source: str | None) -> Login:
        """Sign in; the first login of a confirmed address opens its account."""
        attempt = self._attempts.password(email, source)
        answer = self._ask(lambda auth: auth.sign_in_with_password({"email": email, "password": password}))
        return self._open(self._session(answer.session), attempt)

    def refresh(self, refresh_token: str) -> Login:
        """Trade a refresh token for a new session; the old token is spent."""
        answer = self._ask(lambda auth: auth.refresh_session(refresh_token), refused=session_ended())
        return self._open(self._session(answer.session))

    def log_out(self, user: User, identity: Identity, access_token: str) -> None:
        """End this session: its refresh token at once, its access token within the user cache's seconds."""
        self._ask(lambda auth: auth.admin.sign_out(access_token, "local"))
        if identity.session_id:
            self._database.call("end_session", p_user_id=user.id, p_session_id=str(identity.session_id))

    def change_password(self, identity: Identity, *, current: str, new: str, source: str | None) -> Login:
        """Set a new password for whoever knows the current one; every session ends, a new one begins."""
        if new == current:
            # Not every project refuses it, and a one-time password must not become a lasting one.
            raise Unprocessable("WEAK_PASSWORD", "Choose a password that differs from the current one.")
        attempt = self._attempts.password(identity.email, source)
        auth = self._auth()
        self._ask(
            lambda _: auth.sign_in_with_password({"email": identity.email, "password": current}),
            refused=Forbidden("WRONG_PASSWORD"),
        )
        return self._set_password(auth, new, identity.session_id, attempt)

    def reset_password(self, *, token_hash: str, new: str, source: str | None) -> Login:
        """Set a new password with the token of a recovery mail; every other session ends.

        As at a login, an address without an account gets one first: what is refused one keeps its old password.
        Guesses at the account's password do not count here: whoever has the mail gets in, however often others guess.
        """
        attempt = self._attempts.recovery(source)
        auth = self._auth()
        answer = self._ask(
            lambda _: auth.verify_otp({"token_hash": token_hash, "type": "recovery"}),
            refused=Unprocessable("RECOVERY_LINK_INVALID"),
        )
        session = self._session(answer.session)
        self._open(session, self._attempts.of(attempt, session.user.email or ""))
        return self._set_password(auth, new, None, None)

    def _set_password(
        self, auth: SyncGoTrueClient, new: str, ended: UUID | None, attempt: Attempt | None
    ) -> Login:
        login = self._ask(lambda _: auth.update_user({"password": new})).user
        user = self._database.call(
            "end_all_sessions",
            p_auth_user_id=login.id,
            p_session_id=str(ended) if ended else None,
            p_attempt=attempt.for_database() if attempt else None,
        )
        self._ask(lambda _: auth.sign_out({"scope": "global"}))
        answer = self._ask(
            lambda auth: auth.sign_in_with_password({"email": login.email or "", "password": new})
        )
        return Login(User.model_validate(user), _tokens(self._session(answer.session)))

    def resend_confirmation(self, email: str, source: str | None) -> None:
        """Send the confirmation mail again; says nothing about whether the address is known."""
        self._attempts.mail(email, source)
        self._quietly("supabase.resend", lambda auth: auth.resend({"type": "signup", "email": email}))

    def forgot_password(self, email: str, source: str | None) -> None:
        """Send a recovery mail; says nothing about whether the address is known."""
        self._attempts.mail(email, source)
        target: Options = {"redirect_to": f"{self._app_url}/reset-password"}
        self._quietly("supabase.recover", lambda auth: auth.reset_password_for_email(email, target))

    @staticmethod
    def _session(session: Session | None) -> Session:
        if session is None:
            raise session_ended()
        return session

    def _open(self, session: Session, attempt: Attempt | None = None) -> Login:
        profile: dict[str, Any] = session.user.user_metadata or {}
        user = self._database.call(
            "open_account",
            p_auth_user_id=session.user.id,
            p_email=session.user.email,
            p_name=profile.get("name"),
            p_company=profile.get("company"),
            p_phone=profile.get("phone"),
            p_invited=is_invitation(session.user),
            p_attempt=attempt.for_database() if attempt else None,
        )
        return Login(User.model_validate(user), _tokens(session))

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
        return ask(lambda: request(self._auth()), refused=refused)

    def _quietly(self, scope: str, request: Callable[[SyncGoTrueClient], Any]) -> None:
        try:
            self._ask(request)
        except Unavailable:
            raise
        except ApiError as error:
            # The caller must not learn which addresses are known, nor that one asks too often.
            log.warn(scope=scope, message="The mail was not sent", error=error)


def _tokens(session: Session) -> Tokens:
    return Tokens(session.access_token, session.refresh_token, session.expires_in)

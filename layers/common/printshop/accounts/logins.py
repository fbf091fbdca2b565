"""The logins that the shop gives and takes, by Supabase Auth's admin API.

A login is made first, its profile next, for the profile names the login. A crash between the two leaves a login
that is marked as an invitation and has no profile: it opens no account, and the next invitation of its address
replaces it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import httpx
from pydantic import EmailStr, Field
from supabase_auth import SyncGoTrueAdminAPI
from supabase_auth import User as AuthUser

from printshop.accounts.errors import ask
from printshop.accounts.passwords import one_time_password
from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.supabase import service_headers
from printshop.config.settings import Settings
from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.kernel.errors import ApiError, Conflict, NotFound, Unprocessable
from printshop.kernel.log import get_logger
from printshop.kernel.paging import decode_time_cursor, encode_cursor

log = get_logger()

INVITATION = "printshop_invitation"
"""In the app_metadata, which nobody but the service key writes, of a login that the shop made."""
ABANDONED = timedelta(minutes=1)
"""No request lives as long: an invitation older than this that has no profile will never get one."""


class Invitation(StrictModel):
    """Who may log in: an ADMIN, or a CLIENT for the client that `clientId` names."""

    email: EmailStr
    name: Annotated[str, Field(max_length=200, examples=["Ada Lovelace"])] = ""
    role: Literal["ADMIN", "CLIENT"]
    client_id: Annotated[int | None, Field(ge=1, le=2**53)] = None


class LoginSummary(CamelModel):
    """A login in the shop's list."""

    id: int
    email: str
    name: str
    role: Literal["ADMIN", "CLIENT"]
    client_id: int | None
    client_name: str | None
    must_change_password: bool
    created_at: str


class InvitedLogin(LoginSummary):
    """A login just made. The password is shown this once; it opens nothing but the change to another."""

    one_time_password: str


def is_invitation(login: AuthUser) -> bool:
    """Whether the shop made this login; if not, its owner signed up."""
    return bool(login.app_metadata.get(INVITATION))


def list_users(
    database: Database, *, query: str | None, limit: int, cursor: str | None
) -> tuple[list[LoginSummary], str | None]:
    """A page, newest first, and the cursor of the next one. `query` finds text in e-mail and name, literally."""
    before_created, before_id = decode_time_cursor(cursor)
    rows = database.call(
        "list_users",
        p_query=query,
        p_limit=limit + 1,
        p_before_created=before_created,
        p_before_id=before_id,
    )
    page = [LoginSummary.model_validate(row) for row in rows[:limit]]
    more = encode_cursor(page[-1].created_at, page[-1].id) if len(rows) > limit else None
    return page, more


class Logins:
    """Invites and deletes logins."""

    def __init__(self, settings: Settings, client: httpx.Client, database: Database) -> None:
        self._admin = SyncGoTrueAdminAPI(
            url=f"{settings.next_public_supabase_url}/auth/v1",
            headers=service_headers(settings),
            http_client=client,
        )
        self._database = database

    def invite(self, inviter: User, invitation: Invitation) -> InvitedLogin:
        """Make a login with a one-time password. Raises Conflict EMAIL_TAKEN, INVITATION_RUNNING; Unprocessable."""
        _check_client(invitation)
        password = one_time_password()
        login = self._make(invitation, password)
        with self._unless_kept(login):
            made = self._database.call(
                "create_user",
                p_user_id=inviter.id,
                p_auth_user_id=login.id,
                p_email=login.email,
                p_name=invitation.name,
                p_role=invitation.role,
                p_client_id=invitation.client_id,
            )
        log.info(scope="logins.invite", data={"userId": made["id"], "role": made["role"]})
        return InvitedLogin.model_validate({**made, "oneTimePassword": password})

    def delete(self, deleter: User, user_id: int) -> None:
        """Delete a user: the profile first, so that nothing is open any more, then the login.

        Raises NotFound, Conflict LAST_ADMIN; Unavailable when the login could not follow: the same call again
        finishes it.
        """
        gone = self._database.call("delete_user", p_user_id=deleter.id, p_deleted_id=user_id)
        if gone["authUserId"] is not None:
            self._forget(gone["authUserId"])
        log.info(scope="logins.delete", data={"userId": user_id})

    def _make(self, invitation: Invitation, password: str) -> AuthUser:
        try:
            return self._create(invitation, password)
        except Conflict:
            self._replace_abandoned(invitation.email)
            return self._create(invitation, password)

    def _create(self, invitation: Invitation, password: str) -> AuthUser:
        answer = ask(
            lambda: self._admin.create_user(
                {
                    "email": invitation.email,
                    "password": password,
                    "email_confirm": True,
                    "user_metadata": {"name": invitation.name},
                    "app_metadata": {INVITATION: True},
                }
            )
        )
        return answer.user

    def _replace_abandoned(self, email: str) -> None:
        """Forget the login of this address if it is an invitation that never got its profile, and never will."""
        taken = Conflict("EMAIL_TAKEN", "This address has a login already; delete it first, or use another.")
        # The one admin call that finds a login by its address; it sends no mail.
        found = ask(
            lambda: self._admin.generate_link({"type": "recovery", "email": email}), refused=taken
        ).user
        if (
            not is_invitation(found)
            or self._database.call("has_profile", p_auth_user_id=found.id)["hasProfile"]
        ):
            raise taken
        if found.created_at > datetime.now(UTC) - ABANDONED:
            raise Conflict("INVITATION_RUNNING")
        self._forget(found.id)

    @contextmanager
    def _unless_kept(self, login: AuthUser) -> Iterator[None]:
        """A login whose profile could not be made goes again; if its profile was made unheard, that goes with it."""
        kept = False
        try:
            yield
            kept = True
        finally:
            if not kept:
                try:
                    self._forget(login.id)
                except ApiError as error:
                    log.warn(
                        scope="logins.invite", message="An invitation stays without profile", error=error
                    )

    def _forget(self, auth_user_id: str) -> None:
        unknown = NotFound("USER_NOT_FOUND")
        try:
            ask(lambda: self._admin.delete_user(auth_user_id), refused=unknown)
        except NotFound:
            # Somebody else was quicker.
            return


def _check_client(invitation: Invitation) -> None:
    if invitation.role == "CLIENT" and invitation.client_id is None:
        raise Unprocessable(
            "UNKNOWN_CLIENT", "Name the client of this login in clientId.", [{"field": "clientId"}]
        )
    if invitation.role == "ADMIN" and invitation.client_id is not None:
        raise Unprocessable("ADMIN_WITH_CLIENT", details=[{"field": "clientId"}])

"""Account: sign up, log in, stay in, get out, change and recover a password."""

from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import EmailStr, Field

from printshop.accounts.passwords import KnownPassword, Password
from printshop.accounts.sessions import Login
from printshop.accounts.users import User
from printshop.http.app import create_app, lambda_handler
from printshop.http.cookies import REFRESH_COOKIE, clear_session_cookies, set_session_cookies
from printshop.http.dependencies import AnyCaller, SameOrigin, ServicesDep, SourceIp, check_origin
from printshop.http.errors import error_responses
from printshop.kernel.base_model import Data, StrictModel
from printshop.kernel.errors import Unauthorized

app = create_app("Account")
handler = lambda_handler(app)

Email = Annotated[EmailStr, Field(examples=["ada@example.com"])]

AUTH_DOWN = "503 AUTH_UNAVAILABLE"
TOO_OFTEN = "429 TOO_MANY_ATTEMPTS"
WEAK = "422 WEAK_PASSWORD"
FOREIGN = "403 ORIGIN_MISMATCH"


class SignUp(StrictModel):
    """A new client."""

    email: Email
    password: Password
    name: Annotated[str, Field(min_length=1, max_length=200, examples=["Ada Lovelace"])]
    company: Annotated[str, Field(max_length=200, examples=["Analytical Engines"])] = ""
    phone: Annotated[str, Field(max_length=50, examples=["+61 2 5550 1234"])] = ""


class LogIn(StrictModel):
    """Who, and the proof."""

    email: Email
    password: KnownPassword


class EmailAddress(StrictModel):
    """Where the mail goes."""

    email: Email


class RefreshToken(StrictModel):
    """Left out where the cookie `sb:refresh-token` is sent."""

    refresh_token: Annotated[str | None, Field(max_length=2000, examples=["v1.MjAyNg"])] = None


class ChangePassword(StrictModel):
    """The old password and the new one."""

    current_password: KnownPassword
    new_password: Password


class ResetPassword(StrictModel):
    """The hash of the mail's link, and the new password."""

    token_hash: Annotated[str, Field(min_length=1, max_length=500, examples=["pkce_3f9a1c"])]
    new_password: Password


class Session(StrictModel):
    """A login. The tokens stand in the cookies as well."""

    user: User
    access_token: Annotated[str, Field(examples=["eyJhbGciOi…"])]
    refresh_token: Annotated[str, Field(examples=["v1.MjAyNg"])]
    expires_in: Annotated[int, Field(description="Seconds that the access token lives", examples=[3600])]


class Outcome(StrictModel):
    """What was done: the mail is on its way, or the session is closed."""

    status: Literal["CONFIRM_EMAIL", "LOGGED_OUT", "SENT_IF_KNOWN"]


def _session(response: Response, services: ServicesDep, login: Login) -> Data[Session]:
    set_session_cookies(response, login.tokens, secure=services.settings.app_env == "production")
    tokens = login.tokens
    return Data(
        data=Session(
            user=login.user,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in,
        )
    )


@app.post(
    "/api/auth/signup",
    status_code=201,
    tags=["Account"],
    dependencies=[SameOrigin],
    responses=error_responses(FOREIGN, "409 EMAIL_TAKEN", "422 INVALID_EMAIL", WEAK, TOO_OFTEN, AUTH_DOWN),
)
def sign_up(
    body: SignUp, response: Response, source: SourceIp, services: ServicesDep
) -> Data[Session | Outcome]:
    """Sign up as a client. Answers a session, or `CONFIRM_EMAIL` where the address has to be confirmed first."""
    login = services.accounts.sign_up(
        email=body.email,
        password=body.password,
        name=body.name,
        company=body.company,
        phone=body.phone,
        source=source,
    )
    if login is None:
        return Data(data=Outcome(status="CONFIRM_EMAIL"))
    return Data(data=_session(response, services, login).data)


@app.post(
    "/api/auth/login",
    tags=["Account"],
    dependencies=[SameOrigin],
    responses=error_responses(
        "401 WRONG_CREDENTIALS", "403 EMAIL_NOT_CONFIRMED", FOREIGN, TOO_OFTEN, AUTH_DOWN
    ),
)
def log_in(body: LogIn, response: Response, source: SourceIp, services: ServicesDep) -> Data[Session]:
    """Log in. The tokens come in the answer and as cookies."""
    login = services.accounts.log_in(email=body.email, password=body.password, source=source)
    return _session(response, services, login)


@app.post(
    "/api/auth/refresh",
    tags=["Account"],
    dependencies=[SameOrigin],
    responses=error_responses("401 NO_TOKEN", "401 SESSION_ENDED", FOREIGN, AUTH_DOWN),
)
def refresh(
    request: Request, response: Response, services: ServicesDep, body: RefreshToken | None = None
) -> Data[Session]:
    """Take a new access token for the refresh token of the body or the cookie; both are exchanged."""
    token = body.refresh_token if body else None
    if token is None:
        token = request.cookies.get(REFRESH_COOKIE)
        if token is None:
            raise Unauthorized("NO_TOKEN", "Send the sb:refresh-token cookie or refreshToken in the body.")
        check_origin(request, services.settings.origins)
    return _session(response, services, services.accounts.refresh(token))


@app.post("/api/auth/logout", tags=["Account"], responses=error_responses(AUTH_DOWN))
def log_out(response: Response, caller: AnyCaller, services: ServicesDep) -> Data[Outcome]:
    """End this session; its tokens are refused from now on."""
    services.accounts.log_out(caller.user, caller.identity, caller.token)
    services.users.forget(caller.identity)
    clear_session_cookies(response)
    return Data(data=Outcome(status="LOGGED_OUT"))


@app.post(
    "/api/auth/change-password",
    tags=["Account"],
    dependencies=[SameOrigin],
    responses=error_responses("403 WRONG_PASSWORD", FOREIGN, WEAK, TOO_OFTEN, AUTH_DOWN),
)
def change_password(
    body: ChangePassword, response: Response, caller: AnyCaller, source: SourceIp, services: ServicesDep
) -> Data[Session]:
    """Change the password; every other session ends."""
    login = services.accounts.change_password(
        caller.identity, current=body.current_password, new=body.new_password, source=source
    )
    services.users.forget(caller.identity)
    return _session(response, services, login)


@app.post("/api/auth/resend", tags=["Account"], responses=error_responses(TOO_OFTEN, AUTH_DOWN))
def resend(body: EmailAddress, source: SourceIp, services: ServicesDep) -> Data[Outcome]:
    """Send the confirmation mail again. The answer is the same for every address."""
    services.accounts.resend_confirmation(body.email, source)
    return Data(data=Outcome(status="SENT_IF_KNOWN"))


@app.post("/api/auth/forgot-password", tags=["Account"], responses=error_responses(TOO_OFTEN, AUTH_DOWN))
def forgot_password(body: EmailAddress, source: SourceIp, services: ServicesDep) -> Data[Outcome]:
    """Send a link to set a new password. The answer is the same for every address."""
    services.accounts.forgot_password(body.email, source)
    return Data(data=Outcome(status="SENT_IF_KNOWN"))


@app.post(
    "/api/auth/reset-password",
    tags=["Account"],
    dependencies=[SameOrigin],
    responses=error_responses(FOREIGN, "422 RECOVERY_LINK_INVALID", WEAK, TOO_OFTEN, AUTH_DOWN),
)
def reset_password(
    body: ResetPassword, response: Response, source: SourceIp, services: ServicesDep
) -> Data[Session]:
    """Set a new password by the link of the mail; other sessions end."""
    login = services.accounts.reset_password(token_hash=body.token_hash, new=body.new_password, source=source)
    return _session(response, services, login)


@app.get("/api/auth/me", tags=["Account"])
def me(caller: AnyCaller) -> Data[User]:
    """Who is logged in."""
    return Data(data=caller.user)

"""Account: sign up, log in, stay in, get out, change and recover a password."""

from typing import Annotated

from fastapi import Request, Response
from pydantic import EmailStr, Field

from printshop.auth.accounts import Login
from printshop.auth.passwords import KnownPassword, Password
from printshop.auth.users import User
from printshop.errors import Unauthorized
from printshop.http import AnyCaller, Data, Model, Provided, create_app, lambda_handler
from printshop.http.cookies import clear_session, set_session
from printshop.http.security import REFRESH_COOKIE, check_origin

app = create_app("Account")
handler = lambda_handler(app)


class SignUp(Model):
    email: EmailStr
    password: Password
    name: Annotated[str, Field(min_length=1, max_length=200)]
    company: Annotated[str, Field(max_length=200)] = ""
    phone: Annotated[str, Field(max_length=50)] = ""


class LogIn(Model):
    email: EmailStr
    password: KnownPassword


class Address(Model):
    email: EmailStr


class RefreshToken(Model):
    refresh_token: Annotated[str | None, Field(max_length=2000)] = None


class ChangePassword(Model):
    current_password: KnownPassword
    new_password: Password


class ResetPassword(Model):
    token_hash: Annotated[str, Field(min_length=1, max_length=500)]
    new_password: Password


class Session(Model):
    """A login. The tokens stand in the cookies as well."""

    user: User
    access_token: str
    refresh_token: str
    expires_in: int


class Outcome(Model):
    status: str


def _session(response: Response, services: Provided, login: Login) -> Data[Session]:
    set_session(response, login.tokens, secure=services.settings.app_env == "production")
    tokens = login.tokens
    return Data(
        data=Session(
            user=login.user,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in,
        )
    )


@app.post("/api/auth/signup", status_code=201)
def sign_up(body: SignUp, response: Response, services: Provided) -> Data[Session | Outcome]:
    login = services.accounts.sign_up(
        email=body.email, password=body.password, name=body.name, company=body.company, phone=body.phone
    )
    if login is None:
        return Data(data=Outcome(status="CONFIRM_EMAIL"))
    return Data(data=_session(response, services, login).data)


@app.post("/api/auth/login")
def log_in(body: LogIn, response: Response, services: Provided) -> Data[Session]:
    return _session(response, services, services.accounts.log_in(email=body.email, password=body.password))


@app.post("/api/auth/refresh")
def refresh(
    request: Request, response: Response, services: Provided, body: RefreshToken | None = None
) -> Data[Session]:
    token = body.refresh_token if body else None
    if token is None:
        token = request.cookies.get(REFRESH_COOKIE)
        if token is None:
            raise Unauthorized("NO_TOKEN", "Send the sb:refresh-token cookie or refreshToken in the body.")
        check_origin(request, services.settings.next_public_app_url)
    return _session(response, services, services.accounts.refresh(token))


@app.post("/api/auth/logout")
def log_out(response: Response, caller: AnyCaller, services: Provided) -> Data[Outcome]:
    services.accounts.log_out(caller.user, caller.identity, caller.token)
    services.users.forget(caller.identity)
    clear_session(response)
    return Data(data=Outcome(status="LOGGED_OUT"))


@app.post("/api/auth/change-password")
def change_password(
    body: ChangePassword, response: Response, caller: AnyCaller, services: Provided
) -> Data[Session]:
    login = services.accounts.change_password(
        caller.identity, current=body.current_password, new=body.new_password
    )
    services.users.forget(caller.identity)
    return _session(response, services, login)


@app.post("/api/auth/resend")
def resend(body: Address, services: Provided) -> Data[Outcome]:
    services.accounts.resend_confirmation(body.email)
    return Data(data=Outcome(status="SENT_IF_KNOWN"))


@app.post("/api/auth/forgot-password")
def forgot_password(body: Address, services: Provided) -> Data[Outcome]:
    services.accounts.forgot_password(body.email)
    return Data(data=Outcome(status="SENT_IF_KNOWN"))


@app.post("/api/auth/reset-password")
def reset_password(body: ResetPassword, response: Response, services: Provided) -> Data[Session]:
    login = services.accounts.reset_password(token_hash=body.token_hash, new=body.new_password)
    return _session(response, services, login)


@app.get("/api/auth/me")
def me(caller: AnyCaller) -> Data[User]:
    return Data(data=caller.user)

"""The whole stack, once for all tests that speak to the API through the gateway."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import randint
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from devstack import Stack
from tests.support.sharing import in_two_halves

PARAMETERS = {"MaxModelMb": "100", "FurtherOrigins": "https://staff.example.com,http://localhost:3001"}
# The gateway speaks plain HTTP; loading the machine's certificates would cost 40 ms a request.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.hookimpl(trylast=True)  # after the marks have taken theirs away
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = in_two_halves(items)


def an_address() -> str:
    """Some loopback address: logins are limited by where they come from."""
    return f"127.{randint(1, 254)}.{randint(0, 255)}.{randint(1, 254)}"


@dataclass
class Client:
    """A caller of the API: with a token, or nobody; each from an address of their own."""

    api_url: str
    token: str = ""
    email: str = ""
    password: str = ""
    user: dict[str, Any] = field(default_factory=dict)
    address: str = field(default_factory=an_address)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        timeout = options.pop("timeout", 35)
        came_from = httpx.HTTPTransport(verify=NO_CERTIFICATES, local_address=self.address)
        with httpx.Client(transport=came_from, timeout=timeout) as http:
            return http.request(method, f"{self.api_url}/api/{path}", headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, json=body, **options)

    def data(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer's data; the test fails with the answer when it is no success."""
        response = self.request(method, path, **({"json": body} if body is not None else {}), **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()["data"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), parameters=PARAMETERS) as running:
        yield running


@pytest.fixture(scope="session")
def database(stack: Stack) -> Iterator[psycopg.Connection]:
    """The database, past the API: to look, and to prepare what time alone would bring."""
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        yield connection


def sign_up(stack: Stack, name: str = "Test Customer", **profile: str) -> Client:
    client = Client(stack.api_url, email=f"{uuid4().hex[:12]}@example.com", password=uuid4().hex)
    body = {"email": client.email, "password": client.password, "name": name, **profile}
    session = client.data("POST", "auth/signup", body)
    client.token, client.user = session["accessToken"], session["user"]
    return client


@pytest.fixture
def nobody(stack: Stack) -> Client:
    return Client(stack.api_url)


@pytest.fixture
def customer(stack: Stack) -> Client:
    """A new client for each test."""
    return sign_up(stack)


@pytest.fixture(scope="session")
def other_customer(stack: Stack) -> Client:
    return sign_up(stack, "Somebody Else")


@pytest.fixture(scope="session")
def shop(stack: Stack) -> Client:
    """The shop: an admin."""
    login = stack.admin(f"shop-{uuid4().hex[:8]}@example.com")
    return Client(stack.api_url, login.accessToken, login.email, login.password)

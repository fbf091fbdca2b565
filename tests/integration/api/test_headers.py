"""The headers by which every answer of every route keeps browsers from doing more than they should."""

import base64
import hashlib
import json
import re
from uuid import uuid4

import httpx
import psycopg
import pytest

from devstack import ROOT, Stack
from tests.conftest import Client
from tests.support.invoices import new_client, written

DOCUMENT = json.loads((ROOT / "functions" / "docs" / "openapi.json").read_text())
ROUTES = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
FOR_EVERYBODY = {"/api/docs", "/api/docs/{asset}", "/api/openapi.json"}
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def directives(response: httpx.Response) -> dict[str, str]:
    policies = response.headers.get_list("content-security-policy")
    assert len(policies) == 1, policies
    pairs = (part.strip().partition(" ") for part in policies[0].split(";"))
    return {name: sources for name, _, sources in pairs}


def assert_guarded(response: httpx.Response) -> None:
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["strict-transport-security"].startswith("max-age=31536000")
    assert response.headers["cross-origin-resource-policy"] == "same-site"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in response.headers["permissions-policy"]
    found = directives(response)
    assert found["default-src"] == "'none'"
    assert found["frame-ancestors"] == "'none'"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_answers_with_every_header(stack: Stack, method: str, path: str) -> None:
    """To nobody, about nothing: a refusal, mostly."""
    answer = Client(stack.api_url).request(method, re.sub(r"\{\w+\}", "1", path).removeprefix("/api/"))
    assert_guarded(answer)
    if path not in FOR_EVERYBODY:
        assert answer.headers["cache-control"] == "no-store"


def test_a_personal_answer_is_never_stored(customer: Client, shop: Client) -> None:
    answers = [customer.get("auth/me"), customer.get("invoices"), shop.get("clients"), shop.get("settings")]
    for answer in answers:
        assert answer.is_success
        assert_guarded(answer)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == NOTHING


def test_a_refused_body_carries_them(customer: Client, nobody: Client) -> None:
    too_large = b" " * (1024 * 1024 + 1)
    kind = {"content-type": "application/json"}
    for answer, status in (
        (customer.request("POST", "quick-order/price", content=b"{", headers=kind), 400),
        (customer.request("POST", "quick-order/price", content=too_large, headers=kind), 413),
        (nobody.post("auth/login", {}), 422),
    ):
        assert answer.status_code == status
        assert_guarded(answer)


def hosts_of(page: httpx.Response) -> list[str]:
    return re.findall(r"(?:src|href|action)=[\"']?(?:https?:)?//", page.text)


def test_the_page_of_a_pay_link_may_show_its_own_style_and_no_more(nobody: Client) -> None:
    page = nobody.get(f"pay/{uuid4().hex}")
    assert page.headers["content-type"].startswith("text/html")
    assert_guarded(page)
    found = directives(page)
    assert found["style-src"] == f"'sha256-{digest_of(page, 'style')}'"
    assert found.keys() == {"default-src", "base-uri", "form-action", "frame-ancestors", "style-src"}
    assert hosts_of(page) == []
    assert page.headers["cache-control"] == "no-store"


def digest_of(page: httpx.Response, tag: str) -> str:
    (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.text, re.S)
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_of_a_quotes_link_runs_its_own_script_alone(nobody: Client) -> None:
    page = nobody.get(f"public/quotes/{uuid4().hex}", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert_guarded(page)
    found = directives(page)
    assert found["script-src"] == f"'sha256-{digest_of(page, 'script')}'"
    assert found["style-src"] == f"'sha256-{digest_of(page, 'style')}'"
    assert found["connect-src"] == "'self'"


def test_the_docs_page_loads_from_here_alone(nobody: Client) -> None:
    page = nobody.get("docs")
    assert_guarded(page)
    found = directives(page)
    assert (found["script-src"], found["style-src"], found["connect-src"]) == ("'self'",) * 3
    assert hosts_of(page) == []
    assert "unsafe" not in page.headers["content-security-policy"]


def test_a_redirect_carries_them_and_tells_nobody_where_it_came_from(
    shop: Client, database: psycopg.Connection
) -> None:
    answer = httpx.get(written(shop, new_client(database))["payUrl"], timeout=35)
    assert answer.status_code == 303
    assert_guarded(answer)
    assert answer.headers["cache-control"] == "no-store"

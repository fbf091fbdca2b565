"""Every route × every caller, as the hand-written matrix says: allowed succeeds, denied changes no row."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import psycopg
import pytest

from devstack import ROOT, Stack
from tests.conftest import Client
from tests.e2e.rights.matrix import Rights, read_matrix
from tests.e2e.scenes import SCENES, Scene, World
from tests.integration.api.traces import nothing_left_behind

MATRIX = read_matrix()

UNLOGGED = {
    f"POST /api/{path}"
    for path in (
        "auth/login", "auth/refresh", "auth/logout", "auth/resend", "auth/forgot-password",
        "quick-order/uploads", "quick-order/uploads/{id}/complete", "quick-order/slice", "quick-order/price",
        "invoices/{id}/attachments", "stripe/webhook",
    )
} | {"DELETE /api/tmp-files/{id}", "DELETE /api/invoices/{id}/pdf", "DELETE /api/quotes/{id}/pdf"}  # fmt: skip
"""Sessions, uploads that are no part of a document yet, prices that nobody took, and copies that are made anew."""


@pytest.fixture(scope="module")
def world(stack: Stack, shop: Client) -> World:
    return World(stack, shop)


@pytest.fixture(scope="module")
def callers(stack: Stack, world: World) -> dict[str, Client]:
    past = datetime.now(UTC) - timedelta(hours=2)
    claims = jwt.decode(world.owner.token, options={"verify_signature": False})
    expired = jwt.encode(
        {**claims, "iat": past, "exp": past + timedelta(hours=1)}, stack.supabase.jwt_secret, "HS256"
    )
    return {
        "nobody": Client(stack.api_url),
        "owner": world.owner,
        "other": world.other,
        "admin": world.shop,
        "expired": Client(stack.api_url, expired),
    }


def send(scene: Scene, rights: Rights, callers: dict[str, Client], role: str) -> httpx.Response:
    stands_in = scene.caller if rights.cells[role] == "ok" else None
    return scene.send(rights.method, rights.path, stands_in or callers[role], role)


def test_every_route_of_the_document_has_its_line_and_no_other() -> None:
    document = json.loads((ROOT / "functions" / "docs" / "openapi.json").read_text())
    routes = {
        (method.upper(), path) for path, operations in document["paths"].items() for method in operations
    }
    assert {(rights.method, rights.path) for rights in MATRIX} == routes


def test_every_line_has_its_scene_and_no_other() -> None:
    assert {(rights.method, rights.path) for rights in MATRIX} == set(SCENES)


@pytest.mark.parametrize("rights", MATRIX, ids=lambda rights: rights.name)
def test_what_is_denied_is_refused_and_changes_no_row(
    stack: Stack, database: psycopg.Connection, world: World, callers: dict[str, Client], rights: Rights
) -> None:
    if not rights.denied:
        return
    builder = SCENES[rights.method, rights.path]
    scene = builder(world, "owner" if rights.cells["owner"] == "ok" else "admin")
    world.rest()
    with nothing_left_behind(stack, database):
        answers = {role: send(scene, rights, callers, role) for role in rights.denied}
    found = {role: answer.status_code for role, answer in answers.items()}
    assert found == rights.denied, {role: answer.text for role, answer in answers.items()}
    for answer in answers.values():
        assert answer.json()["error"]["code"]


@pytest.mark.parametrize("rights", MATRIX, ids=lambda rights: rights.name)
def test_what_is_allowed_succeeds(world: World, callers: dict[str, Client], rights: Rights) -> None:
    scene: Scene | None = None
    for role in rights.allowed:
        if scene is None or rights.method != "GET":  # what is only read can be read again
            scene = SCENES[rights.method, rights.path](world, role)
        answer = send(scene, rights, callers, role)
        assert answer.status_code < 400, f"{role}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize(
    "rights", [rights for rights in MATRIX if rights.method != "GET"], ids=lambda rights: rights.name
)
def test_every_change_is_in_the_activity_log(
    database: psycopg.Connection, world: World, callers: dict[str, Client], rights: Rights
) -> None:
    role = next(role for role in ("admin", "owner") if rights.cells[role] == "ok")
    scene = SCENES[rights.method, rights.path](world, role)
    world.rest()
    before = entries(database)
    assert send(scene, rights, callers, role).status_code < 400
    assert (entries(database) > before) is (rights.name not in UNLOGGED)


def entries(database: psycopg.Connection) -> int:
    row = database.execute("select count(*) from activity_logs").fetchone()
    assert row is not None
    return int(row[0])

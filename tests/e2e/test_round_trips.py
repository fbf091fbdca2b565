"""Beside at most one look-up of the user: one request to Supabase for any read, one rpc for any write.

A login has its attempt counted before it is looked at. Files are apart: each object that moves, is signed, looked at
or removed is one request more; and so is Supabase Auth, which is the work itself of the account routes.
"""

import pytest

from devstack import Stack
from tests.conftest import Client
from tests.e2e.rights.matrix import Rights, read_matrix
from tests.e2e.round_trips import count
from tests.e2e.scenes import World

EXPORT = "the page of rows, then the file's own row once it is stored"
STRIPE = "what is owed, before Stripe makes the page; then the page"
REFUND = "the request, before Stripe makes the refund; then Stripe's answer"
TWO_RPCS = {
    "POST /api/quick-order/uploads/{id}/complete": "whose file it is, before its object is looked at; its state",
    "POST /api/invoices/{id}/attachments/{aid}/complete": "the same",
    "POST /api/quick-order/checkout": "what prices it, before the copies are made; then the order",
    "POST /api/auth/reset-password": "the account, before the password is set at the login service; its sessions",
    "POST /api/invoices/{id}/stripe-session": STRIPE,
    "GET /api/pay/{token}": STRIPE,
    "POST /api/invoices/{id}/refunds": REFUND,
    "GET /api/export/invoices.csv": EXPORT,
    "GET /api/export/payments.csv": EXPORT,
    "GET /api/export/jobs.csv": EXPORT,
    "GET /api/export/ar-aging.csv": EXPORT,
}
"""Routes where another service's work stands between a look and a write."""


@pytest.fixture(scope="module")
def world(stack: Stack, shop: Client) -> World:
    return World(stack, shop)


@pytest.mark.parametrize("rights", read_matrix(), ids=lambda rights: rights.name)
def test_a_route_asks_the_database_once(world: World, rights: Rights) -> None:
    role = next(role for role in ("owner", "admin") if rights.cells[role] == "ok")
    trips = count(world, rights.method, rights.path, role)
    rpcs = [kind for kind in trips.beside_the_look_up if kind not in {"storage", "auth"}]
    assert len(rpcs) <= (2 if rights.name in TWO_RPCS else 1), str(trips)

"""For every route a request that succeeds when the right caller sends it, with what it needs made before.

SCENES[method, path](world, role) → Scene. `role` is who will send it: owner, other, admin (or anybody, where the
route is public); most scenes are the owner's whoever asks.
"""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import stripe

from devstack import Stack
from devstack.stripe import pay
from tests.conftest import Client, sign_up
from tests.support.mails import recovery_token
from tests.support.models import cube_stl
from tests.support.orders import checked_out, order_of, put, request_upload, slice_request, sliced, uploaded

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
DOCUMENT = {
    "items": [{"description": "Design", "quantity": 1.5, "unitPriceCents": 9000}],
    "shippingCents": 1250,
}


@dataclass
class Scene:
    """One request; `caller` when the role's own login must not be the one (its session would end). `shop_adds` are
    fields of the body that the shop must give and a client must not."""

    path: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    caller: Client | None = None
    shop_adds: dict[str, Any] = field(default_factory=dict)

    def send(self, method: str, path: str, caller: Client, role: str) -> httpx.Response:
        headers = dict(self.headers)
        if "Idempotency-Key" in headers:
            headers["Idempotency-Key"] = str(uuid4())
        body = {**self.body, **self.shop_adds} if role == "admin" and self.shop_adds else self.body
        options: dict[str, Any] = {"json": body} if body is not None else {}
        if self.content is not None:
            options = {"content": self.content}
        return caller.request(
            method,
            path.removeprefix("/api/").format(**self.path),
            headers=headers,
            params=self.query,
            **options,
        )


class World:
    """Two customers and the shop, and what they need to begin with."""

    def __init__(self, stack: Stack, shop: Client) -> None:
        self.stack = stack
        self.shop = shop
        self.owner = sign_up(stack, "Olga Owner")
        self.other = sign_up(stack, "Otto Other")
        self.nobody = Client(stack.api_url)

    def client_of(self, role: str) -> Client:
        return {"owner": self.owner, "other": self.other, "admin": self.shop}.get(role, self.nobody)

    def rest(self) -> None:
        """Wait until nothing is sliced, looked at or mailed any more: nothing but the request shall change a row."""
        deadline = time.monotonic() + 60
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as database:
            while time.monotonic() < deadline:
                busy = database.execute(
                    "select (select count(*) from tmp_files where queued_at is not null or status = 'running'"
                    "   or (inspection_sent_at is not null and inspection is null))"
                    " + (select count(*) from mails where status in ('QUEUED', 'SENDING'))"
                ).fetchone()
                if busy == (0,):
                    return
                time.sleep(0.05)
        raise TimeoutError("slices or mails are still under way")

    # -- what scenes begin with ----------------------------------------------------------------------------

    @cached_property
    def slice(self) -> dict[str, Any]:
        """The owner's finished slice."""
        return sliced(self.owner, "cube.stl", cube_stl(5))

    def file(self) -> int:
        """A new uploaded file of the owner's."""
        return uploaded(self.owner, "file.stl", cube_stl(6))

    def ordered(self) -> dict[str, Any]:
        """An invoice of the owner's with order files."""
        return checked_out(self.owner, self.slice)

    def order_file(self) -> int:
        rows = self.shop.data("GET", f"invoices/{self.ordered()['id']}/files")
        return int(rows[0]["id"])

    def invoice(self) -> int:
        body = {**DOCUMENT, "clientId": self.owner.user["clientId"]}
        return int(self.shop.data("POST", "invoices", body)["id"])

    def quote(self) -> int:
        body = {**DOCUMENT, "clientId": self.owner.user["clientId"]}
        return int(self.shop.data("POST", "quotes", body)["id"])

    def sent_quote(self) -> int:
        """As `send` leaves it, but for the mail, which a browser would draw for each."""
        quote = self.quote()
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as database:
            database.execute("update quotes set status = 'PENDING', sent_at = now() where id = %s", (quote,))
        return quote

    def public_token(self) -> str:
        url: str = self.shop.data("GET", f"quotes/{self.sent_quote()}")["publicUrl"]
        return url.rpartition("/")[2]

    def payment(self) -> tuple[int, int]:
        """An invoice and its one partial payment."""
        invoice = self.invoice()
        body = {"amountCents": 100, "method": "CASH"}
        self.shop.data("POST", f"invoices/{invoice}/payments", body, headers=key())
        return invoice, int(self.shop.data("GET", f"invoices/{invoice}/payments")[0]["id"])

    def pending_attachment(self) -> tuple[int, int]:
        """An invoice and an attachment whose bytes have arrived."""
        invoice = self.invoice()
        body = {"filename": "drawing.png", "sizeBytes": len(PNG)}
        upload = self.shop.data("POST", f"invoices/{invoice}/attachments", body)
        assert httpx.put(upload["uploadUrl"], content=PNG, headers={"content-type": "image/png"}).is_success
        return invoice, int(upload["id"])

    def attachment(self) -> tuple[int, int]:
        invoice, attachment = self.pending_attachment()
        self.shop.data("POST", f"invoices/{invoice}/attachments/{attachment}/complete")
        return invoice, attachment

    def paid_by_card(self) -> int:
        """An invoice that Stripe has been paid for, and said so."""
        invoice = self.invoice()
        assert pay(self.owner.data("POST", f"invoices/{invoice}/stripe-session")["url"]).status_code == 303
        self.stack.stripe.control.wait_until_delivered()
        return invoice

    def job(self) -> int:
        invoice = self.invoice()
        self.shop.data("POST", f"invoices/{invoice}/mark-paid", {"method": "CASH"}, headers=key())
        return int(self.shop.data("GET", f"invoices/{invoice}")["job"]["id"])


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


def name(noun: str) -> str:
    return f"{noun} {uuid4().hex[:10]}"


type Builder = Callable[[World, str], Scene]
SCENES: dict[tuple[str, str], Builder] = {}


def scene(method: str, path: str) -> Callable[[Builder], Builder]:
    """Registers the builder of a route's scene."""

    def register(builder: Builder) -> Builder:
        SCENES[method, f"/api/{path}"] = builder
        return builder

    return register


def simple(method: str, *paths: str) -> None:
    """Routes that need nothing made before."""
    for path in paths:
        scene(method, path)(lambda _world, _role: Scene())


simple("GET", "auth/me", "admin/users", "clients", "client/dashboard", "client/invoices", "client/jobs")
simple("GET", "client/materials", "client/preferences", "quotes", "invoices", "tmp-files", "jobs", "printers")
simple("GET", "print-factors")
simple("GET", "materials", "product-templates", "messages", "settings", "dashboard", "health", "health/ready")
simple(
    "GET",
    "openapi.json",
    "docs",
    *(f"export/{name}.csv" for name in ("invoices", "payments", "jobs", "ar-aging")),
)
scene("GET", "docs/{asset}")(lambda _world, _role: Scene({"asset": "swagger-ui.css"}))


# -- account ---------------------------------------------------------------------------------------------------


def fresh(world: World) -> Client:
    return sign_up(world.stack, "Fresh Login")


@scene("POST", "auth/signup")
def _(world: World, role: str) -> Scene:
    return Scene(body={"email": f"{uuid4().hex[:12]}@example.com", "password": uuid4().hex, "name": "New"})


@scene("POST", "auth/login")
def _(world: World, role: str) -> Scene:
    return Scene(body={"email": world.owner.email, "password": world.owner.password})


@scene("POST", "auth/refresh")
def _(world: World, role: str) -> Scene:
    login = fresh(world)
    body = {"email": login.email, "password": login.password}
    return Scene(body={"refreshToken": world.nobody.data("POST", "auth/login", body)["refreshToken"]})


@scene("POST", "auth/logout")
def _(world: World, role: str) -> Scene:
    return Scene(caller=fresh(world))


@scene("POST", "auth/change-password")
def _(world: World, role: str) -> Scene:
    login = fresh(world)
    return Scene(body={"currentPassword": login.password, "newPassword": uuid4().hex}, caller=login)


for _route in ("auth/resend", "auth/forgot-password"):
    # An address of its own each time, for a mailbox takes five in a while.
    scene("POST", _route)(lambda world, _role: Scene(body={"email": fresh(world).email}))


@scene("POST", "auth/reset-password")
def _(world: World, role: str) -> Scene:
    login = fresh(world)
    world.nobody.data("POST", "auth/forgot-password", {"email": login.email})
    token = recovery_token(world.stack, login.email)
    return Scene(body={"tokenHash": token, "newPassword": uuid4().hex})


# -- users, clients, the portal --------------------------------------------------------------------------------


def invitation(world: World) -> dict[str, Any]:
    return {
        "email": f"{uuid4().hex[:12]}@example.com",
        "name": "Invited",
        "role": "CLIENT",
        "clientId": world.other.user["clientId"],
    }


@scene("POST", "admin/users")
def _(world: World, role: str) -> Scene:
    return Scene(body=invitation(world))


@scene("DELETE", "admin/users/{id}")
def _(world: World, role: str) -> Scene:
    return Scene({"id": fresh(world).user["id"]})


@scene("GET", "admin/users/{id}/messages")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.owner.user["id"]})


@scene("POST", "admin/users/{id}/messages")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.owner.user["id"]}, {"body": "Your print is ready."})


def client_body() -> dict[str, Any]:
    return {"name": name("Client"), "email": "client@example.com"}


def new_client(world: World) -> int:
    return int(world.shop.data("POST", "clients", client_body())["id"])


@scene("POST", "clients")
def _(world: World, role: str) -> Scene:
    return Scene(body=client_body())


@scene("GET", "clients/{id}")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.owner.user["clientId"]})


@scene("PUT", "clients/{id}")
def _(world: World, role: str) -> Scene:
    return Scene({"id": new_client(world)}, client_body())


@scene("DELETE", "clients/{id}")
def _(world: World, role: str) -> Scene:
    return Scene({"id": new_client(world)})


@scene("POST", "clients/{id}/notes")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.owner.user["clientId"]}, {"body": "Pays in cash."})


@scene("GET", "clients/{id}/order-files")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.owner.user["clientId"]})


@scene("GET", "clients/{id}/statement.pdf")
def _(world: World, role: str) -> Scene:
    world.invoice()
    return Scene({"id": world.owner.user["clientId"]}, query={"from": "2020-01-01"})


@scene("PUT", "client/preferences")
def _(world: World, role: str) -> Scene:
    return Scene(body=world.owner.data("GET", "client/preferences"))


# -- quotes ----------------------------------------------------------------------------------------------------


@scene("POST", "quotes")
def _(world: World, role: str) -> Scene:
    return Scene(body={**DOCUMENT, "clientId": world.owner.user["clientId"]})


@scene("PUT", "quotes/{id}")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.quote()}, {**DOCUMENT, "clientId": world.owner.user["clientId"]})


@scene("DELETE", "quotes/{id}")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.quote()})


@scene("POST", "quotes/{id}/send")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.quote()}, {}, headers=key())


for _route in ("quotes/{id}", "quotes/{id}/files", "quotes/{id}/pdf"):
    scene("GET", _route)(lambda world, _role: Scene({"id": world.sent_quote()}))
for _route in ("convert", "duplicate", "rotate-token"):
    scene("POST", f"quotes/{{id}}/{_route}")(lambda world, _role: Scene({"id": world.sent_quote()}))
for _route in ("accept", "decline"):
    scene("POST", f"quotes/{{id}}/{_route}")(
        lambda world, _role: Scene({"id": world.sent_quote()}, {"note": "Thank you."})
    )
    scene("POST", f"public/quotes/{{token}}/{_route}")(
        lambda world, _role: Scene({"token": world.public_token()}, {})
    )
scene("GET", "public/quotes/{token}")(lambda world, _role: Scene({"token": world.public_token()}))
scene("DELETE", "quotes/{id}/pdf")(lambda world, _role: Scene({"id": world.sent_quote()}))


# -- invoices --------------------------------------------------------------------------------------------------


@scene("POST", "invoices")
def _(world: World, role: str) -> Scene:
    return Scene(body={**DOCUMENT, "clientId": world.owner.user["clientId"]})


@scene("PUT", "invoices/{id}")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.invoice()}, {**DOCUMENT, "clientId": world.owner.user["clientId"]})


for _route in ("invoices/{id}", "invoices/{id}/payments", "invoices/{id}/attachments", "invoices/{id}/files"):
    scene("GET", _route)(lambda world, _role: Scene({"id": world.invoice()}))
for _route in ("invoices/{id}/messages", "invoices/{id}/activity", "invoices/{id}/pdf"):
    scene("GET", _route)(lambda world, _role: Scene({"id": world.invoice()}))
for _route in ("invoices/{id}", "invoices/{id}/pdf"):
    scene("DELETE", _route)(lambda world, _role: Scene({"id": world.invoice()}))
for _route in ("void", "write-off", "rotate-token", "stripe-session"):
    scene("POST", f"invoices/{{id}}/{_route}")(lambda world, _role: Scene({"id": world.invoice()}))


scene("GET", "invoices/{id}/receipt.pdf")(lambda world, _role: Scene({"id": world.payment()[0]}))


@scene("POST", "invoices/{id}/mark-paid")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.invoice()}, {"method": "CASH"}, headers=key())


@scene("POST", "invoices/{id}/refunds")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.paid_by_card()}, {"amountCents": 100}, headers=key())


@scene("POST", "invoices/{id}/mark-unpaid")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.payment()[0]})


@scene("POST", "invoices/{id}/revert")
def _(world: World, role: str) -> Scene:
    invoice = world.shop.data("POST", f"quotes/{world.sent_quote()}/convert")
    return Scene({"id": invoice["id"]})


@scene("POST", "invoices/{id}/send")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.invoice()}, {}, headers=key())


@scene("POST", "invoices/{id}/payments")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.invoice()}, {"amountCents": 100, "method": "CASH"}, headers=key())


@scene("DELETE", "invoices/{id}/payments/{pid}")
def _(world: World, role: str) -> Scene:
    invoice, payment = world.payment()
    return Scene({"id": invoice, "pid": payment})


@scene("POST", "invoices/{id}/attachments")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.invoice()}, {"filename": "drawing.png", "sizeBytes": len(PNG)})


@scene("POST", "invoices/{id}/attachments/{aid}/complete")
def _(world: World, role: str) -> Scene:
    invoice, attachment = world.pending_attachment()
    return Scene({"id": invoice, "aid": attachment})


for _route in ("GET", "DELETE"):

    @scene(_route, "invoices/{id}/attachments/{aid}")
    def _(world: World, role: str) -> Scene:
        invoice, attachment = world.attachment()
        return Scene({"id": invoice, "aid": attachment})

    @scene(_route, "order-files/{id}")
    def _(world: World, role: str) -> Scene:
        return Scene({"id": world.order_file()})


@scene("POST", "invoices/{id}/messages")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.invoice()}, {"body": "When will it be ready?"})


# -- paying ----------------------------------------------------------------------------------------------------


@scene("GET", "pay/{token}")
def _(world: World, role: str) -> Scene:
    url: str = world.owner.data("GET", f"invoices/{world.invoice()}")["payUrl"]
    return Scene({"token": url.rpartition("/")[2]})


scene("GET", "stripe/unmatched")(lambda _world, _role: Scene())


@scene("POST", "stripe/webhook")
def _(world: World, role: str) -> Scene:
    event = {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "api_version": None,
        "created": int(time.time()),
        "livemode": False,
        "type": "customer.created",
        "data": {"object": {"id": "cus_1", "object": "customer"}},
    }
    body = json.dumps(event)
    at = int(time.time())
    digest = stripe.WebhookSignature._compute_signature(f"{at}.{body}", world.stack.webhook_secret)
    headers = {"stripe-signature": f"t={at},v1={digest}", "content-type": "application/json"}
    return Scene(content=body.encode(), headers=headers)


# -- quick order -----------------------------------------------------------------------------------------------


@scene("POST", "quick-order/uploads")
def _(world: World, role: str) -> Scene:
    return Scene(body={"files": [{"filename": "cube.stl", "sizeBytes": 684}]})


@scene("POST", "quick-order/uploads/{id}/complete")
def _(world: World, role: str) -> Scene:
    upload = request_upload(world.owner, "cube.stl", len(cube_stl()))
    put(upload, cube_stl())
    return Scene({"id": upload["id"]})


@scene("POST", "quick-order/slice")
def _(world: World, role: str) -> Scene:
    return Scene(body=slice_request(world.file()))


@scene("GET", "quick-order/files/{id}")
def _(world: World, role: str) -> Scene:
    return Scene({"id": world.slice["id"]})


@scene("GET", "quick-order/files/{id}/preview.png")
def _(world: World, role: str) -> Scene:
    file_id = world.slice["id"]
    world.rest()  # for its picture
    return Scene({"id": file_id})


@scene("POST", "quick-order/price")
def _(world: World, role: str) -> Scene:
    return Scene(body=order_of(world.slice), shop_adds={"clientId": world.owner.user["clientId"]})


@scene("POST", "quick-order/checkout")
def _(world: World, role: str) -> Scene:
    order = order_of(world.slice)
    total = world.owner.data("POST", "quick-order/price", order)["totalCents"]
    body = {**order, "expectedTotalCents": total}
    return Scene(body=body, headers=key(), shop_adds={"clientId": world.owner.user["clientId"]})


for _route in ("GET", "DELETE"):
    scene(_route, "tmp-files/{id}")(lambda world, _role: Scene({"id": world.file()}))


# -- workshop --------------------------------------------------------------------------------------------------


scene("GET", "jobs/{id}")(lambda world, _role: Scene({"id": world.job()}))
scene("PATCH", "jobs/{id}")(lambda world, _role: Scene({"id": world.job()}, {"notes": "Black."}))
scene("POST", "jobs/{id}/status")(
    lambda world, _role: Scene({"id": world.job()}, {"status": "PRE_PROCESSING"})
)
scene("POST", "jobs/reorder")(lambda world, _role: Scene(body={"jobIds": [world.job()]}))


@scene("POST", "jobs/{id}/archive")
def _(world: World, role: str) -> Scene:
    job = world.job()
    world.shop.data("POST", f"jobs/{job}/status", {"status": "CANCELLED"})
    return Scene({"id": job})


def printer() -> dict[str, Any]:
    return {"name": name("Printer"), "model": "MK4", "bedXMm": 250, "bedYMm": 210, "bedZMm": 220}


def material() -> dict[str, Any]:
    return {"name": name("Material"), "costPerKgCents": 3500, "densityMgCm3": 1240}


def template() -> dict[str, Any]:
    return {"name": name("Template"), "pricingType": "FIXED", "unitPriceCents": 9000}


def catalogue(noun: str, body: Callable[[], dict[str, Any]]) -> None:
    """The three writes of a catalogue's noun."""

    def made(world: World) -> dict[str, Any]:
        return {"id": world.shop.data("POST", noun, body())["id"]}

    scene("POST", noun)(lambda _world, _role: Scene(body=body()))
    scene("PUT", f"{noun}/{{id}}")(lambda world, _role: Scene(made(world), body()))
    scene("DELETE", f"{noun}/{{id}}")(lambda world, _role: Scene(made(world)))


catalogue("printers", printer)
catalogue("materials", material)
catalogue("product-templates", template)


# -- back office -----------------------------------------------------------------------------------------------


@scene("POST", "messages")
def _(world: World, role: str) -> Scene:
    thread = {"userId": world.owner.user["id"]} if role == "admin" else {}
    return Scene(body={"body": "Hello.", **thread})


@scene("PUT", "settings")
def _(world: World, role: str) -> Scene:
    phone = f"+61 2 {uuid4().int % 10**8:08d}"
    return Scene(body={**world.shop.data("GET", "settings"), "businessPhone": phone})


@scene("POST", "settings/logo")
def _(world: World, role: str) -> Scene:
    square = f'<rect width="8" height="8" fill="#{uuid4().hex[:6]}"/>'
    logo = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">{square}</svg>'
    return Scene(content=logo.encode(), headers={"content-type": "image/svg+xml"})

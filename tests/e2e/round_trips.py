"""The requests that one call of the API makes Supabase answer, counted at Supabase's end."""

import time
from dataclasses import dataclass

from tests.conftest import Client
from tests.e2e.scenes import SCENES, Scene, World

BESIDE = {
    "claim_slice", "report_slice_progress", "complete_slice", "fail_slice", "record_heartbeat",
    "get_inspection_input", "store_inspection", "claim_mail", "set_mail_pdf", "mark_mail_sent", "fail_mail",
}  # fmt: skip
"""What the slicer, the mailer and a function's start ask, on their own time."""
LOOK_UPS = ("authenticate", "get_request_context", "count_attempt")
"""Whether the caller may ask at all: who is logged in, and how often whoever is not has tried."""


@dataclass(frozen=True)
class RoundTrips:
    """Requests by what they are: `authenticate`, `get_request_context`, an rpc's name, `storage` or `auth`."""

    made: tuple[str, ...]

    @property
    def beside_the_look_up(self) -> list[str]:
        made = list(self.made)
        for look_up in LOOK_UPS:
            if look_up in made:
                made.remove(look_up)
        return made

    def __str__(self) -> str:
        return " + ".join(self.made) or "none"


def caller_of(world: World, scene: Scene, role: str) -> Client:
    return scene.caller or world.client_of(role)


def count(world: World, method: str, path: str, role: str, *, cold: bool = False) -> RoundTrips:
    """Send a route's scene once it may succeed and nothing else is under way; what it took. Cold: a new process."""
    scene = SCENES[method, path](world, role)
    world.rest()
    if cold:
        world.stack.gateway.recycle(function_of(world, method, path))
    supabase = world.stack.supabase
    before = len(supabase.requests())
    answer = scene.send(method, path, caller_of(world, scene, role), role)
    assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
    seen = -1
    while seen != len(supabase.requests()):
        seen = len(supabase.requests())
        time.sleep(0.03)
    lines = supabase.requests()[before:]
    world.rest()
    made = kinds_of(lines)
    if path != "/api/stripe/webhook":
        # Stripe tells of a refund or of a closed page at once, by a request of its own.
        made = tuple(kind for kind in made if kind != "apply_stripe_event")
    return RoundTrips(made)


def kinds_of(lines: list[str]) -> tuple[str, ...]:
    """What requests of Supabase's log are, without those of functions at work on their own."""
    return tuple(kind for line in lines if (kind := _kind(line.split()[1])) not in BESIDE)


def _kind(path: str) -> str:
    for prefix, kind in (("/storage/", "storage"), ("/auth/", "auth")):
        if path.startswith(prefix):
            return kind
    return path.removeprefix("/rest/v1/rpc/")


def function_of(world: World, method: str, path: str) -> str:
    """The logical id of the function that serves a route."""
    routes = world.stack.gateway.application.routes
    return next(route.function for route in routes if (route.method, route.path) == (method, path))

"""The database's functions as the back end calls them, and rows made and looked at past them."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from printshop.slicing.settings import PrintProfile, SliceSettings, settings_hash

SETTINGS = {
    "layerHeight": 0.2,
    "infill": 15,
    "supports": {"enabled": False, "pattern": "normal", "angle": 45},
}
RESULT = {
    "massMg": 4150,
    "volumeMm3": 3346,
    "filamentMm": 1391,
    "timeSec": 1234,
    "slicer": "PrusaSlicer",
    "slicerVersion": "2.5.0",
    "profile": "generic/pla",
    "notes": [],
    "gcodeBytes": 1000,
}
GEOMETRY = {
    "triangles": 684, "box": {"x": 20.0, "y": 20.0, "z": 20.0}, "volumeMm3": 8000.0, "areaMm2": 2400.0,
    "isInverted": False, "unit": None,
}  # fmt: skip
PROFILE = PrintProfile(
    printer="generic", material="pla", bed_mm=(250, 210, 220), nozzle_um=400, density_mg_cm3=1240
)
DOCUMENT = {
    "currency": "AUD",
    "subtotalCents": 10_000,
    "discountCents": 0,
    "shippingCents": 1250,
    "shippingLabel": "Metro delivery",
    "taxRateBps": 1000,
    "taxCents": 1125,
    "totalCents": 12_375,
    "notes": "",
}
ITEM = {
    "description": "3D print of bunny.stl, 2 pieces in PLA",
    "quantityMilli": 1000,
    "unitPriceCents": 10_000,
    "totalCents": 10_000,
    "details": {"pieces": 2, "timeSec": 100, "massMg": 4150, "fastTrack": True},
}
SERVICE_ROLE = b"set role service_role"


@dataclass(frozen=True)
class Customer:
    user_id: int
    client_id: int


def call(connection: psycopg.Connection, function: str, **params: Any) -> Any:
    """One function by named parameters; JSON objects and lists of them as jsonb, other lists as arrays."""

    def adapted(value: Any) -> Any:
        is_json = isinstance(value, dict) or (
            isinstance(value, list) and all(isinstance(v, dict) for v in value)
        )
        return Jsonb(value) if is_json else value

    names = ", ".join(f"{name} => %({name})s" for name in params)
    row = connection.execute(
        f"select {function}({names})".encode(), {name: adapted(value) for name, value in params.items()}
    ).fetchone()
    assert row is not None
    return row[0]


class Shop:
    """Autocommit: each call is one transaction, as by PostgREST."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> Self:
        self.rows = psycopg.connect(self.url, autocommit=True)
        self._service = self.service()
        return self

    def __exit__(self, *_: object) -> None:
        self.rows.close()
        self._service.close()

    def service(self, *, autocommit: bool = True) -> psycopg.Connection:
        """Another connection with the service key's rights, and no others."""
        connection = psycopg.connect(self.url, autocommit=True)
        connection.execute(SERVICE_ROLE)
        connection.autocommit = autocommit
        return connection

    def call(self, function: str, **params: Any) -> Any:
        return call(self._service, function, **params)

    def value(self, query: str, *params: Any) -> Any:
        """The first column of the first row."""
        row = self.rows.execute(query.encode(), params).fetchone()
        return None if row is None else row[0]

    def at_once[T](self, count: int, act: Callable[[psycopg.Connection, int], T]) -> list[T]:
        """`act` on `count` connections, let go at the same moment."""
        connections = [self.service() for _ in range(count)]
        gate = threading.Barrier(count)

        def run(number: int) -> T:
            gate.wait(10)
            return act(connections[number], number)

        try:
            with ThreadPoolExecutor(count) as pool:
                return list(pool.map(run, range(count)))
        finally:
            for connection in connections:
                connection.close()

    # -- what tests begin with ---------------------------------------------------------------------------------

    def customer(self) -> Customer:
        login, email = uuid4(), f"{uuid4().hex[:12]}@example.com"
        self.rows.execute("insert into auth.users (id, email) values (%s, %s)", (login, email))
        user = self.call(
            "open_account", p_auth_user_id=login, p_email=email, p_name="Clara", p_company="", p_phone=""
        )
        return Customer(user["id"], user["clientId"])

    def uploaded(self, customer: Customer, filename: str = "bunny.stl", content: str | None = None) -> int:
        """A file of the customer's that has arrived; its id. Equal `content` has equal hashes."""
        row = {
            "storageKey": f"{customer.user_id}/{uuid4()}/{filename}",
            "filename": filename,
            "sizeBytes": 684,
            "mimeType": "model/stl",
        }
        saved = self.call("save_tmp_files", p_user_id=customer.user_id, p_files=[row], p_uploaded=False)
        file_id = int(saved[0]["id"])
        self.call(
            "accept_upload",
            p_user_id=customer.user_id,
            p_file=str(file_id),
            p_size_bytes=684,
            p_content_hash=hashlib.sha256((content or str(file_id)).encode()).hexdigest(),
            p_geometry=GEOMETRY,
            p_waiting_limit=50,
        )
        return file_id

    def request(self, customer: Customer, file: int | str, **changes: Any) -> Any:
        return self.call("request_slice", **self.slice_request(customer, file, **changes))

    def slice_request(self, customer: Customer, file: int | str, **changes: Any) -> dict[str, Any]:
        """Parameters of request_slice: the usual settings in PLA, or in the material that is named."""
        material_id = changes.pop("p_material_id", None) or self.value(
            "select id from materials where name = 'PLA'"
        )
        return {
            "p_user_id": customer.user_id,
            "p_file": str(file),
            "p_settings": SETTINGS,
            "p_settings_hash": settings_hash(
                SliceSettings.model_validate(SETTINGS), PROFILE, material_id=material_id
            ),
            "p_profile": PROFILE.model_dump(mode="json", by_alias=True),
            "p_material_id": material_id,
            "p_printer_id": None,
            "p_queue": "SMALL",
            "p_failure": None,
            "p_waiting_limit": 10,
            **changes,
        }

    def claim(self, requested: Any, *, lease_seconds: int = 60) -> Any:
        return self.call(
            "claim_slice",
            p_file_id=requested["id"],
            p_request_id=requested["requestId"],
            p_lease_seconds=lease_seconds,
        )

    def complete(self, claimed: Any, **result: Any) -> Any:
        return self.call(
            "complete_slice",
            p_file_id=claimed["fileId"],
            p_claim_token=claimed["claimToken"],
            p_result={**RESULT, "gcodeKey": f"gcode/{uuid4()}.gcode.gz", **result},
        )

    def fail(self, claimed: Any, *, final: bool = False) -> Any:
        return self.call(
            "fail_slice",
            p_file_id=claimed["fileId"],
            p_claim_token=claimed["claimToken"],
            p_code="SLICER_FAILED",
            p_reason="the slicer stopped.",
            p_final=final,
            p_log_tail="the end of the log",
        )

    def expire_lease(self, file_id: int) -> None:
        """What time, or the death of a worker, would bring."""
        self.rows.execute(
            "update tmp_files set lease_until = now() - interval '1 second' where id = %s", (file_id,)
        )

    def sliced(self, customer: Customer) -> Any:
        """A finished slice; the file's status."""
        file_id = self.uploaded(customer)
        claimed = self.claim(self.request(customer, file_id))
        assert self.complete(claimed) == {"outcome": "stored"}
        return self.status(customer, file_id)

    def status(self, customer: Customer, file: int | str) -> Any:
        answer = self.call("slice_status", p_user_id=customer.user_id, p_file=str(file), p_for_shop=False)
        return {**answer.pop("file", {}), **answer}

    def invoice(self, customer: Customer) -> Any:
        """An invoice of A$123.75, by a quick order."""
        return self.call("checkout_quick_order", **checkout(customer))


def checkout(customer: Customer, **changes: Any) -> dict[str, Any]:
    """Parameters of checkout_quick_order, under a fresh key."""
    return {
        "p_user_id": customer.user_id,
        "p_client_id": customer.client_id,
        "p_key": str(uuid4()),
        "p_body_hash": "a" * 64,
        "p_document": DOCUMENT,
        "p_items": [ITEM],
        "p_files": [],
        "p_review": False,
        **changes,
    }

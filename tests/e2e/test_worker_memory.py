"""The worker's own Python process stays small whatever the model: what is heavy is a child's, or streams."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devstack import Stack
from tests.conftest import Client
from tests.integration.api.traces import wait_until_quiet
from tests.support.orders import put, request_upload, slice_request, wait_for_slice
from tests.unit.slicing.model_makers import CORE, RELATIONSHIPS, ROOT

MAX_MEGABYTES = 150
FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def bumpy_tower(
    rings: int, sides: int, radius: float, height: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A closed, wavy column: corners (n, 3) in mm, and 2 × rings × sides triangles of three indices each."""
    level, side = np.meshgrid(np.arange(rings + 1), np.arange(sides), indexing="ij")
    around = 2 * np.pi * side / sides
    r = radius * (1 + 0.05 * np.sin(9 * around + level / 50))
    wall = np.stack((r * np.cos(around), r * np.sin(around), height * level / rings), axis=-1).reshape(-1, 3)
    corners = np.vstack((wall, [[0, 0, 0], [0, 0, height]]))
    a = (np.arange(rings)[:, None] * sides + np.arange(sides)).ravel()
    b = (np.arange(rings)[:, None] * sides + (np.arange(sides) + 1) % sides).ravel()
    first, following = np.arange(sides), (np.arange(sides) + 1) % sides
    bottom, top, last = len(wall), len(wall) + 1, rings * sides
    triangles = np.vstack(
        (
            np.stack((a, b, b + sides), axis=1),
            np.stack((a, b + sides, a + sides), axis=1),
            np.stack((following, first, np.full(sides, bottom)), axis=1),
            np.stack((last + first, last + following, np.full(sides, top)), axis=1),
        )
    )
    return corners, triangles


def write_stl(path: Path, rings: int, sides: int, radius: float = 20, height: float = 20) -> None:
    corners, triangles = bumpy_tower(rings, sides, radius, height)
    facets = np.zeros(len(triangles), FACET)
    facets["corners"] = corners[triangles]
    path.write_bytes(bytes(80) + len(facets).to_bytes(4, "little") + facets.tobytes())


def write_3mf(path: Path, rings: int, sides: int, radius: float = 20, height: float = 20) -> None:
    """Stored, not deflated, so that the package is as large as its model."""
    corners, triangles = bumpy_tower(rings, sides, radius, height)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("_rels/.rels", RELATIONSHIPS)
        with package.open(ROOT, "w", force_zip64=True) as model:
            model.write(f'<model unit="millimeter" xmlns="{CORE}"><resources><object id="1"><mesh>'.encode())
            model.write(b"<vertices>")
            for x, y, z in corners.tolist():
                model.write(b'<vertex x="%r" y="%r" z="%r"/>' % (x, y, z))
            model.write(b"</vertices><triangles>")
            for v1, v2, v3 in triangles.tolist():
                model.write(b'<triangle v1="%d" v2="%d" v3="%d"/>' % (v1, v2, v3))
            model.write(b"</triangles></mesh></object></resources>")
            model.write(b'<build><item objectid="1"/></build></model>')


@pytest.fixture
def fresh_worker(stack: Stack) -> Iterator[Stack]:
    """The stack, whose worker remembers no other test's peak."""
    wait_until_quiet(stack)
    stack.gateway.recycle("SlicerFunction")
    yield stack
    wait_until_quiet(stack)


def peak_megabytes(stack: Stack) -> int:
    statuses = [
        Path(f"/proc/{process}/status").read_text() for process in stack.gateway.processes("SlicerFunction")
    ]
    return max(int(status.partition("VmHWM:")[2].split()[0]) for status in statuses) // 1024


def sliced_and_inspected(stack: Stack, client: Client, model: Path, **changes: Any) -> dict[str, Any]:
    upload = request_upload(client, model.name, model.stat().st_size)
    assert put(upload, model).is_success
    client.data("POST", f"quick-order/uploads/{upload['id']}/complete")
    client.data("POST", "quick-order/slice", slice_request(upload["id"], **changes))
    wait_for_slice(client, upload["id"], 360)
    wait_until_quiet(stack, 120)
    status: dict[str, Any] = client.data("GET", f"quick-order/files/{upload['id']}")
    return status


def test_a_slice_of_five_megabytes_leaves_the_worker_small(
    fresh_worker: Stack, customer: Client, tmp_path: Path
) -> None:
    model = tmp_path / "tower.stl"
    write_stl(model, 100, 500)
    assert sliced_and_inspected(fresh_worker, customer, model, layerHeight=0.3)["status"] == "completed"
    assert peak_megabytes(fresh_worker) < MAX_MEGABYTES


@pytest.mark.full
@pytest.mark.parametrize(
    ("filename", "rings", "sides", "megabytes", "changes"),
    [
        ("a large.stl", 500, 2000, 100, {"layerHeight": 0.35, "infill": 0}),
        ("a large.3mf", 300, 1190, 50, {"layerHeight": 0.35, "infill": 0}),
        ("a long print.stl", 20, 2000, 3, {"layerHeight": 0.05, "infill": 30}),
    ],
)
def test_a_slice_of_the_largest_leaves_the_worker_small(
    fresh_worker: Stack,
    customer: Client,
    tmp_path: Path,
    filename: str,
    rings: int,
    sides: int,
    megabytes: int,
    changes: dict[str, Any],
) -> None:
    model = tmp_path / filename
    (write_3mf if model.suffix == ".3mf" else write_stl)(model, rings, sides)
    assert model.stat().st_size > megabytes * 10**6
    status = sliced_and_inspected(fresh_worker, customer, model, **changes)
    assert status["status"] == "completed", status["metadata"]["error"]
    assert status["topology"]["triangles"] == status["geometry"]["triangles"]
    assert status["previewUrl"]
    peak = peak_megabytes(fresh_worker)
    print(f"{filename}: {peak} MB at most")
    assert peak < MAX_MEGABYTES

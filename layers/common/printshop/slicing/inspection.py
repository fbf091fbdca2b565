"""A closer look at a model: how its mesh hangs together, and its picture. Costly, so a fenced child does it.

    inspection = inspect(model, scratch, LIMITS)
    inspection.topology, inspection.warnings, inspection.preview

Whoever calls this needs no numpy, and nothing of the model is read here: memory does not grow with it.
"""

import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from printshop.adapters.sandbox import Limits, ProcessResult, run_sandboxed
from printshop.kernel.base_model import CamelModel
from printshop.slicing import inspection_process

LIMITS = Limits(timeout_s=60, memory_bytes=1200 * 1024**2, file_bytes=8 * 1024**2)
"""Enough for 5,000,000 triangles. Of address space, so that less than 900 MB are ever in use."""

PREVIEW_NAME = "preview.png"
_PNG = b"\x89PNG\r\n\x1a\n"

type FailureCode = Literal[
    "INSPECTION_TIMEOUT",
    "INSPECTION_OUT_OF_MEMORY",
    "INSPECTION_UNREADABLE",
    "INSPECTION_CRASHED",
    "INSPECTION_STOPPED",
]
type TopologyWarningCode = Literal["OPEN_EDGES", "NON_MANIFOLD_EDGES", "MIXED_WINDING", "SEVERAL_BODIES"]

_SENTENCES: dict[FailureCode, str] = {
    "INSPECTION_TIMEOUT": "The closer look at the model took too long; simplify it (fewer triangles) to have one.",
    "INSPECTION_OUT_OF_MEMORY": "The model is too complex for a closer look; simplify it (fewer triangles).",
    "INSPECTION_UNREADABLE": "The model cannot be read for a closer look; repair it and export it again.",
    "INSPECTION_CRASHED": "The closer look at the model failed; it can be sliced all the same.",
    "INSPECTION_STOPPED": "The worker was stopped; the closer look starts again.",
}


class InspectionFailed(Exception):
    """Neither topology nor picture. A courtesy is missing: the slice does not depend on it.

    `log_tail`: the child's last lines, for the shop's eyes.
    """

    def __init__(self, code: FailureCode, log_tail: str = "") -> None:
        self.code = code
        self.log_tail = log_tail
        super().__init__(f"{code}: {_SENTENCES[code]}")


class TopologyWarning(CamelModel, serialize_by_alias=True):
    """One thing to look at: a stable code and a sentence that says what to do."""

    code: Annotated[TopologyWarningCode, Field(examples=["OPEN_EDGES"])]
    message: str


class MeshTopology(CamelModel, serialize_by_alias=True):
    """How the triangles hang together. Corners are one when their coordinates are equal."""

    triangles: Annotated[int, Field(ge=0, examples=[5682])]
    degenerate_triangles: Annotated[int, Field(ge=0, examples=[0], description="Without area")]
    open_edges: Annotated[
        int, Field(ge=0, examples=[0], description="Of one triangle only: the rim of a hole")
    ]
    non_manifold_edges: Annotated[int, Field(ge=0, examples=[0], description="Of more than two triangles")]
    misdirected_edges: Annotated[
        int, Field(ge=0, examples=[0], description="Between triangles that face opposite ways")
    ]
    bodies: Annotated[int, Field(ge=0, examples=[1], description="Pieces that touch nowhere")]
    is_watertight: Annotated[bool, Field(description="Every edge has exactly two triangles")]
    is_consistent: Annotated[bool, Field(description="Neighbouring triangles face the same way")]

    @property
    def warnings(self) -> list[TopologyWarning]:
        """What the customer should know, the worst first."""
        found: list[TopologyWarning] = []
        if self.open_edges:
            _warn(
                found,
                "OPEN_EDGES",
                f"{_counted(self.open_edges, 'edge is', 'edges are')} open: the surface has holes, and the slicer "
                "will guess how to close them; repair the model.",
            )
        if self.non_manifold_edges:
            _warn(
                found,
                "NON_MANIFOLD_EDGES",
                f"{_counted(self.non_manifold_edges, 'edge has', 'edges have')} more than two triangles, and the "
                "slicer will guess what is inside; join the bodies or remove inner walls.",
            )
        if self.misdirected_edges:
            _warn(
                found,
                "MIXED_WINDING",
                "Some triangles face inwards and some outwards, and the slicer will guess; unify the normals.",
            )
        if self.bodies > 1:
            _warn(
                found,
                "SEVERAL_BODIES",
                f"The model is {self.bodies} separate bodies; check that each stands on the bed.",
            )
        return found


class Inspection(CamelModel, serialize_by_alias=True):
    """What was found. One of topology and picture may be missing; then `lacking` says why."""

    topology: MeshTopology | None
    lacking: FailureCode | None = None
    preview: Annotated[Path | None, Field(exclude=True)] = None
    """The PNG in the scratch folder: 800 × 600, transparent ground."""

    @property
    def warnings(self) -> list[TopologyWarning]:
        return self.topology.warnings if self.topology else []


class _Told(CamelModel, serialize_by_alias=True):
    drawn: bool
    topology: MeshTopology | None
    lacking: Literal["OUT_OF_MEMORY", "UNREADABLE"] | None


def inspect(
    model: Path, scratch: Path, limits: Limits = LIMITS, keep_going: Callable[[], bool] | None = None
) -> Inspection:
    """Inspect a prepared model (`prepare_slicer_input`); the picture is left in `scratch` as preview.png.

    Raises InspectionFailed when there is neither a picture nor a topology; then nothing is left in `scratch`.
    """
    preview = scratch.resolve() / PREVIEW_NAME
    # -I: nothing of this user's may be imported; -B: the code's own folder is read-only.
    command = [
        sys.executable,
        "-I",
        "-B",
        str(inspection_process.__file__),
        str(model.resolve()),
        str(preview),
    ]
    ended = run_sandboxed(command, scratch=scratch, limits=limits, keep_going=keep_going)
    preview.with_suffix(".part").unlink(missing_ok=True)
    told = _told(ended)
    drawn = _is_png(preview)
    code = _failure_code(ended, told)
    if ended.stopped or not (drawn or (told and told.topology)):
        preview.unlink(missing_ok=True)
        raise InspectionFailed(code or "INSPECTION_CRASHED", ended.tail)
    return Inspection(
        topology=told.topology if told else None, lacking=code, preview=preview if drawn else None
    )


def _told(ended: ProcessResult) -> _Told | None:
    if ended.code != 0:
        return None
    try:
        return _Told.model_validate_json(ended.tail.rpartition("\n")[2])
    except ValidationError:
        return None


def _failure_code(ended: ProcessResult, told: _Told | None) -> FailureCode | None:
    """Why something is missing; None if nothing is."""
    if ended.stopped:
        return "INSPECTION_STOPPED"
    if ended.timed_out or ended.code == -signal.SIGXCPU:
        return "INSPECTION_TIMEOUT"
    if told is None:
        # Some libraries cannot say that there is no memory, and just die; or the kernel ends the greediest.
        starved = "MemoryError" in ended.tail or "llocat" in ended.tail or ended.code == -signal.SIGKILL
        return "INSPECTION_OUT_OF_MEMORY" if starved else "INSPECTION_CRASHED"
    match told.lacking:
        case "OUT_OF_MEMORY":
            return "INSPECTION_OUT_OF_MEMORY"
        case "UNREADABLE":
            return "INSPECTION_UNREADABLE"
        case None:
            return None


def _is_png(path: Path) -> bool:
    """Whether the child left a picture there, and not, say, a link to something of ours."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(len(_PNG)) == _PNG
    except FileNotFoundError:
        return False


def _warn(found: list[TopologyWarning], code: TopologyWarningCode, message: str) -> None:
    found.append(TopologyWarning(code=code, message=message))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"

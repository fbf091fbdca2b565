"""The worker's two collaborators, by hand and in memory: the slice queue's SQL functions, and the tmp bucket."""

import hashlib
import shutil
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from printshop.config.settings import Settings
from printshop.kernel.errors import NotFound, PayloadTooLarge, Unavailable

SETTINGS: dict[str, Any] = {
    "layerHeight": 0.2,
    "infill": 15,
    "supports": {"enabled": False, "pattern": "normal", "angle": 45},
}


PROFILE: dict[str, Any] = {
    "printer": "generic",
    "material": "pla",
    "bedMm": [250, 210, 220],
    "nozzleUm": 400,
    "densityMgCm3": 1240,
}


def worker_settings(**changes: Any) -> Settings:
    """Settings for a worker; `changes` may leave the bounds, as a timeout of one second does."""
    return Settings(
        next_public_supabase_url="http://127.0.0.1:1",
        next_public_supabase_anon_key="anon",
        supabase_service_role_key="service",
    ).model_copy(update=changes)


@dataclass
class Job:
    """One row of tmp_files, as far as slicing goes."""

    storage_key: str
    filename: str
    settings: dict[str, Any] = field(default_factory=lambda: SETTINGS)
    content_hash: str = ""
    box_mm: tuple[float, float, float] = (20, 20, 20)
    status: str = "idle"
    attempts: int = 0
    token: str | None = None
    lease_ends: float = 0.0
    result: dict[str, Any] | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)
    progress: list[tuple[int, str]] = field(default_factory=list)
    claimed_at: list[float] = field(default_factory=list)
    settled_at: float = 0.0
    given_back: bool = False
    inspection: dict[str, Any] | None = None
    preview_key: str | None = None


def job_of(objects: "FolderObjects", key: str, filename: str = "part.stl", **changes: Any) -> Job:
    """A job for the object at `key`."""
    content_hash = hashlib.sha256(objects.path(key).read_bytes()).hexdigest()
    return Job(storage_key=key, filename=filename, content_hash=content_hash, **changes)


class MemoryDatabase:
    """What the migrations promise of claim_slice and its kin, for jobs that the test puts in."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.heartbeats: list[dict[str, Any]] = []
        self.away_for: set[str] = set()
        """Functions that answer as a database that is down."""
        self.before_complete: list[int] = []
        """Files whose claim is taken over just before complete_slice, or that go while they are inspected."""
        self.known_already: set[int] = set()
        """Files whose figures another worker stored first."""
        self._lock = threading.Lock()

    def call(self, function: str, /, **params: Any) -> Any:
        with self._lock:
            if function in self.away_for:
                raise Unavailable(
                    "DATABASE_UNAVAILABLE", "The database did not answer; try again in a moment."
                )
            return getattr(self, f"_{function}")(**params)

    def take_over(self, file_id: int) -> None:
        """As if the lease had run out and another worker had claimed the file."""
        job = self.jobs[file_id]
        job.token, job.lease_ends, job.attempts = str(uuid.uuid4()), time.monotonic() + 180, job.attempts + 1

    def _claim_slice(self, p_file_id: int, p_request_id: str, p_lease_seconds: int) -> dict[str, Any]:
        assert p_request_id
        job = self.jobs.get(p_file_id)
        if job is None or job.status in {"completed", "failed"}:
            return {"outcome": "done"}
        if job.token and job.lease_ends > time.monotonic():
            return {"outcome": "busy", "retryAfterSeconds": int(job.lease_ends - time.monotonic()) + 1}
        if job.attempts == 2:
            job.status = "failed"
            return {"outcome": "done"}
        job.status, job.token, job.attempts = "running", str(uuid.uuid4()), job.attempts + 1
        job.lease_ends = time.monotonic() + p_lease_seconds
        job.claimed_at.append(time.monotonic())
        return {
            "outcome": "claimed",
            "claimToken": job.token,
            "attempt": job.attempts,
            "fileId": p_file_id,
            "storageKey": job.storage_key,
            "filename": job.filename,
            "sizeBytes": 684,
            "contentHash": job.content_hash,
            "geometry": {
                "triangles": 12,
                "box": dict(zip("xyz", job.box_mm, strict=True)),
                "volumeMm3": 8000,
                "areaMm2": 2400,
                "isInverted": False,
                "unit": None,
            },
            "settings": job.settings,
            "profile": PROFILE,
            "printer": "Prusa MK4",
        }

    def _report_slice_progress(
        self, p_file_id: int, p_claim_token: str, p_percent: int, p_stage: str, p_lease_seconds: int
    ) -> bool:
        job = self.jobs[p_file_id]
        job.progress.append((p_percent, p_stage))
        if job.token == p_claim_token:
            job.lease_ends = time.monotonic() + p_lease_seconds
        return job.token == p_claim_token

    def _complete_slice(self, p_file_id: int, p_claim_token: str, p_result: dict[str, Any]) -> dict[str, Any]:
        if p_file_id in self.before_complete:
            self.take_over(p_file_id)
        job = self.jobs[p_file_id]
        if job.token != p_claim_token:
            return {"outcome": "late"}
        job.status, job.result, job.token = "completed", p_result, None
        job.settled_at = time.monotonic()
        return {"outcome": "stored" if p_file_id not in self.known_already else "surplus"}

    def _get_inspection_input(self, p_file_id: int) -> dict[str, Any] | None:
        job = self.jobs.get(p_file_id)
        if job is None or job.inspection is not None:
            return None
        return {
            "fileId": p_file_id,
            "storageKey": job.storage_key,
            "filename": job.filename,
            "contentHash": job.content_hash,
        }

    def _store_inspection(
        self, p_file_id: int, p_inspection: dict[str, Any], p_preview_key: str | None
    ) -> bool:
        if p_file_id in self.before_complete:
            del self.jobs[p_file_id]
            return False
        job = self.jobs[p_file_id]
        job.inspection, job.preview_key = p_inspection, p_preview_key
        return True

    def _release_slice(self, p_file_id: int, p_claim_token: str) -> bool:
        job = self.jobs[p_file_id]
        if job.token != p_claim_token:
            return False
        job.status, job.token, job.attempts, job.given_back = "idle", None, job.attempts - 1, True
        return True

    def _fail_slice(
        self, p_file_id: int, p_claim_token: str, p_code: str, p_reason: str, p_final: bool, p_log_tail: str
    ) -> dict[str, Any]:
        job = self.jobs[p_file_id]
        if job.token != p_claim_token:
            return {"outcome": "late"}
        job.failures.append({"code": p_code, "reason": p_reason, "final": p_final, "log": p_log_tail})
        job.token, job.settled_at = None, time.monotonic()
        if p_final or job.attempts == 2:
            job.status = "failed"
            return {"outcome": "failed"}
        job.status = "idle"
        return {"outcome": "retry"}

    def _record_heartbeat(self, p_component: str, p_detail: dict[str, Any]) -> None:
        assert p_component == "slicer"
        self.heartbeats.append(p_detail)


class FolderObjects:
    """The tmp bucket as a folder: keys with their slashes replaced."""

    def __init__(self, folder: Path, limit_bytes: int = 10**9) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.limit_bytes = limit_bytes
        self.content_types: dict[str, str] = {}
        self.away_for: dict[str, int] = {}
        """How many calls of a method answer as a storage that is down."""

    def put(self, key: str, data: bytes) -> str:
        self.path(key).write_bytes(data)
        return key

    def path(self, key: str) -> Path:
        return self.folder / key.replace("/", "|")

    def keys(self) -> set[str]:
        return {path.name.replace("|", "/") for path in self.folder.iterdir()}

    def download_to(self, bucket: str, key: str, path: Path) -> str:
        assert bucket == "tmp"
        self._answer("download_to")
        if not self.path(key).exists():
            raise NotFound("FILE_NOT_FOUND", "The file is no longer stored.")
        shutil.copyfile(self.path(key), path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def upload_from(
        self, bucket: str, key: str, path: Path, content_type: str, *, upsert: bool = False
    ) -> str:
        assert upsert or not self.path(key).exists()
        assert bucket == "tmp"
        self._answer("upload_from")
        if path.stat().st_size > self.limit_bytes:
            raise PayloadTooLarge("FILE_TOO_LARGE", "The file is larger than this bucket takes.")
        shutil.copyfile(path, self.path(key))
        self.content_types[key] = content_type
        return key

    def _answer(self, method: str) -> None:
        if self.away_for.get(method, 0):
            self.away_for[method] -= 1
            raise Unavailable("STORAGE_UNAVAILABLE", "Storage did not answer; try again in a moment.")

    def delete(self, bucket: str, keys: list[str]) -> int:
        assert bucket == "tmp"
        for key in keys:
            self.path(key).unlink()
        return len(keys)

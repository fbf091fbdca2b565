"""The worker's two collaborators, by hand and in memory: the slice queue's SQL functions, and the tmp bucket."""

import hashlib
import shutil
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from printshop.errors import NotFound, PayloadTooLarge, Unavailable
from printshop.settings import Settings

SETTINGS: dict[str, Any] = {
    "layerHeight": 0.2,
    "infill": 15,
    "supports": {"enabled": False, "pattern": "normal", "angle": 45},
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
    status: str = "idle"
    attempts: int = 0
    token: str | None = None
    lease_ends: float = 0.0
    result: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)
    progress: list[tuple[int, str]] = field(default_factory=list)
    claimed_at: list[float] = field(default_factory=list)
    settled_at: float = 0.0


class MemoryDatabase:
    """What the migrations promise of claim_slice and its kin, for jobs that the test puts in."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.heartbeats: list[dict[str, Any]] = []
        self.away_for: set[str] = set()
        """Functions that answer as a database that is down."""
        self.before_complete: list[int] = []
        """Files whose claim is taken over just before complete_slice."""
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
            "userId": 7,
            "storageKey": job.storage_key,
            "filename": job.filename,
            "sizeBytes": 684,
            "settings": job.settings,
            "settingsHash": "0" * 64,
            "densityMgCm3": 1240,
        }

    def _report_slice_progress(
        self, p_file_id: int, p_claim_token: str, p_percent: int, p_stage: str
    ) -> bool:
        job = self.jobs[p_file_id]
        job.progress.append((p_percent, p_stage))
        return job.token == p_claim_token

    def _complete_slice(
        self, p_file_id: int, p_claim_token: str, p_result: dict[str, Any], p_output: dict[str, Any]
    ) -> dict[str, Any]:
        if p_file_id in self.before_complete:
            self.take_over(p_file_id)
        job = self.jobs[p_file_id]
        if job.token != p_claim_token:
            return {"outcome": "late"}
        job.status, job.result, job.output, job.token = "completed", p_result, p_output, None
        job.settled_at = time.monotonic()
        return {"outcome": "stored"}

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

    def put(self, key: str, data: bytes) -> str:
        self.path(key).write_bytes(data)
        return key

    def path(self, key: str) -> Path:
        return self.folder / key.replace("/", "|")

    def keys(self) -> set[str]:
        return {path.name.replace("|", "/") for path in self.folder.iterdir()}

    def download_to(self, bucket: str, key: str, path: Path) -> str:
        assert bucket == "tmp"
        if not self.path(key).exists():
            raise NotFound("FILE_NOT_FOUND", "The file is no longer stored.")
        shutil.copyfile(self.path(key), path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def upload_from(self, bucket: str, key: str, path: Path, content_type: str) -> str:
        assert bucket == "tmp"
        if path.stat().st_size > self.limit_bytes:
            raise PayloadTooLarge("FILE_TOO_LARGE", "The file is larger than this bucket takes.")
        shutil.copyfile(path, self.path(key))
        self.content_types[key] = content_type
        return key

    def delete(self, bucket: str, keys: list[str]) -> int:
        assert bucket == "tmp"
        for key in keys:
            self.path(key).unlink()
        return len(keys)

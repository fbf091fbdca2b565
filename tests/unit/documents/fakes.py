"""Hand-written stand-ins for a printer and a store, with the failures of real ones."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from printshop.adapters.storage.objects import Bucket, ObjectInfo
from printshop.kernel.errors import ApiError, NotFound, Unavailable


@dataclass
class FakePrinter:
    """Prints the HTML's length; counts its work."""

    version: str = "147"
    printed: list[str] = field(default_factory=list)
    prepared: int = 0
    failure: ApiError | None = None

    def prepare(self) -> None:
        self.prepared += 1

    async def pdf(self, html: str) -> bytes:
        if self.failure:
            raise self.failure
        self.printed.append(html)
        return b"%PDF-1.4 /CreationDate (D:20261123200508+00'00')\n" + str(len(self.printed)).encode()


@dataclass
class FakeStore:
    """The `pdfs` bucket in memory, and the order-files one's pictures. `failure` answers nothing, `delay` late."""

    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    pictures: dict[str, bytes | ApiError] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    failure: ApiError | None = None
    delay: float = 0

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        time.sleep(self.delay)
        if self.failure:
            raise self.failure

    def _stored(self, bucket: Bucket, key: str) -> tuple[bytes, dict[str, str]]:
        if bucket != "pdfs" or key not in self.objects:
            raise NotFound("FILE_NOT_FOUND", "The file is no longer stored.")
        return self.objects[key]

    def info(self, bucket: Bucket, key: str) -> ObjectInfo:
        self._begin("info")
        contents, metadata = self._stored(bucket, key)
        return ObjectInfo(len(contents), "application/pdf", "etag", metadata)

    def download(self, bucket: Bucket, key: str) -> bytes:
        self._begin("download")
        if bucket == "order-files":
            picture = self.pictures.get(key) or NotFound("FILE_NOT_FOUND", "The file is no longer stored.")
            if isinstance(picture, ApiError):
                raise picture
            return picture
        return self._stored(bucket, key)[0]

    def upload(
        self,
        bucket: Bucket,
        key: str,
        contents: bytes,
        content_type: str | None = None,
        *,
        upsert: bool = True,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        self._begin("upload")
        assert bucket == "pdfs"
        assert content_type == "application/pdf"
        assert upsert
        self.objects[key] = (contents, dict(metadata or {}))
        return key

    def signed_url(self, bucket: Bucket, key: str, seconds: int, filename: str | None = None) -> str:
        self._begin("signed_url")
        self._stored(bucket, key)
        return f"https://storage.example/{key}?seconds={seconds}&as={filename}"

    def delete(self, bucket: Bucket, keys: Iterable[str]) -> int:
        self._begin("delete")
        assert bucket == "pdfs"
        return sum(self.objects.pop(key, None) is not None for key in keys)


@dataclass
class FakeDatabase:
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    failure: Exception | None = None

    def call(self, function: str, /, **params: Any) -> Any:
        if self.failure:
            raise self.failure
        self.calls.append((function, params))
        return None


DOWN = Unavailable("STORAGE_UNAVAILABLE", "File storage did not answer; try again in a moment.")

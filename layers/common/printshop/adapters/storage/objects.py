"""Objects in Supabase Storage: streamed up and down, signed, listed, copied, removed."""

import hashlib
import mimetypes
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import httpx
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError
from storage3.types import FileOptions

from printshop.adapters.supabase import service_headers
from printshop.config.settings import Settings
from printshop.kernel.errors import ApiError, Conflict, NotFound, PayloadTooLarge, Unavailable, Unprocessable
from printshop.kernel.log import get_logger

type Bucket = Literal["attachments", "pdfs", "tmp", "order-files"]

ATTACHMENTS: Bucket = "attachments"
PDFS: Bucket = "pdfs"
TMP: Bucket = "tmp"
ORDER_FILES: Bucket = "order-files"
BUCKETS: tuple[Bucket, ...] = (ATTACHMENTS, PDFS, TMP, ORDER_FILES)

CHUNK = 1024 * 1024
PAGE = 1000
URL_SECONDS = range(60, 301)

log = get_logger()


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What Storage knows of an object. `metadata` is what the uploader attached."""

    size: int
    content_type: str
    etag: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """A URL that takes one PUT of the file, for two hours (Supabase's fixed time)."""

    url: str
    token: str


class Storage:
    """The bureau's buckets, on the service key. Sizes are bytes, times are seconds."""

    def __init__(self, settings: Settings, client: httpx.Client) -> None:
        self._base = f"{settings.next_public_supabase_url}/storage/v1"
        self._headers = service_headers(settings)
        self._client = client
        self._storage = SyncStorageClient(f"{self._base}/", self._headers, http_client=client)

    # -- bytes ---------------------------------------------------------------------------------------------

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
        """Store `contents` under `key` and return the key. Raises Conflict when it exists and may not."""
        options = _options(key, content_type, upsert, metadata)
        with _storage_errors(bucket, key):
            self._storage.from_(bucket).upload(key, contents, options)
        log.info(scope="storage.upload", data={"bucket": bucket, "key": key, "bytes": len(contents)})
        return key

    def upload_from(
        self,
        bucket: Bucket,
        key: str,
        path: Path,
        content_type: str | None = None,
        *,
        upsert: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Store the file at `path`, streamed from disk, and return the key."""
        options = _options(key, content_type, upsert, metadata)
        with _storage_errors(bucket, key):
            self._storage.from_(bucket).upload(key, path, options)
        log.info(scope="storage.upload", data={"bucket": bucket, "key": key, "bytes": path.stat().st_size})
        return key

    def download(self, bucket: Bucket, key: str) -> bytes:
        """The whole object: for small ones. Raises NotFound."""
        with _storage_errors(bucket, key):
            contents = self._storage.from_(bucket).download(key)
        log.info(scope="storage.download", data={"bucket": bucket, "key": key, "bytes": len(contents)})
        return contents

    def download_to(self, bucket: Bucket, key: str, path: Path) -> str:
        """Stream the object to `path`; return the SHA-256 of its bytes in hex. Raises NotFound."""
        digest = hashlib.sha256()
        try:
            with path.open("wb") as file:
                for chunk in self._stream(bucket, key):
                    digest.update(chunk)
                    file.write(chunk)
                size = file.tell()
        except ApiError:
            path.unlink(missing_ok=True)
            raise
        log.info(scope="storage.download", data={"bucket": bucket, "key": key, "bytes": size})
        return digest.hexdigest()

    def download_range(self, bucket: Bucket, key: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` (less at the end of the object), by one Range request."""
        last = start + length - 1
        return b"".join(self._stream(bucket, key, {"Range": f"bytes={start}-{last}"}))

    def _stream(self, bucket: Bucket, key: str, headers: Mapping[str, str] | None = None) -> Iterator[bytes]:
        url = f"{self._base}/object/{bucket}/{_quoted(key)}"
        with (
            _storage_errors(bucket, key),
            self._client.stream("GET", url, headers={**self._headers, **(headers or {})}) as response,
        ):
            if response.is_error:
                response.read()
                raise _from_response(response)
            yield from response.iter_bytes(CHUNK)

    # -- names ---------------------------------------------------------------------------------------------

    def info(self, bucket: Bucket, key: str) -> ObjectInfo:
        """Size, type and the uploader's metadata, without the bytes. Raises NotFound."""
        with _storage_errors(bucket, key):
            raw = self._storage.from_(bucket).info(key)
        return ObjectInfo(
            size=int(raw.get("size") or 0),
            content_type=str(raw.get("content_type") or raw.get("contentType") or ""),
            etag=str(raw.get("etag") or ""),
            metadata=cast("Mapping[str, str]", raw.get("metadata") or {}),
        )

    def copy(self, source: tuple[Bucket, str], target: tuple[Bucket, str]) -> None:
        """Copy an object, also across buckets. A target that is already there is taken as copied.

        The library's `copy` has no destination bucket; Supabase's own route does (`destinationBucket`).
        """
        body = {
            "bucketId": source[0],
            "sourceKey": source[1],
            "destinationBucket": target[0],
            "destinationKey": target[1],
        }
        with _storage_errors(*source):
            response = self._client.post(f"{self._base}/object/copy", json=body, headers=self._headers)
            if response.is_error and not _is_duplicate(response):
                raise _from_response(response)

    def delete(self, bucket: Bucket, keys: Iterable[str]) -> int:
        """Remove objects and return how many were there; an absent one is no error."""
        keys = list(keys)
        removed = 0
        for start in range(0, len(keys), PAGE):
            with _storage_errors(bucket, ""):
                removed += len(self._storage.from_(bucket).remove(keys[start : start + PAGE]))
        if removed:
            log.info(scope="storage.delete", data={"bucket": bucket, "keys": keys[:20], "removed": removed})
        return removed

    def list_keys(self, bucket: Bucket, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every object below `prefix`, recursively: (key, the listing's entry with created_at and metadata)."""
        folders = [prefix.strip("/")]
        while folders:
            folder = folders.pop()
            offset = 0
            while True:
                with _storage_errors(bucket, folder):
                    entries = self._storage.from_(bucket).list(folder, {"limit": PAGE, "offset": offset})
                for entry in entries:
                    key = f"{folder}/{entry['name']}" if folder else str(entry["name"])
                    if entry.get("id") is None:
                        folders.append(key)
                    else:
                        yield key, entry
                if len(entries) < PAGE:
                    break
                offset += PAGE

    # -- signed URLs ---------------------------------------------------------------------------------------

    def signed_url(self, bucket: Bucket, key: str, seconds: int, filename: str | None = None) -> str:
        """A URL that downloads the object for `seconds` (60–300), saved as `filename` when given."""
        if seconds not in URL_SECONDS:
            raise ValueError(
                f"a signed URL lives {URL_SECONDS.start} to {URL_SECONDS.stop - 1} s, not {seconds}"
            )
        with _storage_errors(bucket, key):
            options: Any = {"download": filename} if filename else {}
            answer = self._storage.from_(bucket).create_signed_url(key, seconds, options)
        url = answer["signedURL"]
        if url is None:
            raise NotFound("FILE_NOT_FOUND", "The file is no longer stored.")
        return url

    def signed_upload(self, bucket: Bucket, key: str) -> SignedUpload:
        """A URL to which a client uploads the object directly, past the 6 MB of a Lambda event."""
        with _storage_errors(bucket, key):
            answer = self._storage.from_(bucket).create_signed_upload_url(key)
        return SignedUpload(url=answer["signed_url"], token=answer["token"])


def _options(
    key: str, content_type: str | None, upsert: bool, metadata: Mapping[str, str] | None
) -> FileOptions:
    kind = content_type or mimetypes.guess_type(key)[0] or "application/octet-stream"
    options: dict[str, Any] = {"content-type": kind, "upsert": "true" if upsert else "false"}
    if metadata:
        options["metadata"] = dict(metadata)
    return cast("FileOptions", options)


def _quoted(key: str) -> str:
    return httpx.URL("/").copy_with(path=f"/{key}").raw_path.decode().lstrip("/")


class _storage_errors:  # noqa: N801  (reads as a statement: `with _storage_errors(bucket, key):`)
    """Turns the library's and the wire's failures into the API's tree."""

    def __init__(self, bucket: str, key: str) -> None:
        self._where = {"bucket": bucket, "key": key}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, StorageApiError):
            raise _translate(int(error.status), error.code, error.message) from error
        if isinstance(error, httpx.HTTPError):
            log.warn(scope="storage.unavailable", error=error, data=self._where)
            raise _storage_unavailable() from error


def _from_response(response: httpx.Response) -> ApiError:
    try:
        body = response.json()
    except ValueError:
        return _storage_unavailable()
    status = int(body.get("statusCode") or response.status_code)
    return _translate(status, str(body.get("error")), str(body.get("message")))


def _is_duplicate(response: httpx.Response) -> bool:
    return response.status_code == 409 or '"Duplicate"' in response.text


def _translate(status: int, code: str, message: str) -> ApiError:
    if status == 404 or code in {"not_found", "NoSuchKey"}:
        return NotFound("FILE_NOT_FOUND", "The file is no longer stored.")
    if status == 409:
        return Conflict("FILE_EXISTS")
    if status == 413:
        return PayloadTooLarge("FILE_TOO_LARGE")
    if status in {400, 415, 416, 422}:
        return Unprocessable("FILE_REFUSED", f"Storage does not take this file: {message}.")
    return _storage_unavailable()


def _storage_unavailable() -> Unavailable:
    return Unavailable("STORAGE_UNAVAILABLE", retry_after=2)

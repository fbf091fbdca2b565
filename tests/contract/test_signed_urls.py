"""Storage's signed URLs, for reading and for uploading without a key."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from devstack.testing.supabase import Target

from .conftest import Wire
from .test_storage import STL, refusal, stored


def signed_url(storage: SyncStorageClient, bucket: str, key: str, **options: Any) -> str:
    return str(storage.from_(bucket).create_signed_url(key, 60, options or None)["signedURL"])  # type: ignore[arg-type]


def test_a_signed_url_opens_the_object_without_a_key(
    wire: Wire, storage: SyncStorageClient, http: httpx.Client, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    answer = wire("POST", f"/object/sign/{bucket}/{key}", json={"expiresIn": 60})
    assert set(answer.json()) == {"signedURL"}
    assert answer.json()["signedURL"].startswith(f"/object/sign/{bucket}/{key}?token=")
    url = signed_url(storage, bucket, key)
    opened = http.get(url)
    assert opened.content == STL
    assert "content-disposition" not in opened.headers
    part = http.get(url, headers={"range": "bytes=0-4"})
    assert (part.status_code, part.content) == (206, STL[:5])


def test_a_signed_url_can_name_the_download(
    storage: SyncStorageClient, http: httpx.Client, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    url = signed_url(storage, bucket, key, download="Würfel 1.stl")
    disposition = http.get(url).headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert "filename*=UTF-8''W%C3%BCrfel%201.stl" in disposition
    bare = signed_url(storage, bucket, key, download=True)
    assert http.get(bare).headers["content-disposition"].startswith("attachment")


def test_signing_many_names_the_missing_ones(
    wire: Wire, storage: SyncStorageClient, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    body = {"expiresIn": 60, "paths": [key, "none.stl"]}
    found, missing = wire("POST", f"/object/sign/{bucket}", json=body).json()
    assert found["error"] is None
    assert found["path"] == key
    assert found["signedURL"].startswith("/object/sign/")
    assert missing["signedURL"] is None
    assert missing["error"].startswith("Either the object does not exist")


def test_a_missing_object_cannot_be_signed(wire: Wire, bucket: str) -> None:
    answer = wire("POST", f"/object/sign/{bucket}/none.stl", json={"expiresIn": 60})
    assert refusal(answer) == ("404", "not_found")


def test_an_expired_foreign_or_bent_signature_opens_nothing(
    target: Target, wire: Wire, storage: SyncStorageClient, http: httpx.Client, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    signed = wire("POST", f"/object/sign/{bucket}/{key}", json={"expiresIn": 1}).json()["signedURL"]
    token = signed.split("token=")[1]
    base = f"{target.url}/storage/v1/object/sign/{bucket}"
    stored(storage, bucket, f"{key}.other")
    assert http.get(f"{base}/{key}.other", params={"token": token}).status_code == 400
    assert http.get(f"{base}/{key}", params={"token": token[:-4] + "AAAA"}).status_code == 400
    assert http.get(f"{base}/{key}").status_code == 400
    time.sleep(2.1)
    assert refusal(http.get(f"{base}/{key}", params={"token": token}))[1] == "InvalidJWT"


def test_a_signed_upload_takes_one_object(
    wire: Wire, storage: SyncStorageClient, http: httpx.Client, target: Target, bucket: str, key: str
) -> None:
    answer = wire("POST", f"/object/upload/sign/{bucket}/{key}").json()
    assert answer["url"] == f"/object/upload/sign/{bucket}/{key}?token={answer['token']}"
    url = f"{target.url}/storage/v1{answer['url']}"
    put = http.put(url, headers={"content-type": "model/stl"}, content=STL)
    assert (put.status_code, put.json()) == (200, {"Key": f"{bucket}/{key}"})
    assert storage.from_(bucket).download(key) == STL
    assert storage.from_(bucket).info(key)["content_type"] == "model/stl"
    again = http.put(url, headers={"content-type": "model/stl"}, content=b"other")
    assert refusal(again) == ("409", "Duplicate")
    assert storage.from_(bucket).download(key) == STL


def test_a_signed_upload_by_the_library_and_in_place_of_another(
    storage: SyncStorageClient, bucket: str, key: str
) -> None:
    files = storage.from_(bucket)
    first = files.create_signed_upload_url(key)
    files.upload_to_signed_url(key, first["token"], STL, {"content-type": "model/stl"})
    with pytest.raises(StorageApiError) as caught:
        files.create_signed_upload_url(key)
    assert caught.value.code == "Duplicate"


def test_a_signed_upload_may_replace_when_it_was_signed_so(
    wire: Wire, storage: SyncStorageClient, http: httpx.Client, target: Target, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    answer = wire("POST", f"/object/upload/sign/{bucket}/{key}", {"x-upsert": "true"}).json()
    put = http.put(f"{target.url}/storage/v1{answer['url']}", content=b"other")
    assert put.status_code == 200
    assert storage.from_(bucket).download(key) == b"other"


def test_an_upload_token_fits_its_own_key_only(
    wire: Wire, http: httpx.Client, target: Target, bucket: str, key: str
) -> None:
    token = wire("POST", f"/object/upload/sign/{bucket}/{key}").json()["token"]
    base = f"{target.url}/storage/v1/object"
    other = http.put(f"{base}/upload/sign/{bucket}/{key}.gcode", params={"token": token}, content=STL)
    assert other.status_code == 400
    assert http.get(f"{base}/sign/{bucket}/{key}", params={"token": token}).status_code == 400


def test_the_limits_hold_for_signed_uploads(
    wire: Wire, http: httpx.Client, target: Target, new_bucket: Callable[..., str]
) -> None:
    bucket = new_bucket(file_size_limit=10, allowed_mime_types=["model/stl"])
    url = f"{target.url}/storage/v1{wire('POST', f'/object/upload/sign/{bucket}/a.stl').json()['url']}"
    large = http.put(url, headers={"content-type": "model/stl"}, content=b"x" * 11)
    assert refusal(large) == ("413", "Payload too large")
    page = http.put(url, headers={"content-type": "text/html"}, content=b"x")
    assert refusal(page) == ("415", "invalid_mime_type")
    assert http.put(url, headers={"content-type": "model/stl"}, content=b"x").status_code == 200

"""Supabase Storage's wire, by storage3 and, where that hides the answer, by bare HTTP."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from devstack.testing.supabase import Target

from .conftest import User, Wire

STL = b"solid cube\nendsolid cube\n"


def stored(storage: SyncStorageClient, bucket: str, key: str, contents: bytes = STL) -> str:
    storage.from_(bucket).upload(key, contents, {"content-type": "model/stl"})
    return key


def refusal(answer: httpx.Response) -> tuple[str, str]:
    """The status and the name of an error; every answer has the three fields."""
    body = answer.json()
    assert answer.status_code in {400, 403, 404, 409, 413, 415, 416}
    assert isinstance(body["message"], str)
    return str(body["statusCode"]), body["error"]


def test_what_was_uploaded_comes_back(storage: SyncStorageClient, bucket: str, key: str) -> None:
    answer = storage.from_(bucket).upload(key, STL, {"content-type": "model/stl"})
    assert answer.full_path == f"{bucket}/{key}"
    assert storage.from_(bucket).download(key) == STL


def test_a_second_upload_is_409_unless_it_may_replace(
    storage: SyncStorageClient, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    with pytest.raises(StorageApiError) as caught:
        storage.from_(bucket).upload(key, b"other")
    assert (str(caught.value.status), caught.value.code) == ("409", "Duplicate")
    assert storage.from_(bucket).download(key) == STL
    storage.from_(bucket).upload(key, b"other", {"upsert": "true"})
    assert storage.from_(bucket).download(key) == b"other"


def test_info_tells_size_type_etag_and_the_uploaders_metadata(
    storage: SyncStorageClient, bucket: str, key: str
) -> None:
    options: Any = {"content-type": "model/stl", "cache-control": "60", "metadata": {"sha": "abc"}}
    storage.from_(bucket).upload(key, STL, options)
    info = storage.from_(bucket).info(key)
    assert (info["name"], info["bucket_id"]) == (key, bucket)
    assert (info["size"], info["content_type"]) == (len(STL), "model/stl")
    assert info["cache_control"] == "max-age=60"
    assert info["metadata"] == {"sha": "abc"}
    assert info["etag"].strip('"') == hashlib.md5(STL).hexdigest()
    assert "T" in info["created_at"]


def test_a_bare_body_carries_its_metadata_in_a_header(
    wire: Wire, storage: SyncStorageClient, bucket: str, key: str
) -> None:
    metadata = base64.b64encode(json.dumps({"filename": "Würfel.stl"}).encode()).decode()
    headers = {"content-type": "model/stl", "x-metadata": metadata, "cache-control": "max-age=5"}
    answer = wire("POST", f"/object/{bucket}/{key}", headers, content=STL)
    assert answer.status_code == 200
    assert answer.json()["Key"] == f"{bucket}/{key}"
    assert answer.json()["Id"]
    info = storage.from_(bucket).info(key)
    assert info["metadata"] == {"filename": "Würfel.stl"}
    assert info["content_type"] == "model/stl"


def test_a_missing_object_or_bucket_is_404_in_the_body(
    wire: Wire, storage: SyncStorageClient, bucket: str
) -> None:
    assert refusal(wire("GET", f"/object/{bucket}/none.stl")) == ("404", "not_found")
    assert refusal(wire("GET", f"/object/info/{bucket}/none.stl")) == ("404", "not_found")
    missing = wire("POST", "/object/contract-none/a.stl", {"content-type": "model/stl"}, content=STL)
    assert refusal(missing) == ("404", "Bucket not found")
    assert storage.from_(bucket).exists("none.stl") is False


def test_downloads_carry_length_type_and_etag_and_know_conditions(
    wire: Wire, storage: SyncStorageClient, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    answer = wire("GET", f"/object/{bucket}/{key}")
    assert answer.headers["content-type"].startswith("model/stl")
    assert answer.headers["content-length"] == str(len(STL))
    assert answer.headers["last-modified"]
    again = wire("GET", f"/object/{bucket}/{key}", {"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = wire("HEAD", f"/object/{bucket}/{key}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(STL))


@pytest.mark.parametrize(
    ("asked", "part", "content_range"),
    [
        ("bytes=0-4", STL[:5], f"bytes 0-4/{len(STL)}"),
        ("bytes=6-", STL[6:], f"bytes 6-{len(STL) - 1}/{len(STL)}"),
        ("bytes=-5", STL[-5:], f"bytes {len(STL) - 5}-{len(STL) - 1}/{len(STL)}"),
        ("bytes=20-999", STL[20:], f"bytes 20-{len(STL) - 1}/{len(STL)}"),
    ],
)
def test_a_range_gets_its_part(
    wire: Wire, storage: SyncStorageClient, bucket: str, key: str, asked: str, part: bytes, content_range: str
) -> None:
    stored(storage, bucket, key)
    answer = wire("GET", f"/object/{bucket}/{key}", {"range": asked})
    assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["content-range"] == content_range


def test_a_range_beyond_the_end_is_refused(
    wire: Wire, storage: SyncStorageClient, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    assert wire("GET", f"/object/{bucket}/{key}", {"range": "bytes=900-"}).status_code in {400, 416}


def test_a_copy_goes_to_another_bucket_with_its_metadata(
    wire: Wire, storage: SyncStorageClient, bucket: str, new_bucket: Callable[..., str], key: str
) -> None:
    options: Any = {"content-type": "model/stl", "metadata": {"sha": "abc"}}
    storage.from_(bucket).upload(key, STL, options)
    other = new_bucket()
    body = {
        "bucketId": bucket,
        "sourceKey": key,
        "destinationBucket": other,
        "destinationKey": "9/x/part.stl",
    }
    answer = wire("POST", "/object/copy", json=body)
    assert (answer.status_code, answer.json()["Key"]) == (200, f"{other}/9/x/part.stl")
    assert storage.from_(other).download("9/x/part.stl") == STL
    info = storage.from_(other).info("9/x/part.stl")
    assert (info["content_type"], info["metadata"]) == ("model/stl", {"sha": "abc"})
    storage.from_(bucket).remove([key])
    assert storage.from_(other).download("9/x/part.stl") == STL
    assert refusal(wire("POST", "/object/copy", json=body)) == ("404", "not_found")


def test_a_copy_onto_another_object_is_409(
    wire: Wire, storage: SyncStorageClient, bucket: str, key: str
) -> None:
    stored(storage, bucket, key)
    stored(storage, bucket, f"{key}.2", b"other")
    body = {"bucketId": bucket, "sourceKey": key, "destinationKey": f"{key}.2"}
    assert refusal(wire("POST", "/object/copy", json=body)) == ("409", "Duplicate")
    assert wire("POST", "/object/copy", {"x-upsert": "true"}, json=body).status_code == 200
    assert storage.from_(bucket).download(f"{key}.2") == STL


def test_a_move_leaves_nothing_behind(storage: SyncStorageClient, bucket: str, key: str) -> None:
    stored(storage, bucket, key)
    storage.from_(bucket).move(key, f"{key}.moved")
    assert storage.from_(bucket).download(f"{key}.moved") == STL
    assert storage.from_(bucket).exists(key) is False


def test_removing_answers_what_went(storage: SyncStorageClient, bucket: str, key: str) -> None:
    stored(storage, bucket, key)
    gone = storage.from_(bucket).remove([key, "none.stl"])
    assert [each["name"] for each in gone] == [key]
    assert storage.from_(bucket).remove([key]) == []
    assert storage.from_(bucket).exists(key) is False


def test_a_list_shows_one_folder_with_relative_names(
    storage: SyncStorageClient, new_bucket: Callable[..., str]
) -> None:
    bucket = new_bucket()
    for key in ("7/b/two.stl", "7/a/one.stl", "7/zero.stl", "8/other.stl", "top.stl"):
        stored(storage, bucket, key)
    files = storage.from_(bucket)
    assert [each["name"] for each in files.list()] == ["7", "8", "top.stl"]
    entries = files.list("7")
    assert [each["name"] for each in entries] == ["a", "b", "zero.stl"]
    folder, _, file = entries
    assert (folder["id"], folder["metadata"], folder["created_at"]) == (None, None, None)
    assert file["id"]
    assert file["metadata"]["size"] == len(STL)
    assert file["metadata"]["mimetype"] == "model/stl"
    assert "T" in file["created_at"]
    assert [each["name"] for each in files.list("7/a")] == ["one.stl"]
    assert files.list("nowhere") == []


def test_a_list_is_searched_sorted_and_paged(
    storage: SyncStorageClient, new_bucket: Callable[..., str]
) -> None:
    bucket = new_bucket()
    for name in ("ab.stl", "ac.stl", "b.stl", "A_.stl"):
        stored(storage, bucket, f"x/{name}")
    files = storage.from_(bucket)

    def names(**options: Any) -> list[str]:
        return [each["name"] for each in files.list("x", options)]  # type: ignore[arg-type]

    assert set(names(search="a")) == {"ab.stl", "ac.stl", "A_.stl"}
    assert names(search="b") == ["b.stl"]
    assert names(sortBy={"column": "name", "order": "desc"})[0] == "b.stl"
    assert names(limit=2, offset=3, sortBy={"column": "created_at", "order": "asc"}) == ["A_.stl"]


@pytest.mark.parametrize("key", ["größe.stl", "a/b#.stl", "a/[1].stl", "emoji-🧱.stl", "a%20~.stl"])
def test_a_key_outside_the_safe_characters_is_refused(wire: Wire, bucket: str, key: str) -> None:
    answer = wire("POST", f"/object/{bucket}/{quote(key)}", {"content-type": "model/stl"}, content=STL)
    assert refusal(answer) == ("400", "InvalidKey")


@pytest.mark.parametrize("key", ["a (1) & b's+c.stl", "x/y=1;z:2,$3!@.stl"])
def test_a_key_of_safe_characters_is_taken(storage: SyncStorageClient, bucket: str, key: str) -> None:
    storage.from_(bucket).upload(key, STL, {"upsert": "true"})
    assert storage.from_(bucket).download(key) == STL


def test_an_object_over_the_buckets_limit_is_413_and_leaves_nothing(
    wire: Wire, storage: SyncStorageClient, new_bucket: Callable[..., str]
) -> None:
    bucket = new_bucket(file_size_limit=1000)
    bare = wire("POST", f"/object/{bucket}/a.stl", {"content-type": "model/stl"}, content=b"x" * 1001)
    assert refusal(bare) == ("413", "Payload too large")
    with pytest.raises(StorageApiError) as caught:
        storage.from_(bucket).upload("b.stl", b"x" * 1_000_000, {"content-type": "model/stl"})
    assert str(caught.value.status) == "413"
    assert storage.from_(bucket).list() == []
    storage.from_(bucket).upload("c.stl", b"x" * 1000, {"content-type": "model/stl"})


def test_a_type_that_the_bucket_does_not_allow_is_415(
    wire: Wire, storage: SyncStorageClient, new_bucket: Callable[..., str]
) -> None:
    bucket = new_bucket(allowed_mime_types=["model/stl", "image/*"])
    answer = wire("POST", f"/object/{bucket}/a.html", {"content-type": "text/html"}, content=STL)
    assert refusal(answer) == ("415", "invalid_mime_type")
    with pytest.raises(StorageApiError) as caught:
        storage.from_(bucket).upload("b.html", STL, {"content-type": "text/html"})
    assert str(caught.value.status) == "415"
    storage.from_(bucket).upload("c.png", STL, {"content-type": "image/png"})
    assert [each["name"] for each in storage.from_(bucket).list()] == ["c.png"]


def test_a_form_that_cannot_be_read_is_400(wire: Wire, bucket: str) -> None:
    for headers, content in (
        ({"content-type": "multipart/form-data"}, b"x"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\nhalf a part"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--\r\n"),
    ):
        answer = wire("POST", f"/object/{bucket}/form.stl", headers, content=content)
        assert answer.status_code == 400
        assert answer.json()["statusCode"] == "400"


def test_a_bucket_is_made_read_changed_and_deleted(storage: SyncStorageClient) -> None:
    name = f"contract-{secrets.token_hex(6)}"
    storage.create_bucket(name, options={"file_size_limit": 5, "public": False})
    with pytest.raises(StorageApiError) as caught:
        storage.create_bucket(name)
    assert str(caught.value.status) == "409"
    bucket = storage.get_bucket(name)
    assert (bucket.id, bucket.public, bucket.file_size_limit) == (name, False, 5)
    assert name in {each.id for each in storage.list_buckets()}
    storage.update_bucket(name, {"file_size_limit": 50, "public": False})
    assert storage.get_bucket(name).file_size_limit == 50
    storage.from_(name).upload("a.stl", STL, {"content-type": "model/stl"})
    with pytest.raises(StorageApiError):
        storage.delete_bucket(name)
    storage.empty_bucket(name)
    storage.delete_bucket(name)
    with pytest.raises(StorageApiError):
        storage.get_bucket(name)


def test_nobody_without_the_secret_key_reads_writes_or_lists(
    target: Target,
    wire: Wire,
    storage: SyncStorageClient,
    http: httpx.Client,
    bucket: str,
    key: str,
    user: User,
) -> None:
    stored(storage, bucket, key)
    login = http.post(
        f"{target.url}/auth/v1/token?grant_type=password",
        headers=target.headers(target.publishable_key),
        json={"email": user.email, "password": user.password},
    ).json()
    for headers in (
        target.headers(target.publishable_key),
        target.headers(target.publishable_key, login["access_token"]),
    ):
        assert wire("GET", f"/object/{bucket}/{key}", headers).status_code == 400
        assert wire("GET", f"/object/public/{bucket}/{key}", headers).status_code == 400
        assert refusal(wire("POST", f"/object/{bucket}/new.stl", headers, content=STL))[0] == "403"
        assert wire("POST", f"/object/upload/sign/{bucket}/new.stl", headers).status_code == 400
        assert wire("POST", f"/object/sign/{bucket}/{key}", headers, json={"expiresIn": 9}).status_code == 400
        assert wire("POST", f"/object/list/{bucket}", headers, json={"prefix": ""}).json() == []
        assert wire("DELETE", f"/object/{bucket}", headers, json={"prefixes": [key]}).json() == []
        assert wire("GET", "/bucket", headers).json() == []
    assert storage.from_(bucket).download(key) == STL


def test_a_file_is_streamed_from_disk(
    storage: SyncStorageClient, bucket: str, key: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.stl"
    path.write_bytes(secrets.token_bytes(3_000_000))
    storage.from_(bucket).upload(key, path, {"content-type": "model/stl"})
    assert (
        hashlib.sha256(storage.from_(bucket).download(key)).digest()
        == hashlib.sha256(path.read_bytes()).digest()
    )

"""Bytes in and out: streamed, ranged, copied, listed, signed, removed."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import jwt
import pytest

from printshop.adapters.storage.objects import ATTACHMENTS, BUCKETS, ORDER_FILES, PDFS, TMP, Bucket, Storage
from printshop.config.settings import Settings
from printshop.kernel.errors import ApiError, Conflict, NotFound, PayloadTooLarge, Unavailable, Unprocessable

PDF = b"%PDF-1.4 a paper\n"


def fresh(name: str = "model.stl") -> str:
    return f"7/{uuid4()}/{name}"


@pytest.mark.parametrize("bucket", BUCKETS)
def test_an_object_comes_back_as_it_went_and_goes(storage: Storage, bucket: Bucket) -> None:
    key = fresh("paper.pdf")
    assert storage.upload(bucket, key, PDF, "application/pdf") == key
    assert storage.download(bucket, key) == PDF
    assert storage.delete(bucket, [key]) == 1
    with pytest.raises(NotFound) as refused:
        storage.download(bucket, key)
    assert refused.value.code == "FILE_NOT_FOUND"
    assert storage.delete(bucket, [key]) == 0


def test_what_is_known_of_an_object_are_size_type_and_the_uploaders_words(storage: Storage) -> None:
    key = fresh()
    storage.upload(TMP, key, b"solid x", "model/stl", metadata={"inputsHash": "abc"})
    info = storage.info(TMP, key)
    assert (info.size, info.content_type, info.metadata) == (7, "model/stl", {"inputsHash": "abc"})
    assert info.etag
    with pytest.raises(NotFound):
        storage.info(TMP, fresh())


def test_a_type_that_is_not_said_is_guessed_from_the_name(storage: Storage) -> None:
    key = fresh("notes.txt")
    storage.upload(TMP, key, b"words")
    assert storage.info(TMP, key).content_type.startswith("text/plain")


def test_a_file_is_streamed_both_ways_and_its_digest_is_the_contents(
    storage: Storage, tmp_path: Path
) -> None:
    contents = hashlib.shake_256(b"a model").digest(3_500_000)
    source, target = tmp_path / "in.stl", tmp_path / "out.stl"
    source.write_bytes(contents)
    key = fresh()
    assert storage.upload_from(TMP, key, source, "model/stl") == key
    assert storage.download_to(TMP, key, target) == hashlib.sha256(contents).hexdigest()
    assert target.read_bytes() == contents


def test_a_download_of_nothing_leaves_no_file(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        storage.download_to(TMP, fresh(), tmp_path / "out.stl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 4, b"0123"), (4, 3, b"456"), (8, 100, b"89"), (0, 10, b"0123456789")],
)
def test_a_range_is_that_part_of_the_object(
    storage: Storage, start: int, length: int, expected: bytes
) -> None:
    key = fresh()
    storage.upload(TMP, key, b"0123456789")
    assert storage.download_range(TMP, key, start, length) == expected


def test_an_object_is_replaced_only_where_that_is_meant(storage: Storage, tmp_path: Path) -> None:
    key, path = fresh(), tmp_path / "second"
    path.write_bytes(b"second")
    storage.upload(TMP, key, b"first", upsert=False)
    with pytest.raises(Conflict, match="FILE_EXISTS"):
        storage.upload(TMP, key, b"second", upsert=False)
    with pytest.raises(Conflict, match="FILE_EXISTS"):
        storage.upload_from(TMP, key, path)
    assert storage.download(TMP, key) == b"first"
    storage.upload(TMP, key, b"second")
    assert storage.download(TMP, key) == b"second"
    storage.upload_from(TMP, key, path, upsert=True)
    assert storage.download(TMP, key) == b"second"


def test_a_copy_crosses_buckets_and_may_be_repeated(storage: Storage) -> None:
    source, target = fresh(), fresh()
    storage.upload(TMP, source, b"solid x", "model/stl")
    for _ in range(2):
        storage.copy((TMP, source), (ORDER_FILES, target))
    assert storage.download(ORDER_FILES, target) == b"solid x"
    assert storage.info(ORDER_FILES, target).content_type == "model/stl"
    assert storage.download(TMP, source) == b"solid x"


def test_a_copy_of_nothing_is_refused_and_makes_nothing(storage: Storage) -> None:
    target = fresh()
    with pytest.raises(NotFound):
        storage.copy((TMP, fresh()), (ORDER_FILES, target))
    with pytest.raises(NotFound):
        storage.info(ORDER_FILES, target)


def test_a_list_goes_into_every_folder_below_its_prefix(storage: Storage) -> None:
    root = uuid4().hex
    keys = {f"{root}/a.txt", f"{root}/x/b.txt", f"{root}/x/y/c.txt", f"{root}/x/y/z/d.txt"}
    for key in keys:
        storage.upload(TMP, key, b"x")
    storage.upload(TMP, f"{root}2/other.txt", b"x")
    assert {key for key, _ in storage.list_keys(TMP, root)} == keys
    assert {key for key, _ in storage.list_keys(TMP, f"{root}/x/y/")} == {
        key for key in keys if "/x/y/" in key
    }
    assert keys <= {key for key, _ in storage.list_keys(TMP)}
    entry = next(entry for key, entry in storage.list_keys(TMP, root) if key.endswith("a.txt"))
    assert (entry["metadata"]["size"], bool(entry["created_at"])) == (1, True)


def test_many_objects_are_removed_at_once_and_absent_ones_are_no_error(storage: Storage) -> None:
    keys = [fresh() for _ in range(5)]
    for key in keys:
        storage.upload(TMP, key, b"x")
    assert storage.delete(TMP, [*keys, fresh()]) == 5
    assert storage.delete(TMP, []) == 0


def test_a_signed_url_opens_one_object_under_its_name_for_its_time(storage: Storage) -> None:
    key = fresh()
    storage.upload(TMP, key, b"solid x", "model/stl")
    url = storage.signed_url(TMP, key, 60, "Mein Häschen.stl")
    response = httpx.get(url, timeout=20)
    assert response.content == b"solid x"
    assert "attachment" in response.headers["content-disposition"]
    assert "H%C3%A4schen.stl" in response.headers["content-disposition"]
    token = parse_qs(urlsplit(url).query)["token"][0]
    claims = jwt.decode(token, options={"verify_signature": False})
    left = datetime.fromtimestamp(claims["exp"], UTC) - datetime.now(UTC)
    assert 50 <= left.total_seconds() <= 61
    other = fresh()
    storage.upload(TMP, other, b"secret")
    for changed in (url.replace(key, other), url.replace(token, token[:-3] + "abc"), url.partition("?")[0]):
        refused = httpx.get(changed, timeout=20)
        assert refused.status_code in {400, 401, 403, 404}
        assert b"secret" not in refused.content


@pytest.mark.parametrize("seconds", [0, -1, 59, 301, 10**9])
def test_a_signed_url_lives_60_to_300_seconds_and_no_other_time(storage: Storage, seconds: int) -> None:
    key = fresh()
    storage.upload(TMP, key, b"x")
    with pytest.raises(ValueError, match="300"):
        storage.signed_url(TMP, key, seconds)


def test_nothing_has_no_signed_url(storage: Storage) -> None:
    with pytest.raises(NotFound):
        storage.signed_url(TMP, fresh(), 60)


def test_a_signed_upload_takes_one_file_under_its_key_alone(storage: Storage) -> None:
    key = fresh()
    upload = storage.signed_upload(TMP, key)
    assert httpx.put(
        upload.url, content=b"solid x", headers={"content-type": "model/stl"}, timeout=20
    ).is_success
    assert storage.download(TMP, key) == b"solid x"
    again = httpx.put(upload.url, content=b"other", headers={"content-type": "model/stl"}, timeout=20)
    assert again.is_error
    elsewhere = upload.url.replace(key, fresh())
    assert httpx.put(elsewhere, content=b"other", headers={"content-type": "model/stl"}, timeout=20).is_error
    assert storage.download(TMP, key) == b"solid x"


@pytest.mark.parametrize(
    ("bucket", "contents", "content_type", "refusal"),
    [
        (PDFS, b"words", "text/plain", Unprocessable),
        (ATTACHMENTS, bytes(25 * 1024 * 1024 + 1), "application/pdf", PayloadTooLarge),
    ],
    ids=["type", "size"],
)
def test_a_bucket_takes_only_what_it_is_for(
    storage: Storage, bucket: Bucket, contents: bytes, content_type: str, refusal: type[ApiError]
) -> None:
    key = fresh("paper.pdf")
    with pytest.raises(refusal):
        storage.upload(bucket, key, contents, content_type)
    with pytest.raises(NotFound):
        storage.info(bucket, key)


@pytest.mark.parametrize(
    "act",
    [
        lambda storage: storage.download(TMP, "k"),
        lambda storage: storage.upload(TMP, "k", b"x"),
        lambda storage: storage.info(TMP, "k"),
        lambda storage: storage.delete(TMP, ["k"]),
        lambda storage: storage.copy((TMP, "k"), (TMP, "l")),
        lambda storage: storage.signed_url(TMP, "k", 60),
        lambda storage: list(storage.list_keys(TMP)),
        lambda storage: storage.download_range(TMP, "k", 0, 1),
    ],
    ids="download upload info delete copy sign list range".split(),
)
def test_a_storage_that_does_not_answer_is_unavailable(
    settings: Settings, act: Callable[[Storage], object]
) -> None:
    dead = settings.model_copy(update={"next_public_supabase_url": "http://127.0.0.1:9"})
    with httpx.Client(timeout=5) as client, pytest.raises(Unavailable) as refused:
        act(Storage(dead, client))
    assert refused.value.code == "STORAGE_UNAVAILABLE"

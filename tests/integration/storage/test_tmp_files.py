"""Temporary files: object and row come and go together, and belong to one user."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from printshop.adapters.database import Database
from printshop.adapters.storage.objects import TMP, Storage
from printshop.files.tmp_files import (
    StoredTmpFile,
    create_tmp_file,
    delete_tmp_file,
    delete_tmp_files,
    download_tmp_file_to,
    download_tmp_file_to_buffer,
    get_tmp_file_signed_url,
    list_tmp_files,
    require_tmp_file,
    save_tmp_file,
    update_tmp_file,
)
from printshop.kernel.errors import Conflict, NotFound
from tests.integration.storage.conftest import Customer

MODEL = b"solid bunny"


def save(
    storage: Storage, database: Database, customer: Customer, filename: str = "Häschen.stl"
) -> StoredTmpFile:
    return save_tmp_file(storage, database, customer.user_id, filename, MODEL, "model/stl")


def exists(storage: Storage, key: str) -> bool:
    try:
        storage.info(TMP, key)
    except NotFound:
        return False
    return True


def test_create_stores_an_object_alone(storage: Storage, database: Database, customer: Customer) -> None:
    key = create_tmp_file(storage, customer.user_id, "bunny.stl", MODEL, "model/stl")
    user, _, name = key.split("/")
    assert (user, name) == (str(customer.user_id), "bunny.stl")
    assert storage.download(TMP, key) == MODEL
    with pytest.raises(NotFound):
        require_tmp_file(database, customer.user_id, key)


def test_save_stores_object_and_row_under_the_verbatim_name(
    storage: Storage, database: Database, customer: Customer
) -> None:
    saved = save(storage, database, customer)
    assert (saved.filename, saved.size_bytes, saved.mime_type) == ("Häschen.stl", len(MODEL), "model/stl")
    assert (saved.status, saved.uploaded, saved.metadata) == ("idle", True, {})
    assert saved.storage_key.endswith("/Haschen.stl")
    assert storage.download(TMP, saved.storage_key) == MODEL


def test_require_answers_the_owner_by_id_and_by_key(
    storage: Storage, database: Database, customer: Customer
) -> None:
    saved = save(storage, database, customer)
    assert require_tmp_file(database, customer.user_id, str(saved.id)) == saved
    assert require_tmp_file(database, customer.user_id, saved.storage_key) == saved


def test_somebody_elses_file_does_not_exist(
    storage: Storage, database: Database, new_customer: Callable[[], Customer]
) -> None:
    owner, stranger = new_customer(), new_customer()
    saved = save(storage, database, owner)
    for name in (str(saved.id), saved.storage_key):
        with pytest.raises(NotFound):
            require_tmp_file(database, stranger.user_id, name)
        with pytest.raises(NotFound):
            update_tmp_file(database, stranger.user_id, name, status="failed")
        with pytest.raises(NotFound):
            delete_tmp_file(storage, database, stranger.user_id, name)
    assert list_tmp_files(database, stranger.user_id) == []
    assert require_tmp_file(database, owner.user_id, str(saved.id)) == saved
    assert storage.download(TMP, saved.storage_key) == MODEL


def test_update_changes_status_and_merges_metadata(
    storage: Storage, database: Database, customer: Customer
) -> None:
    saved = save(storage, database, customer)
    update_tmp_file(database, customer.user_id, str(saved.id), metadata={"attempts": 1, "error": None})
    changed = update_tmp_file(
        database, customer.user_id, str(saved.id), status="failed", sizeBytes=5, metadata={"error": "broken"}
    )
    assert (changed.status, changed.size_bytes) == ("failed", 5)
    assert changed.metadata == {"attempts": 1, "error": "broken"}
    assert changed.updated_at > saved.updated_at


def test_a_file_is_read_whole_to_disk_and_by_link(
    storage: Storage, database: Database, customer: Customer, tmp_path: Path
) -> None:
    saved = save(storage, database, customer)
    assert download_tmp_file_to_buffer(storage, saved) == MODEL
    path = tmp_path / "bunny.stl"
    assert download_tmp_file_to(storage, saved, path) == hashlib.sha256(MODEL).hexdigest()
    assert path.read_bytes() == MODEL
    response = httpx.get(get_tmp_file_signed_url(storage, saved, 60), timeout=20)
    assert response.content == MODEL
    assert "H%C3%A4schen.stl" in response.headers["content-disposition"]


def test_delete_leaves_neither_row_nor_object(
    storage: Storage, database: Database, customer: Customer
) -> None:
    saved = save(storage, database, customer)
    delete_tmp_file(storage, database, customer.user_id, str(saved.id))
    assert not exists(storage, saved.storage_key)
    with pytest.raises(NotFound):
        require_tmp_file(database, customer.user_id, str(saved.id))
    with pytest.raises(NotFound):
        delete_tmp_file(storage, database, customer.user_id, str(saved.id))


def test_delete_of_many_takes_a_models_g_code_with_it(
    storage: Storage, database: Database, customer: Customer, rows: psycopg.Connection
) -> None:
    model, output, other = (save(storage, database, customer) for _ in range(3))
    rows.execute("update tmp_files set parent_id = %s where id = %s", (model.id, output.id))
    delete_tmp_files(storage, database, customer.user_id, [str(model.id), other.storage_key])
    assert [exists(storage, file.storage_key) for file in (model, output, other)] == [False] * 3
    assert list_tmp_files(database, customer.user_id) == []


def test_a_file_that_is_being_sliced_stays(
    storage: Storage, database: Database, customer: Customer, rows: psycopg.Connection
) -> None:
    saved, other = save(storage, database, customer), save(storage, database, customer)
    rows.execute("update tmp_files set status = 'running' where id = %s", (saved.id,))
    with pytest.raises(Conflict) as refused:
        delete_tmp_files(storage, database, customer.user_id, [str(other.id), str(saved.id)])
    assert refused.value.code == "SLICE_RUNNING"
    assert [exists(storage, file.storage_key) for file in (saved, other)] == [True, True]


def test_list_answers_the_newest_first_page_by_page(
    storage: Storage, database: Database, customer: Customer
) -> None:
    ids = [save(storage, database, customer).id for _ in range(5)]
    first = list_tmp_files(database, customer.user_id, limit=3)
    rest = list_tmp_files(database, customer.user_id, limit=3, before_id=first[-1].id)
    assert [file.id for file in [*first, *rest]] == sorted(ids, reverse=True)

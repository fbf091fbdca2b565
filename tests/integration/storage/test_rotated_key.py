"""Adapters outlive the service key that they were made with: Supabase refuses it, and the newest one is used."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from devstack.aws import Aws
from devstack.supabase import Supabase
from printshop.adapters.database import Database, DatabaseError
from printshop.adapters.storage.objects import TMP, Storage
from printshop.adapters.supabase import http_client
from printshop.config.settings_provider import CurrentSettings
from tests.support.aws import aws_of_this_process

OLD = "sb_secret_replaced_long_ago"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with aws_of_this_process(tmp_path_factory.mktemp("aws")) as server:
        yield server


@pytest.fixture
def started(
    aws: Aws, project: Supabase
) -> Iterator[tuple[httpx.Client, CurrentSettings, Callable[[], None]]]:
    """A client made with the old key, the settings of now, and what puts the project's real key into the secret."""
    name = f"printshop/{uuid4()}"
    aws.put_secret(name, {"SUPABASE_SERVICE_ROLE_KEY": OLD})
    now = CurrentSettings(
        {
            "NEXT_PUBLIC_SUPABASE_URL": project.url,
            "NEXT_PUBLIC_SUPABASE_ANON_KEY": project.publishable_key,
            "SECRETS_ID": name,
        },
        caused_seconds=0,
    )
    with http_client(now.read(), now) as client:
        yield client, now, lambda: aws.put_secret(name, {"SUPABASE_SERVICE_ROLE_KEY": project.secret_key})


def questions(aws: Aws) -> int:
    return sum(call["action"] == "GetSecretValue" for call in aws.calls())


def test_a_database_call_that_the_old_key_was_refused_for_is_done_with_the_new_one(
    aws: Aws, started: tuple[httpx.Client, CurrentSettings, Callable[[], None]]
) -> None:
    client, now, rotate = started
    database = Database(now.read(), client)
    with pytest.raises(DatabaseError):
        database.call("readiness")
    rotate()
    assert database.call("readiness")["migrated"]
    asked = questions(aws)
    assert database.call("readiness")["migrated"]
    assert questions(aws) == asked


def test_a_streamed_upload_that_the_old_key_was_refused_for_arrives_whole(
    started: tuple[httpx.Client, CurrentSettings, Callable[[], None]], tmp_path: Path
) -> None:
    client, now, rotate = started
    storage = Storage(now.read(), client)
    rotate()
    file = tmp_path / "model.stl"
    file.write_bytes(bytes(range(256)) * 4096)
    key = storage.upload_from(TMP, f"rotated/{uuid4()}.stl", file, "model/stl")
    assert storage.download(TMP, key) == file.read_bytes()
    storage.download_to(TMP, key, tmp_path / "again.stl")
    assert (tmp_path / "again.stl").read_bytes() == file.read_bytes()


def test_a_users_token_is_never_replaced_by_the_service_key(
    aws: Aws, started: tuple[httpx.Client, CurrentSettings, Callable[[], None]], project: Supabase
) -> None:
    client, _, rotate = started
    rotate()
    asked = questions(aws)
    for headers in (
        {"apikey": OLD, "Authorization": "Bearer of-a-user"},
        {"apikey": project.publishable_key, "Authorization": "Bearer of-a-user"},
        {"apikey": project.publishable_key},
    ):
        answer = client.post("/rest/v1/rpc/readiness", json={}, headers=headers)
        assert not answer.is_success, json.dumps(headers)
        assert dict(answer.request.headers) | {name.lower(): one for name, one in headers.items()} == dict(
            answer.request.headers
        )
    assert questions(aws) == asked

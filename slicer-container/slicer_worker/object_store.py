"""The object store as the worker uses it."""

from pathlib import Path
from typing import Literal, Protocol


class ObjectStore(Protocol):
    """What is needed of `printshop.adapters.storage.objects.Storage`."""

    def download_to(self, bucket: Literal["tmp"], key: str, path: Path) -> str: ...

    def upload_from(
        self, bucket: Literal["tmp"], key: str, path: Path, content_type: str, *, upsert: bool = False
    ) -> object: ...

    def delete(self, bucket: Literal["tmp"], keys: list[str]) -> int: ...

"""The local cache of printed PDFs: a folder, bounded in size, found by file name and hash of the inputs."""

import os
import re
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from printshop.adapters.chromium.installation import make_workspace
from printshop.kernel.log import get_logger

MAX_AGE: Final = 24 * 3600
"""Seconds without use; so long at most the PDF of a deleted document outlives it on this disk."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""A page takes 30–60 kB; Lambda's temp folder is 512 MB, of which the browser takes 200."""

log = get_logger()


def cache_folder(configured: str) -> Path:
    """PDF_CACHE_DIR, made when it is not there; where it cannot be written (Lambda), a folder that can."""
    folder = Path(configured)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return make_workspace() / "pdfs"
    return folder if os.access(folder, os.W_OK) else make_workspace() / "pdfs"


def forget_cached(configured: str, filenames: Iterable[str]) -> None:
    """Drop documents that are gone from PDF_CACHE_DIR, where this process shares it with who prints. On Lambda nobody
    does: there a PDF that is not asked for any more goes by its age."""
    cache = PdfCache(Path(configured))
    for filename in filenames:
        cache.remove(filename)


class PdfCache:
    """Keeps one PDF a document, the newest; drops the longest unused above `max_bytes`, and what a day did not use.

    A cache never fails: what cannot be read is absent, what cannot be written is logged.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def get(self, filename: str, digest: str) -> bytes | None:
        """The PDF of exactly these inputs, or None."""
        file = self._file(filename, digest)
        try:
            contents = file.read_bytes()
            os.utime(file)
        except OSError:
            return None
        return contents

    def put(self, filename: str, digest: str, contents: bytes) -> None:
        """Keep this PDF and forget earlier ones of the document."""
        file = self._file(filename, digest)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, partial = tempfile.mkstemp(suffix=".part", dir=self._folder)
            with os.fdopen(descriptor, "wb") as target:
                target.write(contents)
            Path(partial).replace(file)
        except OSError as error:
            log.warn(scope="pdf.cache", message="The PDF was not cached", error=error)
        self.remove(filename, keep=file)
        self._shrink(keep=file)

    def remove(self, filename: str, *, keep: Path | None = None) -> None:
        """Forget the document."""
        name = re.compile(re.escape(Path(filename).stem) + r"\.[0-9a-f]{64}\.pdf")
        for file in self._files():
            if file != keep and name.fullmatch(file.name):
                with suppress(OSError):
                    file.unlink()

    def _shrink(self, keep: Path) -> None:
        known = []
        for file in self._files():
            with suppress(OSError):
                status = file.stat()
                known.append((status.st_mtime_ns, status.st_size, file))
        total = sum(size for _, size, _ in known)
        stale = (time.time() - MAX_AGE) * 1e9
        for used, size, file in sorted(known):
            if total <= self._max_bytes and used > stale:
                return
            if file != keep:
                file.unlink(missing_ok=True)
                total -= size

    def _files(self) -> list[Path]:
        return list(self._folder.glob("*.pdf")) + list(self._folder.glob("*.part"))

    def _file(self, filename: str, digest: str) -> Path:
        return self._folder / f"{Path(filename).stem}.{digest}.pdf"

import os
import time
from pathlib import Path

import pytest

from printshop.adapters.storage.keys import pdf_filenames
from printshop.documents.cache import PdfCache, cache_folder, forget_cached

ONE, TWO = "1" * 64, "2" * 64
NAME = "invoice-INV-0001.pdf"


def test_what_was_put_is_got_for_the_same_inputs_only(tmp_path: Path) -> None:
    cache = PdfCache(tmp_path / "data" / "pdfs")
    assert cache.get(NAME, ONE) is None
    cache.put(NAME, ONE, b"%PDF one")
    assert cache.get(NAME, ONE) == b"%PDF one"
    assert cache.get(NAME, TWO) is None
    assert cache.get("invoice-INV-0002.pdf", ONE) is None


def test_a_new_pdf_replaces_the_old_one_of_its_document(tmp_path: Path) -> None:
    cache = PdfCache(tmp_path)
    cache.put(NAME, ONE, b"one")
    cache.put("invoice-INV-00011.pdf", ONE, b"another document")
    cache.put(NAME, TWO, b"two")
    assert cache.get(NAME, ONE) is None
    assert cache.get(NAME, TWO) == b"two"
    assert cache.get("invoice-INV-00011.pdf", ONE) == b"another document"


def test_a_removed_document_is_gone(tmp_path: Path) -> None:
    cache = PdfCache(tmp_path)
    cache.put(NAME, ONE, b"one")
    cache.remove(NAME)
    cache.remove(NAME)
    assert cache.get(NAME, ONE) is None
    assert list(tmp_path.iterdir()) == []


def test_the_longest_unused_go_when_the_folder_is_full(tmp_path: Path) -> None:
    cache = PdfCache(tmp_path, max_bytes=25)
    for number, age in ((1, 300), (2, 200)):
        cache.put(f"invoice-{number}.pdf", ONE, b"0123456789")
        file = tmp_path / f"invoice-{number}.{ONE}.pdf"
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - age))
    assert cache.get("invoice-1.pdf", ONE) is not None
    cache.put("invoice-3.pdf", ONE, b"0123456789")
    assert [cache.get(f"invoice-{number}.pdf", ONE) is not None for number in (1, 2, 3)] == [
        True,
        False,
        True,
    ]


def test_what_nobody_used_for_a_day_goes_with_the_next_write(tmp_path: Path) -> None:
    cache = PdfCache(tmp_path)
    for number, hours in ((1, 25), (2, 23)):
        cache.put(f"invoice-{number}.pdf", ONE, b"contents")
        then = time.time() - hours * 3600
        os.utime(tmp_path / f"invoice-{number}.{ONE}.pdf", (then, then))
    cache.put("invoice-3.pdf", ONE, b"contents")
    assert sorted(file.name[:9] for file in tmp_path.iterdir()) == ["invoice-2", "invoice-3"]


def test_papers_of_a_deleted_document_are_forgotten_where_the_folder_is_shared(tmp_path: Path) -> None:
    cache = PdfCache(tmp_path)
    for name in ("invoice-INV-0001.pdf", "receipt-INV-0001.pdf", "invoice-INV-00012.pdf"):
        cache.put(name, ONE, b"contents")
    forget_cached(str(tmp_path), pdf_filenames("invoice", "INV-0001"))
    assert [file.name for file in tmp_path.iterdir()] == [f"invoice-INV-00012.{ONE}.pdf"]
    forget_cached(str(tmp_path / "absent"), pdf_filenames("quote", "QT-0001"))
    assert not (tmp_path / "absent").exists()


def test_a_pdf_larger_than_the_cache_is_kept_alone(tmp_path: Path) -> None:
    cache = PdfCache(tmp_path, max_bytes=5)
    cache.put("invoice-1.pdf", ONE, b"1234")
    cache.put("invoice-2.pdf", ONE, b"0123456789")
    assert cache.get("invoice-1.pdf", ONE) is None
    assert cache.get("invoice-2.pdf", ONE) == b"0123456789"


def test_a_cache_that_cannot_be_written_is_a_cache_that_misses(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    cache = PdfCache(blocked / "pdfs")
    cache.put(NAME, ONE, b"one")
    assert cache.get(NAME, ONE) is None
    cache.remove(NAME)


def test_an_interrupted_write_is_never_read_and_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "tmpabc.part").write_bytes(b"x" * 100)
    cache = PdfCache(tmp_path, max_bytes=50)
    cache.put(NAME, ONE, b"one")
    assert [file.name for file in tmp_path.iterdir()] == [f"invoice-INV-0001.{ONE}.pdf"]


def test_the_configured_folder_is_made_when_needed(tmp_path: Path) -> None:
    assert cache_folder(str(tmp_path / "data" / "pdfs")) == tmp_path / "data" / "pdfs"
    assert (tmp_path / "data" / "pdfs").is_dir()


@pytest.mark.parametrize("configured", ["/proc/data/pdfs", "/dev/null/pdfs"])
def test_a_folder_that_cannot_be_made_gives_way_to_the_temp_folder(configured: str) -> None:
    folder = cache_folder(configured)
    assert folder.name == "pdfs"
    assert os.access(folder.parent, os.W_OK)

"""Storage keys: ASCII, short, never out of their folder."""

from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from printshop.adapters.storage.keys import MAX_NAME, attachment_key, order_key, safe_name, tmp_key

KEY_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("bunny.stl", "bunny.stl"),
        ("Ünder käse.STL", "Under_kase.stl"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system32\\a.stl", "a.stl"),
        ("C:\\Users\\me\\model.3MF", "model.3mf"),
        ("/absolute/model.stl", "model.stl"),
        ("..", "file"),
        (".", "file"),
        ("", "file"),
        ("   ", "file"),
        ("模型.stl", "file.stl"),
        ("🐇.stl", "file.stl"),
        ("a.b.c.stl", "a_b_c.stl"),
        ("name with  spaces.stl", "name_with_spaces.stl"),
        ("tab\tnew\nline\x00.stl", "tab_new_line.stl"),
        ("semi;colon?query=1#hash.stl", "semi_colon_query_1_hash.stl"),
        ("%2e%2e%2fescape.stl", "2e_2e_2fescape.stl"),
    ],
)
def test_a_name_is_made_safe(filename: str, name: str) -> None:
    assert safe_name(filename) == name


def test_a_long_name_is_cut_and_keeps_its_suffix() -> None:
    name = safe_name("x" * 255 + ".stl")
    assert len(name) == MAX_NAME
    assert name.endswith("x.stl")


@given(st.text(max_size=300))
@example("a." + "b" * 250)
@example("...stl")
@example("a/..")
def test_every_name_is_ascii_short_and_one_part_of_a_path(filename: str) -> None:
    name = safe_name(filename)
    assert set(name) <= KEY_CHARACTERS
    assert 1 <= len(name) <= MAX_NAME
    assert not name.startswith(".")


@given(st.text(max_size=300))
def test_every_key_stays_in_its_folder(filename: str) -> None:
    folder = uuid4()
    assert tmp_key(7, filename, folder).rpartition("/")[0] == f"7/{folder}"
    assert order_key(8, folder, filename).rpartition("/")[0] == f"8/{folder}"
    assert attachment_key(9, filename).rpartition("/")[0] == "9"


def test_two_uploads_of_one_name_get_keys_of_their_own() -> None:
    first, second = tmp_key(7, "bunny.stl"), tmp_key(7, "bunny.stl")
    assert first != second
    user, folder, name = first.split("/")
    assert (user, str(UUID(folder)), name) == ("7", folder, "bunny.stl")

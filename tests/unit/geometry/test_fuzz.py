"""Whatever the bytes, the answer is a kind of model or a refusal with a code: never another exception."""

import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from printshop.geometry.errors import ModelError
from printshop.geometry.mesh import load_triangles
from printshop.geometry.model_file import HEAD_BYTES, TAIL_BYTES, check_ends, check_upload
from printshop.geometry.slicer_input import prepare_slicer_input
from tests.unit.slicing.model_makers import ascii_stl, binary_stl, box, three_mf_bytes

SIZES = [pytest.param(150), pytest.param(5000, marks=pytest.mark.full)]
NAMES = st.sampled_from(["a.stl", "a.3mf"])

HONEST = [
    binary_stl(box(20)),
    ascii_stl(box(20)),
    three_mf_bytes(),
    three_mf_bytes(compression=zipfile.ZIP_STORED),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An honest model with some bytes overwritten, cut out or doubled."""
    data = bytearray(draw(st.sampled_from(HONEST)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        piece = draw(st.binary(min_size=0, max_size=8))
        data[at : at + draw(st.integers(0, 40))] = piece
    return bytes(data)


def answers(data: bytes, name: str) -> list[str | int]:
    """What the API and the worker make of a file: the code of a refusal, or how many triangles they find.

    The worker sees no STL that the API refused; a 3MF it checks for itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder) / "upload"
        upload.write_bytes(data)
        found: list[str | int] = []
        try:
            found.append(check_upload(upload, name)[1].triangles)
        except ModelError as refusal:
            found.append(refusal.code)
            if name.endswith(".stl"):
                return [refusal.code, refusal.code]
        try:
            found.append(len(load_triangles(prepare_slicer_input(upload, name))))
        except ModelError as refusal:
            found.append(refusal.code)
        return found


@pytest.mark.parametrize("examples", SIZES)
def test_any_bytes_are_a_model_or_refused_with_a_code(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(data=st.one_of(damaged(), st.binary(max_size=400)), name=NAMES)
    def check(data: bytes, name: str) -> None:
        by_api, by_worker = answers(data, name)
        assert by_api == by_worker
        try:
            check_ends(name, len(data), data[:HEAD_BYTES], data[-TAIL_BYTES:])
        except ModelError as refusal:
            assert refusal.code == by_api, "the ends were refused, but the whole file was not"

    check()

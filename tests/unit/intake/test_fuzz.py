"""Whatever the bytes, the answer is a kind of model or a refusal with a code: never another exception."""

import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from printshop.intake.model_file import HEAD_BYTES, TAIL_BYTES, check_ends
from printshop.intake.prepare import prepare_model
from printshop.intake.refusals import ModelRefused
from printshop.slicing.gcode import StatisticsMissing, parse_duration, parse_statistics
from tests.unit.slicing.model_makers import ascii_stl, binary_stl, box, cube_model, three_mf

SIZES = [pytest.param(150), pytest.param(5000, marks=pytest.mark.full)]
NAMES = st.sampled_from(["a.stl", "a.3mf"])


def _three_mf(model: str, compression: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return three_mf(Path(folder) / "u.3mf", model, compression=compression).read_bytes()


HONEST = [
    binary_stl(box(20)),
    ascii_stl(box(20)),
    _three_mf(cube_model(), zipfile.ZIP_DEFLATED),
    _three_mf(cube_model(), zipfile.ZIP_STORED),
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


def prepare(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder) / "upload"
        upload.write_bytes(data)
        assert prepare_model(upload, name).exists()


@pytest.mark.parametrize("examples", SIZES)
def test_any_bytes_are_a_model_or_refused_with_a_code(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(data=st.one_of(damaged(), st.binary(max_size=400)), name=NAMES)
    def check(data: bytes, name: str) -> None:
        refused = []
        try:
            check_ends(name, len(data), data[:HEAD_BYTES], data[-TAIL_BYTES:])
        except ModelRefused as refusal:
            refused.append(refusal.code)
        try:
            prepare(data, name)
        except ModelRefused as refusal:
            refused.append(refusal.code)
        else:
            assert not refused, "the worker took what the upload refused"

    check()


@pytest.mark.parametrize("examples", SIZES)
def test_any_text_has_figures_or_names_the_missing_ones(examples: int) -> None:
    figures = "; filament used [g] = |; filament used [mm] =|; filament used [cm3] = |; filament used = |mm (|cm3)|g"
    times = "; estimated printing time (normal mode) = |1d|2h|:|4.15|9.9, 1|\n|\r\n"
    words = st.sampled_from([*figures.split("|"), *times.split("|")])

    @settings(max_examples=examples, deadline=None, derandomize=True)
    @given(text=st.lists(st.one_of(words, st.text(max_size=5)), max_size=30).map("".join))
    def check(text: str) -> None:
        assert parse_duration(text) >= 0
        try:
            found = parse_statistics(text)
        except StatisticsMissing:
            return
        assert min(found.mass_mg, found.volume_mm3, found.filament_mm, found.time_s) >= 0

    check()

"""Whatever the text, the answer is figures or the names of those that are missing: never another exception."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from printshop.slicing.gcode_statistics import StatisticsMissing, parse_duration, parse_statistics

SIZES = [pytest.param(150), pytest.param(5000, marks=pytest.mark.full)]


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

"""What a g-code file says it costs: grams, cm³, mm of filament, seconds.

Slicers write these figures as comments at the END of the file (before their settings), so only the last
64 KiB are read: the cost is the same for 1 MB and for 1 GB. Figures of several extruders are summed.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

TAIL_BYTES = 64 * 1024
DENSITY_TOLERANCE = Decimal("0.02")


class GcodeError(Exception):
    """The g-code cannot be priced.

    GcodeError
    ├── NoGcode               there is no file (a link or a pipe is none), or it is empty
    ├── StatisticsMissing     a figure is absent or zero
    └── StatisticsDisagree    grams are not cm³ × density
    """

    code = "GCODE_ERROR"


class NoGcode(GcodeError):
    code = "NO_GCODE"


class StatisticsMissing(GcodeError):
    code = "NO_STATISTICS"


class StatisticsDisagree(GcodeError):
    code = "STATISTICS_DISAGREE"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Integers, rounded half-up from what the slicer printed: milligrams, mm³, mm of filament, seconds."""

    mass_mg: int
    volume_mm3: int
    filament_mm: int
    time_s: int


# `; filament used [g] = 9.91, 6.99`: one figure per extruder.
_BRACKETED = re.compile(r"^;\s*filament\s+used\s*\[(g|cm3|mm)\]\s*=\s*([\d., \t]+)\r?$", re.I | re.M)
# `; filament used = 1033.9mm (7.3cm3)` and `; filament used = 9.0g`: Slic3r, one line per extruder.
_PLAIN = re.compile(
    r"^;?\s*filament\s+used\s*=\s*([\d.]+)\s*(g|mm)\b(?:\s*\(([\d.]+)\s*cm3\))?\s*\r?$", re.I | re.M
)
# Not `estimated first layer printing time`, and not the slower `(silent mode)`.
_TIME = re.compile(r"^;?\s*estimated\s+printing\s+time\s*(?:\(normal mode\))?\s*=\s*([^;\r\n]+)", re.I | re.M)
_DURATION = re.compile(r"(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s)?")
_CLOCK = re.compile(r"(?:(\d+)d\s+)?(\d+):([0-5]?\d):([0-5]?\d)")
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+")


def read_statistics(path: Path, density_mg_cm3: int) -> Statistics:
    """The figures of the g-code at `path`, checked against the density that the slicer was given.

    Raises NoGcode, StatisticsMissing or StatisticsDisagree.
    """
    statistics = parse_statistics(_tail(path))
    _check_density(statistics, density_mg_cm3)
    return statistics


def parse_statistics(text: str) -> Statistics:
    """The figures in `text`, the end of a g-code file. Raises StatisticsMissing, naming each absent figure."""
    amounts = _amounts(text)
    times = _TIME.findall(text)
    seconds = parse_duration(times[-1]) if times else 0
    missing = [unit for unit in ("g", "cm3", "mm") if not amounts.get(unit)]
    if not seconds:
        missing.append("print time")
    if missing:
        raise StatisticsMissing(f"The g-code does not say: {', '.join(missing)}.")
    return Statistics(
        mass_mg=_rounded(amounts["g"] * 1000),
        volume_mm3=_rounded(amounts["cm3"] * 1000),
        filament_mm=max(1, _rounded(amounts["mm"])),
        time_s=seconds,
    )


def parse_duration(text: str) -> int:
    """Seconds in `1d 2h 3m 4s` (any part may be absent) or `02:10:00`; 0 when it is neither."""
    text = text.strip()
    match = _CLOCK.fullmatch(text) or _DURATION.fullmatch(text)
    if match is None:
        return 0
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _amounts(text: str) -> dict[str, Decimal]:
    found = {unit.lower(): _sum(figures) for unit, figures in _BRACKETED.findall(text)}
    if found:
        return found
    plain: dict[str, Decimal] = {}
    for unit, amount in _plain_amounts(text):
        plain[unit] = plain.get(unit, Decimal(0)) + amount
    return plain


def _plain_amounts(text: str) -> Iterator[tuple[str, Decimal]]:
    for amount, unit, volume in _PLAIN.findall(text):
        yield unit.lower(), _sum(amount)
        if volume:
            yield "cm3", _sum(volume)


def _sum(figures: str) -> Decimal:
    return sum((Decimal(figure) for figure in _NUMBER.findall(figures)), Decimal(0))


def _rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def _check_density(statistics: Statistics, density_mg_cm3: int) -> None:
    expected_mg = Decimal(statistics.volume_mm3) * density_mg_cm3 / 1000
    # The slicer prints two decimals of each: up to 5 mg and 5 mm³ are lost on the way.
    lost_mg = 5 + Decimal(5) * density_mg_cm3 / 1000
    if abs(statistics.mass_mg - expected_mg) > expected_mg * DENSITY_TOLERANCE + lost_mg:
        raise StatisticsDisagree(
            f"The g-code says {statistics.mass_mg} mg, but {statistics.volume_mm3} mm³ at "
            f"{density_mg_cm3} mg/cm³ weigh {_rounded(expected_mg)} mg."
        )


def _tail(path: Path) -> str:
    try:
        # What a subverted slicer left may be a FIFO, which is never read to its end, or a link to a file of ours.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise NoGcode("The slicer wrote no g-code.")
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read(TAIL_BYTES)
    except FileNotFoundError:
        raise NoGcode("The slicer wrote no g-code.") from None
    if not tail.strip():
        raise NoGcode("The slicer wrote an empty g-code file.")
    return tail.decode("utf-8", "replace")

"""Provisional."""

from dataclasses import dataclass

from printshop.intake.geometry import Geometry
from printshop.slicing.settings import PrintProfile, SliceSettings


@dataclass(frozen=True, slots=True)
class FigureRange:
    low: int
    likely: int
    high: int


@dataclass(frozen=True, slots=True)
class Estimate:
    mass_mg: FigureRange
    time_sec: FigureRange


def estimate(geometry: Geometry, settings: SliceSettings, profile: PrintProfile) -> Estimate:
    mass = max(1, int(geometry.volume_mm3 * profile.density_mg_cm3 / 1000))
    return Estimate(FigureRange(mass // 3, mass // 2, mass), FigureRange(mass, 2 * mass, 4 * mass))

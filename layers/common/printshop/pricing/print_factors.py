"""How far the slicer's figures can be trusted: what real prints took, by printer and material. Pure.

A ratio is printed by sliced: 11000 basis points are a tenth more than the slicer said. The factor is the median of
the last 50 of them, the spread their interquartile range; SQL's `measured_print_factor` computes both and leaves out
what is below a fifth or above five times. They price from 5 prints on.

The doubt about a median is ±1.57 × IQR / √n, the notch of a box plot: about 95 % for prints that scatter as usual
(McGill, Tukey, Larsen: Variations of Box Plots, The American Statistician 32, 1978).
"""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, sqrt
from typing import Annotated, Any, Literal

from pydantic import Field, computed_field

from printshop.kernel.base_model import CamelModel
from printshop.kernel.money import BASIS_POINTS, round_half_up
from printshop.pricing.print_price import AS_SLICED, Correction

MIN_PRINTS = 5
"""As SQL's `reliable_print_factor`: fewer prints price nothing."""

SURE_BPS = 500
FAIR_BPS = 1500

type Sureness = Literal["TOO_FEW", "ROUGH", "FAIR", "SURE"]


class Ratio(CamelModel):
    """Printed by sliced, of time or of filament, by so many prints. No print, no factor."""

    prints: Annotated[int, Field(description="Those that count, of the last 50", examples=[23])]
    factor_bps: Annotated[int | None, Field(description="Median; 10000 is as sliced", examples=[11_240])]
    spread_bps: Annotated[int | None, Field(description="Interquartile range", examples=[620])]

    @computed_field(description="How far the true median may lie from the factor", examples=[203])  # type: ignore[prop-decorator]
    @property
    def plus_minus_bps(self) -> int | None:
        """Rounded up; None below 5 prints, which cannot tell."""
        if self.spread_bps is None or self.prints < MIN_PRINTS:
            return None
        return ceil(1.57 * self.spread_bps / sqrt(self.prints))

    @computed_field(description="SURE to 5 % of the slicer's figure, FAIR to 15 %", examples=["SURE"])  # type: ignore[prop-decorator]
    @property
    def sureness(self) -> Sureness:
        doubt = self.plus_minus_bps
        if doubt is None:
            return "TOO_FEW"
        return "SURE" if doubt <= SURE_BPS else "FAIR" if doubt <= FAIR_BPS else "ROUGH"

    def in_words(self, of: Literal["time", "filament"]) -> str:
        """For people: `1.12 times the slicer's time, give or take 0.02, by 23 prints: sure`."""
        if self.plus_minus_bps is None or self.factor_bps is None:
            return f"{self.prints} of the {MIN_PRINTS} prints that it takes to correct the slicer's {of}"
        return (
            f"{_times(self.factor_bps)} times the slicer's {of}, give or take {_times(self.plus_minus_bps)}, "
            f"by {self.prints} prints: {self.sureness.lower()}"
        )


class PrintFactor(CamelModel):
    """What corrects the figures of one slice: the ratios of its printer and material that enough prints agree on."""

    printer_id: int
    printer: Annotated[str, Field(examples=["Prusa MK4"])]
    time: Ratio | None
    mass: Annotated[Ratio | None, Field(description="Of the filament's mass")]

    @property
    def correction(self) -> Correction:
        """As pricing takes it."""
        return Correction(_bps(self.time), _bps(self.mass))

    @computed_field(examples=["1.12 times the slicer's time, give or take 0.02, by 23 prints: sure"])  # type: ignore[prop-decorator]
    @property
    def how_sure(self) -> str:
        """In words, of whatever is corrected."""
        said = [self.time.in_words("time")] if self.time else []
        return "; ".join([*said, self.mass.in_words("filament")] if self.mass else said)

    def details(self, *, time_sec: int, mass_mg: int) -> dict[str, Any]:
        """What a printed line keeps of it, beside the slicer's own figures of one piece."""
        return {
            "printFactor": self.model_dump(by_alias=True),
            **corrected_figures(self.correction, time_sec=time_sec, mass_mg=mass_mg),
        }


def correction_of(details: Mapping[str, Any]) -> Correction:
    """What corrected a kept line; nothing, where it was priced as sliced."""
    factor = details.get("printFactor")
    return PrintFactor.model_validate(factor).correction if factor else AS_SLICED


def corrected_figures(correction: Correction, *, time_sec: int, mass_mg: int) -> dict[str, int]:
    """Seconds and milligrams of one piece as they are expected, to the nearest whole."""
    return {
        "correctedTimeSec": round_half_up(Fraction(time_sec * correction.time_bps, BASIS_POINTS)),
        "correctedMassMg": round_half_up(Fraction(mass_mg * correction.mass_bps, BASIS_POINTS)),
    }


def _bps(ratio: Ratio | None) -> int:
    return BASIS_POINTS if ratio is None or ratio.factor_bps is None else ratio.factor_bps


def _times(bps: int) -> str:
    return f"{bps / BASIS_POINTS:.2f}"

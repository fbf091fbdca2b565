"""What a customer may ask of the slicer, as one strict model, and the hash that names a slice.

settings = SliceSettings.model_validate({"layerHeight": 0.2, "infill": 15,
                                         "supports": {"enabled": False, "pattern": "normal", "angle": 45}})
profile = PrintProfile(printer="generic", material="pla", bed_mm=(250, 210, 220), nozzle_um=400, density_mg_cm3=1240)
settings_hash(settings, profile, material_id=1)
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from printshop.kernel.base_model import CamelModel

# 0.1 + 0.2 in a browser is 0.30000000000000004: the same layer height must be the same slice.
Millimetres = Annotated[
    float, Field(ge=0.05, le=0.35, examples=[0.2]), AfterValidator(lambda value: round(value, 3))
]
Percent = Annotated[float, Field(ge=0, le=100, examples=[15]), AfterValidator(lambda value: round(value, 2))]
ScalePercent = Annotated[
    float, Field(ge=1, le=10_000, examples=[100]), AfterValidator(lambda value: round(value, 2))
]
BrimMillimetres = Annotated[
    float, Field(ge=0, le=20, examples=[0]), AfterValidator(lambda value: round(value, 2))
]


class _Strict(CamelModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        serialize_by_alias=True,
    )


class Supports(_Strict):
    """Support material. `angle` is the overhang threshold in degrees from the bed: steeper needs no support."""

    enabled: Annotated[bool, Field(examples=[False])]
    pattern: Literal["normal", "tree"]
    angle: int = Field(ge=1, le=89, examples=[45])


class SliceSettings(_Strict):
    """Layer height in mm (to 0.001), infill in % (to 0.01), supports; scale in % and brim in mm, if any.

    No coercion, no unknown field. API, queue and worker use this one model.
    """

    layer_height: Millimetres
    infill: Percent
    supports: Supports
    scale: Annotated[ScalePercent, Field(description="2540 prints a model that was drawn in inches")] = 100
    brim_width: BrimMillimetres = 0


class PrintProfile(_Strict):
    """What a printer and a material are to the slicer. `printer` and `material` name files of `profiles/`."""

    printer: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$", examples=["generic"])]
    material: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$", examples=["pla"])]
    bed_mm: Annotated[tuple[int, int, int], Field(strict=False, description="Build volume: x, y, z")]
    nozzle_um: Annotated[int, Field(ge=100, le=2000)]
    density_mg_cm3: Annotated[int, Field(alias="densityMgCm3", ge=100, le=20_000)]

    @property
    def name(self) -> str:
        """As it is stored with every result: `generic/pla`."""
        return f"{self.printer}/{self.material}"


def canonical_json(settings: SliceSettings) -> str:
    """One text for all settings that slice alike: sorted keys, shortest numbers, no unused supports."""
    supports = settings.supports
    return json.dumps(
        {
            "brimWidth": plain_number(settings.brim_width),
            "infill": plain_number(settings.infill),
            "layerHeight": plain_number(settings.layer_height),
            "scale": plain_number(settings.scale),
            "supports": {"angle": supports.angle, "pattern": supports.pattern} if supports.enabled else None,
        },
        sort_keys=True,
        separators=(",", ":"),
    )


RECIPE = 1
"""Raise it when other arguments or another rebuilding of a 3MF change what comes out: cached slices are of before."""


def settings_hash(
    settings: SliceSettings,
    profile: PrintProfile,
    *,
    material_id: int,
    printer_id: int | None = None,
    digest: str = "",
) -> str:
    """SHA-256, in hex, of everything but the model and the slicer that decides a slice's figures and its price.

    The density (mg/cm³) is part of it because it decides the grams; the material, because it decides the cost; the
    printer, because its real prints may correct the price;
    `digest` is that of the profile's files (`profiles.digest`).
    """
    bed = "x".join(map(str, profile.bed_mm))
    text = "\n".join(
        [
            f"{RECIPE}",
            canonical_json(settings),
            f"{material_id} {printer_id}",
            str(profile.density_mg_cm3),
            f"{profile.name} {bed} {profile.nozzle_um}",
            digest,
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def plain_number(value: float) -> str:
    """A number as the slicer and people write it: 0.2, 15, 33.33; never 2e-01 or 15.0."""
    return f"{value:.3f}".rstrip("0").rstrip(".")

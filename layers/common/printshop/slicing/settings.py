"""The customer's slice settings as one strict model, the print profile, and the hash that identifies a slice.

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

# Rounded, because 0.1 + 0.2 is 0.30000000000000004 in a browser, and equal settings must have equal hashes.
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
    """The slicer's view of a printer and a material. `printer` and `material` name files of `profiles/`."""

    printer: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$", examples=["generic"])]
    material: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$", examples=["pla"])]
    bed_mm: Annotated[tuple[int, int, int], Field(strict=False, description="Build volume: x, y, z")]
    nozzle_um: Annotated[int, Field(ge=100, le=2000)]
    density_mg_cm3: Annotated[int, Field(alias="densityMgCm3", ge=100, le=20_000)]

    @property
    def name(self) -> str:
        """The name that is stored with every slice result: `generic/pla`."""
        return f"{self.printer}/{self.material}"


def canonical_json(settings: SliceSettings) -> str:
    """One text for all settings that give the same slice: sorted keys, shortest numbers, no unused supports."""
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


SLICE_VERSION = 1
"""Raise it when a change to the slicer's arguments or to the rebuilt 3MF changes the result: it voids the cache."""


def settings_hash(
    settings: SliceSettings,
    profile: PrintProfile,
    *,
    material_id: int,
    printer_id: int | None = None,
    profile_digest: str = "",
) -> str:
    """SHA-256, in hex, of all that decides a slice's figures and price, except the model and the slicer.

    The density (mg/cm³) is included because it decides the grams, the material because it decides the cost, and the
    printer because its print factors may correct the price. `profile_digest` is `profiles.profile_digest(profile)`.
    """
    bed = "x".join(map(str, profile.bed_mm))
    text = "\n".join(
        [
            f"{SLICE_VERSION}",
            canonical_json(settings),
            f"{material_id} {printer_id}",
            str(profile.density_mg_cm3),
            f"{profile.name} {bed} {profile.nozzle_um}",
            profile_digest,
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def plain_number(value: float) -> str:
    """A number in plain decimal notation, to 0.001: 0.2, 15, 33.33; never 2e-01 or 15.0."""
    return f"{value:.3f}".rstrip("0").rstrip(".")

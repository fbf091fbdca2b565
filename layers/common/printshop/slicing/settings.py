"""What a customer may ask of the slicer, as one strict model, and the hash that names a slice.

settings = SliceSettings.model_validate({"layerHeight": 0.2, "infill": 15,
                                         "supports": {"enabled": False, "pattern": "normal", "angle": 45}})
settings_hash(settings, material_id=1, density_mg_cm3=1240)
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DEFAULT_PROFILE = "default"
"""PrusaSlicer's own defaults: 0.4 mm nozzle, 1.75 mm filament, 200 × 200 mm bed."""

# 0.1 + 0.2 in a browser is 0.30000000000000004: the same layer height must be the same slice.
Millimetres = Annotated[
    float, Field(ge=0.05, le=0.35, examples=[0.2]), AfterValidator(lambda value: round(value, 3))
]
Percent = Annotated[float, Field(ge=0, le=100, examples=[15]), AfterValidator(lambda value: round(value, 2))]


class _Strict(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
    )


class Supports(_Strict):
    """Support material. `angle` is the overhang threshold in degrees from the bed: steeper needs no support."""

    enabled: Annotated[bool, Field(examples=[False])]
    pattern: Literal["normal", "tree"]
    angle: int = Field(ge=1, le=89, examples=[45])


class SliceSettings(_Strict):
    """Layer height in mm (to 0.001), infill in % (to 0.01), supports. No coercion, no unknown field."""

    layer_height: Millimetres
    infill: Percent
    supports: Supports


def canonical_json(settings: SliceSettings) -> str:
    """One text for all settings that slice alike: sorted keys, shortest numbers, no unused supports."""
    supports = settings.supports
    return json.dumps(
        {
            "infill": plain_number(settings.infill),
            "layerHeight": plain_number(settings.layer_height),
            "supports": {"angle": supports.angle, "pattern": supports.pattern} if supports.enabled else None,
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def settings_hash(
    settings: SliceSettings, *, material_id: int, density_mg_cm3: int, profile: str = DEFAULT_PROFILE
) -> str:
    """SHA-256, in hex, of everything but the model that decides a slice's figures and its price.

    The density (mg/cm³) is part of it because it decides the grams; the material, because it decides the cost.
    """
    text = f"{canonical_json(settings)}\n{material_id}\n{density_mg_cm3}\n{profile}"
    return hashlib.sha256(text.encode()).hexdigest()


def plain_number(value: float) -> str:
    """A number as the slicer and people write it: 0.2, 15, 33.33; never 2e-01 or 15.0."""
    return f"{value:.3f}".rstrip("0").rstrip(".")

"""Materials: what a print is made of, and what a kilogram of it costs."""

from typing import Annotated

from pydantic import Field

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.base_model import StrictModel
from printshop.slicing.profiles import MATERIALS
from printshop.workshop.catalogue import CatalogueSort, Entry, known_profile, list_catalogue

PLA = "pla"


class MaterialRequest(StrictModel):
    """A material as a whole. One that is not active is priced no more, and stays where it was used."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["PETG"])]
    cost_per_kg_cents: Annotated[
        int, Field(ge=0, le=10**10, description="Minor units of the shop's currency", examples=[4200])
    ]
    density_mg_cm3: Annotated[
        int, Field(ge=100, le=20_000, alias="densityMgCm3", description="mg/cm³", examples=[1270])
    ]
    profile: Annotated[
        str, Field(max_length=40, description="Its temperatures, as the slicer is told", examples=["petg"])
    ] = PLA
    is_active: bool = True


class Material(Entry):
    """A material. Its cost is in minor units of the shop's currency; `isDefault` says what the settings name."""

    cost_per_kg_cents: int
    density_mg_cm3: Annotated[int, Field(alias="densityMgCm3")]
    profile: str
    is_active: bool
    is_default: bool


def list_materials(
    database: Database, *, query: str | None, sort: CatalogueSort, limit: int, cursor: str | None
) -> tuple[list[Material], str | None]:
    """A page of materials and the next one's cursor. Raises BadRequest CURSOR_INVALID."""
    return list_catalogue(database, "materials", Material, query=query, sort=sort, limit=limit, cursor=cursor)


def save_material(
    database: Database, user: User, material_id: int | None, material: MaterialRequest
) -> Material:
    """Make a material, or replace the one named. Raises NotFound MATERIAL_NOT_FOUND, Conflict NAME_TAKEN,
    DEFAULT_MATERIAL when it would put the settings' default out of use, Unprocessable UNKNOWN_PROFILE."""
    known_profile(material.profile, MATERIALS)
    stored = database.call(
        "save_material",
        p_material_id=material_id,
        p_material=material.model_dump(by_alias=True),
        p_user_id=user.id,
    )
    return Material.model_validate(stored)


def delete_material(database: Database, user: User, material_id: int) -> None:
    """Raises NotFound MATERIAL_NOT_FOUND, Conflict MATERIAL_IN_USE with what uses it."""
    database.call("delete_material", p_material_id=material_id, p_user_id=user.id)

"""Product templates: lines that a document is written from, at a FIXED price or CALCULATED from a print."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.base_model import StrictModel
from printshop.workshop.catalogue import CatalogueSort, Entry, Id, list_catalogue

type PricingType = Literal["FIXED", "CALCULATED"]


class ProductTemplateRequest(StrictModel):
    """A template as a whole. FIXED has its price; CALCULATED may name the material that it is printed in."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["Design hour"])]
    description: Annotated[str, Field(max_length=2000, examples=["An hour of design work"])] = ""
    pricing_type: PricingType = "FIXED"
    unit_price_cents: Annotated[
        int | None, Field(ge=0, le=10**10, description="Of a FIXED template, in minor units", examples=[9000])
    ] = None
    material_id: Annotated[Id | None, Field(description="Of a CALCULATED template")] = None
    is_active: bool = True

    @model_validator(mode="before")
    @classmethod
    def _price_is_looked_at(cls, body: Any) -> Any:
        """A price that is missing where it is needed is refused under its own name."""
        return {"unitPriceCents": None, **body} if isinstance(body, dict) else body

    @field_validator("unit_price_cents")
    @classmethod
    def _priced_by_its_type(cls, price: int | None, info: ValidationInfo) -> int | None:
        kind = info.data.get("pricing_type")
        if kind == "FIXED" and price is None:
            raise ValueError("a FIXED template needs its price")
        if kind == "CALCULATED" and price is not None:
            raise ValueError("a CALCULATED template has no price of its own")
        return price

    @field_validator("material_id")
    @classmethod
    def _printed_if_it_has_a_material(cls, material: int | None, info: ValidationInfo) -> int | None:
        if material is not None and info.data.get("pricing_type") == "FIXED":
            raise ValueError("only a CALCULATED template names a material")
        return material


class ProductTemplate(Entry):
    """A template. `unitPriceCents` is minor units of the shop's currency, null when CALCULATED."""

    description: str
    pricing_type: PricingType
    unit_price_cents: int | None
    material_id: int | None
    is_active: bool


def list_product_templates(
    database: Database, *, query: str | None, sort: CatalogueSort, limit: int, cursor: str | None
) -> tuple[list[ProductTemplate], str | None]:
    """A page of templates and the next one's cursor. Raises BadRequest CURSOR_INVALID."""
    return list_catalogue(
        database, "product_templates", ProductTemplate, query=query, sort=sort, limit=limit, cursor=cursor
    )


def save_product_template(
    database: Database, user: User, template_id: int | None, template: ProductTemplateRequest
) -> ProductTemplate:
    """Make a template, or replace the one named. Raises NotFound PRODUCT_TEMPLATE_NOT_FOUND, Conflict NAME_TAKEN,
    Unprocessable UNKNOWN_MATERIAL."""
    stored = database.call(
        "save_product_template",
        p_template_id=template_id,
        p_template=template.model_dump(by_alias=True),
        p_user_id=user.id,
    )
    return ProductTemplate.model_validate(stored)


def delete_product_template(database: Database, user: User, template_id: int) -> None:
    """Lines written from it keep their words and prices. Raises NotFound PRODUCT_TEMPLATE_NOT_FOUND."""
    database.call("delete_product_template", p_template_id=template_id, p_user_id=user.id)

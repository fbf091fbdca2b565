"""Product templates over HTTP."""

from typing import Any

import psycopg
import pytest

from tests.conftest import Client
from tests.integration.api.workshop import a_name, new_job, refused, walk


def new_template(shop: Client, **fields: Any) -> Any:
    body = {"name": a_name("Sanding"), "unitPriceCents": 6000, **fields}
    return shop.data("POST", "product-templates", body)


def new_material(shop: Client, **fields: Any) -> int:
    body = {"name": a_name("ABS"), "costPerKgCents": 4000, "densityMgCm3": 1040, **fields}
    return int(shop.data("POST", "materials", body)["id"])


def test_a_template_is_made_replaced_and_deleted(shop: Client, database: psycopg.Connection) -> None:
    name = a_name("Sanding")
    made = shop.request("POST", "product-templates", json={"name": name, "unitPriceCents": 6000})
    assert made.status_code == 201
    template = made.json()["data"]
    assert (template["pricingType"], template["unitPriceCents"], template["materialId"]) == (
        "FIXED",
        6000,
        None,
    )
    path = f"product-templates/{template['id']}"
    body = {
        "name": name,
        "description": "In this material",
        "pricingType": "CALCULATED",
        "materialId": new_material(shop),
        "isActive": False,
    }
    replaced = shop.data("PUT", path, body)
    assert body.items() <= replaced.items()
    assert replaced["unitPriceCents"] is None
    assert shop.request("DELETE", path).status_code == 204
    assert refused(shop.request("DELETE", path)) == (404, "PRODUCT_TEMPLATE_NOT_FOUND")
    assert refused(shop.request("PUT", path, json=body)) == (404, "PRODUCT_TEMPLATE_NOT_FOUND")
    logged = database.execute(
        "select action from activity_logs where message like %s order by id", (f"Product template {name}%",)
    ).fetchall()
    assert [action for (action,) in logged] == [
        "PRODUCT_TEMPLATE_CREATED",
        "PRODUCT_TEMPLATE_CHANGED",
        "PRODUCT_TEMPLATE_DELETED",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"pricingType": "FIXED"}, "unitPriceCents"),
        ({"pricingType": "FIXED", "unitPriceCents": None}, "unitPriceCents"),
        ({"pricingType": "CALCULATED", "unitPriceCents": 1}, "unitPriceCents"),
        ({"pricingType": "FIXED", "unitPriceCents": 1, "materialId": 1}, "materialId"),
        ({"unitPriceCents": -1}, "unitPriceCents"),
        ({"unitPriceCents": 1, "name": "x" * 201}, "name"),
        ({"unitPriceCents": 1, "description": "x" * 2001}, "description"),
        ({"pricingType": "HOURLY"}, "pricingType"),
    ],
)
def test_a_template_that_cannot_be_priced_names_its_field(
    shop: Client, body: dict[str, Any], field: str
) -> None:
    response = shop.post("product-templates", {"name": a_name("No"), **body})
    assert refused(response) == (422, "INVALID_REQUEST")
    assert [detail["field"] for detail in response.json()["error"]["details"]] == [field]


def test_a_template_is_printed_in_an_active_material(shop: Client) -> None:
    material = new_material(shop, isActive=False)
    body = {"name": a_name("Print"), "pricingType": "CALCULATED", "materialId": material}
    for named in (material, 2**53):
        response = shop.post("product-templates", {**body, "materialId": named})
        assert refused(response) == (422, "UNKNOWN_MATERIAL")
        assert response.json()["error"]["details"][0]["field"] == "materialId"
    assert shop.data("POST", "product-templates", {**body, "isActive": False})["materialId"] == material


def test_a_name_belongs_to_one_template(shop: Client) -> None:
    first, second = new_template(shop), new_template(shop)
    taken = {"name": first["name"], "unitPriceCents": 1}
    assert refused(shop.post("product-templates", taken)) == (409, "NAME_TAKEN")
    assert refused(shop.request("PUT", f"product-templates/{second['id']}", json=taken)) == (
        409,
        "NAME_TAKEN",
    )


def test_lines_outlive_the_template_that_they_were_written_from(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    template = new_template(shop)
    invoice = shop.data("GET", f"jobs/{new_job(database, customer)}")["invoiceId"]
    line = b"select product_template_id, description, total_cents from invoice_items where invoice_id = %s"
    database.execute(
        "update invoice_items set product_template_id = %s where invoice_id = %s", (template["id"], invoice)
    )
    before = database.execute(line, (invoice,)).fetchone()
    assert shop.request("DELETE", f"product-templates/{template['id']}").status_code == 204
    after = database.execute(line, (invoice,)).fetchone()
    assert before is not None
    assert after == (None, *before[1:])


def test_templates_are_walked_by_name_and_found_literally(shop: Client) -> None:
    word = a_name("(a_b),")
    ids = [new_template(shop, name=f"{word} {letter}")["id"] for letter in "abc"]
    new_template(shop, name=word.replace("_", "x"))
    assert walk(shop, f"product-templates?q={word}") == ids
    assert walk(shop, f"product-templates?q={word}&sort=-createdAt") == ids[::-1]


def test_templates_are_the_shops_alone(shop: Client, nobody: Client, customer: Client) -> None:
    template = new_template(shop)
    for method, path in (
        ("GET", "product-templates"),
        ("POST", "product-templates"),
        ("PUT", f"product-templates/{template['id']}"),
        ("DELETE", f"product-templates/{template['id']}"),
    ):
        body = None if method == "GET" else {"name": a_name("Mine"), "unitPriceCents": 0}
        assert refused(nobody.request(method, path, json=body)) == (401, "NO_TOKEN")
        assert refused(customer.request(method, path, json=body)) == (403, "ADMIN_ONLY")
    assert shop.get(f"product-templates?q={template['name']}").json()["data"] == [template]

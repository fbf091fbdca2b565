"""Materials over HTTP."""

from typing import Any

import psycopg
import pytest

from tests.conftest import Client
from tests.integration.api.workshop import a_name, refused, walk

ASA = {"costPerKgCents": 5500, "densityMgCm3": 1070}


def new_material(shop: Client, **fields: Any) -> Any:
    return shop.data("POST", "materials", {"name": a_name("ASA"), **ASA, **fields})


def default_material(shop: Client) -> Any:
    return next(row for row in shop.get("materials?limit=200").json()["data"] if row["isDefault"])


def test_a_material_is_made_replaced_and_deleted(shop: Client, database: psycopg.Connection) -> None:
    name = a_name("ASA")
    made = shop.request("POST", "materials", json={"name": name, **ASA})
    assert made.status_code == 201
    material = made.json()["data"]
    assert {"name": name, **ASA, "isActive": True, "isDefault": False}.items() <= material.items()
    path = f"materials/{material['id']}"
    body = {"name": name, "costPerKgCents": 0, "densityMgCm3": 1080, "isActive": False}
    assert body.items() <= shop.data("PUT", path, body).items()
    assert shop.data("PUT", path, {"name": name, **ASA})["isActive"] is True
    assert shop.request("DELETE", path).status_code == 204
    assert refused(shop.request("DELETE", path)) == (404, "MATERIAL_NOT_FOUND")
    assert refused(shop.request("PUT", path, json=body)) == (404, "MATERIAL_NOT_FOUND")
    logged = database.execute(
        "select action, metadata ->> 'materialId' from activity_logs where message like %s order by id",
        (f"Material {name}%",),
    ).fetchall()
    assert [action for action, _ in logged] == [
        "MATERIAL_CREATED",
        *["MATERIAL_CHANGED"] * 2,
        "MATERIAL_DELETED",
    ]
    assert {named for _, named in logged} == {str(material["id"])}


def test_a_name_belongs_to_one_material(shop: Client) -> None:
    first, second = new_material(shop), new_material(shop)
    taken = {"name": first["name"], **ASA}
    assert refused(shop.post("materials", taken)) == (409, "NAME_TAKEN")
    assert refused(shop.request("PUT", f"materials/{second['id']}", json=taken)) == (409, "NAME_TAKEN")


def test_the_default_material_stays_in_use(shop: Client) -> None:
    default = default_material(shop)
    path = f"materials/{default['id']}"
    body = {name: default[name] for name in ("name", "costPerKgCents", "densityMgCm3")}
    assert refused(shop.request("PUT", path, json={**body, "isActive": False})) == (409, "DEFAULT_MATERIAL")
    deleted = shop.request("DELETE", path)
    assert refused(deleted) == (409, "MATERIAL_IN_USE")
    assert "settings" in deleted.json()["error"]["details"]["usedBy"]
    assert default_material(shop) == default


@pytest.mark.parametrize("use", ["productTemplates", "slices", "uploads"])
def test_a_material_in_use_is_not_deleted_but_put_out_of_use(
    shop: Client, customer: Client, database: psycopg.Connection, use: str
) -> None:
    material = new_material(shop)
    insert = {
        "productTemplates": "insert into product_templates (name, pricing_type, material_id)"
        " values (%(word)s, 'CALCULATED', %(material)s)",
        "slices": "insert into slice_results (content_hash, settings_hash, settings, material_id, slicer,"
        " slicer_version, profile, mass_mg, volume_mm3, filament_mm, time_sec)"
        " values (md5(%(word)s) || md5('a'), md5('b') || md5('c'), '{}', %(material)s, 'x', '1', 'x', 1, 1, 1, 1)",
        "uploads": "insert into tmp_files (user_id, storage_key, filename, size_bytes, material_id)"
        " values (%(user)s, %(word)s, 'x.stl', 1, %(material)s)",
    }[use]
    values = {"word": a_name("use"), "material": material["id"], "user": customer.user["id"]}
    database.execute(insert.encode(), values)
    deleted = shop.request("DELETE", f"materials/{material['id']}")
    assert refused(deleted) == (409, "MATERIAL_IN_USE")
    assert deleted.json()["error"]["details"] == {"usedBy": [use]}
    body = {"name": material["name"], **ASA, "isActive": False}
    assert shop.data("PUT", f"materials/{material['id']}", body)["isActive"] is False


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"costPerKgCents": -1}, "costPerKgCents"),
        ({"costPerKgCents": 35.5}, "costPerKgCents"),
        ({"costPerKgCents": 10**11}, "costPerKgCents"),
        ({"densityMgCm3": 99}, "densityMgCm3"),
        ({"densityMgCm3": 20_001}, "densityMgCm3"),
        ({"isActive": "yes"}, "isActive"),
        ({"isDefault": True}, "isDefault"),
    ],
)
def test_a_material_that_cannot_be_names_its_field(shop: Client, change: dict[str, Any], field: str) -> None:
    response = shop.post("materials", {"name": a_name("No"), **ASA, **change})
    assert refused(response) == (422, "INVALID_REQUEST")
    assert [detail["field"] for detail in response.json()["error"]["details"]] == [field]


def test_materials_are_walked_by_name_and_found_literally(shop: Client) -> None:
    word = a_name("100%_")
    ids = [new_material(shop, name=f"{word} {letter}")["id"] for letter in "abc"]
    new_material(shop, name=word.replace("%", "x"))
    assert walk(shop, f"materials?q={word.replace('%', '%25')}") == ids
    assert walk(shop, f"materials?q={word.replace('%', '%25')}&sort=-createdAt") == ids[::-1]


def test_materials_are_the_shops_alone(shop: Client, nobody: Client, customer: Client) -> None:
    material = new_material(shop)
    for method, path in (
        ("GET", "materials"),
        ("POST", "materials"),
        ("PUT", f"materials/{material['id']}"),
        ("DELETE", f"materials/{material['id']}"),
    ):
        body = None if method == "GET" else {"name": a_name("Mine"), **ASA}
        assert refused(nobody.request(method, path, json=body)) == (401, "NO_TOKEN")
        assert refused(customer.request(method, path, json=body)) == (403, "ADMIN_ONLY")
    assert shop.get(f"materials?q={material['name']}").json()["data"] == [material]

"""Metadata definitions."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from skywright.services.image.metadef_definitions import load_definitions

BASE = "/metadefs/namespaces"


@pytest.fixture
def namespace(admin: Connection) -> Iterator[str]:
    name = f"ns-{uuid.uuid4()}"
    body = {
        "namespace": name,
        "visibility": "public",
        "objects": [{"name": "o1", "properties": {"p": {"type": "string", "title": "P"}}}],
        "properties": {"p1": {"type": "integer", "title": "P1"}},
        "tags": [{"name": "t1"}],
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
    }
    assert admin.image.post(BASE, json=body).status_code == 201
    yield name
    admin.image.delete(f"{BASE}/{name}")


def test_users_read_and_administrators_write(admin: Connection, demo: Connection, namespace: str) -> None:
    shown = demo.image.get(f"{BASE}/{namespace}").json()
    assert shown["properties"] == {"p1": {"type": "integer", "title": "P1"}}
    assert [item["name"] for item in shown["objects"]] == ["o1"]
    assert [item["prefix"] for item in shown["resource_type_associations"]] == ["hw_"]
    for method, path in (
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/objects"),
        ("DELETE", "/tags/t1"),
        ("POST", "/tags/x"),
    ):
        assert demo.image.request(f"{BASE}/{namespace}{path}", method, json={}).status_code == 403
    change = {"namespace": namespace, "visibility": "private", "protected": True}
    assert admin.image.put(f"{BASE}/{namespace}", json=change).json()["protected"] is True
    assert demo.image.get(f"{BASE}/{namespace}").status_code == 404
    assert namespace not in {item["namespace"] for item in demo.image.get(BASE).json()["namespaces"]}
    assert admin.image.delete(f"{BASE}/{namespace}").status_code == 403
    admin.image.put(f"{BASE}/{namespace}", json={"namespace": namespace, "protected": False})
    assert admin.image.delete(f"{BASE}/{namespace}").status_code == 204
    assert admin.image.get(f"{BASE}/{namespace}/objects").status_code == 404


@pytest.mark.parametrize(
    ("plural", "body", "changed"),
    [
        ("objects", {"name": "new", "description": "d"}, {"description": "e"}),
        ("properties", {"name": "new", "title": "T", "type": "string"}, {"title": "U", "type": "string"}),
        ("tags", {"name": "new"}, {}),
    ],
)
def test_items(admin: Connection, namespace: str, plural: str, body: dict[str, Any], changed: dict[str, Any]) -> None:
    items = f"{BASE}/{namespace}/{plural}"
    if plural == "tags":
        assert admin.image.post(f"{items}/new").status_code == 201
        assert admin.image.post(f"{items}/new").status_code == 409
    else:
        assert admin.image.post(items, json=body).status_code == 201
        assert admin.image.post(items, json=body).status_code == 409
        assert admin.image.post(items, json={"name": "a/b", "title": "T", "type": "string"}).status_code == 400
        assert admin.image.post(items, json={"nothing": 1}).status_code == 400
    renamed = admin.image.put(f"{items}/new", json={"name": "renamed", **changed})
    assert renamed.status_code == 200
    assert {"name": "renamed", **changed}.items() <= admin.image.get(f"{items}/renamed").json().items()
    assert admin.image.get(f"{items}/new").status_code == 404
    assert len(admin.image.get(items).json()[plural]) == 2
    assert admin.image.delete(f"{items}/renamed").status_code == 204
    assert admin.image.delete(items).status_code == 204
    assert not admin.image.get(items).json()[plural]


def test_an_object_without_properties_shows_none(admin: Connection, namespace: str) -> None:
    """`openstack image metadef object property show` reads them."""
    shown = admin.image.post(f"{BASE}/{namespace}/objects", json={"name": "o2"}).json()
    assert (shown["properties"], shown["required"]) == ({}, [])
    assert admin.image.get(f"{BASE}/{namespace}/objects/o2").json() == shown


@pytest.mark.parametrize("wrong", [{}, {"title": "P"}, {"title": "P", "type": "text"}, {"title": 1, "type": "string"}])
def test_properties_of_objects_are_checked(admin: Connection, namespace: str, wrong: dict[str, Any]) -> None:
    body = {"name": "o2", "properties": {"p": wrong}}
    assert admin.image.post(f"{BASE}/{namespace}/objects", json=body).status_code == 400
    whole = {"namespace": f"{namespace}-new", "objects": [body]}
    assert admin.image.post(BASE, json=whole).status_code == 400


def test_tags_are_replaced_together(admin: Connection, namespace: str) -> None:
    tags = f"{BASE}/{namespace}/tags"
    assert admin.image.post(tags, json={"tags": [{"name": "a"}, {"name": "b"}]}).status_code == 201
    assert [tag["name"] for tag in admin.image.get(tags).json()["tags"]] == ["b", "a"]  # newest first
    assert admin.image.post(tags, json={"tags": ["a"]}).status_code == 400
    assert len(admin.image.get(tags).json()["tags"]) == 2


def test_tags_can_be_added(admin: Connection, namespace: str) -> None:
    tags, append = f"{BASE}/{namespace}/tags", {"X-OpenStack-Append": "True"}
    added = admin.image.post(tags, json={"tags": [{"name": "t2"}]}, headers=append)
    assert added.status_code == 201 and [tag["name"] for tag in added.json()["tags"]] == ["t2"]
    assert {tag["name"] for tag in admin.image.get(tags).json()["tags"]} == {"t1", "t2"}
    assert admin.image.post(tags, json={"tags": [{"name": "t1"}]}, headers=append).status_code == 409
    admin.image.post(tags, json={"tags": [{"name": "t3"}]}, headers={"X-OpenStack-Append": "False"})
    assert [tag["name"] for tag in admin.image.get(tags).json()["tags"]] == ["t3"]


def test_an_association_creates_its_resource_type(admin: Connection, namespace: str) -> None:
    def types() -> set[str]:
        return {item["name"] for item in admin.image.get("/metadefs/resource_types").json()["resource_types"]}

    path, new = f"{BASE}/{namespace}/resource_types", f"OS::Test::{uuid.uuid4()}"
    assert new not in types()
    assert admin.image.post(path, json={"name": new, "prefix": "x_"}).status_code == 201
    assert new in types()
    # It stays, as in Glance.
    assert admin.image.delete(f"{path}/{new}").status_code == 204
    assert new in types()


@pytest.mark.parametrize("resource_type", ["OS::Glance::Image", "OS::Nova::Flavor", "OS::Nova::Server"])
def test_a_new_cloud_has_definitions(demo: Connection, resource_type: str) -> None:
    listed = demo.image.get(f"{BASE}?resource_types={resource_type}").json()["namespaces"]
    assert listed and all(item["visibility"] == "public" and item["protected"] for item in listed)
    assert resource_type in {item.name for item in demo.image.metadef_resource_types()}
    for item in listed:
        shown = demo.image.get(f"{BASE}/{item['namespace']}").json()
        assert resource_type in {each["name"] for each in shown["resource_type_associations"]}
        assert shown.get("properties") or all(each["properties"] for each in shown["objects"])


def test_changed_definitions_are_kept(api: Api, admin: Connection) -> None:
    path = f"{BASE}/OS::Software::Runtimes"
    admin.image.put(path, json={"namespace": "OS::Software::Runtimes", "protected": False})
    assert admin.image.delete(path).status_code == 204
    with api.cloud.database.write() as session:
        load_definitions(session)
    assert admin.image.get(path).status_code == 404
    assert admin.image.get(f"{BASE}/OS::OperatingSystem").status_code == 200


def test_properties_have_the_prefix_of_a_resource_type(admin: Connection, namespace: str) -> None:
    """As Horizon asks, to set the properties of an image or flavor."""
    path = f"{BASE}/{namespace}"
    change = {"name": "o1", "required": ["p"], "properties": {"p": {"type": "string", "title": "P"}}}
    assert admin.image.put(f"{path}/objects/o1", json=change).status_code == 200
    assert admin.image.post(f"{path}/resource_types", json={"name": "OS::Nova::Server"}).status_code == 201

    def names(resource_type: str) -> list[str]:
        shown = admin.image.get(f"{path}?resource_type={resource_type}").json()
        [item] = shown["objects"]
        return [*shown["properties"], *item["properties"], *item["required"]]

    assert names("OS::Glance::Image") == ["hw_p1", "hw_p", "hw_p"]
    for without in ("OS::Nova::Server", "OS::Nova::Flavor", ""):
        assert names(without) == ["p1", "p", "p"]
    prefixed = f"{path}/properties/hw_p1"
    assert admin.image.get(f"{prefixed}?resource_type=OS::Glance::Image").json()["name"] == "p1"
    for wrong in (
        f"{prefixed}?resource_type=OS::Nova::Server",
        f"{path}/properties/p1?resource_type=OS::Glance::Image",
    ):
        assert admin.image.get(wrong).status_code == 404


def test_flavors_and_images_have_different_names_of_a_property(demo: Connection) -> None:
    path = f"{BASE}/OS::Compute::CPUPinning?resource_type="
    for resource_type, name in (("OS::Nova::Flavor", "hw:cpu_policy"), ("OS::Glance::Image", "hw_cpu_policy")):
        assert list(demo.image.get(f"{path}{resource_type}").json()["properties"]) == [name]


def test_lists_show_the_resource_types(demo: Connection, namespace: str) -> None:
    listed = demo.image.get(f"{BASE}?resource_types=OS::Glance::Image").json()["namespaces"]
    shown = {item["namespace"]: item["resource_type_associations"] for item in listed}
    assert [(item["name"], item["prefix"]) for item in shown[namespace]] == [("OS::Glance::Image", "hw_")]
    assert {item["name"] for item in shown["OS::Compute::CPUPinning"]} == {"OS::Glance::Image", "OS::Nova::Flavor"}


@pytest.mark.parametrize("name", ["self", "schema", "created_at", "updated_at"])
def test_attributes_of_the_service_are_read_only(admin: Connection, namespace: str, name: str) -> None:
    path, read_only = f"{BASE}/{namespace}", {name: "2020-01-01T00:00:00Z"}
    for method, url, body in (
        ("POST", BASE, {"namespace": f"{namespace}-new"}),
        ("PUT", path, {"namespace": namespace}),
        ("POST", f"{path}/objects", {"name": "o2"}),
        ("PUT", f"{path}/objects/o1", {"name": "o1"}),
        ("PUT", f"{path}/tags/t1", {"name": "t1"}),
        ("POST", f"{path}/resource_types", {"name": "x"}),
    ):
        assert admin.image.request(url, method, json=body | read_only).status_code == 403


def test_unknown_kinds_are_not_found(admin: Connection, namespace: str) -> None:
    assert admin.image.get(f"{BASE}/{namespace}/nothing").status_code == 404


def test_schemas(demo: Connection) -> None:
    for name in ("namespace", "object", "property", "tag"):
        assert demo.image.get(f"/schemas/metadefs/{name}").json()["name"] == name
    assert demo.image.get("/metadefs/resource_types").json()["resource_types"]

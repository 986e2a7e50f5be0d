"""Images without data: create, update, share, delete."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from openstack import exceptions
from openstack.connection import Connection

BARE = {"disk_format": "raw", "container_format": "bare"}
V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
V20 = {"Content-Type": "application/openstack-images-v2.0-json-patch"}


def create(connection: Connection, **attributes: Any) -> dict[str, Any]:
    answer = connection.image.post("/images", json={"name": "test", **BARE, **attributes})
    assert answer.status_code == 201, answer.text
    return answer.json()


def patch(connection: Connection, image_id: str, *changes: Any, headers: dict[str, str] = V21) -> Any:
    return connection.image.request(f"/images/{image_id}", "PATCH", json=list(changes), headers=headers)


def ids(connection: Connection, query: str = "") -> set[str]:
    return {image["id"] for image in connection.image.get(f"/images{query}").json()["images"]}


def test_versions_need_no_token(api: Any, demo: Connection) -> None:
    for path, status in (("/image", 300), ("/image/", 300), ("/image/versions", 200)):
        answer = demo.session.get(api.url + path, authenticated=False, raise_exc=False, redirect=False)
        assert answer.status_code == status
        newest = answer.json()["versions"][0]
        assert newest["status"] == "CURRENT"
        assert newest["links"] == [{"rel": "self", "href": f"{api.url}/image/v2/"}]


def test_a_new_image_is_queued_with_visibility_shared(api: Any, demo: Connection) -> None:
    image_id = str(uuid.uuid4())
    answer = demo.image.post(
        "/images", json={"id": image_id, "name": "ünïx", "tags": ["b", "a"], "hw_disk_bus": "virtio", "min_ram": 64}
    )
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{api.url}/image/v2/images/{image_id}"
    assert answer.headers["OpenStack-image-import-methods"] == "glance-direct"
    body = answer.json()
    assert body == demo.image.get(f"/images/{image_id}").json()
    project = demo.current_project_id
    expected = {
        "id": image_id, "name": "ünïx", "status": "queued", "visibility": "shared", "tags": ["a", "b"], "min_ram": 64,
        "min_disk": 0, "protected": False, "os_hidden": False, "size": None, "checksum": None, "owner": project,
        "hw_disk_bus": "virtio", "schema": "/v2/schemas/image", "self": f"/v2/images/{image_id}",
        "file": f"/v2/images/{image_id}/file", "disk_format": None, "os_hash_value": None, "virtual_size": None,
    }  # fmt: skip
    assert {key: body[key] for key in expected} == expected
    assert "stores" not in body
    assert demo.image.post("/images", json={"id": image_id}).status_code == 409


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"disk_format": "wrong"}, 400),
        ({"container_format": "wrong"}, 400),
        ({"container_format": "ami", "disk_format": "raw"}, 400),
        ({"id": "not-a-uuid"}, 400),
        ({"name": "x" * 256}, 400),
        ({"min_ram": -1}, 400),
        ({"min_disk": 2**31}, 400),
        ({"protected": "yes"}, 400),
        ({"visibility": "secret"}, 400),
        ({"property": 5}, 400),
        ({"tags": ["x" * 256]}, 400),
        ({"tags": "tag"}, 400),
        ({"status": "active"}, 403),
        ({"checksum": "0" * 32}, 403),
        ({"size": 1}, 403),
        ({"locations": []}, 403),
        ({"deleted": True}, 403),
        ({"os_glance_foo": "bar"}, 403),
        ({"owner": "0" * 32}, 403),
        ({"visibility": "public"}, 403),
        ({f"p{number}": "" for number in range(129)}, 413),
        ({"tags": [f"t{number}" for number in range(129)]}, 413),
    ],
)
def test_refused_creations(demo: Connection, attributes: dict[str, Any], status: int) -> None:
    answer = demo.image.post("/images", json={"name": "bad", **attributes})
    assert answer.status_code == status
    assert answer.json()["code"].startswith(str(status))
    assert not ids(demo, "?name=bad")


def test_only_administrators_publish_images_or_change_owners(admin: Connection, demo: Connection) -> None:
    image = create(admin, visibility="public", owner=demo.current_project_id)
    assert image["id"] in ids(demo)
    assert patch(demo, image["id"], {"op": "replace", "path": "/visibility", "value": "private"}).status_code == 200
    again = patch(demo, image["id"], {"op": "replace", "path": "/visibility", "value": "public"})
    assert again.status_code == 403


def test_both_media_types_of_patches(demo: Connection) -> None:
    image_id = create(demo, color="red")["id"]
    new = patch(
        demo, image_id,
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/a~1b", "value": "1"},
        {"op": "replace", "path": "/tags", "value": ["x"]},
        {"op": "remove", "path": "/color"},
    )  # fmt: skip
    assert new.status_code == 200
    assert (new.json()["name"], new.json()["a/b"], new.json()["tags"]) == ("new", "1", ["x"])
    assert "color" not in new.json()
    old = patch(demo, image_id, {"replace": "/name", "value": "newer"}, {"add": "/c", "value": "2"}, headers=V20)
    assert (old.json()["name"], old.json()["c"]) == ("newer", "2")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "add", "path": "/id", "value": str(uuid.uuid4())}, 403),
        ({"op": "replace", "path": "/owner", "value": "0" * 32}, 403),
        ({"op": "add", "path": "/os_glance_foo", "value": "bar"}, 403),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
        ({"op": "replace", "path": "/name"}, 400),
        ({"op": "move", "path": "/name", "from": "/x"}, 400),
        ({"op": "add", "path": "/a/b", "value": "x"}, 400),
        ({"op": "add", "path": "name", "value": "x"}, 400),
        ({"op": "add", "path": "/", "value": "x"}, 400),
        ({"op": "add", "path": "/x~2", "value": "x"}, 400),
        ({"op": "add", "path": "/x", "value": {}}, 400),
        ("nonsense", 400),
    ],
)
def test_refused_patches(demo: Connection, change: Any, status: int) -> None:
    image = create(demo)
    assert patch(demo, image["id"], change).status_code == status
    assert demo.image.get(f"/images/{image['id']}").json() == image


def test_patches_need_the_right_media_type(demo: Connection) -> None:
    image_id = create(demo)["id"]
    for media_type in ("application/json", "application/json-patch+json"):
        assert patch(demo, image_id, headers={"Content-Type": media_type}).status_code == 415


def test_protected_images_cannot_be_deleted(demo: Connection) -> None:
    image_id = create(demo, protected=True)["id"]
    assert demo.image.delete(f"/images/{image_id}").status_code == 403
    patch(demo, image_id, {"op": "replace", "path": "/protected", "value": False})
    assert demo.image.delete(f"/images/{image_id}").status_code == 204
    assert demo.image.get(f"/images/{image_id}").status_code == 404
    assert demo.image.delete(f"/images/{image_id}").status_code == 404
    # Hosts may still have data with this id.
    assert demo.image.post("/images", json={"id": image_id}).status_code == 409


@pytest.mark.parametrize("visibility", ["private", "shared", "community", "public"])
def test_visibility(admin: Connection, demo: Connection, alt: Connection, visibility: str) -> None:
    visible = visibility in ("community", "public")
    image_id = create(admin, visibility=visibility, owner=demo.current_project_id)["id"]
    assert image_id in ids(demo)
    assert alt.image.get(f"/images/{image_id}").status_code == (200 if visible else 404)
    assert (image_id in ids(alt)) == (visibility == "public")
    assert (image_id in ids(alt, f"?visibility={visibility}")) == visible
    forbidden = 403 if visible else 404
    assert alt.image.delete(f"/images/{image_id}").status_code == forbidden
    assert patch(alt, image_id, {"op": "replace", "path": "/name", "value": "mine"}).status_code == forbidden
    assert admin.image.delete(f"/images/{image_id}").status_code == 204


def test_sharing(demo: Connection, alt: Connection) -> None:
    image_id, member = create(demo)["id"], alt.current_project_id
    members = f"/images/{image_id}/members"
    answer = demo.image.post(members, json={"member": member})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["member_id"]) == ("pending", member)
    assert demo.image.post(members, json={"member": member}).status_code == 409
    assert demo.image.post(members, json={"member": ""}).status_code == 400
    assert alt.image.get(f"/images/{image_id}").status_code == 200
    assert image_id not in ids(alt)
    assert image_id in ids(alt, "?member_status=pending")
    assert demo.image.put(f"{members}/{member}", json={"status": "accepted"}).status_code == 403
    assert alt.image.put(f"{members}/{member}", json={"status": "perhaps"}).status_code == 400
    assert alt.image.put(f"{members}/{member}", json={"status": "accepted"}).json()["status"] == "accepted"
    assert image_id in ids(alt, "?visibility=shared")
    assert [item["member_id"] for item in alt.image.get(members).json()["members"]] == [member]
    assert alt.image.delete(f"{members}/{member}").status_code == 403
    assert demo.image.delete(f"{members}/{member}").status_code == 204
    assert demo.image.delete(f"{members}/{member}").status_code == 404
    assert alt.image.get(f"/images/{image_id}").status_code == 404


def test_private_images_have_no_members(demo: Connection, alt: Connection) -> None:
    image_id = create(demo, visibility="private")["id"]
    answer = demo.image.post(f"/images/{image_id}/members", json={"member": alt.current_project_id})
    assert answer.status_code == 403


def test_tags(demo: Connection) -> None:
    image_id = create(demo)["id"]
    assert demo.image.put(f"/images/{image_id}/tags/grün").status_code == 204
    assert demo.image.put(f"/images/{image_id}/tags/grün").status_code == 204
    assert demo.image.get(f"/images/{image_id}").json()["tags"] == ["grün"]
    assert demo.image.delete(f"/images/{image_id}/tags/grün").status_code == 204
    assert demo.image.delete(f"/images/{image_id}/tags/grün").status_code == 404
    assert demo.image.put(f"/images/{image_id}/tags/{'x' * 256}").status_code == 400


def test_schemas_match_what_is_accepted(demo: Connection) -> None:
    for name in ("image", "images", "member", "members", "task", "tasks"):
        assert demo.image.get(f"/schemas/{name}").json()["name"] == name
    assert demo.image.get("/schemas/nothing").status_code == 404


def test_the_sdk_finds_images_by_name(demo: Connection) -> None:
    image = create(demo, name="by name")
    assert demo.image.find_image("by name").id == image["id"]
    with pytest.raises(exceptions.NotFoundException):
        demo.image.get_image(str(uuid.uuid4()))


def test_an_empty_id_is_not_found(demo: Connection) -> None:
    assert demo.image.get("/images/").status_code == 404
    assert demo.image.delete("/images/").status_code == 404
    assert demo.image.delete("/images").status_code == 405


def test_details_of_stores_are_for_administrators(admin: Connection, demo: Connection) -> None:
    assert demo.image.get("/info/usage").json() == {"usage": {}}
    (store,) = admin.image.get("/info/stores/detail").json()["stores"]
    assert (store["id"], store["type"], store["default"]) == ("file", "file", "true")
    assert Path(store["properties"]["data_dir"]).is_absolute()
    assert demo.image.get("/info/stores/detail").status_code == 403

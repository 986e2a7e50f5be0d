"""Ids of projects and users in requests to other services: ids that do not exist are refused.

Nova's message: "Project ID %s is not a valid project." (nova.api.openstack.identity.verify_project_id)
"""

import uuid
from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Nova
from contract.conftest import Api

NOBODY = "0a0b0c0d0e0f"
QUOTA: dict[str, Any] = {"quota_set": {"cores": 1}}
PATHS = {"address_scope": "/address-scopes", "rbac_policy": "/rbac-policies"}
POLICY = {"object_type": "network", "action": "access_as_shared", "target_tenant": "*"}
REFUSED = f"Project ID {NOBODY} is not a valid project."


@pytest.fixture
def nova(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


def test_compute(nova: Nova, admin: Connection, demo: Connection) -> None:
    flavor = admin.compute.create_flavor(name=str(uuid.uuid4()), vcpus=1, ram=64, disk=1, is_public=False)
    for path, body in (
        (f"/flavors/{flavor.id}/action", {"addTenantAccess": {"tenant": NOBODY}}),
        (f"/os-quota-sets/{NOBODY}", QUOTA),
    ):
        refused = nova("PUT" if "quota" in path else "POST", path, body)
        assert (refused.status_code, refused.json()["badRequest"]["message"]) == (400, REFUSED)
    for path in ("", "/detail", "/defaults"):
        assert nova("GET", f"/os-quota-sets/{NOBODY}{path}").status_code == 400
    granted = {"addTenantAccess": {"tenant": demo.current_project_id}}
    assert nova("POST", f"/flavors/{flavor.id}/action", granted).status_code == 200
    # Access of a deleted project can still be removed.
    removed = nova("POST", f"/flavors/{flavor.id}/action", {"removeTenantAccess": {"tenant": NOBODY}})
    assert removed.status_code == 404


def test_key_pairs_belong_to_users_that_exist(nova: Nova, demo: Connection) -> None:
    keypair: dict[str, Any] = {"name": "theirs", "type": "ssh", "public_key": None}
    body = {"keypair": {"name": "theirs", "user_id": NOBODY}}
    refused = nova("POST", "/os-keypairs", body, version="2.10")
    assert refused.status_code == 400
    assert refused.json()["badRequest"]["message"] == f"User ID {NOBODY} is not a valid user."
    body = {"keypair": {"name": keypair["name"], "user_id": demo.current_user_id}}
    assert nova("POST", "/os-keypairs", body, version="2.10").status_code == 201
    assert nova("GET", f"/os-keypairs?user_id={NOBODY}", version="2.10").json()["keypairs"] == []


@pytest.mark.parametrize("name", ["project_id", "tenant_id"])
def test_network(api: Api, admin: Connection, demo: Connection, name: str) -> None:
    theirs = admin.network.create_network(name="theirs", project_id=demo.current_project_id)
    assert theirs.project_id == demo.current_project_id
    bodies: dict[str, dict[str, Any]] = {
        "network": {"name": "n"},
        "subnet": {"network_id": theirs.id, "ip_version": 4, "cidr": "10.0.0.0/24"},
        "port": {"network_id": theirs.id},
        "subnetpool": {"name": "pool", "prefixes": ["10.0.0.0/8"]},
        "address_scope": {"ip_version": 4},
        "rbac_policy": POLICY | {"object_id": theirs.id},
    }
    for kind, values in bodies.items():
        path = PATHS.get(kind, f"/{kind}s")
        refused = admin.network.post(path, json={kind: values | {name: NOBODY}})
        assert (refused.status_code, refused.json()["NeutronError"]["message"]) == (400, REFUSED)
    assert admin.network.put(f"/quotas/{NOBODY}", json={"quota": {"network": 1}}).status_code == 400


def test_image(admin: Connection, demo: Connection) -> None:
    created = admin.image.post("/images", json={"name": "mine", "visibility": "shared"}).json()
    refused = admin.image.post(f"/images/{created['id']}/members", json={"member": NOBODY})
    assert refused.status_code == 400 and REFUSED in refused.text
    assert admin.image.post("/images", json={"owner": demo.current_project_id}).status_code == 201
    namespace = {"namespace": "OS::Test", "owner": NOBODY}
    assert admin.image.post("/metadefs/namespaces", json=namespace).status_code == 400
    assert admin.image.post("/metadefs/namespaces", json={"namespace": "OS::Test"}).status_code == 201
    assert admin.image.put("/metadefs/namespaces/OS::Test", json=namespace).status_code == 400


def test_owners_of_images_may_be_any_id(admin: Connection) -> None:
    """Glance does not check them; tempest.api.image.v2.admin.test_images sends random ones."""
    created = admin.image.post("/images", json={"owner": NOBODY})
    assert (created.status_code, created.json()["owner"]) == (201, NOBODY)
    patch = [{"op": "replace", "path": "/owner", "value": f"{NOBODY}10"}]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    moved = admin.image.patch(f"/images/{created.json()['id']}", json=patch, headers=headers)
    assert (moved.status_code, moved.json()["owner"]) == (200, f"{NOBODY}10")

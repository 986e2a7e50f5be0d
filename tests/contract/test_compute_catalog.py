"""Versions, flavors, key pairs, quotas, limits, zones, hypervisors, services."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openstack import exceptions
from openstack.connection import Connection

from contract.compute_helpers import Nova, add_hosts
from contract.conftest import Api


@pytest.fixture(scope="module", autouse=True)
def hosts(api: Api) -> None:
    add_hosts(api.cloud, "host1", "host2")


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def nova_admin(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


def openssh(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


def test_version_documents_need_no_token(api: Api) -> None:
    root = requests.get(f"{api.url}/compute", timeout=5).json()["versions"]
    assert [version["id"] for version in root] == ["v2.0", "v2.1"]
    for version in root:
        [link] = version["links"]
        shown = requests.get(link["href"], timeout=5).json()["version"]
        assert shown["id"] == version["id"] and shown["links"][0] == link
    assert root[1]["version"] == "2.96" and root[1]["min_version"] == "2.1"


@pytest.mark.parametrize(
    ("headers", "status", "shown"),
    [
        ({}, 200, "2.1"),
        ({"OpenStack-API-Version": "compute 2.53"}, 200, "2.53"),
        ({"OpenStack-API-Version": "identity 3.4, compute 2.53"}, 200, "2.53"),
        ({"OpenStack-API-Version": "volume 3.1"}, 200, "2.1"),
        ({"X-OpenStack-Nova-API-Version": "2.7"}, 200, "2.7"),
        ({"OpenStack-API-Version": "compute latest"}, 200, "2.96"),
        ({"OpenStack-API-Version": "compute 2.97"}, 406, "2.1"),
        ({"OpenStack-API-Version": "compute 3.0"}, 406, "2.1"),
        ({"OpenStack-API-Version": "compute 2.0"}, 406, "2.1"),
        ({"OpenStack-API-Version": "compute two"}, 400, "2.1"),
        ({"OpenStack-API-Version": "compute 2.\u0661"}, 400, "2.1"),
    ],
)
def test_microversions(api: Api, demo: Connection, headers: dict[str, str], status: int, shown: str) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = requests.get(
        f"{api.url}/compute/v2.1/flavors", headers={"X-Auth-Token": demo.auth_token, **encoded}, timeout=5
    )
    assert answer.status_code == status
    assert answer.headers["OpenStack-API-Version"] == f"compute {shown}"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == shown
    assert "OpenStack-API-Version" in answer.headers["Vary"]


def test_old_paths(api: Api, demo: Connection) -> None:
    headers = {"X-Auth-Token": demo.auth_token, "OpenStack-API-Version": "compute 2.50"}
    for path in ("/v2/flavors", f"/v2.1/{demo.current_project_id}/flavors", f"/v2/{demo.current_project_id}/flavors"):
        assert requests.get(f"{api.url}/compute{path}", headers=headers, timeout=5).status_code == 200
    answer = requests.get(f"{api.url}/compute/v2/flavors", headers=headers, timeout=5)
    assert answer.headers["X-OpenStack-Nova-API-Version"] == "2.1"


def test_no_token_is_401(api: Api) -> None:
    answer = requests.get(f"{api.url}/compute/v2.1/servers", timeout=5)
    assert answer.status_code == 401 and answer.json()["unauthorized"]["code"] == 401
    assert requests.get(f"{api.url}/compute/v2.1/nonsense", timeout=5).status_code == 404


def test_flavors(admin: Connection, demo: Connection, nova: Nova, nova_admin: Nova) -> None:
    flavor = admin.compute.create_flavor(name="f1", ram=512, vcpus=2, disk=3, description="a flavor")
    assert demo.compute.find_flavor("f1").description == "a flavor"
    private = admin.compute.create_flavor(name="f2", ram=64, vcpus=1, disk=0, is_public=False)
    with pytest.raises(exceptions.NotFoundException):
        demo.compute.get_flavor(private.id)
    admin.compute.flavor_add_tenant_access(private, demo.current_project_id)
    assert {found.name for found in demo.compute.flavors()} >= {"f1", "f2"}
    assert {found.name for found in demo.compute.flavors(min_ram=100)} == {"f1"}
    admin.compute.flavor_remove_tenant_access(private, demo.current_project_id)
    assert "f2" not in {found.name for found in demo.compute.flavors()}
    admin.compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "shared"})
    assert nova("GET", f"/flavors/{flavor.id}").json()["flavor"]["extra_specs"] == {"hw:cpu_policy": "shared"}
    old = nova("GET", f"/flavors/{flavor.id}", version="2.1").json()["flavor"]
    assert "extra_specs" not in old and "description" not in old and old["swap"] == ""
    assert nova_admin("PUT", f"/flavors/{flavor.id}", {"flavor": {"description": None}}).status_code == 200
    for body in ({"name": "f1", "ram": 1, "vcpus": 1, "disk": 1}, {"name": "x", "ram": 1, "vcpus": 1, "disk": 1}):
        body["id"] = flavor.id if body["name"] == "x" else "other"
        assert nova_admin("POST", "/flavors", {"flavor": body}).status_code == 409
    for change in ({"ram": 0}, {"vcpus": "x"}, {"disk": -1}, {"ram": 2**31}, {"name": ""}, {"name": "a" * 256}):
        body = {"name": "bad", "ram": 1, "vcpus": 1, "disk": 1} | change
        assert nova_admin("POST", "/flavors", {"flavor": body}).status_code == 400, change
    assert nova("POST", "/flavors", {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 1}}).status_code == 403
    page = nova("GET", "/flavors?limit=1&sort_key=name&sort_dir=desc&is_public=None").json()
    assert len(page["flavors"]) == 1
    admin.compute.delete_flavor(private)
    admin.compute.delete_flavor(flavor)


def test_flavor_pages(admin: Connection, nova: Nova) -> None:
    made = [admin.compute.create_flavor(name=f"p{n}", ram=4096 + n, vcpus=1, disk=1) for n in range(3)]
    found, path = [], "/flavors?limit=1&sort_key=memory_mb&minRam=4096"
    while path:
        page = nova("GET", path).json()
        found += [flavor["name"] for flavor in page["flavors"]]
        path = page["flavors_links"][0]["href"] if "flavors_links" in page else ""
    assert found == ["p0", "p1", "p2"]
    assert nova("GET", "/flavors?marker=nothing").status_code == 400
    assert nova("GET", "/flavors?limit=-1").status_code == 400
    for flavor in made:
        admin.compute.delete_flavor(flavor)


@pytest.mark.parametrize("make", [ed25519.Ed25519PrivateKey.generate, lambda: ec.generate_private_key(ec.SECP256R1())])
def test_keypairs(demo: Connection, nova: Nova, make: Any) -> None:
    public = openssh(make())
    keypair = demo.compute.create_keypair(name="mine", public_key=f"{public} me@home")
    assert len(keypair.fingerprint.split(":")) == 16
    assert nova("GET", "/os-keypairs/mine").json()["keypair"]["public_key"] == f"{public} me@home"
    again = {"keypair": {"name": "mine", "public_key": public, "type": "ssh"}}
    assert nova("POST", "/os-keypairs", again).status_code == 409
    assert nova("DELETE", "/os-keypairs/mine").status_code == 204
    assert nova("DELETE", "/os-keypairs/mine").status_code == 404


def test_keypairs_that_are_generated_or_refused(nova: Nova) -> None:
    made = nova("POST", "/os-keypairs", {"keypair": {"name": "old"}}, version="2.1")
    assert made.status_code == 200 and made.json()["keypair"]["private_key"].startswith("-----BEGIN RSA")
    assert nova("DELETE", "/os-keypairs/old", version="2.1").status_code == 202
    rsa_key = openssh(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    for change in (
        {"public_key": None},
        {"public_key": "ssh-rsa AAAA"},
        {"public_key": "ssh-dss " + rsa_key.split()[1]},
        {"public_key": rsa_key[:-9]},
        {"public_key": rsa_key + "\nssh-rsa another"},
        {"type": "x509"},
        {"name": "$(reboot)"},
        {"name": "a" * 256},
        {"name": ""},
    ):
        body = {"keypair": {"name": "k", "public_key": rsa_key} | change}
        assert nova("POST", "/os-keypairs", body).status_code == 400, change


def test_keypairs_belong_to_users(admin: Connection, alt: Connection, nova: Nova, nova_admin: Nova) -> None:
    public = openssh(ed25519.Ed25519PrivateKey.generate())
    for name in ("k1", "k2", "k3"):
        assert nova("POST", "/os-keypairs", {"keypair": {"name": name, "public_key": public}}).status_code == 201
    assert not list(alt.compute.keypairs())
    user = nova._session.get_user_id()
    assert len(nova_admin("GET", f"/os-keypairs?user_id={user}").json()["keypairs"]) == 3
    page = nova("GET", "/os-keypairs?limit=2").json()
    assert [item["keypair"]["name"] for item in page["keypairs"]] == ["k1", "k2"]
    following = nova("GET", page["keypairs_links"][0]["href"]).json()
    assert [item["keypair"]["name"] for item in following["keypairs"]] == ["k3"]
    other = f"/os-keypairs?user_id={admin.current_user_id}"
    assert nova("GET", other).status_code == 403


@pytest.fixture
def project(demo: Connection) -> Iterator[str]:
    yield demo.current_project_id


def test_quotas(project: str, nova: Nova, nova_admin: Nova) -> None:
    path = f"/os-quota-sets/{project}"
    assert nova("GET", path).json()["quota_set"]["instances"] == -1
    assert nova("GET", path, version="2.1").json()["quota_set"]["injected_files"] == 0
    assert nova("PUT", path, {"quota_set": {"instances": 5}}).status_code == 403
    assert nova_admin("PUT", path, {"quota_set": {"instances": 5, "cores": 7}}).json()["quota_set"]["cores"] == 7
    assert nova("GET", f"{path}/detail").json()["quota_set"]["cores"] == {"limit": 7, "in_use": 0, "reserved": 0}
    limits = nova("GET", "/limits").json()["limits"]["absolute"]
    assert (limits["maxTotalInstances"], limits["maxTotalCores"], limits["totalInstancesUsed"]) == (5, 7, 0)
    for body in ({"cores": -2}, {"nonsense": 1}, {"fixed_ips": 1}, {"cores": "x"}):
        assert nova_admin("PUT", path, {"quota_set": body}).status_code == 400
    assert nova_admin("PUT", "/os-quota-sets/nobody", {"quota_set": {"cores": 1}}).status_code == 400
    assert nova_admin("DELETE", path).status_code == 202
    assert nova("GET", path).json()["quota_set"]["cores"] == -1
    assert nova("GET", "/os-quota-sets/another").status_code == 403


@pytest.mark.parametrize("more", [{"id": True}, {"rxtx_factor": True}])
def test_booleans_are_no_numbers(nova_admin: Nova, more: dict[str, Any]) -> None:
    flavor = {"name": "boolean", "ram": 1, "vcpus": 1, "disk": 0}
    assert nova_admin("POST", "/flavors", {"flavor": flavor | more}).status_code == 400


def test_services_are_never_forced_down(nova_admin: Nova) -> None:
    service = nova_admin("GET", "/os-services").json()["services"][0]["id"]
    old = {"host": "host1", "binary": "nova-compute"}
    for key, body, version in ((service, {}, "2.96"), (service, {}, "2.53"), ("force-down", old, "2.11")):
        path = f"/os-services/{key}"
        assert nova_admin("PUT", path, body | {"forced_down": False}, version=version).status_code == 200
        refused = nova_admin("PUT", path, body | {"forced_down": True}, version=version)
        assert refused.status_code == 400 and "cannot force compute services down yet" in refused.text
    for version in ("2.10", "2.53"):
        answer = nova_admin("PUT", "/os-services/force-down", old | {"forced_down": False}, version=version)
        assert answer.status_code == 404
    for body, text in (
        ({}, "No updates were requested"),
        ({"disabled_reason": "x"}, "Specifying disabled_reason requires that status is disabled."),
    ):
        answer = nova_admin("PUT", f"/os-services/{service}", body)
        assert answer.status_code == 400 and text in answer.text


def test_zones_hypervisors_services(admin: Connection, demo: Connection, nova: Nova, nova_admin: Nova) -> None:
    [zone] = demo.compute.availability_zones()
    assert zone.name == "nova" and zone.state == {"available": True}
    [zone] = admin.compute.availability_zones(details=True)
    assert set(zone.hosts) == {"host1", "host2"}
    assert nova("GET", "/os-hypervisors").status_code == 403
    names = {hypervisor.name: hypervisor.id for hypervisor in admin.compute.hypervisors()}
    assert set(names) == {"host1", "host2"}
    [service] = [found for found in admin.compute.services() if found.host == "host1"]
    admin.compute.disable_service(service, disabled_reason="maintenance")
    [service] = [found for found in admin.compute.services() if found.host == "host1"]
    assert (service.status, service.disabled_reason) == ("disabled", "maintenance")
    assert nova_admin("GET", f"/os-hypervisors/{names['host1']}").json()["hypervisor"]["status"] == "disabled"
    body = {"host": "host1", "binary": "nova-compute"}
    assert nova_admin("PUT", "/os-services/enable", body, version="2.1").status_code == 200
    assert nova_admin("PUT", "/os-services/enable", body).status_code == 404


def test_extensions(nova: Nova) -> None:
    aliases = {extension["alias"] for extension in nova("GET", "/extensions").json()["extensions"]}
    assert "os-keypairs" in aliases
    assert nova("GET", "/extensions/os-keypairs").status_code == 200
    assert nova("GET", "/extensions/nonsense").status_code == 404

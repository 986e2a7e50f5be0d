"""The metadata service: https://docs.openstack.org/nova/latest/user/metadata.html, and Nova's nova/api/metadata."""

import base64

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures
from contract.conftest import Api
from contract.metadata_helpers import Asking
from skywright.services.compute.tables import Server

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8mGN8pKcRmQ2aXQUZZL2pdLsDCNyYf1zGQ3rb2Ltd9 me"
SCRIPT = b"#!/bin/sh\necho \xff\n"
OPENSTACK = [
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "2025-04-04",
    "latest",
]
EC2 = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "latest",
]


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "h1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        demo.compute.create_keypair(name="mine", public_key=KEY)
        return make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def full(api: Api, nova: Nova, fixtures: Fixtures) -> Asking:
    """A server with a key, user data and metadata, without a config drive."""
    user_data = base64.b64encode(SCRIPT).decode()
    return Asking(
        api,
        nova,
        fixtures,
        "Web One",
        key_name="mine",
        user_data=user_data,
        metadata={"role": "db"},
        config_drive=False,
    )


@pytest.fixture
def bare(api: Api, nova: Nova, fixtures: Fixtures) -> Asking:
    return Asking(api, nova, fixtures)


def test_versions_are_novas(bare: Asking) -> None:
    assert bare.lines("/openstack") == bare.lines("/openstack/") == OPENSTACK
    assert bare.lines("") == bare.lines("/") == bare.lines("/ec2") == EC2


def test_openstack_meta_data(full: Asking, demo: Connection) -> None:
    answer = full("/openstack/latest/meta_data.json")
    assert answer.headers["content-type"] == "application/json"
    data = answer.json()
    assert len(base64.b64decode(data.pop("random_seed"))) == 512
    assert data == {
        "uuid": full.id,
        "name": "Web One",
        "hostname": "web-one",
        "launch_index": 0,
        "availability_zone": "nova",
        "project_id": demo.current_project_id,
        "meta": {"role": "db"},
        "devices": [],
        "dedicated_cpus": [],
        "public_keys": {"mine": KEY},
        "keys": [{"name": "mine", "type": "ssh", "data": KEY}],
    }
    assert full("/openstack/latest/meta_data.json").json()["random_seed"] != answer.json()["random_seed"]


@pytest.mark.parametrize(
    ("version", "fields", "files"),
    [
        ("2012-08-10", set(), ["meta_data.json", "user_data"]),
        ("2013-04-04", {"random_seed"}, ["meta_data.json", "user_data", "password"]),
        ("2013-10-17", {"random_seed"}, ["meta_data.json", "user_data", "password", "vendor_data.json"]),
        (
            "2015-10-15",
            {"random_seed", "project_id"},
            ["meta_data.json", "user_data", "password", "vendor_data.json", "network_data.json"],
        ),
        (
            "latest",
            {"random_seed", "project_id", "devices", "dedicated_cpus"},
            [
                "meta_data.json",
                "user_data",
                "password",
                "vendor_data.json",
                "network_data.json",
                "vendor_data2.json",
            ],
        ),
    ],
)
def test_a_version_has_what_it_had_in_nova(full: Asking, version: str, fields: set[str], files: list[str]) -> None:
    assert full.lines(f"/openstack/{version}") == full.lines(f"/openstack/{version}/") == files
    later = {"random_seed", "project_id", "devices", "dedicated_cpus"}
    assert later & full(f"/openstack/{version}/meta_data.json").json().keys() == fields
    for name in ("password", "vendor_data.json", "network_data.json", "vendor_data2.json"):
        assert full(f"/openstack/{version}/{name}").status_code == (200 if name in files else 404)


def test_user_data_and_vendor_data(full: Asking, bare: Asking) -> None:
    assert full("/openstack/latest/user_data").content == full("/latest/user-data").content == SCRIPT
    assert full("/openstack/latest/vendor_data.json").json() == {}
    assert full("/openstack/latest/vendor_data2.json").json() == {"static": {}}
    assert bare("/openstack/latest/user_data").status_code == bare("/latest/user-data").status_code == 404
    assert "user_data" not in bare.lines("/openstack/latest") and bare.lines("/latest") == ["meta-data/"]


def test_network_data_is_that_of_the_config_drive(full: Asking) -> None:
    data = full("/openstack/latest/network_data.json").json()
    assert [link["vif_id"] for link in data["links"]] == [full.port]
    assert [network["type"] for network in data["networks"]] == ["ipv4_dhcp"]


def test_changes_show_at_once(full: Asking, nova: Nova) -> None:
    nova("POST", f"/servers/{full.id}/metadata", {"metadata": {"role": "web", "more": "yes"}})
    nova("PUT", f"/servers/{full.id}", {"server": {"name": "Web Two", "hostname": "web-two"}})
    data = full("/openstack/latest/meta_data.json").json()
    assert (data["name"], data["hostname"], data["meta"]) == ("Web Two", "web-two", {"role": "web", "more": "yes"})
    assert full.lines("/latest/meta-data/hostname") == ["web-two"]


def test_ec2_tree(api: Api, full: Asking, fixtures: Fixtures) -> None:
    with api.cloud.database.read() as session:
        reservation = session.get_one(Server, full.id).reservation_id
    assert full.lines("/latest/") == ["meta-data/", "user-data"]
    assert full.lines("/latest/meta-data/") == [
        "ami-id",
        "ami-launch-index",
        "ami-manifest-path",
        "block-device-mapping/",
        "hostname",
        "instance-action",
        "instance-id",
        "instance-type",
        "local-hostname",
        "local-ipv4",
        "placement/",
        "public-hostname",
        "public-ipv4",
        "public-keys/",
        "reservation-id",
        "security-groups",
    ]
    values = {
        "ami-id": f"ami-{fixtures.image.replace('-', '')[:17]}",
        "ami-launch-index": "0",
        "block-device-mapping": "ami\nroot",
        "block-device-mapping/ami": "vda",
        "block-device-mapping/root": "/dev/vda",
        "hostname": "web-one",
        "instance-id": f"i-{full.id.replace('-', '')[:17]}",
        "local-ipv4": full.address,
        "placement": "availability-zone",
        "placement/availability-zone": "nova",
        "public-keys": "0=mine",
        "public-keys/0": "openssh-key",
        "public-keys/0/openssh-key": KEY,
        "reservation-id": reservation,
    }
    assert {path: full(f"/latest/meta-data/{path}").text for path in values} == values


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ("1.0", {"local-hostname", "instance-type", "block-device-mapping/", "placement/", "instance-action"}),
        ("2007-12-15", {"placement/", "instance-action"}),
        ("2008-02-01", {"instance-action"}),
        ("2009-04-04", set()),
    ],
)
def test_an_ec2_version_has_what_it_had(bare: Asking, version: str, missing: set[str]) -> None:
    names = {"local-hostname", "instance-type", "block-device-mapping/", "placement/", "instance-action", "hostname"}
    assert names - set(bare.lines(f"/ec2/{version}/meta-data")) == missing
    assert "public-keys/" not in bare.lines(f"/{version}/meta-data")


@pytest.mark.parametrize(
    "path",
    [
        "/openstack/2011-01-01",
        "/openstack/latest/meta_data",
        "/openstack/latest/meta_data.json/uuid",
        "/openstack/content/0000",
        "/latest/dynamic",
        "/latest/meta-data/hostname/x",
        "/latest/meta-data/public-keys/0/_name",
        "/latest/api/token",
        "/2010-01-01/meta-data",
    ],
)
def test_what_does_not_exist(full: Asking, path: str) -> None:
    assert full(path).status_code == 404


def test_a_password_is_stored_once(bare: Asking, nova: Nova) -> None:
    path, stored = "/openstack/latest/password", f"/servers/{bare.id}/os-server-password"
    assert (bare(path).status_code, bare(path).text) == (200, "")
    assert nova("GET", stored).json() == {"password": ""}
    refused = bare(path, "POST", b"x" * 1021)
    assert (refused.status_code, refused.json()["badRequest"]["message"]) == (400, "Request is too large.")
    assert bare(path, "POST", b"\xff").status_code == 400
    secret = b"c2VjcmV0" * 120
    assert bare(path, "POST", secret, Content_Type="application/x-www-form-urlencoded").status_code == 200
    assert bare(path, "POST", b"other").status_code == 409
    assert bare("/openstack/2013-04-04/password").content == secret
    assert nova("GET", stored).json() == {"password": secret.decode()}
    assert nova("DELETE", stored).status_code == 204
    assert nova("GET", stored).json() == {"password": ""}
    assert bare(path, "POST", b"another").status_code == 200


@pytest.mark.parametrize("path", ["/openstack/latest/user_data", "/openstack/2012-08-10/password", "/latest/password"])
def test_only_the_password_is_written(bare: Asking, path: str) -> None:
    assert bare(path, "POST", b"x").status_code == 404


def test_a_floating_ip_is_the_public_address(
    admin: Connection, demo: Connection, full: Asking, fixtures: Fixtures
) -> None:
    assert full.lines("/latest/meta-data/public-ipv4") == [""]
    public = admin.network.create_network(name="public", is_router_external=True)
    admin.network.create_subnet(network_id=public.id, ip_version=4, cidr="203.0.113.0/24", is_dhcp_enabled=False)
    router = demo.network.create_router(external_gateway_info={"network_id": public.id})
    demo.network.add_interface_to_router(router, subnet=fixtures.subnet)
    floating = demo.network.create_ip(floating_network_id=public.id, port_id=full.port)
    assert full.lines("/latest/meta-data/public-ipv4") == [floating.floating_ip_address]

"""Requests that create servers: what is accepted and refused."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, add_image, make_fixtures, run_jobs
from contract.conftest import Api


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "host1", "host2")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def nova_admin(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


def create(nova: Nova, body: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = nova("POST", "/servers", body, **options)
    assert answer.status_code == 202, answer.text
    server: dict[str, Any] = nova("GET", answer.headers["Location"]).json()["server"]
    return server


def status(nova: Nova, body: dict[str, Any], **options: Any) -> int:
    return int(nova("POST", "/servers", body, **options).status_code)


def test_several_at_once(api: Api, nova: Nova, fixtures: Fixtures) -> None:
    body = fixtures.body("many", min_count=2, max_count=3, return_reservation_id=True)
    reservation = nova("POST", "/servers", body).json()["reservation_id"]
    made = nova("GET", f"/servers?reservation_id={reservation}&sort_key=display_name&sort_dir=asc").json()["servers"]
    assert [server["name"] for server in made] == ["many-1", "many-2", "many-3"]
    works = run_jobs(api.cloud)
    assert len(works) == 1 and set(works[0].items) == {"host1", "host2"}
    assert status(nova, fixtures.body(min_count=3, max_count=2)) == 400
    same_address = [{"uuid": fixtures.network, "fixed_ip": "10.9.77.8"}]
    assert status(nova, fixtures.body(networks=same_address, max_count=2)) == 400
    assert status(nova, fixtures.body(min_count=0)) == 400


def test_networks(demo: Connection, alt: Connection, nova: Nova, fixtures: Fixtures) -> None:
    server = create(nova, fixtures.body(networks=[{"uuid": fixtures.network, "fixed_ip": "10.9.77.7"}]))
    assert server["addresses"]["net"][0]["addr"] == "10.9.77.7"
    taken = nova("POST", "/servers", fixtures.body(networks=[{"uuid": fixtures.network, "fixed_ip": "10.9.77.7"}]))
    assert taken.status_code == 400 and "10.9.77.7" in taken.json()["badRequest"]["message"]
    assert create(nova, fixtures.body(networks="none"))["addresses"] == {}
    for automatic in ("auto", []):
        assert set(create(nova, fixtures.body(networks=automatic))["addresses"]) == {"net"}
    twice = create(nova, fixtures.body(networks=[{"uuid": fixtures.network}] * 2))
    assert len(twice["addresses"]["net"]) == 2
    foreign = alt.network.create_network(name="foreign")
    empty = demo.network.create_network(name="empty")
    spare = demo.network.create_port(network_id=fixtures.network)
    for wish in (
        [{"uuid": "nothing"}],
        [{"uuid": foreign.id}],
        [{"uuid": empty.id}],
        [{"port": "nothing"}],
        [{"uuid": fixtures.network, "fixed_ip": "192.0.2.1"}],
        [{"uuid": fixtures.network, "fixed_ip": "x"}],
        [{"port": spare.id}] * 2,
        [{"port": spare.id, "fixed_ip": "10.9.77.9"}],
        [{}],
        "some",
    ):
        assert status(nova, fixtures.body(networks=wish)) == 400, wish
    body = fixtures.body()
    del body["server"]["networks"]
    assert status(nova, body) == 400
    assert set(create(nova, body, version="2.1")["addresses"]) == {"net"}
    alone = fixtures.body(networks="auto")
    assert nova("POST", "/servers", alone, version="2.36").status_code == 400


def test_ambiguous_networks(api: Api, alt: Connection, fixtures: Fixtures) -> None:
    nova = Nova(alt, api.url)
    assert status(nova, fixtures.body(networks="auto")) == 400
    for number in (1, 2):
        network = alt.network.create_network(name=f"n{number}")
        alt.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.1.0.0/24")
    assert status(nova, fixtures.body(networks="auto")) == 409


def test_an_existing_port(api: Api, demo: Connection, nova: Nova, fixtures: Fixtures) -> None:
    port = demo.network.create_port(network_id=fixtures.network)
    server = create(nova, fixtures.body(networks=[{"port": port.id}]))
    assert demo.network.get_port(port.id).device_id == server["id"]
    assert status(nova, fixtures.body(networks=[{"port": port.id}])) == 409
    assert status(nova, fixtures.body(networks=[{"port": port.id}], min_count=2)) == 400
    run_jobs(api.cloud)
    assert demo.network.get_port(port.id).status == "ACTIVE"
    nova("DELETE", f"/servers/{server['id']}")
    run_jobs(api.cloud)
    assert demo.network.get_port(port.id).device_id == ""


def test_only_administrators_choose_hosts(api: Api, nova: Nova, nova_admin: Nova, fixtures: Fixtures) -> None:
    for more in ({"availability_zone": "nova:host2"}, {"host": "host2"}):
        assert status(nova, fixtures.body(**more)) == 403
        server = create(nova_admin, fixtures.body("placed", **more))
        run_jobs(api.cloud)
        shown = nova_admin("GET", f"/servers/{server['id']}").json()["server"]
        assert shown["OS-EXT-SRV-ATTR:host"] == "host2"
        assert shown["OS-EXT-AZ:availability_zone"] == "nova"
    for more in ({"availability_zone": "nova:nothing"}, {"host": "nothing"}, {"availability_zone": "moon"}):
        assert status(nova_admin, fixtures.body(**more)) == 400
    assert create(nova, fixtures.body(availability_zone="nova"))["pinned_availability_zone"] == "nova"


def test_quotas_hold(demo: Connection, nova: Nova, nova_admin: Nova, fixtures: Fixtures) -> None:
    path = f"/os-quota-sets/{demo.current_project_id}"
    used = nova("GET", "/limits").json()["limits"]["absolute"]["totalInstancesUsed"]
    quota = {"instances": used + 1, "metadata_items": 1, "force": True}
    assert nova_admin("PUT", path, {"quota_set": quota}).status_code == 200
    refused = nova("POST", "/servers", fixtures.body(min_count=2))
    assert refused.status_code == 403 and "Quota exceeded for instances" in refused.json()["forbidden"]["message"]
    assert status(nova, fixtures.body(metadata={"a": "1", "b": "2"})) == 403
    assert status(nova, fixtures.body()) == 202
    nova_admin("DELETE", path)


def test_images_and_flavors(api: Api, admin: Connection, alt: Connection, nova: Nova, fixtures: Fixtures) -> None:
    private = add_image(api.cloud, visibility="private", project_id=alt.current_project_id)
    queued = add_image(api.cloud, status="queued")
    large = add_image(api.cloud, virtual_size=2 << 30)
    hungry = add_image(api.cloud, min_ram=4096)
    for image in (private, queued, large, hungry, "nothing", "", None):
        assert status(nova, fixtures.body(imageRef=image)) == 400, image
    swap = admin.compute.create_flavor(name="swap", ram=128, vcpus=1, disk=1, swap=64)
    for flavor in ("nothing", swap.id, "", {}):
        assert status(nova, fixtures.body(flavorRef=flavor)) == 400, flavor
    boot = {"uuid": fixtures.image, "boot_index": 0, "source_type": "image", "destination_type": "local"}
    assert status(nova, fixtures.body(block_device_mapping_v2=[boot])) == 202
    assert status(nova, fixtures.body(block_device_mapping_v2=[boot | {"destination_type": "volume"}])) == 400


@pytest.mark.parametrize(
    "more",
    [
        {"name": ""},
        {"name": "a" * 256},
        {"name": 1},
        {"key_name": "nothing"},
        {"user_data": "not base64!"},
        {"user_data": "A" * 65536},
        {"metadata": {"k" * 256: "v"}},
        {"metadata": {"k": None}},
        {"metadata": []},
        {"security_groups": [{"name": "default"}]},
        {"personality": [{"path": "/etc/x", "contents": "eA=="}]},
        {"hostname": "-rf"},
        {"tags": ["a/b"]},
        {"description": "x" * 256},
        {"min_count": 10**9},
        {"min_count": "many"},
        {"config_drive": "perhaps"},
        {"nonsense": 1},
    ],
)
def test_refused(nova: Nova, fixtures: Fixtures, more: dict[str, Any]) -> None:
    assert status(nova, fixtures.body(**more)) == 400


def test_old_microversions_refuse_new_fields(nova: Nova, fixtures: Fixtures) -> None:
    for more, version in (({"description": "x"}, "2.18"), ({"tags": ["x"]}, "2.51"), ({"hostname": "x"}, "2.89")):
        assert status(nova, fixtures.body(**more), version=version) == 400
        assert status(nova, fixtures.body(**more)) == 202
    assert (
        create(nova, fixtures.body("dotted", hostname="a.example.org"))["OS-EXT-SRV-ATTR:hostname"] == "a.example.org"
    )
    assert status(nova, fixtures.body(hostname="a.example.org"), version="2.93") == 400
    server = create(nova, fixtures.body("renamed"))["id"]
    for version, expected in (("2.93", 400), ("2.94", 200)):
        answer = nova("PUT", f"/servers/{server}", {"server": {"hostname": "b.example.org"}}, version=version)
        assert answer.status_code == expected


def test_the_response_has_the_fields_that_nova_requires(nova: Nova, fixtures: Fixtures) -> None:
    created = nova("POST", "/servers", fixtures.body()).json()["server"]
    assert set(created) == {"id", "links", "adminPass", "OS-DCF:diskConfig", "security_groups"}
    assert created["security_groups"] == []

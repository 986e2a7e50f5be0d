"""Networks, subnets and ports with openstacksdk, openstackclient and plain requests."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack import exceptions
from openstack.connection import Connection

from contract.conftest import PASSWORD, Api, shared_hash
from contract.network_helpers import error_type, request
from skywright.services import bootstrap
from skywright.services.network.tables import Network


@pytest.fixture
def subnet(demo: Connection, network: Any) -> Any:
    return demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.1.0.0/24", name="private")


def password(connection: Connection) -> str:
    return str(connection.config.config["auth"]["password"])


def test_versions_need_no_token(api: Any, demo: Connection) -> None:
    root = demo.session.get(f"{api.url}/networking/", authenticated=False)
    version = root.json()["versions"][0]
    assert (root.status_code, version["id"], version["status"]) == (200, "v2.0", "CURRENT")
    href = version["links"][0]["href"]
    names = {each["name"] for each in demo.session.get(href, authenticated=False).json()["resources"]}
    assert {"network", "subnet", "port"} <= names


def test_without_a_token_it_is_401(api: Any, demo: Connection) -> None:
    answer = demo.session.get(f"{api.url}/networking/v2.0/networks", authenticated=False, raise_exc=False)
    assert answer.status_code == 401


def test_missing_features_have_no_extension_and_are_named(demo: Connection) -> None:
    aliases = {extension.alias for extension in demo.network.extensions()}
    assert "provider" in aliases
    assert not aliases & {"l3-ha", "dvr", "security-group"}
    assert request(demo, "GET", "/extensions/dvr").status_code == 404
    for path, name in (("security-groups", "security groups"),):
        # Clients always list these.
        assert request(demo, "GET", f"/{path}").json() == {path.replace("-", "_"): []}
        for method, item, status in (("POST", "", 400), ("GET", "/x", 404), ("DELETE", "/x", 404)):
            refused = request(demo, method, f"/{path}{item}", {})
            assert refused.status_code == status
            assert refused.json()["NeutronError"]["message"] == f"This cloud has no {name} yet."
    for path in ("trunks", "qos/alias_minimum_bandwidth_rules/x", "fwaas/firewall_groups"):
        refused = request(demo, "GET", f"/{path}")
        assert refused.status_code == 404 and "This cloud has no " in refused.text


def test_a_network_with_the_attributes_of_its_kind(demo: Connection, network: Any) -> None:
    body = request(demo, "GET", f"/networks/{network.id}").json()["network"]
    assert body["project_id"] == body["tenant_id"] == demo.current_project_id
    assert (body["mtu"], body["status"], body["shared"], body["subnets"]) == (1450, "ACTIVE", False, [])
    assert "provider:network_type" not in body
    assert body["created_at"].endswith("Z")


def test_an_administrator_sees_and_chooses_the_segment(admin: Connection) -> None:
    network = admin.network.create_network(name="seg", provider_network_type="vxlan", provider_segmentation_id=4242)
    try:
        assert (network.provider_network_type, network.provider_segmentation_id) == ("vxlan", 4242)
        body = {"network": {"provider:network_type": "vxlan", "provider:segmentation_id": 4242}}
        answer = request(admin, "POST", "/networks", body)
        assert (answer.status_code, error_type(answer)) == (409, "TunnelIdInUse")
    finally:
        admin.network.delete_network(network)


def test_gre_and_local_networks(api: Api, admin: Connection) -> None:
    gre = admin.network.create_network(provider_network_type="gre", provider_segmentation_id=2**31 - 1)
    local = [admin.network.create_network(provider_network_type="local") for _ in range(2)]
    try:
        assert (gre.provider_network_type, gre.provider_segmentation_id, gre.mtu) == ("gre", 2**31 - 1, 1458)
        for network in local:
            assert (network.provider_segmentation_id, network.provider_physical_network) == (None, None)
            assert network.mtu == 1500
        for wish, text in (
            ({"network_type": "gre", "segmentation_id": 2**31 - 1}, "The gre segment 2147483647 is in use."),
            ({"network_type": "local", "segmentation_id": 1}, "segmentation_id prohibited for local provider network."),
            (
                {"network_type": "local", "physical_network": "x"},
                "physical_network prohibited for local provider network.",
            ),
            ({"network_type": "gre", "physical_network": "x"}, "provider:physical_network specified for gre network."),
        ):
            body = {"network": {f"provider:{name}": value for name, value in wish.items()}}
            answer = request(admin, "POST", "/networks", body)
            assert answer.status_code in (400, 409) and text in answer.json()["NeutronError"]["message"]
        assert [row.id for row in admin.network.networks(provider_network_type="gre")] == [gre.id]
        with api.cloud.database.read() as session:
            stored = session.get_one(Network, local[0].id).segmentation_id
        hidden = request(admin, "GET", f"/networks?provider:segmentation_id={stored}")
        assert hidden.json() == {"networks": []}
        query = "limit=1&sort_key=provider:segmentation_id&sort_key=id"
        listed, marker = [], ""
        while page := request(admin, "GET", f"/networks?{query}{marker}").json()["networks"]:
            listed += [row["id"] for row in page]
            marker = f"&marker={listed[-1]}"
        assert len(listed) == len(set(listed)) and {gre.id, *(network.id for network in local)} <= set(listed)
    finally:
        for network in (gre, *local):
            admin.network.delete_network(network)


def test_segments_differ(admin: Connection) -> None:
    made = request(admin, "POST", "/networks", {"networks": [{"name": f"n{number}"} for number in range(5)]})
    assert made.status_code == 201
    networks = made.json()["networks"]
    assert len({network["provider:segmentation_id"] for network in networks}) == 5
    for network in networks:
        admin.network.delete_network(network["id"])


def test_members_may_not_choose_segments_or_share(demo: Connection) -> None:
    for wish in ({"provider:network_type": "vxlan"}, {"shared": True}):
        assert request(demo, "POST", "/networks", {"network": wish}).status_code == 403


def test_an_administrator_creates_networks_for_others(admin: Connection, demo: Connection) -> None:
    network = admin.network.create_network(name="given", project_id=demo.current_project_id)
    assert demo.network.get_network(network.id).project_id == demo.current_project_id
    demo.network.delete_network(network.id)
    body = {"network": {"project_id": admin.current_project_id}}
    assert request(demo, "POST", "/networks", body).status_code == 400


def test_projects_do_not_see_each_other(demo: Connection, alt: Connection, network: Any, subnet: Any) -> None:
    port = demo.network.create_port(network_id=network.id)
    for path in (f"/networks/{network.id}", f"/subnets/{subnet.id}", f"/ports/{port.id}"):
        for method, body in (("GET", None), ("PUT", {path.split("/")[1][:-1]: {"name": "x"}}), ("DELETE", None)):
            assert request(alt, method, path, body).status_code == 404
    assert request(alt, "GET", f"/networks?id={network.id}").json() == {"networks": []}
    body = {"port": {"network_id": network.id}}
    assert error_type(request(alt, "POST", "/ports", body)) == "NetworkNotFound"


def test_a_shared_network_can_be_used_but_not_changed(admin: Connection, demo: Connection) -> None:
    network = admin.network.create_network(name="shared", is_shared=True)
    admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.9.0.0/24")
    assert [found.id for found in demo.network.networks(is_shared=True)] == [network.id]
    port = demo.network.create_port(network_id=network.id)
    assert port.fixed_ips[0]["ip_address"] == "10.9.0.2"
    assert request(demo, "PUT", f"/networks/{network.id}", {"network": {"name": "mine"}}).status_code == 403
    assert request(demo, "DELETE", f"/networks/{network.id}").status_code == 403
    chosen = {"port": {"network_id": network.id, "fixed_ips": [{"ip_address": "10.9.0.9"}]}}
    assert request(demo, "POST", "/ports", chosen).status_code == 403
    subnet = {"subnet": {"network_id": network.id, "ip_version": 4, "cidr": "10.8.0.0/24"}}
    assert request(demo, "POST", "/subnets", subnet).status_code == 403
    unshare = request(admin, "PUT", f"/networks/{network.id}", {"network": {"shared": False}})
    assert (unshare.status_code, error_type(unshare)) == (409, "InvalidSharedSetting")
    assert error_type(request(admin, "DELETE", f"/networks/{network.id}")) == "NetworkInUse"
    admin.network.delete_port(port)
    admin.network.delete_network(network)


def test_revisions_guard_updates(demo: Connection, network: Any) -> None:
    before = network.revision_number
    changed = demo.network.update_network(network, name="other", description="d", is_admin_state_up=False)
    assert changed.revision_number == before + 1
    answer = demo.network.request(
        f"/networks/{network.id}",
        "PUT",
        json={"network": {"name": "again"}},
        headers={"If-Match": "revision_number=0"},
        raise_exc=False,
    )
    assert (answer.status_code, error_type(answer)) == (412, "RevisionNumberConstraintFailed")


def test_invalid_bodies_are_refused(demo: Connection, network: Any) -> None:
    for body in (
        {},
        {"network": []},
        {"networks": []},
        {"network": {"nonsense": 1}},
        {"network": {"status": "DOWN"}},
        {"network": {"admin_state_up": "perhaps"}},
        {"network": {"mtu": 9000}},
        {"network": {"mtu": 10**30}},
        {"network": {"router:external": "perhaps"}},
    ):
        assert request(demo, "POST", "/networks", body).status_code == 400
    assert request(demo, "PUT", f"/networks/{network.id}", {"network": {"name": None}}).status_code == 400


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=a&name=c", ["a", "c"]),
        ("sort_key=name&sort_dir=desc", ["d", "c", "b", "a"]),
        ("sort_key=name&limit=2", ["a", "b"]),
        ("admin_state_up=False", ["b"]),
        ("tags=red", ["a"]),
        ("tags-any=red,blue&sort_key=name", ["a", "c"]),
        ("not-tags-any=red,blue&sort_key=name", ["b", "d"]),
        ("description=", ["a", "b", "c", "d"]),
        ("router:external=True", []),
    ],
)
def test_lists(alt: Connection, four_networks: None, query: str, names: list[str]) -> None:
    found = request(alt, "GET", f"/networks?{query}").json()["networks"]
    assert [network["name"] for network in found] == names


@pytest.fixture(scope="module")
def four_networks(api: Any) -> Iterator[None]:
    with api.connect("alt", "alt") as alt:
        networks = [alt.network.create_network(name=name, is_admin_state_up=name != "b") for name in "abcd"]
        alt.network.set_tags(networks[0], ["red"])
        alt.network.set_tags(networks[2], ["blue"])
        yield
        for network in networks:
            alt.network.delete_network(network)


def test_pages_lead_to_each_other(alt: Connection, four_networks: None) -> None:
    assert [network.name for network in alt.network.networks(limit=1)] == list("abcd")
    first = request(alt, "GET", "/networks?limit=3&sort_key=name&fields=id&fields=name").json()
    assert set(first["networks"][0]) == {"id", "name"}
    next_page = alt.session.get(first["networks_links"][0]["href"]).json()
    assert [network["name"] for network in next_page["networks"]] == ["d"]
    previous = next(link["href"] for link in next_page["networks_links"] if link["rel"] == "previous")
    back = alt.session.get(previous).json()
    assert [network["name"] for network in back["networks"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "sort_key=nonsense",
        "sort_key=name&sort_dir=up",
        "admin_state_up=x",
        "mtu=x",
        "mtu=9" + "9" * 30,
    ],
)
def test_invalid_queries_are_refused(demo: Connection, query: str) -> None:
    assert request(demo, "GET", f"/networks?{query}").status_code == 400


def test_an_unknown_marker_is_404(demo: Connection) -> None:
    assert request(demo, "GET", "/networks?limit=1&marker=gone").status_code == 404


def test_openstackclient(api: Any, demo: Connection, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
        "OS_AUTH_URL": f"{api.url}/identity",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": password(demo),
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_IDENTITY_API_VERSION": "3",
        "HOME": str(tmp_path),
    }

    def run(*command: str) -> Any:
        done = subprocess.run(
            [".venv/bin/openstack", *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "json" in command else None

    run("network", "create", "cli")
    made = run("subnet", "create", "--network", "cli", "--subnet-range", "10.7.0.0/24", "cli", "-f", "json")
    assert made["gateway_ip"] == "10.7.0.1"
    port = run("port", "create", "--network", "cli", "--fixed-ip", "ip-address=10.7.0.9", "cli", "-f", "json")
    assert port["fixed_ips"][0]["ip_address"] == "10.7.0.9"
    assert [found["ID"] for found in run("port", "list", "--network", "cli", "-f", "json")] == [port["id"]]
    run("port", "delete", "cli")
    run("network", "delete", "cli")


def test_readers_may_not_write(api: Any, demo: Connection) -> None:
    with api.cloud.database.write() as session:
        project = bootstrap.ensure_project(session, "demo")
        user = bootstrap.ensure_user(session, "watcher", shared_hash(PASSWORD), project)
        bootstrap.grant(session, user, "reader", "project", project.id)
    with api.connect("watcher", "demo") as reader:
        assert request(reader, "GET", "/networks").status_code == 200
        with pytest.raises(exceptions.ForbiddenException):
            reader.network.create_network(name="no")


def test_tags_can_be_added(admin: Connection) -> None:
    network = admin.network.create_network(name="tagged")
    path = f"/networks/{network.id}/tags"
    admin.network.put(path, json={"tags": ["a", "b"]})
    added = admin.network.post(path, json={"tags": ["b", "c"]})
    assert added.status_code == 201 and added.json() == {"tags": ["b", "c"]}
    assert admin.network.get(path).json()["tags"] == ["a", "b", "c"]
    assert admin.network.post(path, json={"tags": [f"t{index}" for index in range(98)]}).status_code == 400
    admin.network.delete_network(network)


@pytest.mark.parametrize(
    ("kind", "method", "item", "message"),
    [
        (
            "networks",
            "PUT",
            {"provider:network_type": "vlan"},
            "Cannot update read-only attribute provider:network_type",
        ),
        ("networks", "PUT", {"project_id": "x"}, "Cannot update read-only attribute project_id"),
        ("networks", "PUT", {"status": "DOWN"}, "Cannot update read-only attribute status"),
        ("networks", "PUT", {"colour": "red"}, "Unrecognized attribute(s) 'colour'"),
        ("ports", "PUT", {"network_id": "x"}, "Cannot update read-only attribute network_id"),
        ("subnets", "PUT", {"cidr": "10.0.0.0/8"}, "Cannot update read-only attribute cidr"),
        ("networks", "POST", {"id": "x"}, "Attribute 'id' not allowed in POST"),
        ("networks", "POST", {"colour": "red"}, "Unrecognized attribute(s) 'colour'"),
    ],
)
def test_attributes_that_cannot_be_set(
    demo: Connection, kind: str, method: str, item: dict[str, str], message: str
) -> None:
    path = f"/{kind}/none" if method == "PUT" else f"/{kind}"
    bodies = [{kind[:-1]: item}] if method == "PUT" else [{kind[:-1]: item}, {kind: [{}, item]}]
    for body in bodies:
        answer = request(demo, method, path, body)
        assert (answer.status_code, answer.json()["NeutronError"]["message"]) == (400, message)

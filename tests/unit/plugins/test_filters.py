import base64
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.skywright.cloud.plugins.filter import cloud
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import LISTS
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.router import Router
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs

ROOT = Path(__file__).parents[3]

TUNNELS = {"host1": "172.20.1.11", "host2": "172.20.1.12", "host3": "172.20.1.13"}


def declared(**changes):
    return {
        "networks": [{"name": "private", "segmentation_id": 1001, "cidr": "10.20.0.0/24"}],
        "images": [{"name": "guest", "path": "/guest.qcow2"}],
        "servers": [
            {
                "name": "web-1",
                "host": "host1",
                "image": "guest",
                "networks": ["private"],
                "ssh_keys": ["ssh-ed25519 A"],
            },
            {
                "name": "web-2",
                "host": "host2",
                "image": "guest",
                "networks": [{"name": "private", "address": "10.20.0.12"}],
                "user_data": "#!/bin/sh\n",
            },
        ],
        **changes,
    }


def items(**changes):
    return cloud.cloud_items(declared(**changes), TUNNELS, "host1")


def network(wanted, host):
    return wanted[host]["networks"][0]


def test_same_declaration_gives_same_items():
    assert items() == items()


def test_servers_and_images_go_to_their_hosts():
    wanted = items()
    assert [server["name"] for server in wanted["host1"]["servers"]] == ["web-1"]
    nothing = {"security_groups": [], "routers": [], "images": [], "servers": []}
    assert wanted["host3"] == {"networks": wanted["host3"]["networks"], **nothing}
    assert wanted["host1"]["images"] == wanted["host2"]["images"]
    assert wanted["host2"]["servers"][0]["image_id"] == wanted["host2"]["images"][0]["id"]


def test_networks_join_their_members_only():
    wanted = items()
    assert network(wanted, "host1")["peers"] == ["172.20.1.12"]
    assert network(wanted, "host2")["peers"] == ["172.20.1.11"]
    assert network(wanted, "host3")["state"] == "absent"


def test_ports_addresses_and_macs_agree():
    wanted = items()
    port = wanted["host2"]["servers"][0]["ports"][0]
    assert network(wanted, "host2")["ports"] == [
        {
            "id": port["id"],
            "mac": port["mac"],
            "state": "present",
            "port_security_enabled": True,
            "addresses": ["10.20.0.12"],
            "allowed_address_pairs": [],
            "qos": None,
            "security_groups": None,
            "stateful": True,
        }
    ]
    assert network(wanted, "host2")["dhcp"] is None
    dhcp = network(wanted, "host1")["dhcp"]
    entry = next(host for host in dhcp["hosts"] if host["id"] == port["id"])
    assert entry["mac"] == port["mac"]
    assert entry["addresses"] == ["10.20.0.12"]
    assert dhcp["subnets"][0]["address"] == "10.20.0.2"
    addresses = [host["addresses"][0] for host in dhcp["hosts"]]
    assert len(set(addresses)) == 2


def test_port_security_is_declared_with_a_servers_network():
    entry = {"name": "private", "port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "10.20.0.9"}]}
    server = {"name": "web-1", "host": "host1", "image": "guest", "networks": [entry]}
    (port,) = network(items(servers=[server]), "host1")["ports"]
    assert (port["port_security_enabled"], port["allowed_address_pairs"]) == (False, entry["allowed_address_pairs"])


def test_limits_are_declared_with_a_servers_network():
    entry = {"name": "private", "qos": {"bandwidth_limits": [{"direction": "egress", "max_kbps": 1000}]}}
    server = {"name": "web-1", "host": "host1", "image": "guest", "networks": [entry]}
    (port,) = network(items(servers=[server]), "host1")["ports"]
    assert port["qos"] == entry["qos"]


def test_dhcp_options_are_declared_with_a_servers_network():
    entry = {"name": "private", "dhcp_options": [{"name": "ntp-server", "value": "10.20.0.1"}]}
    server = {"name": "web-1", "host": "host1", "image": "guest", "networks": [entry]}
    (host,) = network(items(servers=[server]), "host1")["dhcp"]["hosts"]
    assert host["options"] == entry["dhcp_options"]


def test_a_full_network_gives_every_port_another_address():
    servers = [{"name": f"s{n}", "host": "host1", "image": "guest", "networks": ["private"]} for n in range(12)]
    networks = [{"name": "private", "segmentation_id": 1, "cidr": "10.0.0.0/28"}]
    wanted = items(servers=servers, networks=networks)
    addresses = {host["addresses"][0] for host in network(wanted, "host1")["dhcp"]["hosts"]}
    assert len(addresses) == 12
    assert not addresses & {"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.15"}
    servers.append({**servers[0], "name": "one too many"})
    with pytest.raises(AnsibleFilterError, match="no free address"):
        items(servers=[*servers, {**servers[0], "name": "two"}], networks=networks)


def test_an_absent_server_leaves_everywhere_and_others_keep_their_addresses():
    before = network(items(), "host1")["dhcp"]["hosts"]
    servers = declared()["servers"]
    servers[0]["state"] = "absent"
    wanted = items(servers=servers)
    assert wanted["host1"]["servers"] == [{"id": items()["host1"]["servers"][0]["id"], "state": "absent"}]
    assert network(wanted, "host1")["ports"][0]["state"] == "absent"
    after = network(wanted, "host1")["dhcp"]["hosts"]
    assert after[0] == {"id": before[0]["id"], "state": "absent"}
    assert after[1] == before[1]


def test_everything_absent():
    gone = {kind: [{**thing, "state": "absent"} for thing in things] for kind, things in declared().items()}
    wanted = items(**gone)
    for host in TUNNELS.values():
        assert host
    states = {item["state"] for host in wanted.values() for kind in host.values() for item in kind}
    assert states == {"absent"}
    assert len(wanted["host3"]["images"]) == 1


def test_config_drive():
    wanted = items()
    first, second = wanted["host1"]["servers"][0], wanted["host2"]["servers"][0]
    assert first["config_drive"]["meta_data"]["public_keys"] == {"key-0": "ssh-ed25519 A"}
    assert first["config_drive"]["user_data"] is None
    assert base64.b64decode(second["config_drive"]["user_data"]) == b"#!/bin/sh\n"
    network_data = second["config_drive"]["network_data"]
    port = second["ports"][0]
    assert network_data["links"] == [
        {
            "id": "tap" + port["id"][:11],
            "vif_id": port["id"],
            "type": "ovs",
            "mtu": None,
            "ethernet_mac_address": port["mac"],
        }
    ]
    assert [entry["type"] for entry in network_data["networks"]] == ["ipv4_dhcp"]


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"host": "nowhere"}, "not a host of the cloud"),
        ({"image": "other"}, "image that is not declared"),
        ({"networks": ["other"]}, "not declared"),
        ({"networks": [{"name": "private", "address": "10.20.0.2"}]}, "is in use in"),
        ({"networks": [{"name": "private", "address": "10.99.0.9"}]}, "not part of"),
    ],
)
def test_mistakes_are_named(server, message):
    base = {"name": "web", "host": "host1", "image": "guest", "networks": ["private"]}
    with pytest.raises(AnsibleFilterError, match=message):
        items(servers=[{**base, **server}])


def test_a_server_in_an_absent_network_is_a_mistake():
    networks = [{**declared()["networks"][0], "state": "absent"}]
    with pytest.raises(AnsibleFilterError, match="which is absent"):
        items(networks=networks)


def test_local_images_become_urls_on_the_host():
    images = [{"id": "a", "path": "/x"}, {"id": "b", "url": "http://y"}, {"id": "c", "state": "absent"}]
    assert cloud.uploaded(images, "/incoming") == [
        {"id": "a", "url": "file:///incoming/a"},
        {"id": "b", "url": "http://y"},
        {"id": "c", "state": "absent"},
    ]


OUTSIDE = {"name": "outside", "external": True, "type": "flat", "cidr": "203.0.113.0/28", "gateway": "203.0.113.1"}
ROUTER = {"name": "gate", "external_network": "outside", "networks": ["private"]}


def routed(router=(), networks=()):
    """Items of a cloud with a router between two networks."""
    return items(
        networks=[*declared()["networks"], {**OUTSIDE, **dict(networks)}], routers=[{**ROUTER, **dict(router)}]
    )


def test_a_router_is_the_gateway_of_its_networks():
    wanted = routed()
    (router,) = wanted["host1"]["routers"]
    inside, outside = sorted(router["interfaces"], key=lambda interface: interface["external"])
    assert inside["addresses"] == ["10.20.0.1/24"] and outside["addresses"][0].startswith("203.0.113.")
    assert (router["gateways"], f"{router['snat_address']}/28") == (["203.0.113.1"], outside["addresses"][0])
    private, external = wanted["host1"]["networks"]
    assert private["dhcp"]["subnets"][0]["gateway_ip"] == "10.20.0.1"
    assert external["dhcp"] is None, "the cloud serves no DHCP in external networks"
    for network, interface in ((private, inside), (external, outside)):
        (port,) = [port for port in network["ports"] if port.get("device") == "veth"]
        assert port == {"id": interface["port_id"], "mac": interface["mac"], "device": "veth", "state": "present"}


def test_a_router_is_only_on_its_host():
    wanted = routed({"host": "host2"})
    assert [wanted[host]["routers"][0]["state"] for host in TUNNELS] == ["absent", "present", "absent"]
    assert [network(wanted, host)["ports"][-1]["state"] for host in ("host1", "host2")] == ["absent", "present"]
    assert [wanted[host]["networks"][1]["state"] for host in TUNNELS] == ["absent", "present", "absent"]


def test_an_absent_router_leaves_with_its_ports():
    wanted = routed({"state": "absent"})
    assert {host["routers"][0]["state"] for host in wanted.values()} == {"absent"}
    assert network(wanted, "host1")["ports"][-1]["state"] == "absent"


def test_floating_ips_are_addresses_of_servers():
    forwarding = {"address": "203.0.113.5", "protocol": "tcp", "external_port": "8000-8001", "internal_port": 80}
    router = {
        "floating_ips": [{"address": "203.0.113.4", "server": "web-2"}],
        "port_forwardings": [{**forwarding, "server": "web-2", "network": "private"}],
    }
    (found,) = routed(router)["host1"]["routers"]
    (floating,), (forwarded,) = found["floating_ips"], found["port_forwardings"]
    assert (floating["floating_ip_address"], floating["fixed_ip_address"]) == ("203.0.113.4", "10.20.0.12")
    assert (forwarded["external_port_min"], forwarded["external_port_max"]) == (8000, 8001)
    assert (forwarded["internal_port_min"], forwarded["internal_port_max"]) == (80, 80)
    assert forwarded["internal_ip_address"] == "10.20.0.12"


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ({"host": "nowhere"}, "not a host of the cloud"),
        ({"networks": ["other"]}, "not present: other"),
        ({"networks": ["outside"]}, "which is external"),
        ({"external_network": "private"}, "which is not external"),
        ({"networks": [{"name": "private", "address": "10.20.0.2"}]}, "in use in"),
        ({"external_network": {"name": "outside", "address": "203.0.113.1"}}, "in use in"),
        ({"floating_ips": [{"address": "203.0.113.1", "server": "web-1"}]}, "in use in"),
        ({"floating_ips": [{"address": "203.0.113.4", "server": "web-9"}]}, "has the server web-9"),
        ({"external_network": None, "floating_ips": [{"address": "203.0.113.4"}]}, "no external network"),
    ],
)
def test_mistakes_in_routers_are_named(router, message):
    with pytest.raises(AnsibleFilterError, match=message):
        routed(router)


def in_groups(*names, **changes):
    """A cloud whose servers have these security groups; `changes` are of the group `web`."""
    [one, two] = declared()["servers"]
    groups = [
        {"name": "web", "rules": [{"direction": "ingress", "protocol": "tcp", "remote_group": "all"}], **changes},
        {"name": "all"},
        {"name": "old", "state": "absent"},
    ]
    pairs = [{"ip_address": "10.20.0.100"}]
    one["networks"] = [
        {"name": "private", "security_groups": ["all"], "stateful": False, "allowed_address_pairs": pairs}
    ]
    two["networks"] = [{"name": "private", "address": "10.20.0.12", "security_groups": list(names)}]
    return items(servers=[one, two], security_groups=groups)


def test_hosts_have_the_security_groups_of_their_ports_and_those_that_rules_name():
    wanted = in_groups("web", "all")
    web, every, old = (cloud.cloud_id("security group", name) for name in ("web", "all", "old"))
    (port,) = network(wanted, "host2")["ports"]
    assert (port["security_groups"], port["stateful"]) == ([web, every], True)
    (port,) = network(wanted, "host1")["ports"]
    assert (port["security_groups"], port["stateful"]) == ([every], False)
    address = port["addresses"][0]
    members = sorted(["10.20.0.12", "10.20.0.100", address])
    rules = [{"direction": "ingress", "protocol": "tcp", "remote_group_id": every}]
    of_all = {"id": every, "state": "present", "rules": [], "members": members}
    assert wanted["host2"]["security_groups"] == [
        {"id": web, "state": "present", "rules": rules, "members": ["10.20.0.12"]},
        of_all,
        {"id": old, "state": "absent"},
    ]
    assert wanted["host1"]["security_groups"] == [
        {"id": web, "state": "absent"},
        of_all,
        {"id": old, "state": "absent"},
    ]
    assert {group["state"] for group in wanted["host3"]["security_groups"]} == {"absent"}


@pytest.mark.parametrize("name", ["nope", "old"])
def test_security_groups_must_be_declared(name):
    with pytest.raises(AnsibleFilterError, match=f"server web-2 .* {name}"):
        in_groups(name)
    with pytest.raises(AnsibleFilterError, match=f"security group web .* {name}"):
        in_groups("all", rules=[{"direction": "ingress", "remote_group": name}])


def test_the_example_of_a_router_is_what_its_kinds_take():
    files = [ROOT / "docs/examples" / name for name in ("cloud.yml", "router.yml")]
    variables = {}
    for path in files:
        variables |= yaml.safe_load(path.read_text())
    found = {name.removeprefix("cloud_"): entries for name, entries in variables.items()}
    wanted = cloud.cloud_items(found, TUNNELS, "host1")
    for host in wanted.values():
        given = {**host, "images": cloud.uploaded(host["images"], "/incoming")}
        validated = ArgumentSpecValidator(argument_specs(LISTS)).validate(given)
        assert not validated.error_messages
    (router,) = wanted["host1"]["routers"]
    item = ArgumentSpecValidator(Router.argument_spec()).validate({"routers": [router]}).validated_parameters
    rules = Router().want(item["routers"][0], None)["rules"]
    assert any(line.startswith("ip daddr 203.0.113.21 ") for line in rules)

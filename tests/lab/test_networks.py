"""Guests on two hosts reach each other on every type of network, and no other guests."""

import base64
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import ACTIVE_SECONDS, CLOUD, Guest, Lab, Made, connect, eventually, unique

CIDR = "10.77.0.0/24"
FIRST, SECOND, OTHER = "10.77.0.11", "10.77.0.12", "10.77.0.13"
USER_DATA = "#!/bin/sh\necho made-by-user-data > /root/note\n"


@pytest.fixture(scope="module")
def guests(made_for_all: Made, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Two guests, one per host, on networks of four types; two more on a network with the same addresses."""
    made = made_for_all
    private, other = made.network(CIDR), made.network(CIDR)
    vlan = made.network("10.78.0.0/24", **physical("vlan", provider_segmentation_id=777))
    flat = made.network("10.79.0.0/24", **physical("flat"))
    gre = made.network("10.80.0.0/24", provider_network_type="gre")
    pair = made.cloud.compute.create_keypair(name=unique("key"))
    made.later(lambda: made.cloud.compute.delete_keypair(pair.name))
    key = tmp_path_factory.mktemp("key") / "key"
    key.touch(0o600)
    key.write_text(pair.private_key)

    def boot(host: str, network: Any, address: str, *more: Any) -> Any:
        wanted = {
            "key_name": pair.name,
            "user_data": base64.b64encode(USER_DATA.encode()).decode(),
        }
        return made.server([{"uuid": network.id, "fixed_ip": address}, *more], host, **wanted)

    servers = [
        boot("host1", private, FIRST, gre, vlan, flat),
        boot("host2", private, SECOND, gre, vlan, flat),
        boot("host1", other, FIRST),
        boot("host2", other, OTHER),
    ]
    first, second, third, fourth = made.active(*servers)
    for server in servers:
        made.booted(server)
    yield SimpleNamespace(
        first=Guest(lab, first, private, key),
        second=Guest(lab, second, private, key),
        third=Guest(lab, third, other, key),
        fourth=Guest(lab, fourth, other, key),
        networks=[private, gre, vlan, flat],
        key=key,
    )


def physical(kind: str, **more: Any) -> dict[str, Any]:
    return {"provider_network_type": kind, "provider_physical_network": "physnet1", **more}


def test_guests_on_two_hosts_reach_each_other_on_every_type_of_network(guests: SimpleNamespace) -> None:
    assert guests.first.server.compute_host == "host1" and guests.second.server.compute_host == "host2"
    for network in guests.networks:
        address = guests.second.server.addresses[network.name][0]["addr"]
        assert guests.first.fetch(address) == guests.second.server.name, network.provider_network_type
        address = guests.first.server.addresses[network.name][0]["addr"]
        assert guests.second.fetch(address) == guests.first.server.name, network.provider_network_type


def test_networks_with_the_same_addresses_are_isolated(guests: SimpleNamespace) -> None:
    assert guests.third.address == guests.first.address
    assert guests.third.fetch(OTHER) == guests.fourth.server.name
    assert guests.third.fetch(SECOND) == ""
    assert guests.fourth.fetch(SECOND) == ""
    assert guests.first.fetch(OTHER) == ""
    assert guests.second.fetch(FIRST) == guests.first.server.name


def test_ports_and_networks_that_are_down_forward_nothing(guests: SimpleNamespace, cloud: Connection) -> None:
    private, _gre, vlan, _flat = guests.networks
    name = guests.first.server.name
    over_vlan = guests.first.server.addresses[vlan.name][0]["addr"]
    (port,) = cloud.network.ports(device_id=guests.first.server.id, network_id=private.id)

    def reaches(address: str, wanted: str, what: str) -> None:
        eventually(lambda: guests.second.fetch(address) == wanted, ACTIVE_SECONDS, what)

    cloud.network.update_port(port, is_admin_state_up=False)
    reaches(FIRST, "", "a port that is down to pass nothing")
    assert guests.second.fetch(over_vlan) == name
    cloud.network.update_port(port, is_admin_state_up=True)
    reaches(FIRST, name, "a port that is up again to pass frames")
    cloud.network.update_network(vlan, is_admin_state_up=False)
    reaches(over_vlan, "", "a network that is down to pass nothing")
    assert guests.second.fetch(FIRST) == name
    cloud.network.update_network(vlan, is_admin_state_up=True)
    reaches(over_vlan, name, "a network that is up again to pass frames")


def test_a_guest_has_its_addresses_name_key_and_script(guests: SimpleNamespace) -> None:
    """Addresses by DHCP, the host name, the user's key, the user's script."""
    guest = guests.second
    assert guest.run("hostname") == guest.server.name
    shown = {entry["addr"] for addresses in guest.server.addresses.values() for entry in addresses}
    inside = guest.run('ip -4 -o address show scope global | awk \'{ sub("/.*", "", $4); print $4 }\'')
    assert set(inside.split()) == shown and len(shown) == 4
    macs = {entry["OS-EXT-IPS-MAC:mac_addr"] for entries in guest.server.addresses.values() for entry in entries}
    assert macs <= mac_addresses(guest)
    assert guest.run("cat /root/note") == "made-by-user-data"
    assert guest.run("id -un", user="sky") == "sky"


def mac_addresses(guest: Guest) -> set[str]:
    """Return the MAC addresses of the guest's interfaces. One may disappear while its file is read."""
    return set(guest.run("cat /sys/class/net/eth*/address || true").split())


def test_another_key_cannot_log_in_to_a_guest(guests: SimpleNamespace, lab: Lab) -> None:
    stranger = Guest(lab, guests.second.server, guests.networks[0], Path(lab.facts["key"]))
    with pytest.raises(AssertionError, match="Permission denied"):
        stranger.run("true")


def test_projects_see_only_their_own_networks_and_servers(guests: SimpleNamespace, cloud: Connection) -> None:
    with connect(f"{CLOUD}-demo") as demo:
        ids = {network.id for network in demo.network.networks()}
        assert not ids & {network.id for network in guests.networks}
        assert demo.compute.find_server(guests.first.server.id) is None


def test_a_deleted_port_is_removed_from_the_running_guest(
    guests: SimpleNamespace, made_for_all: Made, lab: Lab
) -> None:
    """This is the last test, because it removes the second guest's flat network."""
    guest, flat = guests.second, guests.networks[-1]
    (port,) = made_for_all.cloud.network.ports(device_id=guest.server.id, network_id=flat.id)
    assert port.mac_address in mac_addresses(guest)
    made_for_all.cloud.network.delete_port(port, ignore_missing=False)
    eventually(lambda: port.mac_address not in mac_addresses(guest), 60, "the guest let go of it")
    assert port.id[:11] not in lab["host2"].run("ovs-vsctl show; ip -o link")
    assert len(guest.run("ls -d /sys/class/net/eth*").split()) == 3
    shown = made_for_all.cloud.compute.get_server(guest.server.id)
    assert shown.status == "ACTIVE" and flat.name not in shown.addresses


def test_guests_without_dhcp_take_the_addresses_of_their_config_drives(made: Made, lab: Lab) -> None:
    """The first guest has DHCP on another network, through which the test reaches it."""
    control, network = made.network(), made.network("10.80.0.0/24", dhcp=False)
    made.cloud.network.create_subnet(network_id=network.id, ip_version=6, cidr="fd80::/64", enable_dhcp=False)
    servers = [made.server([control, network], "host1"), made.server([network], "host2")]
    client, server = made.active(*servers)
    addresses = [entry["addr"] for entry in server.addresses[network.name]]
    assert {entry["version"] for entry in server.addresses[network.name]} == {4, 6}
    for one in (client, server):
        made.booted(one)
    for host in lab.hosts.values():
        assert f"qdhcp-{network.id}" not in host.run("ip netns")
    guest = Guest(lab, client, control)
    for address in addresses:
        eventually(lambda address=address: guest.fetch(address) == server.name, 10, f"{address} to answer")  # type: ignore[misc]
    assert guest.run("cat /sys/class/net/eth1/mtu") == str(network.mtu)

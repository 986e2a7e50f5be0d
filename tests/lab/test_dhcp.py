"""Guests get the DHCP options of their ports, and resolve their own names and those of other guests."""

import pytest
from openstack.connection import Connection

from lab.support import ACTIVE_SECONDS, Guest, Lab, Made, eventually, unique

CIDR = "10.84.0.0/24"
DOMAIN = "dhcp.example."
# Prints what a DHCP client got.
LEASE = (
    "printf '#!/bin/sh\\nenv\\n' > /tmp/lease; chmod +x /tmp/lease; "
    "udhcpc -n -q -f -i eth0 -O ntpsrv -O router -s /tmp/lease 2>&1"
)


@pytest.fixture(scope="module")
def guests(made_for_all: Made, lab: Lab) -> tuple[Guest, Guest]:
    made = made_for_all
    network = made.network(CIDR, dns_domain=DOMAIN)
    servers = [made.server([network], host, name=unique("named")) for host in ("host1", "host2")]
    first, second = made.active(*servers)
    for server in servers:
        made.booted(server)
    return Guest(lab, first, network), Guest(lab, second, network)


def test_a_guest_gets_the_dhcp_options_of_its_port(guests: tuple[Guest, Guest], cloud: Connection) -> None:
    first, second = guests
    (port,) = cloud.network.ports(device_id=first.server.id)

    def has(guest: Guest, line: str) -> bool:
        return line in guest.run(LEASE).splitlines()

    def change(**options: str | None) -> None:
        given = [{"opt_name": name.replace("_", "-"), "opt_value": value} for name, value in options.items()]
        cloud.network.update_port(port, extra_dhcp_opts=given)

    assert has(first, "router=10.84.0.1")
    change(ntp_server="10.84.0.8,10.84.0.9", router="10.84.0.7")
    eventually(lambda: has(first, "ntpsrv=10.84.0.8 10.84.0.9"), ACTIVE_SECONDS, "the option of the port")
    assert has(first, "router=10.84.0.7"), "it replaces that of the subnet"
    assert has(second, "router=10.84.0.1") and "ntpsrv" not in second.run(LEASE)
    change(ntp_server=None, router=None)
    eventually(lambda: has(first, "router=10.84.0.1"), ACTIVE_SECONDS, "the option of the subnet")
    assert "ntpsrv" not in first.run(LEASE)


def test_guests_resolve_names(guests: tuple[Guest, Guest], cloud: Connection) -> None:
    first, second = guests

    def answer(name: str) -> str:
        return first.run(f"nslookup {name} 2>&1; true")

    for guest in guests:
        name = guest.server.name
        for asked in (name, f"{name}.{DOMAIN}"):
            assert guest.address in answer(asked), asked
        assert f"{name}.{DOMAIN.rstrip('.')}" in answer(guest.address)
    (port,) = cloud.network.ports(device_id=second.server.id)
    cloud.network.update_port(port, dns_name="other-name")
    eventually(lambda: second.address in answer("other-name"), ACTIVE_SECONDS, "the new name")
    assert f"other-name.{DOMAIN.rstrip('.')}" in answer(second.address)

"""What somebody changed by hand on a host is put right by the next job, and by the host's own services."""

from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import Guest, Lab, Made, eventually


@pytest.fixture
def server(made: Made) -> tuple[Any, Any]:
    network = made.network()
    (server,) = made.active(made.server([network], "host2"))
    made.booted(server)
    return server, network


def test_a_hard_reboot_brings_back_what_was_removed_by_hand(
    cloud: Connection, made: Made, lab: Lab, server: tuple[Any, Any]
) -> None:
    found, network = server
    host, port = lab["host2"], next(iter(cloud.network.ports(device_id=found.id)))
    tap, tunnels = f"tap{port.id[:11]}", f"external_ids:skywright-network={network.id}"
    host.run(f"ovs-vsctl del-port br-int {tap}")
    host.run(f"ovs-vsctl --bare --columns=name find Port {tunnels} | xargs -rn1 ovs-vsctl --if-exists del-port")
    host.run(f"virsh destroy {found.id}; virsh undefine {found.id}")
    lab["host1"].run(f"systemctl stop skywright-dhcp@{network.id}; ip netns delete qdhcp-{network.id}")
    lab["host1"].run(f"ovs-vsctl --if-exists del-port dh{network.id[:11]}")

    cloud.compute.reboot_server(found, "HARD")
    made.active(found)
    Guest(lab, found, network).wait_reached()
    assert tap in host.run(f"ovs-vsctl --bare --columns=name find Port {tunnels}").split()


def test_a_stopped_server_whose_domain_is_gone_starts(made: Made, lab: Lab, server: tuple[Any, Any]) -> None:
    found, network = server
    made.cloud.compute.stop_server(found)
    made.status(found, "SHUTOFF")
    lab["host2"].run(f"virsh undefine {found.id}")
    made.cloud.compute.start_server(found)
    made.active(found)
    Guest(lab, found, network).wait_reached()


def test_a_killed_dhcp_server_comes_back_by_itself(lab: Lab, server: tuple[Any, Any]) -> None:
    host, unit = lab["host1"], f"skywright-dhcp@{server[1].id}"
    before = host.run(f"systemctl show -P MainPID {unit}")
    host.run(f"kill -9 {before}")
    eventually(lambda: host.run(f"systemctl show -P MainPID {unit}") not in ("0", before), 10, "dnsmasq runs")
    assert Guest(lab, *server).run("udhcpc -q -n -f -i eth0 >/dev/null 2>&1; echo $?") == "0"

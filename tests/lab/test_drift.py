"""Manual changes on a host are repaired by the next job, by services of the host, and by `skywright converge`."""

import json
from typing import Any
from uuid import uuid4

import pytest
from openstack.connection import Connection

from lab.support import Guest, Lab, Made, eventually, skywright

pytestmark = pytest.mark.alone

DISKS = "/var/lib/skywright/servers"
STRANGER = "172.31.255.9"  # not the tunnel address of a host


@pytest.fixture(scope="module")
def pair(made_for_all: Made) -> tuple[Any, Any, Any]:
    """A server on host2, another on host1, and their network."""
    network = made_for_all.network()
    servers = made_for_all.active(*(made_for_all.server([network], host) for host in ("host2", "host1")))
    for server in servers:
        made_for_all.booted(server)
    return servers[0], servers[1], network


@pytest.fixture(scope="module")
def server(pair: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    return pair[0], pair[2]


def leave_behind(lab: Lab, network: Any) -> dict[str, str]:
    """Create leftovers on host2; return their ids."""
    ids = {kind: str(uuid4()) for kind in ("server", "port", "network", "image")}
    domain = (
        f"<domain type='qemu'><name>instance-{ids['server']}</name><uuid>{ids['server']}</uuid>"
        "<memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    )
    tap, marks = f"tap{ids['port'][:11]}", f"external_ids:skywright-network={network.id}"
    tunnel = f"options:remote_ip={STRANGER} options:key={network.provider_segmentation_id}"
    lab["host2"].run(
        f"""set -e
        mkdir {DISKS}/{ids["server"]}; touch {DISKS}/{ids["server"]}/disk; echo "{domain}" | virsh define /dev/stdin
        ip tuntap add dev {tap} mode tap
        ovs-vsctl add-port br-int {tap} {marks} external_ids:skywright-port={ids["port"]}
        ovs-vsctl add-port br-int vxstranger {marks} -- set Interface vxstranger type=vxlan {tunnel}
        mkdir -p /var/lib/skywright/dhcp/{ids["network"]}
        touch /var/lib/skywright/images/{ids["image"]}.qcow2"""
    )
    return ids


def test_drift_shows_manual_changes_and_converge_repairs_them(
    cloud: Connection, lab: Lab, pair: tuple[Any, Any, Any]
) -> None:
    killed, undefined, network = pair
    port, other = (next(iter(cloud.network.ports(device_id=one.id))) for one in (killed, undefined))
    tunnels = f"find Port external_ids:skywright-network={network.id} protected=true"
    entries = f"/var/lib/skywright/dhcp/{network.id}/hosts"
    skywright("converge", expected=0)  # leftovers of killed test runs
    skywright("drift", expected=0)
    lab["host2"].run(f"kill -9 $(pgrep -f 'guest=[i]nstance-{killed.id}')")
    lab["host2"].run(f"ovs-vsctl del-port tap{port.id[:11]}")
    lab["host2"].run(f"ovs-vsctl --bare --columns=name {tunnels} | xargs -n1 ovs-vsctl del-port")
    lab["host1"].run(f"virsh undefine {undefined.id}; rm {DISKS}/{undefined.id}/disk.config")
    lab["host1"].run(f"sed -i 's/{port.mac_address}/fa:16:3e:99:99:99/' {entries}; echo nonsense >> {entries}")
    lab["host1"].run(f"ovs-ofctl del-flows br-sec in_port=tap{other.id[:11]}")
    ids = leave_behind(lab, cloud.network.get_network(network.id))

    said = skywright("drift", "--json", expected=2)
    for words in (
        "its QEMU crashed or was killed",
        f"port tap{port.id[:11]} is missing on the switch",
        "is missing on the switch",
        "its domain is not persistent",
        "its config drive is missing",
        f"the port security of port {other.id} differs",
        "its DHCP entry",
        "DHCP entries without a port",
        f"vxstranger to {STRANGER}",
        *(identifier for kind, identifier in ids.items() if kind != "port"),
        f"tap{ids['port'][:11]}",
    ):
        assert words in said, said
    report = json.loads(said)
    assert {one["id"] for one in report["resources"]} == {killed.id, undefined.id, network.id}
    assert len(report["leftovers"]) == 4

    skywright("converge", expected=0)
    skywright("drift", expected=0)
    assert lab.traces([*ids.values(), f"tap{ids['port'][:11]}", "vxstranger", STRANGER]) == []
    assert undefined.id in lab["host1"].run("virsh list --persistent --uuid").split()
    for found in (killed, undefined):
        assert cloud.compute.get_server(found.id).status == "ACTIVE"
        Guest(lab, found, network).wait_reached()


def test_changes_by_users_are_no_drift(cloud: Connection, lab: Lab, made: Made) -> None:
    network = made.network("192.168.84.0/24")
    server = made.server([network], "host2", metadata={"role": "web"})
    drive = f"{DISKS}/{server.id}/disk.config"
    made.active(server)
    made.booted(server)
    assert lab["host2"].run(f'grep -ao \'admin_pass": "[^"]*\' {drive}').endswith(f'"{server.admin_password}')
    cloud.compute.set_server_metadata(server, role="db")
    cloud.compute.update_server(server, name="renamed")
    cloud.network.update_network(network.id, name="renamed")
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="192.168.85.0/24")
    skywright("drift", expected=0)
    for kind, role in (("SOFT", "web"), ("HARD", "db")):
        cloud.compute.reboot_server(server, kind)
        made.active(server)
        made.booted(server)
        skywright("drift", expected=0)
        assert lab["host2"].run(f"grep -ao 'role\": \"[a-z]*' {drive}") == f'role": "{role}'


def test_a_lost_disk_is_reported_and_not_recreated(lab: Lab, pair: tuple[Any, Any, Any]) -> None:
    found, host = pair[1], lab["host1"]
    host.run(f"mv {DISKS}/{found.id} /var/lib/skywright/aside")
    said = skywright("drift", "--host", "host1", expected=2)
    assert "NOT REPAIRABLE its disk" in said
    skywright("converge", "--host", "host1", expected=1)
    assert host.run(f"ls {DISKS}/{found.id} 2>/dev/null || true") == ""
    host.run(f"mv /var/lib/skywright/aside {DISKS}/{found.id}")
    skywright("drift", "--host", "host1", expected=0)


def test_a_hard_reboot_restores_what_was_removed_manually(
    cloud: Connection, made: Made, lab: Lab, server: tuple[Any, Any]
) -> None:
    found, network = server
    host, port = lab["host2"], next(iter(cloud.network.ports(device_id=found.id)))
    tap, tunnels = f"tap{port.id[:11]}", f"external_ids:skywright-network={network.id}"
    host.run(f"ovs-vsctl del-port {tap}")
    host.run(f"ovs-vsctl --bare --columns=name find Port {tunnels} | xargs -rn1 ovs-vsctl --if-exists del-port")
    host.run(f"virsh destroy {found.id}; virsh undefine {found.id}")
    lab["host1"].run(f"systemctl stop skywright-dhcp@{network.id}; ip netns delete qdhcp-{network.id}")
    lab["host1"].run(f"ovs-vsctl --if-exists del-port dh{network.id[:11]}")

    cloud.compute.reboot_server(found, "HARD")
    made.active(found)
    Guest(lab, found, network).wait_reached()
    assert tap in host.run(f"ovs-vsctl --bare --columns=name find Port {tunnels}").split()


def test_a_stopped_server_without_a_domain_starts(made: Made, lab: Lab, server: tuple[Any, Any]) -> None:
    found, network = server
    made.cloud.compute.stop_server(found)
    made.status(found, "SHUTOFF")
    lab["host2"].run(f"virsh undefine {found.id}")
    made.cloud.compute.start_server(found)
    made.active(found)
    Guest(lab, found, network).wait_reached()


def test_a_killed_dhcp_server_is_restarted(lab: Lab, server: tuple[Any, Any]) -> None:
    host, unit = lab["host1"], f"skywright-dhcp@{server[1].id}"
    before = host.run(f"systemctl show -P MainPID {unit}")
    host.run(f"kill -9 {before}")
    eventually(lambda: host.run(f"systemctl show -P MainPID {unit}") not in ("0", before), 10, "dnsmasq runs")
    assert Guest(lab, *server).run("udhcpc -q -n -f -i eth0 >/dev/null 2>&1; echo $?") == "0"

"""Servers without a config drive ask the metadata service: real guests, real frames."""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import BOOT_SECONDS, CLOUD, Guest, Lab, Made, eventually, skywright

pytestmark = pytest.mark.alone

URL = "http://169.254.169.254"
SCRIPT = "#!/bin/sh\necho done > /root/user-data\n"
PYTHON = """attr certifi charset-normalizer configobj idna jinja2 json-pointer jsonpatch jsonschema markupsafe netifaces
    oauthlib pyrsistent requests serial six urllib3 yaml"""
PACKAGES = ["cloud-init", *(f"python3-{name}" for name in PYTHON.split())]
SIGNATURE = "X-Metadata-Provider-Signature"


@pytest.fixture(scope="module")
def network(made_for_all: Made) -> Any:
    return made_for_all.network("10.84.0.0/24")


@pytest.fixture(scope="module")
def guests(made_for_all: Made, lab: Lab, network: Any) -> list[Guest]:
    """Two guests that have booted without a config drive."""
    user_data = base64.b64encode(SCRIPT.encode()).decode()
    wanted = [
        made_for_all.server([network], host, config_drive=False, user_data=user_data, metadata={"role": host})
        for host in ("host1", "host2")
    ]
    servers = made_for_all.active(*wanted)
    for server in servers:
        made_for_all.booted(server)
    return [Guest(lab, server, network) for server in servers]


def asked(guest: Guest, path: str, *options: str) -> str:
    return guest.run(f"timeout 5 wget -q -O - {' '.join(options)} {URL}{path}")


def meta_data(guest: Guest, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(asked(guest, "/openstack/latest/meta_data.json", *options))
    return found


def wait_for_output(guest: Guest, command: str) -> None:
    eventually(lambda: guest.run(f"{command} || true"), BOOT_SECONDS, f"{command} prints something")


def test_a_guest_without_a_config_drive_gets_its_instance_data(lab: Lab, guests: list[Guest]) -> None:
    for guest in guests:
        guest.wait_reached()  # with the key, by the server's name
        console = lab[guest.server.compute_host].console(guest.server.id)
        assert "instance data from the metadata service" in console
        wait_for_output(guest, "cat /root/user-data")
        data = meta_data(guest)
        assert (data["uuid"], data["meta"]) == (guest.server.id, {"role": guest.server.compute_host})
        assert asked(guest, "/latest/meta-data/local-ipv4") == guest.address


@pytest.fixture(scope="module")
def cloud_init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's cloud-init and what it needs, unpacked."""
    directory = tmp_path_factory.mktemp("cloud-init")
    subprocess.run(["apt-get", "download", "-q", *PACKAGES], check=True, cwd=directory, timeout=300)
    for package in directory.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, directory / "root"], check=True)
    return directory / "root/usr/lib/python3/dist-packages"


@pytest.mark.parametrize("kind", ["OpenStack", "Ec2"])
def test_cloud_init_gets_all_of_it(cloud: Connection, guests: list[Guest], cloud_init: Path, kind: str) -> None:
    """Its code runs here, and its requests come from the guest."""
    guest = guests[0]
    product = guest.run("cat /sys/class/dmi/id/product_name")
    with guest.forwarded("169.254.169.254", 80) as address:
        argv = ["/usr/bin/python3", Path(__file__).with_name("cloud_init.py"), f"http://{address}", product, kind]
        environment = os.environ | {"PYTHONPATH": str(cloud_init)}
        result = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120, env=environment)
    found = json.loads(result.stdout)
    network = found.pop("network")
    [port] = cloud.network.ports(device_id=guest.server.id)
    if kind == "OpenStack":
        assert [(nic["mac_address"], nic["subnets"]) for nic in network["config"]] == [
            (port.mac_address, [{"type": "dhcp4"}])
        ]
    identifier = guest.server.id if kind == "OpenStack" else f"i-{guest.server.id.replace('-', '')[:17]}"
    assert found == {
        "found": True,
        "instance_id": identifier,
        "hostname": guest.server.name,
        "keys": [cloud.compute.get_keypair(CLOUD).public_key.strip()],
        "zone": "nova",
        "user_data": SCRIPT,
    }


def test_a_change_shows_at_once(cloud: Connection, guests: list[Guest]) -> None:
    cloud.compute.set_server_metadata(guests[0].server, colour="red")
    assert meta_data(guests[0])["meta"]["colour"] == "red"


def test_headers_do_not_make_another_server(guests: list[Guest], network: Any) -> None:
    one, other = guests
    for name, value in {
        "X-Metadata-Address": other.address,
        "X-Forwarded-For": other.address,
        "Forwarded": f"for={other.address}",
        "X-Instance-ID": other.server.id,
        "X-Metadata-Provider": network.id,
        "Host": other.address,
    }.items():
        assert meta_data(one, f"--header '{name}: {value}'")["uuid"] == one.server.id


def test_another_servers_address_gets_no_answer(guests: list[Guest]) -> None:
    one, other = guests
    gateway = one.run("ip route get 169.254.169.254 | sed -n 's/.* via \\([^ ]*\\) .*/\\1/p'")
    one.run(f"ip address add {other.address}/32 dev eth0")
    one.run(f"ip route replace 169.254.169.254 via {gateway} dev eth0 src {other.address} metric 1")
    try:
        assert one.run(f"timeout 5 wget -q -O - {URL}/openstack/latest/meta_data.json || echo none") == "none"
    finally:
        one.run("ip route delete 169.254.169.254 metric 1")
        one.run(f"ip address delete {other.address}/32 dev eth0")
    assert meta_data(one)["uuid"] == one.server.id


def test_a_guest_sends_its_password_once(cloud: Connection, guests: list[Guest]) -> None:
    path = "/openstack/latest/password"
    asked(guests[0], path, "--post-data c2VjcmV0")
    assert guests[0].run(f"timeout 5 wget -q -O - --post-data other {URL}{path} || echo refused") == "refused"
    found = cloud.compute.get(f"/servers/{guests[0].server.id}/os-server-password").json()
    assert found == {"password": "c2VjcmV0"}


def test_the_api_is_not_reached_without_the_signature(lab: Lab, guests: list[Guest], cloud: Connection) -> None:
    url = f"{cloud.session.get_endpoint(service_type='compute').rpartition('/compute')[0]}/compute/metadata"
    forged = f"-H 'X-Metadata-Provider: {guests[0].network.id}' -H 'X-Metadata-Address: {guests[0].address}'"
    code = "curl -s -o /dev/null -w '%{http_code}'"
    assert lab["host2"].run(f"{code} {forged} {url}/latest/meta-data/") == "403"
    assert lab["host2"].run(f"{code} {forged} -H '{SIGNATURE}: {'0' * 64}' {url}/latest/meta-data/") == "403"


def test_only_root_of_the_network_host_has_the_signature(lab: Lab, guests: list[Guest]) -> None:
    name = f"{guests[0].network.id}.cfg"
    assert lab["host1"].run(f"stat -c %a /var/lib/skywright/metadata/networks/{name}") == "600"
    assert lab["host2"].run(f"ls /var/lib/skywright/metadata/networks/{name} 2>&1 || true").startswith("ls:")
    signature = lab["host1"].run(f"sed -n 's/.*{SIGNATURE} //p' /var/lib/skywright/metadata/networks/{name}")
    assert len(signature) == 64
    assert lab["host1"].run(f"journalctl --no-pager | grep -c {signature} || true") == "0"
    assert lab["host1"].run(f"grep -rls {signature} /var/log /run/skywright /tmp || true") == ""


def test_a_lost_namespace_is_drift_and_is_restored(lab: Lab, guests: list[Guest]) -> None:
    network = guests[0].network.id
    lab["host1"].run(f"ip netns delete qdhcp-{network}")
    said = skywright("drift", "--host", "host1", expected=2)
    assert "its DHCP server does not run" in said and "its metadata proxy does not listen" in said
    skywright("converge", "--host", "host1", expected=0)
    for guest in guests:
        wait_for_output(guest, f"timeout 5 wget -q -O - {URL}/openstack/latest/meta_data.json")
    skywright("drift", "--host", "host1", expected=0)


def test_a_killed_proxy_runs_again(lab: Lab, guests: list[Guest]) -> None:
    host, show = lab["host1"], "systemctl show -P MainPID skywright-metadata"
    before = host.run(show)
    host.run(f"kill -9 {before}")
    eventually(lambda: host.run(show) not in ("0", before), 10, "HAProxy runs")
    wait_for_output(guests[1], f"timeout 5 wget -q -O - {URL}/latest/meta-data/hostname")

"""The first servers: image, flavor, network, one server on each host, and a test of the connection between two."""

import hashlib
import subprocess
import time
from collections.abc import Sequence
from typing import Any

import openstack
from openstack.connection import Connection

from skywright.cli.cloud.checkout import Checkout
from skywright.cli.cloud.steps import Report, StepFailed

NAME = "skywright"
CIDR = "192.168.77.0/24"
FLAVORS = {"m1.nano": (1, 128, 1), "m1.micro": (1, 192, 1)}
ACTIVE_SECONDS = 120
REACH_SECONDS = 90


def connect(checkout: Checkout) -> Connection:
    """Return a connection as the cloud's administrator."""
    config = openstack.config.OpenStackConfig(config_files=[str(checkout.clouds_yaml)])
    return Connection(config=config.get_one("skywright"))


def register_hosts(cloud: Connection, hosts: dict[str, dict[str, Any]], report: Report) -> None:
    """Register the hosts and wait until each was observed; raise StepFailed with the reason."""
    api = cloud.session.get_endpoint(service_type="operations", interface="public")
    for name, host in hosts.items():
        cloud.session.put(f"{api}/hosts/{name}", json={"host": host})
    limit = time.monotonic() + ACTIVE_SECONDS
    waiting = set(hosts)
    while waiting:
        report(f"waiting for {', '.join(sorted(waiting))}")
        seen = {host["name"]: host for host in cloud.session.get(f"{api}/hosts").json()["hosts"]}
        waiting = {name for name in waiting if not (seen[name]["up"] and seen[name]["observed_at"])}
        if waiting and time.monotonic() > limit:
            raise StepFailed(f"No answer from {', '.join(sorted(waiting))}", "See `skywright jobs list`.")
        time.sleep(0.2)


def upload_image(cloud: Connection, checkout: Checkout) -> Any:
    """Return the guest image; another image with the same name is replaced."""
    with checkout.guest_image.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").hexdigest()
    images = list(cloud.image.images(name=NAME))
    for image in images:
        if image.hash_value == digest:
            return image
    uploaded = cloud.create_image(
        NAME,
        filename=str(checkout.guest_image),
        disk_format="qcow2",
        container_format="bare",
        visibility="public",
        allow_duplicates=True,
        wait=True,
    )
    for image in images:
        cloud.image.delete_image(image.id)
    return uploaded


def make_flavors(cloud: Connection) -> Any:
    """Create the flavors `m1.nano` (returned) and `m1.micro`."""
    for number, (name, (vcpus, ram, disk)) in enumerate(FLAVORS.items(), start=1):
        if cloud.compute.find_flavor(name) is None:
            cloud.create_flavor(name, ram=ram, vcpus=vcpus, disk=disk, flavorid=str(number))
    return cloud.compute.find_flavor("m1.nano", ignore_missing=False)


def make_network(cloud: Connection) -> Any:
    """Return the network with its subnet."""
    network = cloud.network.find_network(NAME, project_id=cloud.current_project_id)
    if network is None:
        network = cloud.network.create_network(name=NAME)
    if not network.subnet_ids:
        cloud.network.create_subnet(name=NAME, network_id=network.id, ip_version=4, cidr=CIDR, enable_dhcp=True)
    return network


def import_key(cloud: Connection, checkout: Checkout) -> None:
    """Return the key pair with the lab's key."""
    if cloud.compute.find_keypair(NAME) is None:
        public = (checkout.state / "lab" / "id_ed25519.pub").read_text().strip()
        cloud.compute.create_keypair(name=NAME, public_key=public)


def boot_servers(cloud: Connection, hosts: Sequence[str], report: Report, **wanted: Any) -> list[Any]:
    """Return one ACTIVE server on each of *hosts*, created if missing; raise StepFailed with a server's fault."""
    servers = [_server(cloud, f"{NAME}-{number}", host, **wanted) for number, host in enumerate(hosts, start=1)]
    limit = time.monotonic() + ACTIVE_SECONDS
    return [_wait_active(cloud, server, limit, report) for server in servers]


def _wait_active(cloud: Connection, server: Any, limit: float, report: Report) -> Any:
    while server.status != "ACTIVE":
        report(f"{server.name}: {server.status}")
        if server.status == "ERROR" or time.monotonic() > limit:
            reason = (server.fault or {}).get("message", f"still {server.status}")
            advice = f"`openstack --os-cloud skywright server delete {server.name}`, then `make cloud` again."
            raise StepFailed(f"{server.name}: {reason}", advice)
        time.sleep(0.1)
        server = cloud.compute.get_server(server.id)
    return server


def _server(cloud: Connection, name: str, host: str, *, image: Any, flavor: Any, network: Any) -> Any:
    found = cloud.compute.find_server(name)
    if found is None:
        return cloud.compute.create_server(
            name=name,
            image_id=image.id,
            flavor_id=flavor.id,
            networks=[{"uuid": network.id}],
            key_name=NAME,
            availability_zone=f"nova:{host}",
        )
    server = cloud.compute.get_server(found.id)
    if server.status == "SHUTOFF":
        cloud.compute.start_server(server)
        server = cloud.compute.wait_for_server(server, wait=ACTIVE_SECONDS)
    return server


def address(server: Any) -> str:
    """Return the server's first fixed address."""
    return str(next(iter(server.addresses.values()))[0]["addr"])


def guest_command(checkout: Checkout, network: Any, server: Any) -> list[str]:
    """Return the ssh command for *server*, in its network's namespace on the network host."""
    lab = checkout.lab()
    hop = lab["machines"][0]["nics"][0]["address"].split("/")[0]
    quiet = ["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5"]
    through = [
        "ssh", "-i", lab["key"], "-o", f"UserKnownHostsFile={lab['known_hosts']}", f"root@{hop}",
        "ip", "netns", "exec", f"qdhcp-{network.id}", "nc", "%h", "%p",
    ]  # fmt: skip
    unknown = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    proxy = ["-o", f"ProxyCommand={' '.join(through)}"]
    return ["ssh", "-i", lab["key"], *quiet, *unknown, *proxy, f"root@{address(server)}"]


def prove_reach(checkout: Checkout, network: Any, servers: Sequence[Any], report: Report) -> str:
    """Return the second server's web page, requested by the first server; raise StepFailed."""
    first, second = servers[0], servers[-1]
    fetch = [*guest_command(checkout, network, first), f"timeout 5 wget -q -O - http://{address(second)}/"]
    limit = time.monotonic() + REACH_SECONDS
    while True:
        report(f"{first.name} requests a page from {second.name}")
        result = subprocess.run(fetch, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if result.returncode == 0 and result.stdout.strip():
            return result.stdout.strip().splitlines()[0]
        if time.monotonic() > limit:
            advice = f"See `openstack --os-cloud skywright console log show {first.name}`."
            raise StepFailed(f"{first.name} cannot reach {second.name}: {result.stderr.strip()}", advice)
        time.sleep(0.5)

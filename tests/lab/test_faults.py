"""Failures of hosts and images: the server's fault has the reason and the host, and the server can be deleted."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import ROOT, Host, Lab, Made, eventually, hurry, look_at, unique

pytestmark = pytest.mark.alone

ERROR_SECONDS = 60
LIBVIRT = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
SERVERS = "/var/lib/skywright/servers"


def failed(made: Made, server: Any) -> str:
    """Return the reason why *server* is in ERROR."""

    def ended() -> Any:
        found = made.cloud.compute.get_server(server.id)
        return found if found.status in ("ERROR", "ACTIVE") else None

    found = eventually(ended, ERROR_SECONDS, "the server is in ERROR")
    assert found.status == "ERROR" and found.task_state is None
    assert found.fault["code"] == 500
    return str(found.fault["message"])


@contextmanager
def no_libvirt(host: Host) -> Iterator[None]:
    host.run(f"systemctl stop {LIBVIRT}")
    try:
        yield
    finally:
        host.run(f"systemctl start {LIBVIRT}")


@contextmanager
def full_disk(host: Host) -> Iterator[None]:
    host.run(f"mount -t tmpfs -o size=64k skywright-full {SERVERS}")
    try:
        yield
    finally:
        host.run(f"umount --lazy {SERVERS}")


@contextmanager
def no_network(host: Host) -> Iterator[None]:
    subprocess.run(["ip", "link", "set", host.nic, "down"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "set", host.nic, "up"], check=True)
        host.disconnect()
        eventually(host.answers, 30, f"{host.name} answers again")


FAULTS = {
    "libvirtd stopped": (no_libvirt, "host2: .*libvirt"),
    "full disk": (full_disk, "host2: .*(No space left|space)"),
    "unreachable": (no_network, "host2 is unreachable"),
}


@pytest.fixture(scope="module")
def bystander(made_for_all: Made, blank: str) -> tuple[Any, Any]:
    """A server on host2 and its network. So the image is there, and only a fault can stop the next server."""
    network = made_for_all.network()
    return made_for_all.active(made_for_all.server([network], "host2", image_id=blank))[0], network


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_on_a_failing_host_shows_the_reason(
    made: Made, lab: Lab, bystander: tuple[Any, Any], blank: str, fault: str
) -> None:
    breaking, reason = FAULTS[fault]
    host, (neighbour, network) = lab["host2"], bystander
    process = host.run(f"pgrep -f 'guest=instance-{neighbour.id}'")
    made.later(lambda: look_at(made.cloud, host))
    with breaking(host):
        server, other = (made.server([network], name, image_id=blank) for name in ("host2", "host1"))
        message = failed(made, server)
        made.active(other)
        made.delete(server)
    assert_matches(message, reason)
    assert host.run(f"pgrep -f 'guest=instance-{neighbour.id}'") == process, "its neighbour is not disturbed"
    look_at(made.cloud, host)
    hurry(made.cloud, server)
    made.assert_no_traces({server.id}, seconds=60)
    made.active(made.server([network], "host2", image_id=blank))


def assert_matches(message: str, reason: str) -> None:
    assert re.search(reason, message), message


@pytest.fixture
def lost_image(made: Made, tmp_path: Path) -> Any:
    """An active image whose file was removed from the store."""
    image = made.empty_image(tmp_path)
    files = [path for path in (ROOT / "var/images/store").rglob("*") if image.id in path.name]
    assert files
    for path in files:
        path.unlink()
    return image


def test_a_server_of_an_image_without_its_file_shows_the_reason(made: Made, lost_image: Any, blank: str) -> None:
    network = made.network()
    server, other = (made.server([network], image_id=image_id) for image_id in (lost_image.id, blank))
    message = failed(made, server)
    assert_matches(message, f"host[12]: .*{lost_image.id}")
    made.active(other)
    made.delete(server)
    made.assert_no_traces({server.id, lost_image.id}, seconds=5)


def test_a_server_that_fits_on_no_host_shows_the_reason(cloud: Connection, made: Made) -> None:
    flavor = cloud.compute.create_flavor(name=unique("huge"), ram=1 << 24, vcpus=1, disk=1)
    made.later(lambda: cloud.compute.delete_flavor(flavor.id))
    server = cloud.compute.create_server(
        name=unique("huge"), image_id=made.image().id, flavor_id=flavor.id, networks=[{"uuid": made.network().id}]
    )
    made.servers[server.id] = server
    assert_matches(failed(made, server), "No valid host was found.*free memory: 0")

"""Every command of the quick start with the client, and the same with the SDK."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import BIN, CLOUD, ROOT, Lab, Made, unique

IMAGE = ROOT / "var/images/guest.qcow2"


def openstack(*arguments: str) -> str:
    command = [BIN / "openstack", "--os-cloud", CLOUD, *arguments]
    result = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, f"{arguments}: {result.stderr}"
    return result.stdout


def read(*arguments: str) -> Any:
    return json.loads(openstack(*arguments, "-f", "json"))


def test_the_client_creates_uses_and_deletes_a_server(made: Made, lab: Lab, tmp_path: Path) -> None:
    name = unique("client")
    assert read("token", "issue")["id"]
    assert {"identity", "compute", "image", "network"} <= {row["Type"] for row in read("catalog", "list")}

    image = read("image", "create", "--file", str(IMAGE), "--disk-format", "qcow2", name)
    made.later(lambda: made.cloud.image.delete_image(image["id"]))
    made.needles.add(image["id"])
    flavor = read("flavor", "create", "--ram", "128", "--vcpus", "1", "--disk", "1", name)
    made.later(lambda: made.cloud.compute.delete_flavor(flavor["id"]))
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text(openstack("keypair", "create", name))
    made.later(lambda: made.cloud.compute.delete_keypair(name))
    network = read("network", "create", name)
    made.later(lambda: made.cloud.network.delete_network(network["id"]))
    openstack("subnet", "create", "--network", name, "--subnet-range", "192.168.79.0/24", name)

    wanted = ["--image", name, "--flavor", name, "--network", name, "--key-name", name]
    server = read("server", "create", *wanted, "--wait", name)
    made.servers[server["id"]] = made.cloud.compute.get_server(server["id"])
    made.needles |= {server["id"], network["id"][:11], *made.port_needles(server["id"])}
    assert server["status"] == "ACTIVE"
    assert {"ID": server["id"], "Status": "ACTIVE"}.items() <= next(
        row for row in read("server", "list") if row["Name"] == name
    ).items()
    made.booted(made.servers[server["id"]])
    assert f"skywright guest: ready {name} 192.168.79." in openstack("console", "log", "show", name)

    host = lab[made.cloud.compute.get_server(server["id"]).compute_host]
    first = host.domains()[server["id"]]
    openstack("server", "reboot", "--soft", "--wait", name)
    second = host.domains()[server["id"]]
    openstack("server", "reboot", "--hard", "--wait", name)
    third = host.domains()[server["id"]]
    assert len({first, second, third, "-"}) == 4, "each boot is another domain's life"
    made.booted(made.servers[server["id"]])
    openstack("server", "stop", name)
    made.status(made.servers[server["id"]], "SHUTOFF")
    assert host.domains()[server["id"]] == "-"
    openstack("server", "start", name)
    made.status(made.servers[server["id"]], "ACTIVE")
    assert host.domains()[server["id"]] != "-"

    openstack("server", "delete", "--wait", name)
    made.assert_no_traces({server["id"], *(needle for needle in made.needles if ":" in needle)}, seconds=0)
    assert name not in openstack("server", "list")


# While the SDK waits, it treats its own warnings (errors in pytest) like a server that does not exist yet.
@pytest.mark.filterwarnings("ignore")
def test_the_sdk_creates_uses_and_deletes_a_server(cloud: Connection, made: Made, lab: Lab) -> None:
    network = made.network()
    server = cloud.create_server(
        unique("sdk"), image=made.image().id, flavor="m1.nano", network=network.id, key_name=CLOUD, wait=True
    )
    made.servers[server.id] = server
    made.needles |= {server.id, *made.port_needles(server.id)}
    assert server.status == "ACTIVE" and server.private_v4.startswith("192.168.78.")
    assert server.id in [found.id for found in cloud.compute.servers(name=server.name)]
    made.booted(server)
    output = cloud.compute.get_server_console_output(server, length=50)["output"]
    assert re.search(f"ready {server.name} {server.private_v4}", output)
    for kind in ("SOFT", "HARD"):
        cloud.compute.reboot_server(server, kind)
        made.active(server)
    made.booted(server)
    cloud.compute.stop_server(server)
    cloud.compute.wait_for_server(server, "SHUTOFF", interval=0.2)
    cloud.compute.start_server(server)
    cloud.compute.wait_for_server(server, "ACTIVE", interval=0.2)
    assert cloud.delete_server(server.id, wait=True)
    made.wait_gone(server)
    made.assert_no_traces({server.id}, seconds=0)

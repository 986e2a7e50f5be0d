"""Plans in the running cloud: they show what would change on which host, and change nothing there."""

import subprocess
from typing import Any

from openstack.connection import Connection

from lab.support import BIN, CLOUD, ROOT, Lab, Made, unique


def plan(*command: str, cloud: str = CLOUD) -> subprocess.CompletedProcess[str]:
    argv = [BIN / "skywright", "plan", "--", "openstack", "--os-cloud", cloud, *command]
    return subprocess.run(argv, check=False, cwd=ROOT, capture_output=True, text=True, timeout=180)


def traces(lab: Lab, made: Made) -> list[str]:
    """Return the items of the test's resources on the hosts."""
    return sorted(line for line in lab.traces(made.needles) if " process " not in line)


def ask(cloud: Connection, service: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    url = cloud.session.get_endpoint(service_type="operations", interface="public")
    wanted = {"service": service, "method": method, "path": path, "body": body}
    found: dict[str, Any] = cloud.session.post(f"{url}/plan", json=wanted).json()
    return found


def changes(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Return {(host, module, action)} of a plan."""
    return {
        (host["host"], item["module"], item["action"])
        for host in found["hosts"]
        for item in host["items"]
        if item["changed"]
    }


def test_plans_show_every_change_and_change_nothing(cloud: Connection, made: Made, lab: Lab, blank: str) -> None:
    network = made.network()
    (server,) = made.active(made.server([network], "host2", image_id=blank))
    before = traces(lab, made)
    assert before

    name = unique("planned")
    body = {
        "server": {
            "name": name,
            "imageRef": blank,
            "flavorRef": cloud.compute.find_flavor("m1.nano").id,
            "networks": [{"uuid": network.id}],
            "availability_zone": "nova:host2",
        }
    }
    found = ask(cloud, "compute", "POST", "/v2.1/servers", body)
    assert found["complete"], found
    assert changes(found) == {
        ("host1", "dhcp_network", "update"),
        ("host2", "ovs_network", "update"),
        ("host2", "ovs_port_security", "update"),
        ("host2", "server_disk", "create"),
        ("host2", "libvirt_domain", "create"),
    }
    identifier = found["request"]["body"]["server"]["id"]
    assert lab.traces([identifier]) == []

    deletion = ask(cloud, "compute", "DELETE", f"/v2.1/servers/{server.id}")
    assert changes(deletion) == {
        ("host1", "dhcp_network", "update"),
        ("host2", "ovs_network", "update"),
        ("host2", "ovs_port_security", "delete"),
        ("host2", "libvirt_domain", "delete"),
    }
    assert traces(lab, made) == before
    assert cloud.compute.get_server(server.id).status == "ACTIVE"
    assert [found.name for found in cloud.compute.servers() if found.name == name] == []


def test_exit_codes_of_the_command_line(made: Made, lab: Lab, blank: str) -> None:
    (server,) = made.active(made.server([made.network("192.168.80.0/24")], "host1", image_id=blank))
    stop = plan("server", "stop", server.id)
    assert stop.returncode == 2, stop.stderr
    assert "host1" in stop.stdout and "+power: shutoff" in stop.stdout
    assert lab["host1"].domains()[server.id] != "-"
    start = plan("server", "start", server.id)
    assert start.returncode == 1 and "409" in start.stdout
    listed = plan("server", "list", "-f", "value", "-c", "ID")
    assert listed.returncode == 0 and server.id in listed.stdout
    foreign = plan("server", "stop", server.id, cloud="skywright-demo")
    assert foreign.returncode == 1 and "host1" not in foreign.stdout

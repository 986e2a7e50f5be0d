"""Servers made by bare.sh, without the API, on the same hosts and network and with the same image, for comparison."""

import ipaddress
import json
import shlex
import subprocess
import tempfile
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.client import ApiError
from bench.cloud import CIDR, FLAVOR, Cloud, at_once

SCRIPT = Path(__file__).with_name("bare.sh")
FIRST_ADDRESS = 3000  # index in the subnet; the API allocates from the lowest addresses


@dataclass(frozen=True)
class Template:
    """A server that the API made on a host; servers of bare.sh are copies of it."""

    host: str
    server_id: str
    port_id: str
    mac: str
    xml: str
    tag: str


class Bare:
    """Makes and removes servers without the API."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._exits = ExitStack()
        self._templates: dict[str, Template] = {}
        self._existing: set[Path] = set()
        self._number = FIRST_ADDRESS

    def __enter__(self) -> "Bare":
        try:
            self._directory = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            self._exits.callback(self._remove_all)
            self._hosts = self._cloud.hosts()
            computes = sorted(name for name, host in self._hosts.items() if "computes" in host["groups"])
            self.computes = [name for name in computes if self._hosts[name]["info"].get("domains") is not None][:2]
            # One server stays on each host, so that both ways of creating servers find the network and the image.
            servers = [self._cloud.create(host) for host in self.computes]
            self._exits.callback(self._cloud.delete, [server.id for server in servers])
            self._cloud.active(servers)
            for host, server in zip(self.computes, servers, strict=True):
                self._templates[host] = self._read_template(host, server.id)
            self._network_host = self._read_network_host()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def create(self, hosts: Sequence[str]) -> tuple[float, list[Path]]:
        """Make a server on each of *hosts* at once. Return the seconds and the servers' directories, for `delete`."""
        servers = [self._describe(self._templates[host]) for host in hosts]
        self._existing.update(servers)
        return self._run("create", servers), servers

    def delete(self, servers: Sequence[Path]) -> float:
        """Remove *servers* at once. Return the seconds."""
        seconds = self._run("delete", servers)
        self._existing.difference_update(servers)
        return seconds

    def _run(self, operation: str, servers: Sequence[Path]) -> float:
        def run(directory: Path) -> None:
            result = subprocess.run(
                [SCRIPT, operation, directory], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
            )
            if result.returncode:
                raise ApiError(f"{SCRIPT.name} {operation} failed: {result.stderr.strip()}")

        started = time.monotonic()
        at_once([lambda directory=directory: run(directory) for directory in servers])
        return time.monotonic() - started

    def _remove_all(self) -> None:
        for directory in self._existing:
            subprocess.run([SCRIPT, "delete", directory], check=False, capture_output=True, stdin=subprocess.DEVNULL)
        for name in self._hosts:
            subprocess.run([*self._ssh(name), "-O", "exit", self._target(name)], check=False, capture_output=True)

    def _ssh(self, host: str) -> list[str]:
        """Return the ssh command for *host*, with a persistent shared connection."""
        variables = self._hosts[host]["variables"]
        shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=600", "-o", f"ControlPath={self._directory}/%h"]
        key = ["-i", variables["ansible_ssh_private_key_file"]] if "ansible_ssh_private_key_file" in variables else []
        return ["ssh", *shared, *key, *shlex.split(variables.get("ansible_ssh_common_args", ""))]

    def _target(self, host: str) -> str:
        variables = self._hosts[host]["variables"]
        return f"{variables.get('ansible_user', 'root')}@{variables.get('ansible_host', host)}"

    def _ask(self, host: str, command: str) -> str:
        argv = [*self._ssh(host), self._target(host), command]
        return subprocess.run(argv, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout

    def _read_template(self, host: str, server_id: str) -> Template:
        port = self._cloud.client.call("network", "GET", f"/v2.0/ports?device_id={server_id}").json["ports"][0]
        xml = self._ask(host, f"virsh dumpxml --inactive instance-{server_id}")
        # With port security, the local VLAN tag is at the end of a patch.
        ends = [f"{start}{port['id'][:11]}" for start in ("si", "tap")]
        tag = self._ask(host, " || ".join(f"ovs-vsctl get Port {end} tag 2>/dev/null" for end in ends)).strip()
        return Template(host, server_id, port["id"], port["mac_address"], xml, tag)

    def _read_network_host(self) -> str:
        """Return the host that serves the network's DHCP."""
        query = f"/v2.0/ports?network_id={self._cloud.network}&device_owner=network:dhcp"
        port = self._cloud.client.call("network", "GET", query).json["ports"][0]
        return str(port["binding:host_id"])

    def _describe(self, template: Template) -> Path:
        """Write the files that bare.sh needs for one more copy of *template*."""
        self._number += 1
        server = {
            "ID": str(uuid.uuid4()),
            "PORT": str(uuid.uuid4()),
            "MAC": "fa:16:3e:ff:{:02x}:{:02x}".format(*divmod(self._number, 256)),
            "ADDRESS": str(ipaddress.ip_network(CIDR)[self._number]),
        }
        server["TAP"] = "tap" + server["PORT"][:11]
        variables = {
            **server,
            "NETWORK": self._cloud.network,
            "TAG": template.tag,
            "IMAGE": f"/var/lib/skywright/images/{self._cloud.image}.qcow2",
            "DISK_GIB": str(FLAVOR["disk"]),
            "COMPUTE_HOST": self._target(template.host),
            "NETWORK_HOST": self._target(self._network_host),
            "SSH": shlex.join(self._ssh(template.host)),
        }
        directory = self._directory / server["ID"]
        directory.mkdir()
        (directory / "variables").write_text(shell_variables(variables))
        (directory / "domain.xml").write_text(domain_like(template, server))
        (directory / "meta_data.json").write_text(json.dumps(meta_data(server["ID"])))
        (directory / "network_data.json").write_text(json.dumps(network_data(server)))
        return directory


def shell_variables(variables: dict[str, str]) -> str:
    """Return *variables* as assignments of a shell."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


def domain_like(template: Template, server: dict[str, str]) -> str:
    """Return the definition of *template* with the names and addresses of *server*."""
    xml = template.xml
    for old, new in (
        (template.server_id, server["ID"]),
        (template.mac, server["MAC"]),
        ("tap" + template.port_id[:11], server["TAP"]),
    ):
        if old not in xml:
            raise ApiError(f"{old} is not in the definition of server {template.server_id}")
        xml = xml.replace(old, new)
    ET.fromstring(xml)
    return xml


def meta_data(server_id: str) -> dict[str, Any]:
    """Return the same metadata as the API writes for a server."""
    return {
        "uuid": server_id,
        "name": "bare",
        "hostname": "bare",
        "launch_index": 0,
        "availability_zone": "nova",
        "project_id": "0" * 32,
        "meta": {},
        "public_keys": {"bench": f"ssh-ed25519 {'A' * 68} bench"},
        "keys": [{"name": "bench", "type": "ssh", "data": f"ssh-ed25519 {'A' * 68} bench"}],
    }


def network_data(server: dict[str, str]) -> dict[str, Any]:
    """Return the network data with the server's only interface."""
    link = {"id": server["TAP"], "type": "ovs", "mtu": 1450, "ethernet_mac_address": server["MAC"]}
    network = {"id": "network0", "type": "ipv4_dhcp", "link": server["TAP"], "network_id": server["PORT"]}
    return {"links": [link], "networks": [network], "services": []}

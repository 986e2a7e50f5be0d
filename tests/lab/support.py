"""Helpers of the lab tests: the cloud's hosts, its guests, and the resources that a test creates."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import openstack
import pytest
from openstack.connection import Connection
from openstack.exceptions import NotFoundException

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv/bin"
CLOUD = "skywright"
ACTIVE_SECONDS = 60
BOOT_SECONDS = 90
CLEAN_SECONDS = 60
FOOTPRINT = Path(__file__).with_name("footprint.sh").read_text()
Value = TypeVar("Value")


def eventually(probe: Callable[[], Value], seconds: float, what: str) -> Value:
    """Return the first true answer of *probe*; the test fails if there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what} (last answer: {value!r})")
        time.sleep(0.1)


def skywright(*arguments: str, expected: int) -> str:
    """Run the command and return what it prints; the test fails unless its exit code is the *expected* one."""
    environment = os.environ | {"OS_CLOUD": CLOUD, "COLUMNS": "250"}
    result = subprocess.run(
        [BIN / "skywright", *arguments],
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == expected, result.stdout + result.stderr
    return result.stdout


def cut_power(machine: str) -> None:
    """Kill a machine of the lab without a shutdown."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text().split("\0")
        except OSError:
            continue
        if command[0] == "systemd-nspawn" and f"--machine={machine}" in command:
            os.kill(int(path.parent.name), signal.SIGKILL)


def unique(name: str = "test") -> str:
    return f"{name}-{uuid4().hex[:8]}"


class Host:
    """A host of the lab, with one shared SSH connection."""

    def __init__(self, lab: dict[str, Any], machine: dict[str, Any], control: Path) -> None:
        self.name, self.machine, self.files = machine["hostname"], machine["name"], Path(lab["files"])
        self.nic = machine["nics"][0]["device"]
        self.address = machine["nics"][0]["address"].split("/")[0]
        self.data_address = lab["data_network"].replace(".0/", f".{self.address.split('.')[-1]}/").split("/")[0]
        self.ssh = [
            "ssh", "-i", lab["key"], "-o", f"UserKnownHostsFile={lab['known_hosts']}", "-o", "BatchMode=yes",
            "-o", "ControlMaster=auto", "-o", f"ControlPath={control}/%h", "-o", "ControlPersist=60",
            "-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=3", "-o", "LogLevel=ERROR", f"root@{self.address}",
        ]  # fmt: skip

    def run(self, command: str, *, check: bool = True, timeout: float = 60) -> str:
        argv = [*self.ssh, command]
        result = subprocess.run(argv, check=False, capture_output=True, text=True, errors="replace", timeout=timeout)
        assert not check or result.returncode == 0, f"{self.name}: {command}: {result.stderr}"
        return result.stdout.strip()

    def modules(self) -> str:
        """Return the processes of modules: Python without arguments, or with a script that host_python.py passes."""
        return self.run("pgrep -f '^/usr/bin/python3( -I -c|$)'", check=False)

    def disconnect(self) -> None:
        subprocess.run([*self.ssh[:-1], "-O", "exit", self.ssh[-1]], check=False, capture_output=True)

    def answers(self) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.run("echo yes", check=False, timeout=10) == "yes"
        return False

    def traces(self, needles: Iterable[str]) -> list[str]:
        """Return the items on the host that contain one of *needles*, ids or addresses."""
        wanted = list(needles)
        lines = self.run(FOOTPRINT).splitlines()
        return [f"{self.name}: {line}" for line in lines if any(needle in line for needle in wanted)]

    def domains(self) -> dict[str, str]:
        """Return `{server id: id of its running domain, or -}`."""
        rows = [line.split() for line in self.run("virsh list --all").splitlines()]
        return {row[1].removeprefix("instance-"): row[0] for row in rows if row[1:] and row[1].startswith("instance-")}

    def console(self, server_id: str) -> str:
        return self.run(f"cat /var/lib/skywright/servers/{server_id}/console.log", check=False)

    def wait_booted(self, server_id: str, name: str = "", seconds: float = BOOT_SECONDS) -> None:
        """Wait until the guest reports on its console that it is ready."""
        ready = f"skywright guest: ready {name}"
        eventually(lambda: ready in self.console(server_id), seconds, f"{server_id} has booted")


class Lab:
    """The checkout's lab."""

    def __init__(self, control: Path) -> None:
        script = ROOT / "inventories/lab/hosts.py"
        self.facts = json.loads(subprocess.run([script, "--lab"], check=True, capture_output=True, text=True).stdout)
        self.hosts = {machine["hostname"]: Host(self.facts, machine, control) for machine in self.facts["machines"]}

    @property
    def guest_image(self) -> Path:
        return ROOT / "var/images/guest.qcow2"

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def traces(self, needles: Iterable[str]) -> list[str]:
        wanted = list(needles)
        return [line for host in self.hosts.values() for line in host.traces(wanted)]

    def domains(self) -> dict[str, set[str]]:
        """Return `{host: ids of servers that have a domain there}`."""
        return {name: set(host.domains()) for name, host in self.hosts.items()}

    def playbook(self, name: str, *arguments: str, seconds: float = 300) -> "PlaybookRun":
        environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}
        command = [BIN / "ansible-playbook", f"playbooks/{name}.yml", *arguments]
        result = subprocess.run(
            command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds
        )
        return PlaybookRun(result.returncode, result.stdout + result.stderr)


class PlaybookRun:
    """The output of a playbook."""

    def __init__(self, returncode: int, text: str) -> None:
        self.returncode, self.text = returncode, text

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Return `{host: {ok, changed, ...}}`."""
        lines = self.text.rpartition("PLAY RECAP")[2].splitlines()
        rows = [re.match(r"(\S+)\s+:\s+(.+)", line) for line in lines]
        counts = {row[1]: re.findall(r"(\w+)=(\d+)", row[2]) for row in rows if row}
        return {host: {key: int(number) for key, number in pairs} for host, pairs in counts.items()}

    def assert_well(self, *, changed: bool | None = None) -> None:
        assert self.returncode == 0, self.text[-4000:]
        assert self.recap, self.text[-4000:]
        if changed is not None:
            assert any(host["changed"] for host in self.recap.values()) == changed, self.text[-6000:]


class Guest:
    """A guest, reached by SSH through the DHCP namespace of one of its networks."""

    def __init__(self, lab: Lab, server: Any, network: Any, key: Path | None = None) -> None:
        self.server, self.network = server, network
        self.address = next(entry["addr"] for entry in server.addresses[network.name])
        hop = lab["host1"].ssh
        proxy = shlex.join([*hop, "ip", "netns", "exec", f"qdhcp-{network.id}", "nc"]) + " %h %p"
        self._ssh = [
            "ssh", "-i", str(key or lab.facts["key"]), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", f"ProxyCommand={proxy}",
        ]  # fmt: skip

    def run(self, command: str, user: str = "root", seconds: float = 30) -> str:
        argv = [*self._ssh, f"{user}@{self.address}", command]
        result = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=seconds)
        assert result.returncode == 0, f"{self.server.name}: {command}: {result.stderr}"
        return result.stdout.strip()

    @contextlib.contextmanager
    def forwarded(self, address: str, port: int) -> Iterator[str]:
        """Forward connections through the guest, and give the address to connect to."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            here = f"127.0.0.1:{probe.getsockname()[1]}"
        argv = [*self._ssh, "-N", "-L", f"{here}:{address}:{port}", f"root@{self.address}"]
        with subprocess.Popen(argv) as process:
            try:
                eventually(lambda: _accepts(here), 30, f"{here} is forwarded")
                yield here
            finally:
                process.terminate()

    def wait_reached(self, seconds: float = BOOT_SECONDS) -> None:
        """Wait until a login returns the server's name."""

        def reached() -> bool:
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                return self.run("hostname", seconds=10) == self.server.name
            return False

        eventually(reached, seconds, f"{self.server.name} is reached")

    def fetch(self, address: str) -> str:
        """Return the page that the guest at *address* serves, its host name; empty if it is unreachable."""
        host = f"[{address}]" if ":" in address else address
        return self.run(f"timeout 3 wget -q -O - http://{host}/ || true")


def _accepts(address: str) -> bool:
    host, _, port = address.partition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


class Made:
    """The resources of a test; `clean` removes them and checks that nothing of them is left on any host."""

    def __init__(self, cloud: Connection, lab: Lab) -> None:
        self.cloud, self.lab = cloud, lab
        self.needles: set[str] = set()
        self.servers: dict[str, Any] = {}
        self._undo: list[Callable[[], Any]] = []

    def network(self, cidr: str = "192.168.78.0/24", dhcp: bool = True, **attributes: Any) -> Any:
        network = self.cloud.network.create_network(**{"name": unique("net")} | attributes)
        self.later(lambda: self._delete_network(network.id))
        self.cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr=cidr, enable_dhcp=dhcp)
        self.needles.add(network.id[:11])
        return network

    def server(self, networks: Sequence[Any], host: str | None = None, **attributes: Any) -> Any:
        """Request a server; see `active`."""
        wanted = {"name": unique("server"), "key_name": CLOUD} | attributes
        if host is not None:
            wanted["availability_zone"] = f"nova:{host}"
        server = self.cloud.compute.create_server(
            image_id=wanted.pop("image_id", None) or self.image().id,
            flavor_id=self.cloud.compute.find_flavor("m1.nano").id,
            networks=[entry if type(entry) is dict else {"uuid": entry.id} for entry in networks],
            **wanted,
        )
        self.servers[server.id] = server
        self.needles |= {server.id, *self.port_needles(server.id)}
        return server

    def image(self) -> Any:
        return next(iter(self.cloud.image.images(name=CLOUD)))

    def empty_image(self, directory: Path) -> Any:
        """Create an image without an operating system that no host has yet."""
        disk = directory / "disk.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "16M"], check=True)
        formats = {"disk_format": "qcow2", "container_format": "bare"}
        with disk.open("rb") as data:
            image = self.cloud.image.create_image(unique("empty"), data=data, wait=True, **formats)
        self.later(lambda: self.cloud.image.delete_image(image.id))
        self.needles.add(image.id)
        return image

    def port_needles(self, server_id: str) -> set[str]:
        ports = list(self.cloud.network.ports(device_id=server_id))
        return {port.id[:11] for port in ports} | {port.mac_address for port in ports}

    def active(self, *servers: Any, seconds: float = ACTIVE_SECONDS) -> list[Any]:
        return [self.status(server, "ACTIVE", seconds) for server in servers]

    def status(self, server: Any, status: str, seconds: float = ACTIVE_SECONDS) -> Any:
        """Wait until the server has *status* and no task, and return it; another final status fails the test."""

        def ended() -> Any:
            found = self.cloud.compute.get_server(server.id)
            busy = found.task_state is not None
            return found if not busy and found.status in (status, "ERROR") else None

        found = eventually(ended, seconds, f"{server.id} is {status}")
        assert found.status == status, f"{found.status}: {found.fault}"
        return found

    def booted(self, server: Any, seconds: float = BOOT_SECONDS) -> None:
        """Wait until the guest reports on its console that it is ready."""
        self.lab[self.cloud.compute.get_server(server.id).compute_host].wait_booted(server.id, seconds=seconds)

    def delete(self, *servers: Any) -> None:
        """Delete servers and wait until the API does not show them any more."""
        for server in servers:
            self.cloud.compute.delete_server(server.id, ignore_missing=True)
        for server in servers:
            self.wait_gone(server)
            self.servers.pop(server.id, None)

    def wait_gone(self, server: Any) -> None:
        """Wait until the API does not show the server any more."""

        def gone() -> bool:
            try:
                found = self.cloud.compute.get_server(server.id)
            except NotFoundException:
                return True
            assert found.status != "ERROR" or found.task_state, found.fault
            return False

        eventually(gone, ACTIVE_SECONDS, f"{server.id} is deleted")

    def later(self, undo: Callable[[], Any]) -> None:
        self._undo.append(undo)

    def clean(self) -> None:
        self.delete(*self.servers.values())
        for undo in reversed(self._undo):
            undo()
        self.assert_no_traces(self.needles)

    def assert_no_traces(self, needles: Iterable[str], seconds: float = CLEAN_SECONDS) -> None:
        wanted, end = set(needles), time.monotonic() + seconds
        while (left := self.lab.traces(wanted)) and time.monotonic() < end:
            time.sleep(0.3)
        assert not left, "\n".join(left)

    def _delete_network(self, network_id: str) -> None:
        for port in self.cloud.network.ports(network_id=network_id):
            if not port.device_owner.startswith("network:"):
                self.cloud.network.delete_port(port.id)
        self.cloud.network.delete_network(network_id)


def connect(cloud: str = CLOUD) -> Connection:
    config = openstack.config.OpenStackConfig(config_files=[str(ROOT / "clouds.yaml")])
    return Connection(config=config.get_one(cloud))


def hurry(cloud: Connection, resource: Any) -> None:
    """Let the resource's jobs that wait for a time run now."""
    api = cloud.session.get_endpoint(service_type="operations", interface="public")
    for job in cloud.session.get(f"{api}/jobs", params={"resource": resource.id, "state": "queued"}).json()["jobs"]:
        cloud.session.post(f"{api}/jobs/{job['id']}/force")


def look_at(cloud: Connection, host: Host) -> None:
    """Request observations of the host until one finds it up."""
    api = cloud.session.get_endpoint(service_type="operations", interface="public")

    def is_up() -> bool:
        asked = cloud.session.put(f"{api}/hosts/{host.name}", json={"host": {}}).json()["job"]["id"]
        eventually(lambda: cloud.session.get(f"{api}/jobs/{asked}").json()["job"]["finished_at"], 60, "the job ends")
        return bool(cloud.session.get(f"{api}/hosts/{host.name}").json()["host"]["up"])

    eventually(is_up, 60, f"{host.name} is up")

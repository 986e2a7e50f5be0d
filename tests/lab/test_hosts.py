"""Hosts are added, fail, recover and are removed: a second cloud on the lab's hosts, whose SSH ports can be closed."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
import requests
import yaml
from openstack.connection import Connection

from lab.support import BIN, ROOT, Lab, eventually
from skywright.cli.cloud.accounts import bootstrap_accounts
from skywright.settings import Settings

OBSERVE_SECONDS = 5
# Limit of a recovery: the pauses between attempts, and an observation.
BACK_SECONDS = 90


class Gate:
    """A port of this machine that forwards to a host's sshd while it is open."""

    def __init__(self, address: str) -> None:
        self._to = (address, 22)
        self._open = True
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Close the port and its connections, as if sshd was stopped."""
        self._open = False
        self.cut()

    def open(self) -> None:
        self._open = True

    def cut(self) -> None:
        for connection in list(self._connections):
            connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._open:
                threading.Thread(target=self._join, args=[connection], daemon=True).start()
            else:
                connection.close()

    def _join(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._to) as far:
            self._connections.add(near)
            ends = {near: far, far: near}
            try:
                while True:
                    for end in select.select(list(ends), [], [])[0]:
                        data = end.recv(1 << 16)
                        if not data:
                            return
                        ends[end].sendall(data)
            except OSError:
                pass
            finally:
                self._connections.discard(near)


class Cloud:
    """A separate API and worker, with the command line and a connection to them."""

    def __init__(self, state: Path, lab: Lab) -> None:
        self.state = state
        address = lab.facts["management_address"].split("/")[0]
        with socket.create_server((address, 0)) as probe:
            self.url = f"http://{address}:{probe.getsockname()[1]}"
        settings = {
            "SKYWRIGHT_STATE_DIR": str(state),
            "SKYWRIGHT_LISTEN": address,
            "SKYWRIGHT_PORT": self.url.rpartition(":")[2],
            "SKYWRIGHT_PUBLIC_URL": self.url,
            "SKYWRIGHT_CLASSIC_PORTS": "false",
            "SKYWRIGHT_OBSERVE_SECONDS": str(OBSERVE_SECONDS),
            "SKYWRIGHT_QUARANTINE_FAILURES": "2",
        }
        self._environment = {**os.environ, **settings, "COLUMNS": "250", "OS_CLOUD": "scratch"}
        self._environment["OS_CLIENT_CONFIG_FILE"] = str(state / "clouds.yaml")
        self._environment["PATH"] = f"{BIN}:{os.environ['PATH']}"
        own = Settings(state_dir=state, public_url=self.url)
        bootstrap_accounts(own, {"admin": "a-password", "demo": "another-one"})
        auth = {"auth_url": f"{self.url}/identity", "username": "admin", "password": "a-password"}
        auth |= {"project_name": "admin", "user_domain_name": "Default", "project_domain_name": "Default"}
        clouds = {"clouds": {"scratch": {"auth": auth, "region_name": "RegionOne"}}}
        (state / "clouds.yaml").write_text(yaml.safe_dump(clouds))
        self._log = (state / "log").open("w")
        self._process = subprocess.Popen(
            [BIN / "skywright", "serve"],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        eventually(self._ready, 30, "the API answers")
        config = openstack.config.OpenStackConfig(config_files=[str(state / "clouds.yaml")])
        self.connection = Connection(config=config.get_one("scratch"))
        self.operations = f"{self.url}/v1"

    def _ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        self.connection.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def cli(self, *arguments: str, good: bool = True) -> str:
        command = [BIN / "skywright", *arguments]
        result = subprocess.run(
            command, check=False, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=300
        )
        text = result.stdout + result.stderr
        assert (result.returncode == 0) == good, text
        return text

    def host(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.connection.session.get(f"{self.operations}/hosts/{name}").json()["host"]
        return found

    def jobs(self, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.connection.session.get(f"{self.operations}/jobs", params=query).json()[
            "jobs"
        ]
        return found

    def server(self, name: str, image_name: str = "blank", **wanted: Any) -> Any:
        """Request a server without networks, because another cloud uses the switches of these hosts.

        Servers of the image `blank` need few resources, but only a guest with an operating system stops on request.
        """
        compute = self.connection.compute
        image, flavor = self.connection.image.find_image(image_name), compute.find_flavor("nano")
        return compute.create_server(name=name, image_id=image.id, flavor_id=flavor.id, networks="none", **wanted)

    def wait(self, server: Any, status: str, seconds: float = 60) -> Any:
        def reached() -> Any:
            found = self.connection.compute.get_server(server.id)
            return found if found.task_state is None and found.status in (status, "ERROR") else None

        found = eventually(reached, seconds, f"{server.name} is {status}")
        assert found.status == status, found.fault
        return found

    def gone(self, server: Any) -> bool:
        return self.connection.compute.find_server(server.id) is None


@pytest.fixture(scope="module")
def gates(lab: Lab) -> dict[str, Gate]:
    """The names of the hosts in the scratch cloud, and the port of each."""
    return {"first": Gate(lab["host1"].address), "second": Gate(lab["host2"].address)}


@pytest.fixture(scope="module")
def scratch(lab: Lab, gates: dict[str, Gate], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud whose hosts `first` and `second` are the lab's, with an image and a flavor."""
    cloud = Cloud(tmp_path_factory.mktemp("scratch"), lab)
    try:
        add = ["--key", lab.facts["key"], "--group", "computes"]
        text = cloud.cli("hosts", "add", "127.0.0.1", "--port", str(gates["first"].port), *add, good=False)
        assert "The address of the host's tunnels is missing" in text
        named = ["--name", "first", "--port", str(gates["first"].port), "--no-deploy"]
        text = cloud.cli("hosts", "add", "127.0.0.1", *named, *add, good=False)
        fingerprint = re.search(r"SHA256:\S+", text)
        assert fingerprint and "was not accepted" in text
        cloud.cli("hosts", "add", "127.0.0.1", *named, *add, "--fingerprint", fingerprint[0])
        variables = yaml.safe_load((ROOT / "inventories/lab/group_vars/all.yml").read_text())
        own = [f"--variable={name}={json.dumps(value)}" for name, value in variables.items()]
        data = ["--data-interface", "data0", "--data-address", f"{lab['host2'].data_address}/24"]
        second = ["--name", "second", "--port", str(gates["second"].port), *data]
        cloud.cli("hosts", "add", "127.0.0.1", *second, *add, *own, "--accept-host-key")
        with (ROOT / "var/images/guest.qcow2").open("rb") as image:
            formats = {"disk_format": "qcow2", "container_format": "bare"}
            cloud.connection.image.create_image("guest", data=image, **formats)
        formats["disk_format"] = "raw"
        cloud.connection.image.create_image("blank", data=bytes(1 << 20), **formats)
        cloud.connection.create_flavor("nano", ram=128, vcpus=1, disk=1)
        yield cloud
        for gate in gates.values():
            gate.open()
        for server in list(cloud.connection.compute.servers()):
            cloud.connection.compute.delete_server(server.id)
            eventually(lambda server=server: cloud.gone(server), 60, "the server is deleted")
        for image_name in ("guest", "blank"):
            cloud.connection.image.delete_image(cloud.connection.image.find_image(image_name).id)
        eventually(lambda: not cloud.jobs(state="queued,running"), BACK_SECONDS, "all jobs have ended")
    finally:
        cloud.stop()


@pytest.fixture
def placed(scratch: Cloud) -> Iterator[Callable[..., Any]]:
    """Return a function that creates a server on a host."""
    made = []

    def place(host: str, image_name: str = "blank") -> Any:
        made.append(scratch.server(f"on-{host}", image_name, availability_zone=f"nova:{host}"))
        return scratch.wait(made[-1], "ACTIVE")

    yield place
    for server in made:
        scratch.connection.compute.delete_server(server.id, ignore_missing=True)
    for server in made:
        eventually(lambda server=server: scratch.gone(server), 60, "the server is deleted")


def test_hosts_are_enrolled(scratch: Cloud, gates: dict[str, Gate]) -> None:
    for name, gate in gates.items():
        host = scratch.host(name)
        assert (host["state"], host["up"], host["vcpus"] > 0) == ("enabled", True, True)
        assert f"[127.0.0.1]:{gate.port} " in (scratch.state / "known_hosts").read_text()
    assert "second" in scratch.cli("hosts", "list")


def test_a_server_that_ended_is_shown_as_shutoff(scratch: Cloud, lab: Lab, placed: Callable[..., Any]) -> None:
    server = placed("second")
    lab["host2"].run(f"virsh destroy instance-{server.id}")
    server = scratch.wait(server, "SHUTOFF", 6 * OBSERVE_SECONDS)
    assert server.power_state == 4
    scratch.connection.compute.start_server(server)
    assert scratch.wait(server, "ACTIVE").power_state == 1
    time.sleep(2 * OBSERVE_SECONDS)
    assert scratch.connection.compute.get_server(server.id).status == "ACTIVE"


def test_jobs_wait_for_a_host_in_maintenance(scratch: Cloud, lab: Lab, placed: Callable[..., Any]) -> None:
    server = placed("second", "guest")
    text = scratch.cli("hosts", "drain", "second", good=False)
    assert server.name in text and server.id in text
    assert scratch.host("second")["state"] == "enabled"
    scratch.cli("hosts", "maintenance", "second", "--reason", "a new disk")
    (service,) = [row for row in scratch.connection.compute.services() if row.host == "second"]
    assert (service.status, service.disabled_reason) == ("disabled", "a new disk")
    scratch.connection.compute.stop_server(server)
    job = eventually(lambda: scratch.jobs(resource=server.id, state="queued"), 10, "the job waits")[0]
    eventually(
        lambda: scratch.jobs(resource=server.id)[0]["waiting_for"] == "host second is in maintenance", 10, "it says why"
    )
    scratch.cli("jobs", "force", job["id"])
    scratch.wait(server, "SHUTOFF")
    scratch.connection.compute.start_server(server)
    eventually(lambda: "is in maintenance" in json.dumps(scratch.jobs(resource=server.id)[0]), 10, "it waits again")
    scratch.cli("hosts", "enable", "second")
    scratch.wait(server, "ACTIVE")


def test_jobs_continue_after_an_outage_of_a_host(
    scratch: Cloud, lab: Lab, gates: dict[str, Gate], placed: Callable[..., Any]
) -> None:
    doomed, kept = placed("second"), placed("second", "guest")
    gates["second"].close()
    # If both hosts were up, neither would get two servers.
    others = [scratch.server(f"new-{number}") for number in range(2)]
    for server in others:
        assert scratch.wait(server, "ACTIVE").compute_host == "first"
        scratch.connection.compute.delete_server(server.id)
    scratch.connection.compute.stop_server(kept)
    scratch.connection.compute.delete_server(doomed.id)
    eventually(lambda: scratch.gone(doomed), 30, "the user is rid of the server")
    assert scratch.wait(kept, "ACTIVE").task_state is None
    (refused,) = scratch.jobs(resource=kept.id, state="failed")
    assert refused["action"] == "stop" and refused["error"].startswith("second is unreachable")
    assert doomed.id in lab["host2"].domains()
    eventually(lambda: scratch.host("second")["state"] == "quarantined", BACK_SECONDS, "the host is quarantined")
    (waiting,) = scratch.jobs(resource=doomed.id, state="queued")
    assert re.match(r"(second is unreachable; )?retry at 20\d\d-", waiting["waiting_for"])
    assert "quarantined" in scratch.cli("hosts", "list")
    (service,) = [row for row in scratch.connection.compute.services() if row.host == "second"]
    assert service.status == "disabled" and service.disabled_reason.startswith("AUTO: second is unreachable")
    gates["second"].open()
    eventually(lambda: scratch.host("second")["state"] == "enabled", BACK_SECONDS, "a look lifts the quarantine")
    scratch.connection.compute.stop_server(kept)
    scratch.wait(kept, "SHUTOFF")
    eventually(lambda: doomed.id not in lab["host2"].domains(), 60, "the deleted server is gone from the host")


def test_a_changed_host_key_is_refused_everywhere(scratch: Cloud, lab: Lab, gates: dict[str, Gate]) -> None:
    gate, known = gates["second"], scratch.state / "known_hosts"
    before = known.read_text()
    entry = f"[127.0.0.1]:{gate.port}"
    other = (ROOT / "var/lab/id_ed25519.pub").read_text().split()[1]
    lines = [f"{entry} ssh-ed25519 {other}" if line.startswith(entry) else line for line in before.splitlines()]
    known.write_text("\n".join(lines) + "\n")
    gate.cut()
    try:
        add = ["--name", "second", "--port", str(gate.port), "--key", lab.facts["key"], "--no-deploy"]
        text = scratch.cli("hosts", "add", "127.0.0.1", *add, "--accept-host-key", good=False)
        assert f"THE KEY OF {entry} HAS CHANGED" in text
        eventually(lambda: scratch.host("second")["state"] == "quarantined", BACK_SECONDS, "the host is quarantined")
        assert "Host key verification failed" in scratch.host("second")["unreachable"]
    finally:
        known.write_text(before)
    scratch.cli("hosts", "enable", "second")
    eventually(lambda: scratch.host("second")["up"], BACK_SECONDS, "it is itself again")


def test_a_removed_host_has_no_record(scratch: Cloud, gates: dict[str, Gate], lab: Lab) -> None:
    scratch.cli("hosts", "remove", "second")
    assert f"[127.0.0.1]:{gates['second'].port}" not in (scratch.state / "known_hosts").read_text()
    assert "second" not in scratch.cli("hosts", "list")
    assert lab["host2"].answers()

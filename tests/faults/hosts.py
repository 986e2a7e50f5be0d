"""The hosts of the cloud under test, from outside: processes, power, network."""

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from lab.support import BIN, ROOT, cut_power, eventually

OVERCLOUD = "overcloud"  # its name
SERVICES = ("mariadb", "rabbitmq-server", "haproxy", "keepalived", "skywright-api", "skywright-worker", "memcached")
KNOWN_HOSTS = ROOT / "var/known_hosts"  # those of the undercloud


class Host:
    """One host."""

    def __init__(self, facts: dict[str, Any], machine: dict[str, Any]) -> None:
        self.name, self._facts, self._machine, self._nic = machine["hostname"], facts, machine, machine["nics"][0]
        self.address = self._nic["address"].split("/")[0]
        self.data_address = facts["data_network"].replace(".0/", f".{self.address.split('.')[-1]}/")
        self._ssh = ["ssh", "-i", facts["key"], "-o", f"UserKnownHostsFile={facts['known_hosts']}"]
        self._ssh += ["-o", "BatchMode=yes", "-o", "ConnectTimeout=3", f"root@{self.address}"]

    def run(self, command: str, *, check: bool = True, seconds: float = 30) -> str:
        result = subprocess.run([*self._ssh, command], check=False, capture_output=True, text=True, timeout=seconds)
        assert result.returncode == 0 or not check, f"{self.name}: {command}: {result.stderr}"
        return result.stdout.strip()

    def holds(self, address: str) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return f" {address}/" in self.run("ip -brief -4 address", check=False, seconds=10)
        return False

    def signal(self, unit: str, name: str) -> None:
        """Send the signal to all processes of the service."""
        self.run(f"systemctl kill --kill-whom=all --signal={name} {unit}")

    def cut_power(self) -> None:
        """Kill the host without a shutdown."""
        cut_power(self._machine["name"])

    def remove(self) -> None:
        """Remove the host completely; powering on creates an empty one."""
        self.cut_power()
        wanted = {
            "directory": str(Path(self._facts["files"]) / "hosts"),
            "known_hosts": self._facts["known_hosts"],
            "hosts": [{**self._machine, "state": "absent"}],
        }
        module = ("-m", "skywright.cloud.nspawn_host", "-a", json.dumps(wanted))
        run("ansible", "localhost", "-i", "inventories/ha", *module, seconds=60)
        command = ["ssh-keygen", "-q", "-f", KNOWN_HOSTS, "-R", self.address]
        subprocess.run(command, check=True, capture_output=True)

    def unplug(self) -> None:
        """Disconnect the host from the management network."""
        self._link("down")

    def plug(self) -> None:
        self._link("up")

    def _link(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", self._nic["device"], state], check=True)


class Hosts:
    """All hosts of the ha inventory."""

    def __init__(self) -> None:
        script = ROOT / "inventories/ha/hosts.py"
        self.facts = json.loads(subprocess.run([script, "--lab"], check=True, capture_output=True, text=True).stdout)
        hosts = [Host(self.facts, machine) for machine in self.facts["machines"]]
        self.controllers = [host for host in hosts if host.name.startswith("controller")]
        self.all = hosts
        self.virtual_address = self.facts["management_address"].rpartition(".")[0] + ".9"

    def holder(self) -> Host:
        """Return the controller that has the virtual address."""
        found: Host = eventually(
            lambda: next((host for host in self.controllers if host.holds(self.virtual_address)), None),
            30,
            "a controller has the virtual address",
        )
        return found

    def writer(self) -> Host:
        """Return the controller whose database is the writer."""
        served = "mariadb -NBe \"SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'skywright'\""
        found: Host = eventually(
            lambda: next((host for host in self.controllers if int(host.run(served)) > 0), None),
            30,
            "a controller's database serves the cloud",
        )
        return found

    def recover(self, seconds: float) -> float:
        """Wait until every controller has all services and is in the database's cluster. Return the seconds."""
        began = time.monotonic()
        eventually(lambda: all(map(is_healthy, self.controllers)), seconds, "all controllers are healthy")
        return time.monotonic() - began

    @staticmethod
    def power_on(**environment: str) -> None:
        """Boot hosts that are off, create missing ones, and wait until all hosts answer."""
        run("ansible-playbook", "-i", "inventories/ha", "playbooks/lab.yml", seconds=180, **environment)


def is_healthy(host: Host) -> bool:
    """Whether a controller is healthy."""
    look = f"mariadb -NBe \"SHOW STATUS LIKE 'wsrep_cluster_size'\" && systemctl is-active {' '.join(SERVICES)}"
    look += "; ss -Htln sport = :5671 | wc -l"  # a node that recovers from a partition is active, but does not serve
    said = host.run(look, check=False, seconds=15).split()
    return said == ["wsrep_cluster_size", "3", *["active"] * len(SERVICES), "1"]


def overcloud(*arguments: str | Path, seconds: float = 600) -> str:
    """Return the output of `skywright overcloud`, which must succeed."""
    return run("skywright", "overcloud", *arguments, seconds=seconds)


def run(program: str, *arguments: str | Path, seconds: float, **environment: str) -> str:
    """Return the output of a program of the checkout, which must succeed."""
    result = subprocess.run(
        [BIN / program, *arguments],
        check=False, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    return result.stdout

"""The hosts of the cloud under test, from outside: their processes, their power, their place in the network."""

import contextlib
import json
import subprocess
from typing import Any

from lab.support import BIN, ROOT, cut_power, eventually


class Host:
    """One host."""

    def __init__(self, facts: dict[str, Any], machine: dict[str, Any]) -> None:
        self.name, self.machine, self._nic = machine["hostname"], machine["name"], machine["nics"][0]
        self.address = self._nic["address"].split("/")[0]
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
        """End the host without a word."""
        cut_power(self.machine)

    def unplug(self) -> None:
        """Cut the host off from the management network."""
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
        """The controller that has the virtual address."""
        found: Host = eventually(
            lambda: next((host for host in self.controllers if host.holds(self.virtual_address)), None),
            30,
            "a controller has the virtual address",
        )
        return found

    def writer(self) -> Host:
        """The controller whose database serves the cloud."""
        served = "mariadb -NBe \"SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'skywright'\""
        found: Host = eventually(
            lambda: next((host for host in self.controllers if int(host.run(served)) > 0), None),
            30,
            "a controller's database serves the cloud",
        )
        return found

    def power_on(self) -> None:
        """Boot what is off, and wait until all hosts answer."""
        command = [BIN / "ansible-playbook", "-i", "inventories/ha", "playbooks/lab.yml"]
        result = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=180)
        assert result.returncode == 0, result.stdout[-3000:]

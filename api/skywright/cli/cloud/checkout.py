"""The checkout in which the command runs: its lab, files and playbooks."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skywright.cli.cloud.steps import Report, StepFailed

TASK = re.compile(r"^TASK \[(.+?)\]")
FAILURE = re.compile(r"^(fatal: |\[ERROR\]|ERROR!)")


@dataclass(frozen=True)
class Checkout:
    """The paths of a checkout."""

    root: Path

    @classmethod
    def here(cls) -> "Checkout":
        """Return the checkout in the current directory; raise StepFailed if it is not one."""
        root = Path.cwd()
        if not (root / "playbooks" / "lab.yml").exists():
            raise StepFailed(f"{root} is not a Skywright checkout", "Change to the cloned directory.")
        return cls(root)

    @property
    def state(self) -> Path:
        return self.root / "var"

    @property
    def clouds_yaml(self) -> Path:
        return self.root / "clouds.yaml"

    @property
    def guest_image(self) -> Path:
        return self.state / "images" / "guest.qcow2"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of Ansible: this checkout's configuration, this virtual environment first in PATH."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"), "PATH": path}

    def lab(self) -> dict[str, Any]:
        """Return the lab's names and addresses (see docs/architecture.md)."""
        script = self.root / "inventories" / "lab" / "hosts.py"
        result = subprocess.run([script, "--lab"], check=True, capture_output=True, text=True)
        facts: dict[str, Any] = json.loads(result.stdout)
        return facts

    def inventory(self) -> dict[str, dict[str, Any]]:
        """Return `{host: {groups, variables}}` of the lab's inventory, without this machine."""
        command = ["ansible-inventory", "--list", "--export", "-i", "inventories/lab"]
        result = subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=self.root, env=self.environment
        )
        data = json.loads(result.stdout)
        variables = data.pop("_meta")["hostvars"]
        hosts: dict[str, dict[str, Any]] = {}
        for group, content in data.items():
            for name in content.get("hosts", []) if group not in ("all", "lab") else []:
                hosts.setdefault(name, {"groups": [], "variables": variables.get(name, {})})["groups"].append(group)
        return hosts

    def playbook(self, name: str, report: Report, *arguments: str) -> None:
        """Run playbooks/<name>.yml and report the current task; raise StepFailed with Ansible's messages."""
        log = self.state / "log" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = ["ansible-playbook", f"playbooks/{name}.yml", *arguments]
        failures: list[str] = []
        with (
            log.open("w") as file,
            subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                file.flush()
                if task := TASK.match(line):
                    report(task[1])
                elif FAILURE.match(line):
                    failures.append(line.strip())
        if process.returncode:
            what = "\n".join(failures) or f"ansible-playbook ended with {process.returncode}"
            raise StepFailed(what, f"The whole output is in {log}; after fixing the problem, run `make cloud` again.")

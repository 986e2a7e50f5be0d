"""From a job's acceptance to its first task on the host, next to a cold `ansible-playbook` that gets as far."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bench.measures import Context
from bench.stats import Row, Target, ratios

PLAYBOOK = "host"  # one task, which reads a host's facts


def measure(context: Context) -> Iterator[Row]:
    hosts = context.cloud.hosts()
    name = min(name for name, host in hosts.items() if "computes" in host["groups"])
    first, whole, cold = [], [], []
    for _ in range(context.rounds):
        job = context.cloud.admin.call("operations", "PUT", f"/hosts/{name}", {"host": {}}).json["job"]["id"]
        done = context.cloud.finished(job)
        accepted = datetime.fromisoformat(done["created_at"])
        task = next(event for event in done["events"] if event["kind"] == "playbook_on_task_start")
        first.append((datetime.fromisoformat(task["at"]) - accepted).total_seconds())
        whole.append((datetime.fromisoformat(done["finished_at"]) - accepted).total_seconds())
        cold.append(_cold(context.root, name))
    yield Row("job: accepted to first task, warm", "s", first)
    yield Row("job: ansible-playbook to first task, cold", "s", cold)
    yield Row("job: warm to cold, ratio", "x", ratios(first, cold), Target(0.5))
    yield Row("job of one task: accepted to finished", "s", whole)


def _cold(root: Path, host: str) -> float:
    """Start Ansible from nothing, on the same playbook; the seconds until it says which task it begins."""
    command = ["ansible-playbook", f"playbooks/cloud/{PLAYBOOK}.yml", "--limit", host]
    environment = {**os.environ, **for_ansible(root)}
    started = time.monotonic()
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seconds = next(time.monotonic() - started for line in process.stdout if line.startswith("TASK ["))
        process.stdout.read()
    return seconds


def for_ansible(root: Path) -> dict[str, str]:
    """Environment variables for the checkout's Ansible."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "ANSIBLE_CONFIG": str(root / "ansible.cfg")}

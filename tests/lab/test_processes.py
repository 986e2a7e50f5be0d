"""Every process of a run ends with it, whatever module of an operator playbook started it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import ROOT, Host, Lab, eventually, look_at, unique
from lab.test_worker_killed import worker

pytestmark = pytest.mark.alone

END_SECONDS = 15
CUT_SECONDS = 25
# Harmless processes, each started in another way; the last task waits.
KINDS = ("loop", "daemon", "async", "become", "foreground")
PLAYBOOK = """
---
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell: "while :; do echo {name}-loop > /dev/null; sleep 0.2; done > /dev/null 2>&1 &"
      args: {{executable: /bin/bash}}
    - ansible.builtin.shell: "setsid bash -c 'exec -a {name}-daemon sleep 717' > /dev/null 2>&1 < /dev/null & disown"
      args: {{executable: /bin/bash}}
    - ansible.builtin.command: bash -c 'exec -a {name}-async sleep 717'
      async: 1000
      poll: 0
    - ansible.builtin.raw: bash -c 'exec -a {name}-become sleep 717' > /dev/null 2>&1 &
      become: true
      become_user: nobody
      become_method: ansible.builtin.su
      become_flags: -s /bin/sh
    - ansible.builtin.command: env -i bash -c 'exec -a {name}-foreground sleep 717'
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.command: "true"
"""


class Running:
    """A job whose processes all run on host1."""

    def __init__(self, cloud: Connection, host: Host, name: str) -> None:
        self.cloud, self.host, self.name = cloud, host, name
        self.url = cloud.session.get_endpoint(service_type="operations", interface="public")
        answer = cloud.session.post(f"{self.url}/playbooks/{name}/run", json={"variables": {}, "hosts": [host.name]})
        self.id = answer.json()["job"]["id"]
        eventually(self.complete, 30, "all its processes live")

    def job(self) -> dict[str, Any]:
        job: dict[str, Any] = self.cloud.session.get(f"{self.url}/jobs/{self.id}").json()["job"]
        return job

    def processes(self) -> dict[int, str]:
        """Return its processes on the host, by id."""
        lines = self.host.run(f"pgrep -af '{self.name}-' | grep -v pgrep", check=False).splitlines()
        return {int(pid): command for pid, _, command in (line.partition(" ") for line in lines)}

    def complete(self) -> bool:
        commands = self.processes().values()
        return all(any(f"{self.name}-{kind}" in command for command in commands) for kind in KINDS)

    def cancel(self) -> dict[str, Any]:
        """Cancel the job, wait for its end and return it."""
        self.cloud.session.post(f"{self.url}/jobs/{self.id}/cancel", raise_exc=False)
        eventually(lambda: self.job()["finished_at"], END_SECONDS + CUT_SECONDS, "it has ended")
        return self.job()


@pytest.fixture
def playbook() -> Iterator[str]:
    name = unique("processes").replace("-", "_")
    path = ROOT / f"playbooks/operator/{name}.yml"
    path.write_text(PLAYBOOK.format(name=name))
    yield name
    path.unlink()


@pytest.fixture
def running(cloud: Connection, lab: Lab, playbook: str) -> Iterator[Running]:
    running = Running(cloud, lab["host1"], playbook)
    yield running
    running.cancel()
    lab["host1"].run(f"pkill -9 -f '^[^ ]*{playbook}-'", check=False)


def test_a_canceled_job_leaves_no_process(running: Running) -> None:
    job = running.cancel()
    assert (job["state"], job["error"]) == ("canceled", "The job was canceled")
    assert running.processes() == {}


def test_the_run_after_a_killed_worker_ends_processes_of_the_first_run(running: Running) -> None:
    before = running.processes()
    pid = worker()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    def runs_again() -> bool:
        after = running.processes()
        # There are never two processes of one kind at once.
        assert len([command for command in after.values() if command.startswith(f"{running.name}-")]) < len(KINDS)
        return not before.keys() & after.keys() and running.complete()

    eventually(runs_again, 60, "it runs again")
    assert running.job()["attempts"] == 2


def test_processes_after_a_lost_connection_are_reported_and_ended_later(
    cloud: Connection, lab: Lab, running: Running
) -> None:
    host = lab["host1"]
    table = "nft add table inet skywright-test"
    chain = "nft add chain inet skywright-test input '{ type filter hook input priority 0; }'"
    rule = "nft add rule inet skywright-test input tcp dport 22 drop"
    timer = f"systemd-run --on-active={CUT_SECONDS} --timer-property=AccuracySec=100ms"  # the default is a minute
    host.run(f"{timer} nft delete table inet skywright-test")
    host.run(f"{table} && {chain} && (sleep 0.5; {rule}) > /dev/null 2>&1 &")
    job = running.cancel()
    assert job["state"] == "canceled"
    assert job["error"].startswith(
        "The job was canceled; what it ran on host1 could not be ended: host1 is unreachable"
    )
    eventually(host.answers, 2 * CUT_SECONDS, "host1 answers again")
    look_at(cloud, host)
    assert running.processes() == {}


def test_nothing_is_ended_after_a_completed_run(cloud: Connection, lab: Lab, tmp_path: Path) -> None:
    """A daemon that a task started deliberately stays."""
    name = unique("daemon").replace("-", "_")
    path = ROOT / f"playbooks/operator/{name}.yml"
    tasks = PLAYBOOK.format(name=name).split("    - ansible.builtin.command: env")[0]
    path.write_text(tasks)
    host = lab["host1"]
    try:
        url = cloud.session.get_endpoint(service_type="operations", interface="public")
        body = {"variables": {}, "hosts": [host.name]}
        job_id = cloud.session.post(f"{url}/playbooks/{name}/run", json=body).json()["job"]["id"]
        eventually(lambda: cloud.session.get(f"{url}/jobs/{job_id}").json()["job"]["finished_at"], 30, "it ends")
        assert cloud.session.get(f"{url}/jobs/{job_id}").json()["job"]["state"] == "successful"
        look_at(cloud, host)
        assert f"{name}-daemon" in host.run(f"pgrep -af '{name}-daemon'")
    finally:
        path.unlink()
        host.run(f"pkill -9 -f '{name}-[a-z]+'", check=False)

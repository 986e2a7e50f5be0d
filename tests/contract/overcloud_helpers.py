"""Overclouds whose hosts are this machine, and playbooks that replace the real ones."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from openstack.connection import Connection

from contract.conftest import Api, job_ended
from skywright.db.jobs import Host
from workers import working

ROOT = Path(__file__).parents[2]
HOSTILE = "{{ lookup('pipe', 'touch %s/pwned') }}\n- evil: true"
# Replaces the roles: it writes the variables to files, and shows changes in check mode.
DEPLOY = """---
- name: Write what came
  hosts: all
  gather_facts: false
  tasks:
    - name: Write the variables
      ansible.builtin.copy:
        content: "{{ found | to_json }}"
        dest: "{{ overcloud_files }}/{{ inventory_hostname }}.json"
        mode: "0600"
      diff: false
      vars:
        found:
          groups: "{{ group_names }}"
          name: "{{ overcloud_name }}"
          address: "{{ overcloud_virtual_address }}"
          interface: "{{ overcloud_interface }}"
          secrets: "{{ overcloud_secrets | length }}"
          admin: "{{ overcloud_secrets.admin }}"
          text: "{{ some_text | default(none) }}"
          data: "{{ vswitch_data_address | default(none) }}"
          without: "{{ galera_recover_without | default([]) }}"
- name: Finish
  hosts: controllers
  gather_facts: false
  tasks:
    - name: Refuse
      ansible.builtin.fail:
        msg: "not on {{ inventory_hostname }}"
      when: stumble | default(false)
"""
PREFLIGHT = """---
- name: Check all hosts
  hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Report every problem
      ansible.builtin.fail:
        msg: "{{ {inventory_hostname: problem} }}"
      when: problem is defined
"""
STATUS = """---
- name: Read the status of all services
  hosts: all
  gather_facts: false
  tasks:
    - name: Read the status of the host
      ansible.builtin.debug:
        var: host
      vars:
        host:
          units: {chrony.service: {state: active, detail: running}}
          virtual_address: "{{ inventory_hostname == 'one' }}"
"""
MAINTENANCE = """---
- name: Begin or end the maintenance
  hosts: controllers
  gather_facts: false
  tasks:
    - name: Write what is to be done
      ansible.builtin.copy:
        content: "{{ {'host': overcloud_host, 'begins': overcloud_maintenance} | to_json }}"
        dest: "{{ overcloud_files }}/maintenance.json"
        mode: "0600"
"""
DELETE = """---
- name: Remove the cloud
  hosts: all
  gather_facts: false
  tasks:
    - name: Remove
      ansible.builtin.file:
        path: "{{ overcloud_files }}/{{ inventory_hostname }}.json"
        state: absent
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with this checkout's playbooks for jobs, and fakes of the playbooks that change hosts."""
    path = tmp_path_factory.mktemp("project")
    (path / "playbooks/cloud").mkdir(parents=True)
    (path / "ansible.cfg").write_text(f"[defaults]\ncollections_path = {ROOT}/.collections\n")
    for file in [*ROOT.glob("playbooks/cloud/*.yml"), ROOT / "playbooks/overcloud_report.yml"]:
        (path / file.relative_to(ROOT)).write_text(file.read_text())
    stand_ins = {
        "": DEPLOY,
        "_preflight": PREFLIGHT,
        "_status": STATUS,
        "_delete": DELETE,
        "_recover": DEPLOY,
        "_maintenance": MAINTENANCE,
    }
    for name, text in stand_ins.items():
        (path / f"playbooks/overcloud{name}.yml").write_text(text)
    return path


@pytest.fixture(scope="module", autouse=True)
def worker(api: Api, project: Path) -> Iterator[None]:
    api.cloud.settings.observe_seconds = 0
    api.cloud.settings.project_dir = project
    with working(api.cloud):
        yield


def plan(name: str = "ha", network: int = 0, **variables: Any) -> dict[str, Any]:
    """Return a plan of one controller and one compute host; *number* makes the addresses of clouds different."""
    prefix = "" if name == "ha" else f"{name}-"
    return {
        "name": name,
        "virtual_address": f"10.{network}.0.9/24",
        "interface": "eth0",
        "key": "/nowhere/key",
        "data_interface": "eth1",
        "roles": {"controllers": [f"{prefix}one"], "computes": [f"{prefix}two"], "networks": [f"{prefix}two"]},
        "networks": {"management": f"10.{network}.0.0/24", "data": f"172.16.{network}.0/24"},
        "hosts": {
            f"{prefix}one": {"address": f"10.{network}.0.11"},
            f"{prefix}two": {"address": f"10.{network}.0.12", "data_address": f"172.16.{network}.12/24"},
        },
        "variables": variables,
    }


def put(api: Api, connection: Connection, body: dict[str, Any], status: int = 202, name: str | None = None) -> Any:
    return ask_for(api, connection, "PUT", f"overclouds/{name or body['name']}", {"plan": body}, status)


def ask_for(  # noqa: PLR0917 - a request has so many parts
    api: Api, connection: Connection, method: str, path: str, body: Any, status: int
) -> Any:
    answer = connection.session.request(f"{api.url}/v1/{path}", method, json=body, raise_exc=False)
    assert answer.status_code == status, answer.text
    return answer.json() if status < 300 else answer.json()["error"]["message"]


def be_local(api: Api, *names: str) -> None:
    """Register hosts that are this machine, which Ansible reaches without SSH."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    with api.cloud.database.write() as session:
        session.add_all(Host(name=name, groups=["overcloud"], variables=local) for name in names)


def ended(api: Api, connection: Connection, answer: dict[str, Any]) -> dict[str, Any]:
    return job_ended(api, connection, answer["job"]["id"])


@pytest.fixture(scope="module")
def deployed(api: Api) -> dict[str, Any]:
    """The job that deployed the overcloud `ha` on this machine."""
    with api.connect() as admin:
        body = plan(some_text=HOSTILE % api.cloud.settings.root)
        be_local(api, "one", "two")
        return ended(api, admin, put(api, admin, body))


def written(api: Api, host: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((api.cloud.settings.root / "overclouds/ha" / f"{host}.json").read_bytes())
    return found

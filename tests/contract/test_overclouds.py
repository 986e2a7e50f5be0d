"""Overclouds with the API: plans, their jobs with this machine as hosts, and their records."""

import copy
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from openstack.connection import Connection

from contract.conftest import Api, job_ended
from skywright.db.jobs import Host, Job
from skywright.jobs.runs import records, replay
from skywright.jobs.worker import Worker
from skywright.services.operations.overcloud.secrets import NAMES, passwords

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
    worker = Worker(api.cloud)
    thread = threading.Thread(target=worker.run)
    thread.start()
    yield
    worker.stop()
    thread.join()


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
    return _ask(api, connection, "PUT", f"overclouds/{name or body['name']}", {"plan": body}, status)


def _ask(  # noqa: PLR0917 - a request has so many parts
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


def test_a_deployment_is_a_job_with_the_plans_inventory(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    assert (deployed["state"], deployed["error"], deployed["action"]) == ("successful", None, "deploy")
    assert {"type": "overcloud", "id": "ha"} in deployed["resources"]
    one, two = written(api, "one"), written(api, "two")
    assert (one["groups"], two["groups"]) == (["controllers"], ["computes", "networks"])
    assert (one["name"], one["address"], one["interface"]) == ("ha", "10.0.0.9/24", "eth0")
    assert (one["data"], two["data"], one["secrets"]) == (None, "172.16.0.12/24", len(NAMES))
    assert one["text"] == HOSTILE % api.cloud.settings.root
    assert not (api.cloud.settings.root / "pwned").exists()
    cloud = _ask(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]
    assert (cloud["state"], cloud["deployed_at"] is not None) == ("deployed", True)
    assert cloud["endpoints"]["identity"] == "https://10.0.0.9:5000"
    plays = [event["play"] for event in deployed["events"] if event["kind"] == "playbook_on_task_start"]
    stages = ["Check all hosts", "Write what came", "Finish", "Report the hosts that completed the job"]
    assert list(dict.fromkeys(plays)) == stages


def test_hosts_of_an_overcloud_are_no_computes_of_the_undercloud(
    api: Api, admin: Connection, deployed: dict[str, Any]
) -> None:
    hosts = {host["name"]: host for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert (hosts["one"]["groups"], hosts["two"]["groups"]) == (["overcloud"], ["overcloud"])
    assert "vswitch_data_address" not in hosts["two"]["variables"]
    assert list(admin.compute.hypervisors()) == []
    assert "overcloud's" in _ask(api, admin, "PUT", "hosts/two", {"host": {"groups": ["computes"]}}, 409)
    assert "overcloud's" in _ask(api, admin, "DELETE", "hosts/two", None, 409)
    assert "overcloud's" in _ask(api, admin, "POST", "drift", {"host": "two"}, 400)
    assert "plan" in _ask(api, admin, "PUT", "hosts/three", {"host": {"groups": ["overcloud"]}}, 400)


def test_passwords_are_only_in_the_vault(api: Api, deployed: dict[str, Any]) -> None:
    settings = api.cloud.settings
    known = passwords(settings, "ha")
    assert written(api, "one")["admin"] == known["admin"]
    assert len(set(known.values())) == len(NAMES)
    for path in settings.root.rglob("*"):
        if path.is_file() and path.suffix != ".json" and "runs" not in path.parts:
            assert not any(secret.encode() in path.read_bytes() for secret in known.values()), path
    record = records.load(api.cloud, deployed["run_id"])
    assert list(record["variables"]["overcloud_secrets"]) == ["$secret"]  # type: ignore[index]
    assert known["admin"] not in str(record) + str(deployed)
    vault, password = settings.root / "overclouds/ha/secrets.yml", settings.key_dir / "vault.password"
    assert [path.stat().st_mode & 0o777 for path in (vault, password, vault.parent)] == [0o600, 0o600, 0o700]
    command = [Path(sys.executable).parent / "ansible-vault", "view", "--vault-password-file", password, vault]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert yaml.safe_load(shown)["overcloud_secrets"] == known


def test_unreadable_passwords_are_not_replaced(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    vault = api.cloud.settings.root / "overclouds/ha/secrets.yml"
    good = vault.read_bytes()
    vault.write_bytes(good[:-20])
    try:
        job = ended(api, admin, _ask(api, admin, "POST", "overclouds/ha/status", None, 202))
    finally:
        vault.write_bytes(good)
    assert job["state"] == "failed" and "passwords cannot be read" in job["error"]


def test_a_deployment_can_be_replayed(api: Api, deployed: dict[str, Any]) -> None:
    again = replay.prepare(api.cloud, deployed["id"])
    assert (again.missing, again.differences, again.check) == ([], [], False)
    assert again.variables["overcloud_secrets"] == passwords(api.cloud.settings, "ha")
    assert sorted(again.inventory["all"]["children"]) == ["computes", "controllers", "networks"]


def test_a_plan_and_its_replay_change_nothing(
    api: Api, admin: Connection, deployed: dict[str, Any], tmp_path: Path
) -> None:
    before = written(api, "one")
    body = plan(some_text="another")
    job = ended(api, admin, _ask(api, admin, "POST", "overclouds/ha/plan", {"plan": body}, 202))
    changed = {event["host"] for event in job["events"] if event.get("changed") and event.get("host")}
    assert (job["state"], changed) == ("successful", {"one", "two"})
    assert written(api, "one") == before
    assert _ask(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]["plan"]["variables"] != body["variables"]
    again = replay.prepare(api.cloud, job["id"])
    assert replay.command(again, tmp_path, check=False)[-2:] == ["--check", "--diff"]


def test_pre_flight_problems_of_every_host_are_reported(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    body = plan()
    body["hosts"]["one"]["variables"] = {"problem": "no disk; no memory"}
    body["hosts"]["two"]["variables"] = {"problem": "no NIC"}
    job = ended(api, admin, _ask(api, admin, "POST", "overclouds/ha/plan", {"plan": body}, 202))
    assert job["state"] == "failed"
    assert "one: Report every problem: no disk; no memory" in job["error"]
    assert "two: Report every problem: no NIC" in job["error"]
    assert {row["error"] for row in job["results"]} == {"no disk; no memory", "no NIC"}


def test_a_failure_names_its_host_and_task_in_job_and_cloud(
    api: Api, admin: Connection, deployed: dict[str, Any]
) -> None:
    job = ended(api, admin, put(api, admin, plan(stumble=True)))
    assert (job["state"], job["error"]) == ("failed", "one: Refuse: not on one")
    assert _ask(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]["state"] == "failed"
    assert ended(api, admin, put(api, admin, plan()))["state"] == "successful"


def test_the_status_is_kept_with_its_problems(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    job = ended(api, admin, _ask(api, admin, "POST", "overclouds/ha/status", None, 202))
    assert (job["state"], job["action"]) == ("successful", "status")
    cloud = _ask(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]
    assert cloud["report"]["one"]["units"] == {"chrony.service": {"state": "active", "detail": "running"}}
    assert cloud["problems"] == []
    assert _ask(api, admin, "GET", "overclouds", None, 200)["overclouds"][0]["observed_at"] == cloud["observed_at"]


def test_recovery_gives_up_the_data_of_named_hosts(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    job = ended(api, admin, _ask(api, admin, "POST", "overclouds/ha/recover", {"without": ["one"]}, 202))
    assert (job["state"], written(api, "one")["without"]) == ("successful", ["one"])
    assert "two" in _ask(api, admin, "POST", "overclouds/ha/recover", {"without": ["two"]}, 400)


def test_maintenance_of_a_controller(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    for body, begins in (({"host": "one"}, True), ({"host": "one", "end": True}, False)):
        job = ended(api, admin, _ask(api, admin, "POST", "overclouds/ha/maintenance", body, 202))
        assert (job["state"], written(api, "maintenance")) == ("successful", {"host": "one", "begins": begins})
    assert "no controller" in _ask(api, admin, "POST", "overclouds/ha/maintenance", {"host": "two"}, 400)


def test_hosts_can_be_added_and_removed_but_controllers_only_replaced(
    api: Api, admin: Connection, deployed: dict[str, Any]
) -> None:
    body = plan()
    body["roles"]["computes"].append("three")
    body["hosts"]["three"] = {"address": "10.0.0.13", "data_address": "172.16.0.13/24"}
    answer = put(api, admin, body)
    admin.session.post(f"{api.url}/v1/jobs/{answer['job']['id']}/cancel")
    ended(api, admin, answer)
    assert {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]} >= {"one", "three"}
    replaced = plan()
    replaced["hosts"]["one"]["address"] = "10.0.0.14"
    ended(api, admin, put(api, admin, replaced))
    hosts = {host["name"]: host for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert "three" not in hosts
    assert hosts["one"]["variables"]["ansible_host"] == "10.0.0.14"
    other = plan()
    other["roles"]["controllers"] = ["four"]
    other["hosts"]["four"] = other["hosts"].pop("one")
    assert "Controllers cannot be removed: one" in put(api, admin, other, 409)
    ended(api, admin, put(api, admin, plan()))


def test_hosts_belong_to_one_cloud(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    other = plan("other", 1)
    other["hosts"]["two"] = other["hosts"].pop("other-two")
    other["roles"] |= {"computes": ["two"], "networks": ["two"]}
    assert "two is a host of overcloud ha" in put(api, admin, other, 409)
    with api.cloud.database.write() as session:
        session.add(Host(name="mine", groups=["computes"], variables={"ansible_host": "10.1.0.11"}))
    assert "10.1.0.11 is also the address of host mine" in put(api, admin, plan("other", 1), 409)
    named = plan("other", 2)
    named["hosts"]["mine"] = named["hosts"].pop("other-two")
    named["roles"] |= {"computes": ["mine"], "networks": ["mine"]}
    assert "there is another host mine" in put(api, admin, named, 409)
    assert _ask(api, admin, "GET", "overclouds/other", None, 404)
    with api.cloud.database.write() as session:
        session.get_one(Host, "two").state = "maintenance"
    assert "two is in maintenance" in put(api, admin, plan(), 409)
    with api.cloud.database.write() as session:
        session.get_one(Host, "two").state = "enabled"


def test_hosts_of_a_corrected_plan_are_removed_from_the_records(api: Api, admin: Connection) -> None:
    be_local(api, "typo-one", "typo-two")
    wrong = plan("typo", 3)
    ended(api, admin, _ask(api, admin, "POST", "overclouds/typo/plan", {"plan": wrong}, 202))
    right = copy.deepcopy(wrong)
    right["hosts"]["typo-two"]["address"] = right["hosts"]["typo-one"].pop("address")
    right["hosts"]["typo-one"]["address"] = "10.3.0.12"
    right["hosts"]["typo-good"] = right["hosts"].pop("typo-one")
    right["roles"]["controllers"] = ["typo-good"]
    answer = _ask(api, admin, "POST", "overclouds/typo/plan", {"plan": right}, 202)
    names = {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert "typo-one" not in names and "typo-good" in names
    assert "has not ended" in _ask(api, admin, "DELETE", "overclouds/typo?forget_only=true", None, 409)
    admin.session.post(f"{api.url}/v1/jobs/{answer['job']['id']}/cancel")
    ended(api, admin, answer)
    _ask(api, admin, "DELETE", "overclouds/typo?forget_only=true", None, 202)
    names = {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert not {"typo-good", "typo-two"} & names


def test_two_clouds_are_not_deployed_in_one_run(api: Api, admin: Connection) -> None:
    jobs = []
    for name, number in (("left", 4), ("right", 5)):
        be_local(api, f"{name}-one", f"{name}-two")
        jobs.append(put(api, admin, plan(name, number)))
    found = [ended(api, admin, job) for job in jobs]
    assert [job["state"] for job in found] == ["successful", "successful"]
    assert found[0]["run_id"] != found[1]["run_id"]
    for name in ("left", "right"):
        _ask(api, admin, "DELETE", f"overclouds/{name}?forget_only=true", None, 202)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "overclouds"),
        ("GET", "overclouds/ha"),
        ("PUT", "overclouds/ha"),
        ("POST", "overclouds/ha/plan"),
        ("POST", "overclouds/ha/status"),
        ("POST", "overclouds/ha/recover"),
        ("POST", "overclouds/ha/maintenance"),
        ("DELETE", "overclouds/ha"),
    ],
)
def test_users_cannot_see_or_change_overclouds(
    api: Api, demo: Connection, deployed: dict[str, Any], method: str, path: str
) -> None:
    body = {"plan": plan()} if method == "PUT" or path.endswith("plan") else {}
    body = {"host": "one"} if path.endswith("maintenance") else body
    _ask(api, demo, method, path, body if method != "GET" else None, 403)
    jobs = demo.session.get(f"{api.url}/v1/jobs").json()["jobs"]
    assert [job for job in jobs if job["playbook"].startswith("overcloud")] == []
    assert demo.session.get(f"{api.url}/v1/jobs/{deployed['id']}", raise_exc=False).status_code == 404


DEEP: Any = []
for _ in range(400):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"name": "HA\n"},
        {"name": "../../etc"},
        {"virtual_address": "10.0.0.9"},
        {"virtual_address": HOSTILE},
        {"interface": "-oProxyCommand=x"},
        {"key": "relative"},
        {"key": "/a'b\" -oProxyCommand=x"},
        {"user": "-l"},
        {"roles": {"controllers": ["{{ 1 }}"]}},
        {"roles": {"controllers": []}},
        {"hosts": {}},
        {"hosts": {"localhost": {"address": "10.0.0.11"}}},
        {"hosts": {"a\nb": {"address": "10.0.0.11"}}},
        {"hosts": None},
        {"networks": {"management": "10.0.0.9/24"}},
        {"variables": {"ansible_connection": "local"}},
        {"variables": {"overcloud_files": "/etc"}},
        {"variables": {"db_password": "x"}},
        {"variables": {"a": {"__ansible_unsafe": "x"}}},
        {"variables": {"a b": 1}},
        {"variables": {"deep": DEEP}},
        {"versions": {"mariadb": "11"}},
    ],
)
def test_invalid_plans_are_refused(
    api: Api, admin: Connection, deployed: dict[str, Any], change: dict[str, Any]
) -> None:
    before = _ask(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]["plan"]
    message = put(api, admin, {**plan(), **change}, 400, name="ha")
    assert message.isprintable()
    assert _ask(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]["plan"] == before


@pytest.mark.parametrize("body", [None, [], {}, {"plan": []}, {"plan": {}}, {"plan": plan(), "other": 1}])
def test_invalid_bodies_are_refused(api: Api, admin: Connection, body: Any) -> None:
    _ask(api, admin, "PUT", "overclouds/ha", body, 400)


def test_unknown_overclouds_are_not_found(api: Api, admin: Connection) -> None:
    for method, path in (("GET", ""), ("POST", "/status"), ("POST", "/recover"), ("DELETE", "")):
        _ask(api, admin, method, f"overclouds/none{path}", {} if method == "POST" else None, 404)
    for name in ("..%2Fetc", "%00", "a" * 300, "%7B%7Bx%7D%7D"):
        assert admin.session.get(f"{api.url}/v1/overclouds/{name}", raise_exc=False).status_code == 404


def test_deleting_an_overcloud_removes_the_records_of_its_hosts(
    api: Api, admin: Connection, deployed: dict[str, Any]
) -> None:
    job = ended(api, admin, _ask(api, admin, "DELETE", "overclouds/ha", None, 202))
    assert (job["state"], job["action"], job["error"]) == ("successful", "delete", None)
    _ask(api, admin, "GET", "overclouds/ha", None, 404)
    assert not {"one", "two"} & {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    with api.cloud.database.read() as session:
        assert session.query(Job).filter_by(id=deployed["id"]).count() == 1
